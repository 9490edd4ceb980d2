from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.batch_item_result import BatchItemResult
    from ..models.error import Error


T = TypeVar("T", bound="BatchItem")


@_attrs_define
class BatchItem:
    """
    Attributes:
        index (int): The picture's place in the request or the file, from 0. Headers, blank lines and folders do not
            count. Example: 0.
        status (str): `queued`, `running`, then one of `succeeded`, `failed`, `canceled`. Tolerate values you do not
            know. Example: succeeded.
        name (str | Unset): The name of the entry of a ZIP file. Example: Coat/17.png.
        expected (str | Unset): The class that the picture came labelled with. Example: Coat.
        expected_class_id (int | Unset): Its number. Example: 4.
        result (BatchItemResult | Unset):
        error (Error | Unset):
    """

    index: int
    status: str
    name: str | Unset = UNSET
    expected: str | Unset = UNSET
    expected_class_id: int | Unset = UNSET
    result: BatchItemResult | Unset = UNSET
    error: Error | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        index = self.index

        status = self.status

        name = self.name

        expected = self.expected

        expected_class_id = self.expected_class_id

        result: dict[str, Any] | Unset = UNSET
        if not isinstance(self.result, Unset):
            result = self.result.to_dict()

        error: dict[str, Any] | Unset = UNSET
        if not isinstance(self.error, Unset):
            error = self.error.to_dict()

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "index": index,
                "status": status,
            }
        )
        if name is not UNSET:
            field_dict["name"] = name
        if expected is not UNSET:
            field_dict["expected"] = expected
        if expected_class_id is not UNSET:
            field_dict["expected_class_id"] = expected_class_id
        if result is not UNSET:
            field_dict["result"] = result
        if error is not UNSET:
            field_dict["error"] = error

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.batch_item_result import BatchItemResult  # noqa: PLC0415
        from ..models.error import Error  # noqa: PLC0415

        d = dict(src_dict)
        index = d.pop("index")

        status = d.pop("status")

        name = d.pop("name", UNSET)

        expected = d.pop("expected", UNSET)

        expected_class_id = d.pop("expected_class_id", UNSET)

        _result = d.pop("result", UNSET)
        result: BatchItemResult | Unset
        if isinstance(_result, Unset):
            result = UNSET
        else:
            result = BatchItemResult.from_dict(_result)

        _error = d.pop("error", UNSET)
        error: Error | Unset
        if isinstance(_error, Unset):
            error = UNSET
        else:
            error = Error.from_dict(_error)

        batch_item = cls(
            index=index,
            status=status,
            name=name,
            expected=expected,
            expected_class_id=expected_class_id,
            result=result,
            error=error,
        )

        batch_item.additional_properties = d
        return batch_item

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
