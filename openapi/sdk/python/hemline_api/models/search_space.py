from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.dimension import Dimension
    from ..models.search_space_hyperparameters import SearchSpaceHyperparameters


T = TypeVar("T", bound="SearchSpace")


@_attrs_define
class SearchSpace:
    """
    Attributes:
        network (Dimension | Unset):
        hyperparameters (SearchSpaceHyperparameters | Unset): The network's own parameters; every network that is tried
            must have them.
        batch_size (Dimension | Unset):
        optimizer (Dimension | Unset):
        learning_rate (Dimension | Unset):
        schedule (Dimension | Unset):
        warmup (Dimension | Unset):
        momentum (Dimension | Unset):
        weight_decay (Dimension | Unset):
        label_smoothing (Dimension | Unset):
        ema (Dimension | Unset):
        flip (Dimension | Unset):
        shift (Dimension | Unset):
        erase (Dimension | Unset):
    """

    network: Dimension | Unset = UNSET
    hyperparameters: SearchSpaceHyperparameters | Unset = UNSET
    batch_size: Dimension | Unset = UNSET
    optimizer: Dimension | Unset = UNSET
    learning_rate: Dimension | Unset = UNSET
    schedule: Dimension | Unset = UNSET
    warmup: Dimension | Unset = UNSET
    momentum: Dimension | Unset = UNSET
    weight_decay: Dimension | Unset = UNSET
    label_smoothing: Dimension | Unset = UNSET
    ema: Dimension | Unset = UNSET
    flip: Dimension | Unset = UNSET
    shift: Dimension | Unset = UNSET
    erase: Dimension | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        network: dict[str, Any] | Unset = UNSET
        if not isinstance(self.network, Unset):
            network = self.network.to_dict()

        hyperparameters: dict[str, Any] | Unset = UNSET
        if not isinstance(self.hyperparameters, Unset):
            hyperparameters = self.hyperparameters.to_dict()

        batch_size: dict[str, Any] | Unset = UNSET
        if not isinstance(self.batch_size, Unset):
            batch_size = self.batch_size.to_dict()

        optimizer: dict[str, Any] | Unset = UNSET
        if not isinstance(self.optimizer, Unset):
            optimizer = self.optimizer.to_dict()

        learning_rate: dict[str, Any] | Unset = UNSET
        if not isinstance(self.learning_rate, Unset):
            learning_rate = self.learning_rate.to_dict()

        schedule: dict[str, Any] | Unset = UNSET
        if not isinstance(self.schedule, Unset):
            schedule = self.schedule.to_dict()

        warmup: dict[str, Any] | Unset = UNSET
        if not isinstance(self.warmup, Unset):
            warmup = self.warmup.to_dict()

        momentum: dict[str, Any] | Unset = UNSET
        if not isinstance(self.momentum, Unset):
            momentum = self.momentum.to_dict()

        weight_decay: dict[str, Any] | Unset = UNSET
        if not isinstance(self.weight_decay, Unset):
            weight_decay = self.weight_decay.to_dict()

        label_smoothing: dict[str, Any] | Unset = UNSET
        if not isinstance(self.label_smoothing, Unset):
            label_smoothing = self.label_smoothing.to_dict()

        ema: dict[str, Any] | Unset = UNSET
        if not isinstance(self.ema, Unset):
            ema = self.ema.to_dict()

        flip: dict[str, Any] | Unset = UNSET
        if not isinstance(self.flip, Unset):
            flip = self.flip.to_dict()

        shift: dict[str, Any] | Unset = UNSET
        if not isinstance(self.shift, Unset):
            shift = self.shift.to_dict()

        erase: dict[str, Any] | Unset = UNSET
        if not isinstance(self.erase, Unset):
            erase = self.erase.to_dict()

        field_dict: dict[str, Any] = {}

        field_dict.update({})
        if network is not UNSET:
            field_dict["network"] = network
        if hyperparameters is not UNSET:
            field_dict["hyperparameters"] = hyperparameters
        if batch_size is not UNSET:
            field_dict["batch_size"] = batch_size
        if optimizer is not UNSET:
            field_dict["optimizer"] = optimizer
        if learning_rate is not UNSET:
            field_dict["learning_rate"] = learning_rate
        if schedule is not UNSET:
            field_dict["schedule"] = schedule
        if warmup is not UNSET:
            field_dict["warmup"] = warmup
        if momentum is not UNSET:
            field_dict["momentum"] = momentum
        if weight_decay is not UNSET:
            field_dict["weight_decay"] = weight_decay
        if label_smoothing is not UNSET:
            field_dict["label_smoothing"] = label_smoothing
        if ema is not UNSET:
            field_dict["ema"] = ema
        if flip is not UNSET:
            field_dict["flip"] = flip
        if shift is not UNSET:
            field_dict["shift"] = shift
        if erase is not UNSET:
            field_dict["erase"] = erase

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.dimension import Dimension  # noqa: PLC0415
        from ..models.search_space_hyperparameters import SearchSpaceHyperparameters  # noqa: PLC0415

        d = dict(src_dict)
        _network = d.pop("network", UNSET)
        network: Dimension | Unset
        if isinstance(_network, Unset):
            network = UNSET
        else:
            network = Dimension.from_dict(_network)

        _hyperparameters = d.pop("hyperparameters", UNSET)
        hyperparameters: SearchSpaceHyperparameters | Unset
        if isinstance(_hyperparameters, Unset):
            hyperparameters = UNSET
        else:
            hyperparameters = SearchSpaceHyperparameters.from_dict(_hyperparameters)

        _batch_size = d.pop("batch_size", UNSET)
        batch_size: Dimension | Unset
        if isinstance(_batch_size, Unset):
            batch_size = UNSET
        else:
            batch_size = Dimension.from_dict(_batch_size)

        _optimizer = d.pop("optimizer", UNSET)
        optimizer: Dimension | Unset
        if isinstance(_optimizer, Unset):
            optimizer = UNSET
        else:
            optimizer = Dimension.from_dict(_optimizer)

        _learning_rate = d.pop("learning_rate", UNSET)
        learning_rate: Dimension | Unset
        if isinstance(_learning_rate, Unset):
            learning_rate = UNSET
        else:
            learning_rate = Dimension.from_dict(_learning_rate)

        _schedule = d.pop("schedule", UNSET)
        schedule: Dimension | Unset
        if isinstance(_schedule, Unset):
            schedule = UNSET
        else:
            schedule = Dimension.from_dict(_schedule)

        _warmup = d.pop("warmup", UNSET)
        warmup: Dimension | Unset
        if isinstance(_warmup, Unset):
            warmup = UNSET
        else:
            warmup = Dimension.from_dict(_warmup)

        _momentum = d.pop("momentum", UNSET)
        momentum: Dimension | Unset
        if isinstance(_momentum, Unset):
            momentum = UNSET
        else:
            momentum = Dimension.from_dict(_momentum)

        _weight_decay = d.pop("weight_decay", UNSET)
        weight_decay: Dimension | Unset
        if isinstance(_weight_decay, Unset):
            weight_decay = UNSET
        else:
            weight_decay = Dimension.from_dict(_weight_decay)

        _label_smoothing = d.pop("label_smoothing", UNSET)
        label_smoothing: Dimension | Unset
        if isinstance(_label_smoothing, Unset):
            label_smoothing = UNSET
        else:
            label_smoothing = Dimension.from_dict(_label_smoothing)

        _ema = d.pop("ema", UNSET)
        ema: Dimension | Unset
        if isinstance(_ema, Unset):
            ema = UNSET
        else:
            ema = Dimension.from_dict(_ema)

        _flip = d.pop("flip", UNSET)
        flip: Dimension | Unset
        if isinstance(_flip, Unset):
            flip = UNSET
        else:
            flip = Dimension.from_dict(_flip)

        _shift = d.pop("shift", UNSET)
        shift: Dimension | Unset
        if isinstance(_shift, Unset):
            shift = UNSET
        else:
            shift = Dimension.from_dict(_shift)

        _erase = d.pop("erase", UNSET)
        erase: Dimension | Unset
        if isinstance(_erase, Unset):
            erase = UNSET
        else:
            erase = Dimension.from_dict(_erase)

        search_space = cls(
            network=network,
            hyperparameters=hyperparameters,
            batch_size=batch_size,
            optimizer=optimizer,
            learning_rate=learning_rate,
            schedule=schedule,
            warmup=warmup,
            momentum=momentum,
            weight_decay=weight_decay,
            label_smoothing=label_smoothing,
            ema=ema,
            flip=flip,
            shift=shift,
            erase=erase,
        )

        return search_space
