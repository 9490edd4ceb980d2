from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

T = TypeVar("T", bound="Timings")


@_attrs_define
class Timings:
    """
    Attributes:
        decode_ms (float): Reading the picture. Example: 0.3.
        queue_ms (float): From acceptance to the worker. Example: 1.9.
        inference_ms (float): The model, for the whole batch, with the explanations that were asked for. Example: 0.2.
        batch_size (int): How many pictures were computed together. Example: 12.
    """

    decode_ms: float
    queue_ms: float
    inference_ms: float
    batch_size: int
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        decode_ms = self.decode_ms

        queue_ms = self.queue_ms

        inference_ms = self.inference_ms

        batch_size = self.batch_size

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "decode_ms": decode_ms,
                "queue_ms": queue_ms,
                "inference_ms": inference_ms,
                "batch_size": batch_size,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        decode_ms = d.pop("decode_ms")

        queue_ms = d.pop("queue_ms")

        inference_ms = d.pop("inference_ms")

        batch_size = d.pop("batch_size")

        timings = cls(
            decode_ms=decode_ms,
            queue_ms=queue_ms,
            inference_ms=inference_ms,
            batch_size=batch_size,
        )

        timings.additional_properties = d
        return timings

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
