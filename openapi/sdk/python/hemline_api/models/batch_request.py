from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.batch_request_metadata import BatchRequestMetadata


T = TypeVar("T", bound="BatchRequest")


@_attrs_define
class BatchRequest:
    """
    Attributes:
        images (list[str]): The pictures, each as in a prediction. A bad one fails alone. Example: ['iVBORw0KGgoAAAANSUh
            EUgAAABwAAAAcCAAAAABXZoBIAAABYElEQVR42uXSP0sCYQAG8OfeV1/vOr08MUVLjCNRRMFoCWqJmgJxd4jAiCCKhoj6Ag1ttbVFS0NfoC0Iimi
            oIQpJkKxAFO3A7vIfr9cQEfUR6tkefvBMD/A/Qn91TXH3GSAWFgttkJ8Wzy0n9wEgk1vHNxJACczvai9mego91PKR6NcssSwk1zYSezvjCUfmuun
            LEMl/JpDeJ4+tpg6O48Mjk6zAw2rwCr56mloAgNTKws0RvDOJhs3jfWVunfSeBk5skCklo9nqpqqF5/SmWCzLmqLDtKvwCdFZZpi0UgslVdBot8P
            upAnGudQphLaFLVV32lkQIPUOHWo9RsC0onh/W6kpJdqcjg3Kzua7vd/tqBkxcipl80vnD4bsYm1avmg1HO5hv+jRPC5Bb1vV50Mp8dbqUoULAOx
            SQHOKisR5scxFbvplSebMKF0KAEB6IAyMEq/CwBWzwcscjT/1oQ/qI3S6v+MLFQAAAABJRU5ErkJggg=='].
        model (str | Unset): An alias or a version id. It is resolved when the request is accepted and stays pinned to
            that version. Default: 'production'. Example: production.
        top_k (int | Unset): How many of the most probable classes to list. Default: 10. Example: 10.
        metadata (BatchRequestMetadata | Unset): Up to 50 values of your own, each a string of at most 500 characters,
            handed back as they are. Example: {'sku': 'A-17'}.
        webhook_url (str | Unset): A URL of yours that is told when the batch has ended, signed as Standard Webhooks
            says; see `GET /v1/webhook-secret`. Example: https://shop.example.com/hooks/hemline.
    """

    images: list[str]
    model: str | Unset = "production"
    top_k: int | Unset = 10
    metadata: BatchRequestMetadata | Unset = UNSET
    webhook_url: str | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        images = self.images

        model = self.model

        top_k = self.top_k

        metadata: dict[str, Any] | Unset = UNSET
        if not isinstance(self.metadata, Unset):
            metadata = self.metadata.to_dict()

        webhook_url = self.webhook_url

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "images": images,
            }
        )
        if model is not UNSET:
            field_dict["model"] = model
        if top_k is not UNSET:
            field_dict["top_k"] = top_k
        if metadata is not UNSET:
            field_dict["metadata"] = metadata
        if webhook_url is not UNSET:
            field_dict["webhook_url"] = webhook_url

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.batch_request_metadata import BatchRequestMetadata  # noqa: PLC0415

        d = dict(src_dict)
        images = cast(list[str], d.pop("images"))

        model = d.pop("model", UNSET)

        top_k = d.pop("top_k", UNSET)

        _metadata = d.pop("metadata", UNSET)
        metadata: BatchRequestMetadata | Unset
        if isinstance(_metadata, Unset):
            metadata = UNSET
        else:
            metadata = BatchRequestMetadata.from_dict(_metadata)

        webhook_url = d.pop("webhook_url", UNSET)

        batch_request = cls(
            images=images,
            model=model,
            top_k=top_k,
            metadata=metadata,
            webhook_url=webhook_url,
        )

        return batch_request
