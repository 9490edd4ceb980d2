from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define

from ..models.training_job_request_optimizer import (
    TrainingJobRequestOptimizer,
    check_training_job_request_optimizer,
)
from ..models.training_job_request_precision import (
    TrainingJobRequestPrecision,
    check_training_job_request_precision,
)
from ..models.training_job_request_promote import (
    TrainingJobRequestPromote,
    check_training_job_request_promote,
)
from ..models.training_job_request_schedule import (
    TrainingJobRequestSchedule,
    check_training_job_request_schedule,
)
from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.training_job_request_hyperparameters import (
        TrainingJobRequestHyperparameters,
    )


T = TypeVar("T", bound="TrainingJobRequest")


@_attrs_define
class TrainingJobRequest:
    """
    Attributes:
        network (str | Unset): The architecture: one of resnet, resnet_small, tutorial_cnn. Example: resnet_small.
        hyperparameters (TrainingJobRequestHyperparameters | Unset): The network's own parameters. resnet: width_28 8 to
            64, width_14 8 to 96, width_7 8 to 192, blocks_28 1 to 5, blocks_14 1 to 5, blocks_7 1 to 5. resnet_small: stem
            8 to 64, width 8 to 96, top 0 to 192, blocks_14 1 to 4, blocks_7 1 to 4. tutorial_cnn: dense 16 to 512. Example:
            {}.
        dataset (str | Unset): `fashion-mnist`, or the id of a data set of your own. Default: 'fashion-mnist'. Example:
            fashion-mnist.
        webhook_url (str | Unset): A URL of yours that is told when the job has ended, signed as Standard Webhooks says;
            see `GET /v1/webhook-secret`. Example: https://shop.example.com/hooks/hemline.
        base_version (str | Unset): Start from the weights of this version or alias, of the same network. Example:
            production.
        epochs (int | Unset): Passes over the training data. 1 to 500; 12 unless given. Example: 12.
        batch_size (int | Unset): Pictures in one step. 8 to 1024; 128 unless given. Example: 128.
        optimizer (TrainingJobRequestOptimizer | Unset): sgd unless given.
        learning_rate (float | Unset): The highest rate of the schedule. 1e-06 to 10; 0.1 unless given. Example: 0.1.
        schedule (TrainingJobRequestSchedule | Unset): one_cycle unless given.
        warmup (float | Unset): Share of the steps before the highest rate. 0 to 0.9; 0.25 unless given. Example: 0.25.
        momentum (float | Unset): Of Muon and SGD, or the first moment of AdamW. 0 to 0.999; 0.9 unless given. Example:
            0.9.
        weight_decay (float | Unset): Decoupled weight decay. 0 to 1; 0.005 unless given. Example: 0.005.
        label_smoothing (float | Unset): How much of the target is spread over all classes. 0 to 0.5; 0.05 unless given.
            Example: 0.05.
        ema (float | Unset): Decay of the moving average of the weights; 0 keeps the last ones. 0 to 0.99999; 0.998
            unless given. Example: 0.998.
        flip (bool | Unset): Mirror pictures at random. Example: True.
        shift (int | Unset): Move pictures by up to so many pixels. 0 to 8; 2 unless given. Example: 2.
        erase (float | Unset): Probability of erasing a part of a picture. 0 to 1; 0.25 unless given. Example: 0.25.
        seed (int | Unset): Decides order, augmentation and first weights. 0 to 2.14748e+09; 0 unless given. Example: 0.
        fraction (float | Unset): Share of the training data to use. 0.001 to 1; 1 unless given. Example: 1.0.
        drawn (float | Unset): Share of them that an epoch sees; below 1, those that there is most to learn from are the
            likeliest. 0.05 to 1; 1 unless given. Example: 1.0.
        patience (int | Unset): End when so many epochs brought no better validation loss; 0 never does. 0 to 500; 0
            unless given. Example: 0.
        precision (TrainingJobRequestPrecision | Unset): Of convolutions in training; `auto` takes bfloat16 where the
            processor multiplies it. auto unless given.
        promote (TrainingJobRequestPromote | Unset): When the new version becomes production. `if_better`: when it gets
            more of the same validation pictures right. Default: 'never'. Example: never.
        description (str | Unset): Your own words; they end up in the card. Example: more epochs.
    """

    network: str | Unset = UNSET
    hyperparameters: TrainingJobRequestHyperparameters | Unset = UNSET
    dataset: str | Unset = "fashion-mnist"
    webhook_url: str | Unset = UNSET
    base_version: str | Unset = UNSET
    epochs: int | Unset = UNSET
    batch_size: int | Unset = UNSET
    optimizer: TrainingJobRequestOptimizer | Unset = UNSET
    learning_rate: float | Unset = UNSET
    schedule: TrainingJobRequestSchedule | Unset = UNSET
    warmup: float | Unset = UNSET
    momentum: float | Unset = UNSET
    weight_decay: float | Unset = UNSET
    label_smoothing: float | Unset = UNSET
    ema: float | Unset = UNSET
    flip: bool | Unset = UNSET
    shift: int | Unset = UNSET
    erase: float | Unset = UNSET
    seed: int | Unset = UNSET
    fraction: float | Unset = UNSET
    drawn: float | Unset = UNSET
    patience: int | Unset = UNSET
    precision: TrainingJobRequestPrecision | Unset = UNSET
    promote: TrainingJobRequestPromote | Unset = "never"
    description: str | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        network = self.network

        hyperparameters: dict[str, Any] | Unset = UNSET
        if not isinstance(self.hyperparameters, Unset):
            hyperparameters = self.hyperparameters.to_dict()

        dataset = self.dataset

        webhook_url = self.webhook_url

        base_version = self.base_version

        epochs = self.epochs

        batch_size = self.batch_size

        optimizer: str | Unset = UNSET
        if not isinstance(self.optimizer, Unset):
            optimizer = self.optimizer

        learning_rate = self.learning_rate

        schedule: str | Unset = UNSET
        if not isinstance(self.schedule, Unset):
            schedule = self.schedule

        warmup = self.warmup

        momentum = self.momentum

        weight_decay = self.weight_decay

        label_smoothing = self.label_smoothing

        ema = self.ema

        flip = self.flip

        shift = self.shift

        erase = self.erase

        seed = self.seed

        fraction = self.fraction

        drawn = self.drawn

        patience = self.patience

        precision: str | Unset = UNSET
        if not isinstance(self.precision, Unset):
            precision = self.precision

        promote: str | Unset = UNSET
        if not isinstance(self.promote, Unset):
            promote = self.promote

        description = self.description

        field_dict: dict[str, Any] = {}

        field_dict.update({})
        if network is not UNSET:
            field_dict["network"] = network
        if hyperparameters is not UNSET:
            field_dict["hyperparameters"] = hyperparameters
        if dataset is not UNSET:
            field_dict["dataset"] = dataset
        if webhook_url is not UNSET:
            field_dict["webhook_url"] = webhook_url
        if base_version is not UNSET:
            field_dict["base_version"] = base_version
        if epochs is not UNSET:
            field_dict["epochs"] = epochs
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
        if seed is not UNSET:
            field_dict["seed"] = seed
        if fraction is not UNSET:
            field_dict["fraction"] = fraction
        if drawn is not UNSET:
            field_dict["drawn"] = drawn
        if patience is not UNSET:
            field_dict["patience"] = patience
        if precision is not UNSET:
            field_dict["precision"] = precision
        if promote is not UNSET:
            field_dict["promote"] = promote
        if description is not UNSET:
            field_dict["description"] = description

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.training_job_request_hyperparameters import (
            TrainingJobRequestHyperparameters,  # noqa: PLC0415
        )

        d = dict(src_dict)
        network = d.pop("network", UNSET)

        _hyperparameters = d.pop("hyperparameters", UNSET)
        hyperparameters: TrainingJobRequestHyperparameters | Unset
        if isinstance(_hyperparameters, Unset):
            hyperparameters = UNSET
        else:
            hyperparameters = TrainingJobRequestHyperparameters.from_dict(_hyperparameters)

        dataset = d.pop("dataset", UNSET)

        webhook_url = d.pop("webhook_url", UNSET)

        base_version = d.pop("base_version", UNSET)

        epochs = d.pop("epochs", UNSET)

        batch_size = d.pop("batch_size", UNSET)

        _optimizer = d.pop("optimizer", UNSET)
        optimizer: TrainingJobRequestOptimizer | Unset
        if isinstance(_optimizer, Unset):
            optimizer = UNSET
        else:
            optimizer = check_training_job_request_optimizer(_optimizer)

        learning_rate = d.pop("learning_rate", UNSET)

        _schedule = d.pop("schedule", UNSET)
        schedule: TrainingJobRequestSchedule | Unset
        if isinstance(_schedule, Unset):
            schedule = UNSET
        else:
            schedule = check_training_job_request_schedule(_schedule)

        warmup = d.pop("warmup", UNSET)

        momentum = d.pop("momentum", UNSET)

        weight_decay = d.pop("weight_decay", UNSET)

        label_smoothing = d.pop("label_smoothing", UNSET)

        ema = d.pop("ema", UNSET)

        flip = d.pop("flip", UNSET)

        shift = d.pop("shift", UNSET)

        erase = d.pop("erase", UNSET)

        seed = d.pop("seed", UNSET)

        fraction = d.pop("fraction", UNSET)

        drawn = d.pop("drawn", UNSET)

        patience = d.pop("patience", UNSET)

        _precision = d.pop("precision", UNSET)
        precision: TrainingJobRequestPrecision | Unset
        if isinstance(_precision, Unset):
            precision = UNSET
        else:
            precision = check_training_job_request_precision(_precision)

        _promote = d.pop("promote", UNSET)
        promote: TrainingJobRequestPromote | Unset
        if isinstance(_promote, Unset):
            promote = UNSET
        else:
            promote = check_training_job_request_promote(_promote)

        description = d.pop("description", UNSET)

        training_job_request = cls(
            network=network,
            hyperparameters=hyperparameters,
            dataset=dataset,
            webhook_url=webhook_url,
            base_version=base_version,
            epochs=epochs,
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
            seed=seed,
            fraction=fraction,
            drawn=drawn,
            patience=patience,
            precision=precision,
            promote=promote,
            description=description,
        )

        return training_job_request
