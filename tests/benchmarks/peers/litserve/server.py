"""LitServe: two workers, and as many processes for HTTP as its command line says."""

import sys

import litserve

from classifier import Classifier


class Fashion(litserve.LitAPI):
    def setup(self, device):
        self.classifier = Classifier()

    def decode_request(self, request):
        return request["image"]

    def predict(self, image):
        return self.classifier.classify(image)

    def encode_response(self, answer):
        return answer


if __name__ == "__main__":
    server = litserve.LitServer(Fashion(), accelerator="cpu", workers_per_device=2)
    server.run(host="127.0.0.1", port=int(sys.argv[1]), num_api_servers=int(sys.argv[2]), generate_client_file=False,
               log_level="warning", access_log=False)  # fmt: skip
