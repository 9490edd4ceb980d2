"""The processes that serve start without TensorFlow, and the web process without LiteRT too."""

import os
import subprocess
import sys

import pytest

from processes import ROOT

WEB = "import api.app, api.asgi; from settings import Settings; api.app.create_app(Settings(redis_url='unix:///none'))"
WORKER = "import workers.prediction_worker"


@pytest.mark.parametrize("code, never", [
    (WEB, {"tensorflow", "keras", "ai_edge_litert", "optuna", "boto3"}),
    (WORKER, {"tensorflow", "keras", "flask", "flask_smorest", "cv2", "optuna", "boto3"}),
    ("import workers.training_worker", {"tensorflow", "keras", "flask"}),
    ("import ml.registry, ml.runtime, ml.images, ml.artifacts", {"tensorflow", "keras", "redis", "celery", "flask"}),
], ids=["web", "worker", "training", "ml"])  # fmt: skip
def test_a_process_never_imports_what_it_does_not_need(code: str, never: set[str]) -> None:
    asked = f"{code}\nimport sys\nprint(*(set(sys.modules) & {never!r}))"
    environ = {**os.environ, "HEMLINE_REDIS_URL": "unix:///none"}
    ended = subprocess.run([sys.executable, "-c", asked], cwd=ROOT, env=environ, capture_output=True, text=True)

    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.strip() == ""
