from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

if TYPE_CHECKING:
    from ..models.training_result_metrics import TrainingResultMetrics


T = TypeVar("T", bound="TrainingResult")


@_attrs_define
class TrainingResult:
    """
    Attributes:
        model_version (str): The new version. Example: v4.
        promoted (bool): Whether it became production.
        metrics (TrainingResultMetrics): Accuracy, loss and ECE on `validation` and `test`.
    """

    model_version: str
    promoted: bool
    metrics: TrainingResultMetrics
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        model_version = self.model_version

        promoted = self.promoted

        metrics = self.metrics.to_dict()

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "model_version": model_version,
                "promoted": promoted,
                "metrics": metrics,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.training_result_metrics import TrainingResultMetrics  # noqa: PLC0415

        d = dict(src_dict)
        model_version = d.pop("model_version")

        promoted = d.pop("promoted")

        metrics = TrainingResultMetrics.from_dict(d.pop("metrics"))

        training_result = cls(
            model_version=model_version,
            promoted=promoted,
            metrics=metrics,
        )

        training_result.additional_properties = d
        return training_result

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
