from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

if TYPE_CHECKING:
    from ..models.tuning_trial import TuningTrial


T = TypeVar("T", bound="TuningResult")


@_attrs_define
class TuningResult:
    """
    Attributes:
        best_trial (TuningTrial):
    """

    best_trial: TuningTrial
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        best_trial = self.best_trial.to_dict()

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "best_trial": best_trial,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.tuning_trial import TuningTrial  # noqa: PLC0415

        d = dict(src_dict)
        best_trial = TuningTrial.from_dict(d.pop("best_trial"))

        tuning_result = cls(
            best_trial=best_trial,
        )

        tuning_result.additional_properties = d
        return tuning_result

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
