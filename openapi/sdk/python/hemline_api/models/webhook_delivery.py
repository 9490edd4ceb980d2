from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.webhook_attempt import WebhookAttempt


T = TypeVar("T", bound="WebhookDelivery")


@_attrs_define
class WebhookDelivery:
    """
    Attributes:
        id (str): Its id, which is sent as `webhook-id`. Example: msg_01KBQ8Z6J0V6M3Y8F5W2T4N700.
        type_ (str): What it tells. Example: training_job.succeeded.
        resource (str): What it is about. Example: job_01KBQ8Z6J0V6M3Y8F5W2T4N700.
        url (str): Where it goes. Example: https://shop.example.com/hooks/hemline.
        status (str): `pending`, `delivered` or `failed`. Example: delivered.
        created_at (datetime.datetime): When it came about. Example: 2026-01-31T12:00:00.123Z.
        attempts (list[WebhookAttempt]): The last attempts, oldest first.
        completed_at (datetime.datetime | Unset): When it was delivered or given up; absent before. Example:
            2026-01-31T12:00:00.123Z.
        next_attempt_at (datetime.datetime | Unset): When it is sent again; absent where it is not, or is due now.
            Example: 2026-01-31T12:00:00.123Z.
    """

    id: str
    type_: str
    resource: str
    url: str
    status: str
    created_at: datetime.datetime
    attempts: list[WebhookAttempt]
    completed_at: datetime.datetime | Unset = UNSET
    next_attempt_at: datetime.datetime | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        id = self.id

        type_ = self.type_

        resource = self.resource

        url = self.url

        status = self.status

        created_at = self.created_at.isoformat()

        attempts = []
        for attempts_item_data in self.attempts:
            attempts_item = attempts_item_data.to_dict()
            attempts.append(attempts_item)

        completed_at: str | Unset = UNSET
        if not isinstance(self.completed_at, Unset):
            completed_at = self.completed_at.isoformat()

        next_attempt_at: str | Unset = UNSET
        if not isinstance(self.next_attempt_at, Unset):
            next_attempt_at = self.next_attempt_at.isoformat()

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "id": id,
                "type": type_,
                "resource": resource,
                "url": url,
                "status": status,
                "created_at": created_at,
                "attempts": attempts,
            }
        )
        if completed_at is not UNSET:
            field_dict["completed_at"] = completed_at
        if next_attempt_at is not UNSET:
            field_dict["next_attempt_at"] = next_attempt_at

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.webhook_attempt import WebhookAttempt  # noqa: PLC0415

        d = dict(src_dict)
        id = d.pop("id")

        type_ = d.pop("type")

        resource = d.pop("resource")

        url = d.pop("url")

        status = d.pop("status")

        created_at = datetime.datetime.fromisoformat(d.pop("created_at"))

        attempts = []
        _attempts = d.pop("attempts")
        for attempts_item_data in _attempts:
            attempts_item = WebhookAttempt.from_dict(attempts_item_data)

            attempts.append(attempts_item)

        _completed_at = d.pop("completed_at", UNSET)
        completed_at: datetime.datetime | Unset
        if isinstance(_completed_at, Unset):
            completed_at = UNSET
        else:
            completed_at = datetime.datetime.fromisoformat(_completed_at)

        _next_attempt_at = d.pop("next_attempt_at", UNSET)
        next_attempt_at: datetime.datetime | Unset
        if isinstance(_next_attempt_at, Unset):
            next_attempt_at = UNSET
        else:
            next_attempt_at = datetime.datetime.fromisoformat(_next_attempt_at)

        webhook_delivery = cls(
            id=id,
            type_=type_,
            resource=resource,
            url=url,
            status=status,
            created_at=created_at,
            attempts=attempts,
            completed_at=completed_at,
            next_attempt_at=next_attempt_at,
        )

        webhook_delivery.additional_properties = d
        return webhook_delivery

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
