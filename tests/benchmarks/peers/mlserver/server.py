"""MLServer: a custom runtime, the V2 protocol over REST."""

import json
from typing import List

from mlserver import MLModel
from mlserver.codecs import decode_args

from classifier import Classifier


class Fashion(MLModel):
    async def load(self) -> bool:
        self.classifier = Classifier()
        return True

    @decode_args
    async def predict(self, image: List[str]) -> List[str]:
        return [json.dumps(self.classifier.classify(each)) for each in image]
