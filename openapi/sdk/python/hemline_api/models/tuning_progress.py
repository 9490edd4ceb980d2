from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

T = TypeVar("T", bound="TuningProgress")


@_attrs_define
class TuningProgress:
    """
    Attributes:
        done (int): Trials in a final state. Example: 8.
        total (int): All trials. Example: 20.
        fraction (float): done / total. Example: 0.4.
        best_trial (int | Unset): The number of the best trial so far, once one has succeeded. Example: 3.
    """

    done: int
    total: int
    fraction: float
    best_trial: int | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        done = self.done

        total = self.total

        fraction = self.fraction

        best_trial = self.best_trial

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "done": done,
                "total": total,
                "fraction": fraction,
            }
        )
        if best_trial is not UNSET:
            field_dict["best_trial"] = best_trial

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        done = d.pop("done")

        total = d.pop("total")

        fraction = d.pop("fraction")

        best_trial = d.pop("best_trial", UNSET)

        tuning_progress = cls(
            done=done,
            total=total,
            fraction=fraction,
            best_trial=best_trial,
        )

        tuning_progress.additional_properties = d
        return tuning_progress

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
