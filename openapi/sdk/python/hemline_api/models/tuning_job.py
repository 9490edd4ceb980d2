from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.error import Error
    from ..models.tuning_job_spec import TuningJobSpec
    from ..models.tuning_progress import TuningProgress
    from ..models.tuning_result import TuningResult


T = TypeVar("T", bound="TuningJob")


@_attrs_define
class TuningJob:
    """
    Attributes:
        id (str): Opaque; sorts by creation time. Example: tune_01KBQ8Z6J0V6M3Y8F5W2T4N700.
        status (str): `queued`, `running`, then one of `succeeded`, `failed`, `canceled`. Tolerate values you do not
            know. Example: running.
        spec (TuningJobSpec): What is searched, with all fixed fields.
        progress (TuningProgress):
        created_at (datetime.datetime | Unset): When it was accepted. Example: 2026-01-31T12:00:00.123Z.
        started_at (datetime.datetime | Unset): When the first trial began. Example: 2026-01-31T12:00:00.123Z.
        request_id (str | Unset): `X-Request-Id` of the request that it came with. Example: 5f0c2b9a71de-1a4.
        completed_at (datetime.datetime | Unset): When the last trial reached its final state. Example:
            2026-01-31T12:00:00.123Z.
        cancel_requested (bool | Unset): True while it is about to end before all trials are done.
        result (TuningResult | Unset):
        error (Error | Unset):
    """

    id: str
    status: str
    spec: TuningJobSpec
    progress: TuningProgress
    created_at: datetime.datetime | Unset = UNSET
    started_at: datetime.datetime | Unset = UNSET
    request_id: str | Unset = UNSET
    completed_at: datetime.datetime | Unset = UNSET
    cancel_requested: bool | Unset = UNSET
    result: TuningResult | Unset = UNSET
    error: Error | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        id = self.id

        status = self.status

        spec = self.spec.to_dict()

        progress = self.progress.to_dict()

        created_at: str | Unset = UNSET
        if not isinstance(self.created_at, Unset):
            created_at = self.created_at.isoformat()

        started_at: str | Unset = UNSET
        if not isinstance(self.started_at, Unset):
            started_at = self.started_at.isoformat()

        request_id = self.request_id

        completed_at: str | Unset = UNSET
        if not isinstance(self.completed_at, Unset):
            completed_at = self.completed_at.isoformat()

        cancel_requested = self.cancel_requested

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
                "id": id,
                "status": status,
                "spec": spec,
                "progress": progress,
            }
        )
        if created_at is not UNSET:
            field_dict["created_at"] = created_at
        if started_at is not UNSET:
            field_dict["started_at"] = started_at
        if request_id is not UNSET:
            field_dict["request_id"] = request_id
        if completed_at is not UNSET:
            field_dict["completed_at"] = completed_at
        if cancel_requested is not UNSET:
            field_dict["cancel_requested"] = cancel_requested
        if result is not UNSET:
            field_dict["result"] = result
        if error is not UNSET:
            field_dict["error"] = error

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.error import Error  # noqa: PLC0415
        from ..models.tuning_job_spec import TuningJobSpec  # noqa: PLC0415
        from ..models.tuning_progress import TuningProgress  # noqa: PLC0415
        from ..models.tuning_result import TuningResult  # noqa: PLC0415

        d = dict(src_dict)
        id = d.pop("id")

        status = d.pop("status")

        spec = TuningJobSpec.from_dict(d.pop("spec"))

        progress = TuningProgress.from_dict(d.pop("progress"))

        _created_at = d.pop("created_at", UNSET)
        created_at: datetime.datetime | Unset
        if isinstance(_created_at, Unset):
            created_at = UNSET
        else:
            created_at = datetime.datetime.fromisoformat(_created_at)

        _started_at = d.pop("started_at", UNSET)
        started_at: datetime.datetime | Unset
        if isinstance(_started_at, Unset):
            started_at = UNSET
        else:
            started_at = datetime.datetime.fromisoformat(_started_at)

        request_id = d.pop("request_id", UNSET)

        _completed_at = d.pop("completed_at", UNSET)
        completed_at: datetime.datetime | Unset
        if isinstance(_completed_at, Unset):
            completed_at = UNSET
        else:
            completed_at = datetime.datetime.fromisoformat(_completed_at)

        cancel_requested = d.pop("cancel_requested", UNSET)

        _result = d.pop("result", UNSET)
        result: TuningResult | Unset
        if isinstance(_result, Unset):
            result = UNSET
        else:
            result = TuningResult.from_dict(_result)

        _error = d.pop("error", UNSET)
        error: Error | Unset
        if isinstance(_error, Unset):
            error = UNSET
        else:
            error = Error.from_dict(_error)

        tuning_job = cls(
            id=id,
            status=status,
            spec=spec,
            progress=progress,
            created_at=created_at,
            started_at=started_at,
            request_id=request_id,
            completed_at=completed_at,
            cancel_requested=cancel_requested,
            result=result,
            error=error,
        )

        tuning_job.additional_properties = d
        return tuning_job

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
