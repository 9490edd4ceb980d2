from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

T = TypeVar("T", bound="BatchResult")


@_attrs_define
class BatchResult:
    """
    Attributes:
        succeeded (int): Pictures that were answered. Example: 1023.
        failed (int): Pictures that were not. Example: 1.
        results_url (str): Where each answer is. Example: /v1/batches/batch_01J/results.
        judged (int | Unset): Answers that came with a label; what failed is not among them. There when labels came
            along. Example: 1000.
        accuracy (float | Unset): Share of those that were right. There when any were judged. Example: 0.943.
        confusion_matrix (list[list[int]] | Unset): 10 x 10: how often a picture of the class of the row was answered
            with the class of the column. There when labels came along. Example: [[100, 0, 0, 0, 0, 0, 0, 0, 0, 0], [0, 100,
            0, 0, 0, 0, 0, 0, 0, 0], [0, 0, 100, 0, 0, 0, 0, 0, 0, 0], [0, 0, 0, 100, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 100,
            0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 100, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 100, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0, 100,
            0, 0], [0, 0, 0, 0, 0, 0, 0, 0, 100, 0], [0, 0, 0, 0, 0, 0, 0, 0, 0, 100]].
    """

    succeeded: int
    failed: int
    results_url: str
    judged: int | Unset = UNSET
    accuracy: float | Unset = UNSET
    confusion_matrix: list[list[int]] | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        succeeded = self.succeeded

        failed = self.failed

        results_url = self.results_url

        judged = self.judged

        accuracy = self.accuracy

        confusion_matrix: list[list[int]] | Unset = UNSET
        if not isinstance(self.confusion_matrix, Unset):
            confusion_matrix = []
            for confusion_matrix_item_data in self.confusion_matrix:
                confusion_matrix_item = confusion_matrix_item_data

                confusion_matrix.append(confusion_matrix_item)

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "succeeded": succeeded,
                "failed": failed,
                "results_url": results_url,
            }
        )
        if judged is not UNSET:
            field_dict["judged"] = judged
        if accuracy is not UNSET:
            field_dict["accuracy"] = accuracy
        if confusion_matrix is not UNSET:
            field_dict["confusion_matrix"] = confusion_matrix

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        succeeded = d.pop("succeeded")

        failed = d.pop("failed")

        results_url = d.pop("results_url")

        judged = d.pop("judged", UNSET)

        accuracy = d.pop("accuracy", UNSET)

        _confusion_matrix = d.pop("confusion_matrix", UNSET)
        confusion_matrix: list[list[int]] | Unset = UNSET
        if _confusion_matrix is not UNSET:
            confusion_matrix = []
            for confusion_matrix_item_data in _confusion_matrix:
                confusion_matrix_item = cast(list[int], confusion_matrix_item_data)

                confusion_matrix.append(confusion_matrix_item)

        batch_result = cls(
            succeeded=succeeded,
            failed=failed,
            results_url=results_url,
            judged=judged,
            accuracy=accuracy,
            confusion_matrix=confusion_matrix,
        )

        batch_result.additional_properties = d
        return batch_result

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
