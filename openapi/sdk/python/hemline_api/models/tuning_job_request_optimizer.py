from typing import Literal

TuningJobRequestOptimizer = Literal["adamw", "muon", "sgd"]

TUNING_JOB_REQUEST_OPTIMIZER_VALUES: set[TuningJobRequestOptimizer] = {
    "adamw",
    "muon",
    "sgd",
}


def check_tuning_job_request_optimizer(value: str) -> TuningJobRequestOptimizer:
    if value in TUNING_JOB_REQUEST_OPTIMIZER_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {TUNING_JOB_REQUEST_OPTIMIZER_VALUES!r}")
