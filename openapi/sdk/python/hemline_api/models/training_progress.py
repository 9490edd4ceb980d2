from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

T = TypeVar("T", bound="TrainingProgress")


@_attrs_define
class TrainingProgress:
    """
    Attributes:
        phase (str): `training`, then `publishing`. Example: training.
        fraction (float): Share of all steps that are done. Example: 0.42.
        epoch (int | Unset): The epoch at work, from 1. Example: 6.
        step (int | Unset): The step within it, from 1. Example: 120.
        steps (int | Unset): Steps in an epoch. Example: 429.
        loss (float | Unset): Loss of the last step. Example: 0.41.
        eta_seconds (float | Unset): Time left, from the time that steps take. Example: 210.5.
    """

    phase: str
    fraction: float
    epoch: int | Unset = UNSET
    step: int | Unset = UNSET
    steps: int | Unset = UNSET
    loss: float | Unset = UNSET
    eta_seconds: float | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        phase = self.phase

        fraction = self.fraction

        epoch = self.epoch

        step = self.step

        steps = self.steps

        loss = self.loss

        eta_seconds = self.eta_seconds

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "phase": phase,
                "fraction": fraction,
            }
        )
        if epoch is not UNSET:
            field_dict["epoch"] = epoch
        if step is not UNSET:
            field_dict["step"] = step
        if steps is not UNSET:
            field_dict["steps"] = steps
        if loss is not UNSET:
            field_dict["loss"] = loss
        if eta_seconds is not UNSET:
            field_dict["eta_seconds"] = eta_seconds

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        phase = d.pop("phase")

        fraction = d.pop("fraction")

        epoch = d.pop("epoch", UNSET)

        step = d.pop("step", UNSET)

        steps = d.pop("steps", UNSET)

        loss = d.pop("loss", UNSET)

        eta_seconds = d.pop("eta_seconds", UNSET)

        training_progress = cls(
            phase=phase,
            fraction=fraction,
            epoch=epoch,
            step=step,
            steps=steps,
            loss=loss,
            eta_seconds=eta_seconds,
        )

        training_progress.additional_properties = d
        return training_progress

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
