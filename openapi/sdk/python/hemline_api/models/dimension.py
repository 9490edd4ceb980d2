from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define

from ..types import UNSET, Unset

T = TypeVar("T", bound="Dimension")


@_attrs_define
class Dimension:
    """
    Attributes:
        choices (list[Any] | Unset): The values to choose from, each one that the field takes.
        low (float | Unset): The lowest value; of a field of whole numbers a whole one.
        high (float | Unset): The highest value, at least `low`.
        log (bool | Unset): Search by orders of magnitude; `low` must be above 0. False unless given.
    """

    choices: list[Any] | Unset = UNSET
    low: float | Unset = UNSET
    high: float | Unset = UNSET
    log: bool | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        choices: list[Any] | Unset = UNSET
        if not isinstance(self.choices, Unset):
            choices = self.choices

        low = self.low

        high = self.high

        log = self.log

        field_dict: dict[str, Any] = {}

        field_dict.update({})
        if choices is not UNSET:
            field_dict["choices"] = choices
        if low is not UNSET:
            field_dict["low"] = low
        if high is not UNSET:
            field_dict["high"] = high
        if log is not UNSET:
            field_dict["log"] = log

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        choices = cast(list[Any], d.pop("choices", UNSET))

        low = d.pop("low", UNSET)

        high = d.pop("high", UNSET)

        log = d.pop("log", UNSET)

        dimension = cls(
            choices=choices,
            low=low,
            high=high,
            log=log,
        )

        return dimension
