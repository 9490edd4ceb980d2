from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.error import Error
    from ..models.prediction_metadata import PredictionMetadata
    from ..models.prediction_result import PredictionResult
    from ..models.timings import Timings


T = TypeVar("T", bound="Prediction")


@_attrs_define
class Prediction:
    """
    Attributes:
        id (str): Opaque; sorts by creation time.
        status (str): `queued`, `running`, then one of `succeeded`, `failed`, `canceled`. Tolerate values you do not
            know. Example: succeeded.
        model_version (str): The version that it is pinned to. Example: v1.
        created_at (datetime.datetime | Unset): When it was accepted. Example: 2026-01-31T12:00:00.123Z.
        started_at (datetime.datetime | Unset): When a worker began. Example: 2026-01-31T12:00:00.123Z.
        completed_at (datetime.datetime | Unset): When it reached its final state. Example: 2026-01-31T12:00:00.123Z.
        expires_at (datetime.datetime | Unset): When it will be forgotten. Example: 2026-01-31T12:00:00.123Z.
        metadata (PredictionMetadata | Unset): Your own values.
        request_id (str | Unset): `X-Request-Id` of the request that it came with. Example: 5f0c2b9a71de-1a4.
        result (PredictionResult | Unset):
        error (Error | Unset):
        timings (Timings | Unset):
    """

    id: str
    status: str
    model_version: str
    created_at: datetime.datetime | Unset = UNSET
    started_at: datetime.datetime | Unset = UNSET
    completed_at: datetime.datetime | Unset = UNSET
    expires_at: datetime.datetime | Unset = UNSET
    metadata: PredictionMetadata | Unset = UNSET
    request_id: str | Unset = UNSET
    result: PredictionResult | Unset = UNSET
    error: Error | Unset = UNSET
    timings: Timings | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        id = self.id

        status = self.status

        model_version = self.model_version

        created_at: str | Unset = UNSET
        if not isinstance(self.created_at, Unset):
            created_at = self.created_at.isoformat()

        started_at: str | Unset = UNSET
        if not isinstance(self.started_at, Unset):
            started_at = self.started_at.isoformat()

        completed_at: str | Unset = UNSET
        if not isinstance(self.completed_at, Unset):
            completed_at = self.completed_at.isoformat()

        expires_at: str | Unset = UNSET
        if not isinstance(self.expires_at, Unset):
            expires_at = self.expires_at.isoformat()

        metadata: dict[str, Any] | Unset = UNSET
        if not isinstance(self.metadata, Unset):
            metadata = self.metadata.to_dict()

        request_id = self.request_id

        result: dict[str, Any] | Unset = UNSET
        if not isinstance(self.result, Unset):
            result = self.result.to_dict()

        error: dict[str, Any] | Unset = UNSET
        if not isinstance(self.error, Unset):
            error = self.error.to_dict()

        timings: dict[str, Any] | Unset = UNSET
        if not isinstance(self.timings, Unset):
            timings = self.timings.to_dict()

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "id": id,
                "status": status,
                "model_version": model_version,
            }
        )
        if created_at is not UNSET:
            field_dict["created_at"] = created_at
        if started_at is not UNSET:
            field_dict["started_at"] = started_at
        if completed_at is not UNSET:
            field_dict["completed_at"] = completed_at
        if expires_at is not UNSET:
            field_dict["expires_at"] = expires_at
        if metadata is not UNSET:
            field_dict["metadata"] = metadata
        if request_id is not UNSET:
            field_dict["request_id"] = request_id
        if result is not UNSET:
            field_dict["result"] = result
        if error is not UNSET:
            field_dict["error"] = error
        if timings is not UNSET:
            field_dict["timings"] = timings

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.error import Error  # noqa: PLC0415
        from ..models.prediction_metadata import PredictionMetadata  # noqa: PLC0415
        from ..models.prediction_result import PredictionResult  # noqa: PLC0415
        from ..models.timings import Timings  # noqa: PLC0415

        d = dict(src_dict)
        id = d.pop("id")

        status = d.pop("status")

        model_version = d.pop("model_version")

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

        _completed_at = d.pop("completed_at", UNSET)
        completed_at: datetime.datetime | Unset
        if isinstance(_completed_at, Unset):
            completed_at = UNSET
        else:
            completed_at = datetime.datetime.fromisoformat(_completed_at)

        _expires_at = d.pop("expires_at", UNSET)
        expires_at: datetime.datetime | Unset
        if isinstance(_expires_at, Unset):
            expires_at = UNSET
        else:
            expires_at = datetime.datetime.fromisoformat(_expires_at)

        _metadata = d.pop("metadata", UNSET)
        metadata: PredictionMetadata | Unset
        if isinstance(_metadata, Unset):
            metadata = UNSET
        else:
            metadata = PredictionMetadata.from_dict(_metadata)

        request_id = d.pop("request_id", UNSET)

        _result = d.pop("result", UNSET)
        result: PredictionResult | Unset
        if isinstance(_result, Unset):
            result = UNSET
        else:
            result = PredictionResult.from_dict(_result)

        _error = d.pop("error", UNSET)
        error: Error | Unset
        if isinstance(_error, Unset):
            error = UNSET
        else:
            error = Error.from_dict(_error)

        _timings = d.pop("timings", UNSET)
        timings: Timings | Unset
        if isinstance(_timings, Unset):
            timings = UNSET
        else:
            timings = Timings.from_dict(_timings)

        prediction = cls(
            id=id,
            status=status,
            model_version=model_version,
            created_at=created_at,
            started_at=started_at,
            completed_at=completed_at,
            expires_at=expires_at,
            metadata=metadata,
            request_id=request_id,
            result=result,
            error=error,
            timings=timings,
        )

        prediction.additional_properties = d
        return prediction

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
