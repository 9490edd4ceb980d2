from typing import Literal

TrainingJobRequestOptimizer = Literal["adamw", "muon", "sgd"]

TRAINING_JOB_REQUEST_OPTIMIZER_VALUES: set[TrainingJobRequestOptimizer] = {
    "adamw",
    "muon",
    "sgd",
}


def check_training_job_request_optimizer(value: str) -> TrainingJobRequestOptimizer:
    if value in TRAINING_JOB_REQUEST_OPTIMIZER_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {TRAINING_JOB_REQUEST_OPTIMIZER_VALUES!r}")
