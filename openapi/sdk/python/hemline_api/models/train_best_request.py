from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define

from ..models.train_best_request_precision import (
    TrainBestRequestPrecision,
    check_train_best_request_precision,
)
from ..models.train_best_request_promote import (
    TrainBestRequestPromote,
    check_train_best_request_promote,
)
from ..types import UNSET, Unset

T = TypeVar("T", bound="TrainBestRequest")


@_attrs_define
class TrainBestRequest:
    """
    Attributes:
        epochs (int | Unset): Passes over the training data. 1 to 500; 12 unless given. Default: 12. Example: 12.
        fraction (float | Unset): Share of the training data to use. 0.001 to 1; 1 unless given. Default: 1.0. Example:
            1.0.
        patience (int | Unset): End when so many epochs brought no better validation loss; 0 never does. 0 to 500; 0
            unless given. Default: 0. Example: 0.
        precision (TrainBestRequestPrecision | Unset): Of convolutions in training; `auto` takes bfloat16 where the
            processor multiplies it. auto unless given.
        promote (TrainBestRequestPromote | Unset): When the new version becomes production, as for a training job.
            Default: 'never'. Example: never.
        webhook_url (str | Unset): A URL of yours that is told when the training job has ended, signed as Standard
            Webhooks says; see `GET /v1/webhook-secret`. Example: https://shop.example.com/hooks/hemline.
        description (str | Unset): Your own words; they end up in the card. Example: the best of twenty.
    """

    epochs: int | Unset = 12
    fraction: float | Unset = 1.0
    patience: int | Unset = 0
    precision: TrainBestRequestPrecision | Unset = UNSET
    promote: TrainBestRequestPromote | Unset = "never"
    webhook_url: str | Unset = UNSET
    description: str | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        epochs = self.epochs

        fraction = self.fraction

        patience = self.patience

        precision: str | Unset = UNSET
        if not isinstance(self.precision, Unset):
            precision = self.precision

        promote: str | Unset = UNSET
        if not isinstance(self.promote, Unset):
            promote = self.promote

        webhook_url = self.webhook_url

        description = self.description

        field_dict: dict[str, Any] = {}

        field_dict.update({})
        if epochs is not UNSET:
            field_dict["epochs"] = epochs
        if fraction is not UNSET:
            field_dict["fraction"] = fraction
        if patience is not UNSET:
            field_dict["patience"] = patience
        if precision is not UNSET:
            field_dict["precision"] = precision
        if promote is not UNSET:
            field_dict["promote"] = promote
        if webhook_url is not UNSET:
            field_dict["webhook_url"] = webhook_url
        if description is not UNSET:
            field_dict["description"] = description

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        epochs = d.pop("epochs", UNSET)

        fraction = d.pop("fraction", UNSET)

        patience = d.pop("patience", UNSET)

        _precision = d.pop("precision", UNSET)
        precision: TrainBestRequestPrecision | Unset
        if isinstance(_precision, Unset):
            precision = UNSET
        else:
            precision = check_train_best_request_precision(_precision)

        _promote = d.pop("promote", UNSET)
        promote: TrainBestRequestPromote | Unset
        if isinstance(_promote, Unset):
            promote = UNSET
        else:
            promote = check_train_best_request_promote(_promote)

        webhook_url = d.pop("webhook_url", UNSET)

        description = d.pop("description", UNSET)

        train_best_request = cls(
            epochs=epochs,
            fraction=fraction,
            patience=patience,
            precision=precision,
            promote=promote,
            webhook_url=webhook_url,
            description=description,
        )

        return train_best_request
