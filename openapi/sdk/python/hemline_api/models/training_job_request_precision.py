from typing import Literal

TrainingJobRequestPrecision = Literal["auto", "bfloat16", "float32"]

TRAINING_JOB_REQUEST_PRECISION_VALUES: set[TrainingJobRequestPrecision] = {
    "auto",
    "bfloat16",
    "float32",
}


def check_training_job_request_precision(value: str) -> TrainingJobRequestPrecision:
    if value in TRAINING_JOB_REQUEST_PRECISION_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {TRAINING_JOB_REQUEST_PRECISION_VALUES!r}")
