from typing import Literal

TuningJobRequestSchedule = Literal["constant", "cosine", "one_cycle"]

TUNING_JOB_REQUEST_SCHEDULE_VALUES: set[TuningJobRequestSchedule] = {
    "constant",
    "cosine",
    "one_cycle",
}


def check_tuning_job_request_schedule(value: str) -> TuningJobRequestSchedule:
    if value in TUNING_JOB_REQUEST_SCHEDULE_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {TUNING_JOB_REQUEST_SCHEDULE_VALUES!r}")
