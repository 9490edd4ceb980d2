from typing import Literal

TrainingJobRequestSchedule = Literal["constant", "cosine", "one_cycle"]

TRAINING_JOB_REQUEST_SCHEDULE_VALUES: set[TrainingJobRequestSchedule] = {
    "constant",
    "cosine",
    "one_cycle",
}


def check_training_job_request_schedule(value: str) -> TrainingJobRequestSchedule:
    if value in TRAINING_JOB_REQUEST_SCHEDULE_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {TRAINING_JOB_REQUEST_SCHEDULE_VALUES!r}")
