from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

T = TypeVar("T", bound="Epoch")


@_attrs_define
class Epoch:
    """
    Attributes:
        epoch (int): From 1. Example: 1.
        loss (float): Mean loss of the epoch's steps, on augmented pictures. Example: 0.7.
        accuracy (float): The same for accuracy. Example: 0.8.
        val_loss (float): On validation, with the weights that would be kept. Example: 0.4.
        val_accuracy (float): The same for accuracy. Example: 0.87.
        learning_rate (float): Of the epoch's last step. Example: 0.05.
        seconds (float): Time that the epoch took. Example: 41.5.
    """

    epoch: int
    loss: float
    accuracy: float
    val_loss: float
    val_accuracy: float
    learning_rate: float
    seconds: float
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        epoch = self.epoch

        loss = self.loss

        accuracy = self.accuracy

        val_loss = self.val_loss

        val_accuracy = self.val_accuracy

        learning_rate = self.learning_rate

        seconds = self.seconds

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "epoch": epoch,
                "loss": loss,
                "accuracy": accuracy,
                "val_loss": val_loss,
                "val_accuracy": val_accuracy,
                "learning_rate": learning_rate,
                "seconds": seconds,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        epoch = d.pop("epoch")

        loss = d.pop("loss")

        accuracy = d.pop("accuracy")

        val_loss = d.pop("val_loss")

        val_accuracy = d.pop("val_accuracy")

        learning_rate = d.pop("learning_rate")

        seconds = d.pop("seconds")

        epoch = cls(
            epoch=epoch,
            loss=loss,
            accuracy=accuracy,
            val_loss=val_loss,
            val_accuracy=val_accuracy,
            learning_rate=learning_rate,
            seconds=seconds,
        )

        epoch.additional_properties = d
        return epoch

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
