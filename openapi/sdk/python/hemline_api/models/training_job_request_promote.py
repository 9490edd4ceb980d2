from typing import Literal

TrainingJobRequestPromote = Literal["always", "if_better", "never"]

TRAINING_JOB_REQUEST_PROMOTE_VALUES: set[TrainingJobRequestPromote] = {
    "always",
    "if_better",
    "never",
}


def check_training_job_request_promote(value: str) -> TrainingJobRequestPromote:
    if value in TRAINING_JOB_REQUEST_PROMOTE_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {TRAINING_JOB_REQUEST_PROMOTE_VALUES!r}")
