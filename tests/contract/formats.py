"""What JSON Schema cannot say: which strings are pictures, and which are models. Read by schemathesis."""

import base64
from pathlib import Path

import schemathesis
from hypothesis import strategies

_SAMPLES = Path(__file__).parents[2] / "api" / "console" / "samples"
_IMAGES = [base64.b64encode(path.read_bytes()).decode() for path in sorted(_SAMPLES.glob("*.png"))]

schemathesis.openapi.format(
    "base64-image",
    strategies.sampled_from(_IMAGES) | strategies.sampled_from(_IMAGES).map("data:image/png;base64,{}".format),
)
schemathesis.openapi.format("model-name", strategies.sampled_from(["production", "small", "v1"]))
