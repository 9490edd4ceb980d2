from typing import Literal

TrainBestRequestPrecision = Literal["auto", "bfloat16", "float32"]

TRAIN_BEST_REQUEST_PRECISION_VALUES: set[TrainBestRequestPrecision] = {
    "auto",
    "bfloat16",
    "float32",
}


def check_train_best_request_precision(value: str) -> TrainBestRequestPrecision:
    if value in TRAIN_BEST_REQUEST_PRECISION_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {TRAIN_BEST_REQUEST_PRECISION_VALUES!r}")
