from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.prediction_request_metadata import PredictionRequestMetadata


T = TypeVar("T", bound="PredictionRequest")


@_attrs_define
class PredictionRequest:
    """
    Attributes:
        image (str): A PNG, JPEG, WebP, GIF, BMP or TIFF file in base64, or as a `data:` URI. 28x28 gray pictures are
            taken as they are (bright on black, like the data set); anything else is brought to that form. Example: iVBORw0K
            GgoAAAANSUhEUgAAABwAAAAcCAAAAABXZoBIAAABYElEQVR42uXSP0sCYQAG8OfeV1/vOr08MUVLjCNRRMFoCWqJmgJxd4jAiCCKhoj6Ag1ttbVF
            S0NfoC0IimioIQpJkKxAFO3A7vIfr9cQEfUR6tkefvBMD/A/Qn91TXH3GSAWFgttkJ8Wzy0n9wEgk1vHNxJACczvai9mego91PKR6NcssSwk1zYS
            ezvjCUfmuunLEMl/JpDeJ4+tpg6O48Mjk6zAw2rwCr56mloAgNTKws0RvDOJhs3jfWVunfSeBk5skCklo9nqpqqF5/SmWCzLmqLDtKvwCdFZZpi0
            UgslVdBot8PupAnGudQphLaFLVV32lkQIPUOHWo9RsC0onh/W6kpJdqcjg3Kzua7vd/tqBkxcipl80vnD4bsYm1avmg1HO5hv+jRPC5Bb1vV50Mp
            8dbqUoULAOxSQHOKisR5scxFbvplSebMKF0KAEB6IAyMEq/CwBWzwcscjT/1oQ/qI3S6v+MLFQAAAABJRU5ErkJggg==.
        model (str | Unset): An alias or a version id. It is resolved when the request is accepted and stays pinned to
            that version. Default: 'production'. Example: production.
        top_k (int | Unset): How many of the most probable classes to list. Default: 10. Example: 10.
        explain (bool | Unset): Say why: `explanation` in the result shows where the model looks, and training images
            that it finds alike. Default: False. Example: False.
        metadata (PredictionRequestMetadata | Unset): Up to 50 values of your own, each a string of at most 500
            characters, handed back as they are. Example: {'sku': 'A-17'}.
        webhook_url (str | Unset): A URL of yours that is told when the prediction has ended, signed as Standard
            Webhooks says; see `GET /v1/webhook-secret`. Example: https://shop.example.com/hooks/hemline.
    """

    image: str
    model: str | Unset = "production"
    top_k: int | Unset = 10
    explain: bool | Unset = False
    metadata: PredictionRequestMetadata | Unset = UNSET
    webhook_url: str | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        image = self.image

        model = self.model

        top_k = self.top_k

        explain = self.explain

        metadata: dict[str, Any] | Unset = UNSET
        if not isinstance(self.metadata, Unset):
            metadata = self.metadata.to_dict()

        webhook_url = self.webhook_url

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "image": image,
            }
        )
        if model is not UNSET:
            field_dict["model"] = model
        if top_k is not UNSET:
            field_dict["top_k"] = top_k
        if explain is not UNSET:
            field_dict["explain"] = explain
        if metadata is not UNSET:
            field_dict["metadata"] = metadata
        if webhook_url is not UNSET:
            field_dict["webhook_url"] = webhook_url

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.prediction_request_metadata import PredictionRequestMetadata  # noqa: PLC0415

        d = dict(src_dict)
        image = d.pop("image")

        model = d.pop("model", UNSET)

        top_k = d.pop("top_k", UNSET)

        explain = d.pop("explain", UNSET)

        _metadata = d.pop("metadata", UNSET)
        metadata: PredictionRequestMetadata | Unset
        if isinstance(_metadata, Unset):
            metadata = UNSET
        else:
            metadata = PredictionRequestMetadata.from_dict(_metadata)

        webhook_url = d.pop("webhook_url", UNSET)

        prediction_request = cls(
            image=image,
            model=model,
            top_k=top_k,
            explain=explain,
            metadata=metadata,
            webhook_url=webhook_url,
        )

        return prediction_request
