"""KServe: two workers, its V1 protocol over REST."""

import sys
from functools import cached_property

from kserve import Model, ModelServer

from classifier import Classifier


class Fashion(Model):
    @cached_property
    def classifier(self) -> Classifier:
        # KServe sends the model to its workers by pickle, which cannot take an interpreter along.
        return Classifier()

    async def predict(self, payload: dict, headers: dict | None = None, response_headers: dict | None = None) -> dict:
        return {"predictions": [self.classifier.classify(image) for image in payload["instances"]]}


if __name__ == "__main__":
    model = Fashion("fashion")
    model.load()
    ModelServer(http_port=int(sys.argv[1]), workers=2, enable_grpc=False, enable_latency_logging=False,
                access_log_format=None).start([model])  # fmt: skip
