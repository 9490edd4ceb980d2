from __future__ import annotations

import json
from collections.abc import Mapping
from io import BytesIO
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define

from .. import types
from ..types import UNSET, File, FileTypes, Unset

if TYPE_CHECKING:
    from ..models.batch_upload_metadata import BatchUploadMetadata


T = TypeVar("T", bound="BatchUpload")


@_attrs_define
class BatchUpload:
    """
    Attributes:
        file (File): A CSV with a row a picture, of 784 pixels (0 to 255, 0 is background) or a label (0 to 9) and 784
            pixels, a header is allowed; an IDX file of 28x28 images, gzipped or not; or a ZIP of picture files, each as in
            a prediction. Entries of a ZIP in folders named by class (`Coat`, `t-shirt-top`) or by label (`4`) are expected
            to be of it.
        labels (File | Unset): The labels of an IDX file, as IDX, gzipped or not.
        model (str | Unset): An alias or a version id. It is resolved when the request is accepted and stays pinned to
            that version. Default: 'production'. Example: production.
        top_k (int | Unset): How many of the most probable classes to list. Default: 10. Example: 10.
        metadata (BatchUploadMetadata | Unset): Up to 50 values of your own, each a string of at most 500 characters,
            handed back as they are. Example: {'sku': 'A-17'}.
        webhook_url (str | Unset): A URL of yours that is told when the batch has ended, signed as Standard Webhooks
            says; see `GET /v1/webhook-secret`. Example: https://shop.example.com/hooks/hemline.
    """

    file: File
    labels: File | Unset = UNSET
    model: str | Unset = "production"
    top_k: int | Unset = 10
    metadata: BatchUploadMetadata | Unset = UNSET
    webhook_url: str | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        file = self.file.to_tuple()

        labels: FileTypes | Unset = UNSET
        if not isinstance(self.labels, Unset):
            labels = self.labels.to_tuple()

        model = self.model

        top_k = self.top_k

        metadata: dict[str, Any] | Unset = UNSET
        if not isinstance(self.metadata, Unset):
            metadata = self.metadata.to_dict()

        webhook_url = self.webhook_url

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "file": file,
            }
        )
        if labels is not UNSET:
            field_dict["labels"] = labels
        if model is not UNSET:
            field_dict["model"] = model
        if top_k is not UNSET:
            field_dict["top_k"] = top_k
        if metadata is not UNSET:
            field_dict["metadata"] = metadata
        if webhook_url is not UNSET:
            field_dict["webhook_url"] = webhook_url

        return field_dict

    def to_multipart(self) -> types.RequestFiles:
        files: types.RequestFiles = []

        files.append(("file", self.file.to_tuple()))

        if not isinstance(self.labels, Unset):
            files.append(("labels", self.labels.to_tuple()))

        if not isinstance(self.model, Unset):
            files.append(("model", (None, str(self.model).encode(), "text/plain")))

        if not isinstance(self.top_k, Unset):
            files.append(("top_k", (None, str(self.top_k).encode(), "text/plain")))

        if not isinstance(self.metadata, Unset):
            files.append(("metadata", (None, json.dumps(self.metadata.to_dict()).encode(), "application/json")))

        if not isinstance(self.webhook_url, Unset):
            files.append(("webhook_url", (None, str(self.webhook_url).encode(), "text/plain")))

        return files

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.batch_upload_metadata import BatchUploadMetadata  # noqa: PLC0415

        d = dict(src_dict)
        file = File(payload=BytesIO(d.pop("file")))

        _labels = d.pop("labels", UNSET)
        labels: File | Unset
        if isinstance(_labels, Unset):
            labels = UNSET
        else:
            labels = File(payload=BytesIO(_labels))

        model = d.pop("model", UNSET)

        top_k = d.pop("top_k", UNSET)

        _metadata = d.pop("metadata", UNSET)
        metadata: BatchUploadMetadata | Unset
        if isinstance(_metadata, Unset):
            metadata = UNSET
        else:
            metadata = BatchUploadMetadata.from_dict(_metadata)

        webhook_url = d.pop("webhook_url", UNSET)

        batch_upload = cls(
            file=file,
            labels=labels,
            model=model,
            top_k=top_k,
            metadata=metadata,
            webhook_url=webhook_url,
        )

        return batch_upload
