from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

T = TypeVar("T", bound="Metrics")


@_attrs_define
class Metrics:
    """
    Attributes:
        accuracy (float): Share of right answers. Example: 0.945.
        loss (float | Unset): Mean negative log-likelihood. Example: 0.17.
        ece (float | Unset): Expected calibration error, 15 bins of equal mass. Example: 0.007.
    """

    accuracy: float
    loss: float | Unset = UNSET
    ece: float | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        accuracy = self.accuracy

        loss = self.loss

        ece = self.ece

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "accuracy": accuracy,
            }
        )
        if loss is not UNSET:
            field_dict["loss"] = loss
        if ece is not UNSET:
            field_dict["ece"] = ece

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        accuracy = d.pop("accuracy")

        loss = d.pop("loss", UNSET)

        ece = d.pop("ece", UNSET)

        metrics = cls(
            accuracy=accuracy,
            loss=loss,
            ece=ece,
        )

        metrics.additional_properties = d
        return metrics

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
