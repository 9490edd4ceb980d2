from typing import Literal

TuningJobRequestPrecision = Literal["auto", "bfloat16", "float32"]

TUNING_JOB_REQUEST_PRECISION_VALUES: set[TuningJobRequestPrecision] = {
    "auto",
    "bfloat16",
    "float32",
}


def check_tuning_job_request_precision(value: str) -> TuningJobRequestPrecision:
    if value in TUNING_JOB_REQUEST_PRECISION_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {TUNING_JOB_REQUEST_PRECISION_VALUES!r}")
