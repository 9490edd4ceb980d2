from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.ready_checks import ReadyChecks
    from ..models.ready_queues import ReadyQueues
    from ..models.ready_workers import ReadyWorkers


T = TypeVar("T", bound="Ready")


@_attrs_define
class Ready:
    """
    Attributes:
        status (str): `ready`, or `unready`. Example: ready.
        checks (ReadyChecks): `ok`, or what is wrong, for each part. Example: {'redis': 'ok', 'prediction_worker': 'ok',
            'production_model': 'ok'}.
        workers (ReadyWorkers | Unset): Workers with a fresh heartbeat; those of `predictions` work on batches too.
            Example: {'predictions': 1, 'training': 1, 'webhooks': 1}.
        queues (ReadyQueues | Unset): Messages that no worker has taken yet, by queue; of webhooks, those that are not
            delivered. Example: {'predictions': 0, 'batches': 0, 'training': 0, 'webhooks': 0}.
    """

    status: str
    checks: ReadyChecks
    workers: ReadyWorkers | Unset = UNSET
    queues: ReadyQueues | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        status = self.status

        checks = self.checks.to_dict()

        workers: dict[str, Any] | Unset = UNSET
        if not isinstance(self.workers, Unset):
            workers = self.workers.to_dict()

        queues: dict[str, Any] | Unset = UNSET
        if not isinstance(self.queues, Unset):
            queues = self.queues.to_dict()

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "status": status,
                "checks": checks,
            }
        )
        if workers is not UNSET:
            field_dict["workers"] = workers
        if queues is not UNSET:
            field_dict["queues"] = queues

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.ready_checks import ReadyChecks  # noqa: PLC0415
        from ..models.ready_queues import ReadyQueues  # noqa: PLC0415
        from ..models.ready_workers import ReadyWorkers  # noqa: PLC0415

        d = dict(src_dict)
        status = d.pop("status")

        checks = ReadyChecks.from_dict(d.pop("checks"))

        _workers = d.pop("workers", UNSET)
        workers: ReadyWorkers | Unset
        if isinstance(_workers, Unset):
            workers = UNSET
        else:
            workers = ReadyWorkers.from_dict(_workers)

        _queues = d.pop("queues", UNSET)
        queues: ReadyQueues | Unset
        if isinstance(_queues, Unset):
            queues = UNSET
        else:
            queues = ReadyQueues.from_dict(_queues)

        ready = cls(
            status=status,
            checks=checks,
            workers=workers,
            queues=queues,
        )

        ready.additional_properties = d
        return ready

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
