from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import Any, TypeVar

from attrs import define as _attrs_define

from .. import types
from ..types import UNSET, File, FileTypes, Unset

T = TypeVar("T", bound="DatasetUpload")


@_attrs_define
class DatasetUpload:
    """
    Attributes:
        file (File | Unset): A CSV of 785 columns (label, then 784 pixels; a header is allowed), or a ZIP of pictures in
            folders named by class (`Coat`, `t-shirt-top`) or by label (`4`).
        images (File | Unset): 28x28 pictures as IDX, gzipped or not. Send `labels` with it.
        labels (File | Unset): Their labels as IDX, gzipped or not.
        name (str | Unset): What to call it. Example: autumn-returns.
        description (str | Unset): Your own words. Example: Photographed in our warehouse..
    """

    file: File | Unset = UNSET
    images: File | Unset = UNSET
    labels: File | Unset = UNSET
    name: str | Unset = UNSET
    description: str | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        file: FileTypes | Unset = UNSET
        if not isinstance(self.file, Unset):
            file = self.file.to_tuple()

        images: FileTypes | Unset = UNSET
        if not isinstance(self.images, Unset):
            images = self.images.to_tuple()

        labels: FileTypes | Unset = UNSET
        if not isinstance(self.labels, Unset):
            labels = self.labels.to_tuple()

        name = self.name

        description = self.description

        field_dict: dict[str, Any] = {}

        field_dict.update({})
        if file is not UNSET:
            field_dict["file"] = file
        if images is not UNSET:
            field_dict["images"] = images
        if labels is not UNSET:
            field_dict["labels"] = labels
        if name is not UNSET:
            field_dict["name"] = name
        if description is not UNSET:
            field_dict["description"] = description

        return field_dict

    def to_multipart(self) -> types.RequestFiles:
        files: types.RequestFiles = []

        if not isinstance(self.file, Unset):
            files.append(("file", self.file.to_tuple()))

        if not isinstance(self.images, Unset):
            files.append(("images", self.images.to_tuple()))

        if not isinstance(self.labels, Unset):
            files.append(("labels", self.labels.to_tuple()))

        if not isinstance(self.name, Unset):
            files.append(("name", (None, str(self.name).encode(), "text/plain")))

        if not isinstance(self.description, Unset):
            files.append(("description", (None, str(self.description).encode(), "text/plain")))

        return files

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        _file = d.pop("file", UNSET)
        file: File | Unset
        if isinstance(_file, Unset):
            file = UNSET
        else:
            file = File(payload=BytesIO(_file))

        _images = d.pop("images", UNSET)
        images: File | Unset
        if isinstance(_images, Unset):
            images = UNSET
        else:
            images = File(payload=BytesIO(_images))

        _labels = d.pop("labels", UNSET)
        labels: File | Unset
        if isinstance(_labels, Unset):
            labels = UNSET
        else:
            labels = File(payload=BytesIO(_labels))

        name = d.pop("name", UNSET)

        description = d.pop("description", UNSET)

        dataset_upload = cls(
            file=file,
            images=images,
            labels=labels,
            name=name,
            description=description,
        )

        return dataset_upload
