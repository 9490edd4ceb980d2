from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.metrics import Metrics


T = TypeVar("T", bound="Model")


@_attrs_define
class Model:
    """
    Attributes:
        version (str): Its id. Example: v1.
        network (str): The architecture. Example: resnet_small.
        aliases (list[str]): The aliases that point at it.
        created_at (datetime.datetime | Unset): When it was made. Example: 2026-01-31T12:00:00.123Z.
        parameters (int | Unset): Trainable and other weights. Example: 98000.
        macs (int | Unset): Multiply-accumulate operations for one picture. Example: 9000000.
        validation (Metrics | Unset):
        test (Metrics | Unset):
    """

    version: str
    network: str
    aliases: list[str]
    created_at: datetime.datetime | Unset = UNSET
    parameters: int | Unset = UNSET
    macs: int | Unset = UNSET
    validation: Metrics | Unset = UNSET
    test: Metrics | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        version = self.version

        network = self.network

        aliases = self.aliases

        created_at: str | Unset = UNSET
        if not isinstance(self.created_at, Unset):
            created_at = self.created_at.isoformat()

        parameters = self.parameters

        macs = self.macs

        validation: dict[str, Any] | Unset = UNSET
        if not isinstance(self.validation, Unset):
            validation = self.validation.to_dict()

        test: dict[str, Any] | Unset = UNSET
        if not isinstance(self.test, Unset):
            test = self.test.to_dict()

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "version": version,
                "network": network,
                "aliases": aliases,
            }
        )
        if created_at is not UNSET:
            field_dict["created_at"] = created_at
        if parameters is not UNSET:
            field_dict["parameters"] = parameters
        if macs is not UNSET:
            field_dict["macs"] = macs
        if validation is not UNSET:
            field_dict["validation"] = validation
        if test is not UNSET:
            field_dict["test"] = test

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.metrics import Metrics  # noqa: PLC0415

        d = dict(src_dict)
        version = d.pop("version")

        network = d.pop("network")

        aliases = cast(list[str], d.pop("aliases"))

        _created_at = d.pop("created_at", UNSET)
        created_at: datetime.datetime | Unset
        if isinstance(_created_at, Unset):
            created_at = UNSET
        else:
            created_at = datetime.datetime.fromisoformat(_created_at)

        parameters = d.pop("parameters", UNSET)

        macs = d.pop("macs", UNSET)

        _validation = d.pop("validation", UNSET)
        validation: Metrics | Unset
        if isinstance(_validation, Unset):
            validation = UNSET
        else:
            validation = Metrics.from_dict(_validation)

        _test = d.pop("test", UNSET)
        test: Metrics | Unset
        if isinstance(_test, Unset):
            test = UNSET
        else:
            test = Metrics.from_dict(_test)

        model = cls(
            version=version,
            network=network,
            aliases=aliases,
            created_at=created_at,
            parameters=parameters,
            macs=macs,
            validation=validation,
            test=test,
        )

        model.additional_properties = d
        return model

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
