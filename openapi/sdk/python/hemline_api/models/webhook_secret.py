from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

T = TypeVar("T", bound="WebhookSecret")


@_attrs_define
class WebhookSecret:
    """
    Attributes:
        secret (str): The secret, as libraries of Standard Webhooks take it.
        previous (str | Unset): What they are signed with besides; absent where there is none.
        previous_until (datetime.datetime | Unset): Until when that is so. Example: 2026-01-31T12:00:00.123Z.
    """

    secret: str
    previous: str | Unset = UNSET
    previous_until: datetime.datetime | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        secret = self.secret

        previous = self.previous

        previous_until: str | Unset = UNSET
        if not isinstance(self.previous_until, Unset):
            previous_until = self.previous_until.isoformat()

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "secret": secret,
            }
        )
        if previous is not UNSET:
            field_dict["previous"] = previous
        if previous_until is not UNSET:
            field_dict["previous_until"] = previous_until

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        secret = d.pop("secret")

        previous = d.pop("previous", UNSET)

        _previous_until = d.pop("previous_until", UNSET)
        previous_until: datetime.datetime | Unset
        if isinstance(_previous_until, Unset):
            previous_until = UNSET
        else:
            previous_until = datetime.datetime.fromisoformat(_previous_until)

        webhook_secret = cls(
            secret=secret,
            previous=previous,
            previous_until=previous_until,
        )

        webhook_secret.additional_properties = d
        return webhook_secret

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
