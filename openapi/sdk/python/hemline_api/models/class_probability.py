from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

T = TypeVar("T", bound="ClassProbability")


@_attrs_define
class ClassProbability:
    """
    Attributes:
        label (str): The class. Example: Sneaker.
        class_id (int): The number of the class in the data set. Example: 7.
        probability (float): Calibrated: of all answers with 0.9, about nine in ten are right. Example: 0.97.
    """

    label: str
    class_id: int
    probability: float
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        label = self.label

        class_id = self.class_id

        probability = self.probability

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "label": label,
                "class_id": class_id,
                "probability": probability,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        label = d.pop("label")

        class_id = d.pop("class_id")

        probability = d.pop("probability")

        class_probability = cls(
            label=label,
            class_id=class_id,
            probability=probability,
        )

        class_probability.additional_properties = d
        return class_probability

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
