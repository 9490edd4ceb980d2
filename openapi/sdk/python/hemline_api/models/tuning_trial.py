from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.error import Error
    from ..models.tuning_trial_parameters import TuningTrialParameters


T = TypeVar("T", bound="TuningTrial")


@_attrs_define
class TuningTrial:
    """
    Attributes:
        id (str): Opaque.
        number (int): Its place in the job, from 0. Example: 3.
        status (str): `queued`, `running`, then one of `succeeded`, `pruned` (given up because others were better),
            `failed`, `canceled`. Tolerate values you do not know. Example: pruned.
        attempts (int): How often a worker has begun it, not counting those that handed it back. Example: 1.
        epochs (int): Epochs that are done. Example: 2.
        created_at (datetime.datetime | Unset): When it was accepted. Example: 2026-01-31T12:00:00.123Z.
        started_at (datetime.datetime | Unset): When a worker first began it. Example: 2026-01-31T12:00:00.123Z.
        completed_at (datetime.datetime | Unset): When it reached its final state. Example: 2026-01-31T12:00:00.123Z.
        cancel_requested (bool | Unset): True while a running trial is about to be canceled.
        parameters (TuningTrialParameters | Unset): The value of each field that is searched, once it has begun.
            Hyperparameters are written `hyperparameters.<name>`. Example: {'learning_rate': 0.12, 'batch_size': 64}.
        value (float | Unset): Validation accuracy after the last epoch that is done. Example: 0.87.
        error (Error | Unset):
    """

    id: str
    number: int
    status: str
    attempts: int
    epochs: int
    created_at: datetime.datetime | Unset = UNSET
    started_at: datetime.datetime | Unset = UNSET
    completed_at: datetime.datetime | Unset = UNSET
    cancel_requested: bool | Unset = UNSET
    parameters: TuningTrialParameters | Unset = UNSET
    value: float | Unset = UNSET
    error: Error | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        id = self.id

        number = self.number

        status = self.status

        attempts = self.attempts

        epochs = self.epochs

        created_at: str | Unset = UNSET
        if not isinstance(self.created_at, Unset):
            created_at = self.created_at.isoformat()

        started_at: str | Unset = UNSET
        if not isinstance(self.started_at, Unset):
            started_at = self.started_at.isoformat()

        completed_at: str | Unset = UNSET
        if not isinstance(self.completed_at, Unset):
            completed_at = self.completed_at.isoformat()

        cancel_requested = self.cancel_requested

        parameters: dict[str, Any] | Unset = UNSET
        if not isinstance(self.parameters, Unset):
            parameters = self.parameters.to_dict()

        value = self.value

        error: dict[str, Any] | Unset = UNSET
        if not isinstance(self.error, Unset):
            error = self.error.to_dict()

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "id": id,
                "number": number,
                "status": status,
                "attempts": attempts,
                "epochs": epochs,
            }
        )
        if created_at is not UNSET:
            field_dict["created_at"] = created_at
        if started_at is not UNSET:
            field_dict["started_at"] = started_at
        if completed_at is not UNSET:
            field_dict["completed_at"] = completed_at
        if cancel_requested is not UNSET:
            field_dict["cancel_requested"] = cancel_requested
        if parameters is not UNSET:
            field_dict["parameters"] = parameters
        if value is not UNSET:
            field_dict["value"] = value
        if error is not UNSET:
            field_dict["error"] = error

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.error import Error  # noqa: PLC0415
        from ..models.tuning_trial_parameters import TuningTrialParameters  # noqa: PLC0415

        d = dict(src_dict)
        id = d.pop("id")

        number = d.pop("number")

        status = d.pop("status")

        attempts = d.pop("attempts")

        epochs = d.pop("epochs")

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

        cancel_requested = d.pop("cancel_requested", UNSET)

        _parameters = d.pop("parameters", UNSET)
        parameters: TuningTrialParameters | Unset
        if isinstance(_parameters, Unset):
            parameters = UNSET
        else:
            parameters = TuningTrialParameters.from_dict(_parameters)

        value = d.pop("value", UNSET)

        _error = d.pop("error", UNSET)
        error: Error | Unset
        if isinstance(_error, Unset):
            error = UNSET
        else:
            error = Error.from_dict(_error)

        tuning_trial = cls(
            id=id,
            number=number,
            status=status,
            attempts=attempts,
            epochs=epochs,
            created_at=created_at,
            started_at=started_at,
            completed_at=completed_at,
            cancel_requested=cancel_requested,
            parameters=parameters,
            value=value,
            error=error,
        )

        tuning_trial.additional_properties = d
        return tuning_trial

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
