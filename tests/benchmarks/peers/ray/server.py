"""Ray Serve: two replicas behind HAProxy, with the settings that its guide to high throughput names."""

import sys
import time

import ray
from ray import serve
from starlette.requests import Request

from classifier import Classifier


@serve.deployment(num_replicas=2, max_ongoing_requests=256, ray_actor_options={"num_cpus": 0.5})
class Fashion:
    def __init__(self) -> None:
        self.classifier = Classifier()

    async def __call__(self, request: Request) -> dict:
        return self.classifier.classify((await request.json())["image"])


if __name__ == "__main__":
    ray.init(address="local", num_cpus=2, include_dashboard=False, _node_ip_address="127.0.0.1",
             _temp_dir=sys.argv[2])  # fmt: skip
    serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1])})
    serve.run(Fashion.bind(), route_prefix="/predict")
    while True:
        time.sleep(3600)
