from typing import Literal

TrainBestRequestPromote = Literal["always", "if_better", "never"]

TRAIN_BEST_REQUEST_PROMOTE_VALUES: set[TrainBestRequestPromote] = {
    "always",
    "if_better",
    "never",
}


def check_train_best_request_promote(value: str) -> TrainBestRequestPromote:
    if value in TRAIN_BEST_REQUEST_PROMOTE_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {TRAIN_BEST_REQUEST_PROMOTE_VALUES!r}")
