"""BentoML: two workers."""

import bentoml

from classifier import Classifier


@bentoml.service(workers=2, traffic={"timeout": 60}, logging={"access": {"enabled": False}})
class Fashion:
    def __init__(self) -> None:
        self.classifier = Classifier()

    @bentoml.api
    async def predict(self, image: str) -> dict:
        return self.classifier.classify(image)

    @bentoml.api(batchable=True, max_batch_size=64, max_latency_ms=1000)
    async def predict_batched(self, images: list[str]) -> list[dict]:
        return [self.classifier.classify(image) for image in images]
