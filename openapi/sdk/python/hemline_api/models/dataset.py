from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.dataset_classes import DatasetClasses


T = TypeVar("T", bound="Dataset")


@_attrs_define
class Dataset:
    """
    Attributes:
        id (str): Opaque; sorts by creation time. Training jobs take it as `dataset`. Example:
            ds_01KBQ8Z6J0V6M3Y8F5W2T4N700.
        created_at (datetime.datetime): When it was stored. Example: 2026-01-31T12:00:00.123Z.
        items (int): How many pictures. Example: 1200.
        classes (DatasetClasses): How many pictures of each class. Example: {'T-shirt/top': 120, 'Trouser': 120,
            'Pullover': 120, 'Dress': 120, 'Coat': 120, 'Sandal': 120, 'Shirt': 120, 'Sneaker': 120, 'Bag': 120, 'Ankle
            boot': 120}.
        sha256 (str): Digest (hex) over all pixels, then all labels, in the order of the file. Example:
            9f2c9f2c9f2c9f2c9f2c9f2c9f2c9f2c9f2c9f2c9f2c9f2c9f2c9f2c9f2c9f2c.
        name (str | Unset): As it was given. Example: autumn-returns.
        description (str | Unset): As it was given. Example: Photographed in our warehouse..
    """

    id: str
    created_at: datetime.datetime
    items: int
    classes: DatasetClasses
    sha256: str
    name: str | Unset = UNSET
    description: str | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        id = self.id

        created_at = self.created_at.isoformat()

        items = self.items

        classes = self.classes.to_dict()

        sha256 = self.sha256

        name = self.name

        description = self.description

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "id": id,
                "created_at": created_at,
                "items": items,
                "classes": classes,
                "sha256": sha256,
            }
        )
        if name is not UNSET:
            field_dict["name"] = name
        if description is not UNSET:
            field_dict["description"] = description

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.dataset_classes import DatasetClasses  # noqa: PLC0415

        d = dict(src_dict)
        id = d.pop("id")

        created_at = datetime.datetime.fromisoformat(d.pop("created_at"))

        items = d.pop("items")

        classes = DatasetClasses.from_dict(d.pop("classes"))

        sha256 = d.pop("sha256")

        name = d.pop("name", UNSET)

        description = d.pop("description", UNSET)

        dataset = cls(
            id=id,
            created_at=created_at,
            items=items,
            classes=classes,
            sha256=sha256,
            name=name,
            description=description,
        )

        dataset.additional_properties = d
        return dataset

    @property
    def additional_keys(self) -> list[str]:
        return list(self.additional_properties.keys())

    def __getitem__(self, key: str) -> Any:
        return self.additional_properties[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.additional_properties[key] = value

    def __delitem__(self, key: str) -> None:
        del self.additional_properties[key]

    def __contains__(self, key: str) -> bool:
        return key in self.additional_properties
