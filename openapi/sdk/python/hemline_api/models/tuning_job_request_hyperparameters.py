from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

T = TypeVar("T", bound="TuningJobRequestHyperparameters")


@_attrs_define
class TuningJobRequestHyperparameters:
    """The network's own parameters. resnet: width_28 8 to 64, width_14 8 to 96, width_7 8 to 192, blocks_28 1 to 5,
    blocks_14 1 to 5, blocks_7 1 to 5. resnet_small: stem 8 to 64, width 8 to 96, top 0 to 192, blocks_14 1 to 4,
    blocks_7 1 to 4. tutorial_cnn: dense 16 to 512.

        Example:
            {}

    """

    additional_properties: dict[str, float] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        tuning_job_request_hyperparameters = cls()

        tuning_job_request_hyperparameters.additional_properties = d
        return tuning_job_request_hyperparameters

    @property
    def additional_keys(self) -> list[str]:
        return list(self.additional_properties.keys())

    def __getitem__(self, key: str) -> float:
        return self.additional_properties[key]

    def __setitem__(self, key: str, value: float) -> None:
        self.additional_properties[key] = value

    def __delitem__(self, key: str) -> None:
        del self.additional_properties[key]

    def __contains__(self, key: str) -> bool:
        return key in self.additional_properties
