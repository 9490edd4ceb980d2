"""What a training run is asked to do, checked before anything heavy is loaded.

The web process validates training jobs with this, so it imports neither TensorFlow nor Keras.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Final

from ml import networks

OPTIMIZERS: Final = ("muon", "sgd", "adamw")
PRECISIONS: Final = ("auto", "float32", "bfloat16")
SCHEDULES: Final = ("one_cycle", "cosine", "constant")

# The quintic of Jordan et al., "Muon" (2024): its iteration brings every singular value close to 1.
QUINTIC: Final = (3.4445, -4.7750, 2.0315)
QUINTIC_STEPS: Final = 5
# With Muon, what is no matrix learns by gradient descent at this multiple of the rate.
PLAIN_RATE: Final = 2.0
# Soft targets at temperature 2 keep what a teacher knows of similar classes (Hinton et al., 2015).
DISTILL_TEMPERATURE: Final = 2.0

# Lowest and highest value of every numeric field, both allowed.
LIMITS: Final[Mapping[str, tuple[float, float]]] = {
    "epochs": (1, 500),
    "batch_size": (8, 1024),
    "learning_rate": (1e-6, 10.0),
    "warmup": (0.0, 0.9),
    "momentum": (0.0, 0.999),
    "weight_decay": (0.0, 1.0),
    "label_smoothing": (0.0, 0.5),
    "distill": (0.0, 1.0),
    "ema": (0.0, 0.99999),
    "shift": (0, 8),
    "erase": (0.0, 1.0),
    "seed": (0, 2**31 - 1),
    "fraction": (0.001, 1.0),
    "drawn": (0.05, 1.0),
    "patience": (0, 500),
}


class InvalidSpec(ValueError):
    """A field of a training spec is unknown, of the wrong type, or out of range."""

    def __init__(self, field_name: str, detail: str) -> None:
        super().__init__(f"{field_name}: {detail}")
        self.field = field_name
        self.detail = detail


@dataclass(frozen=True, slots=True)
class TrainingSpec:
    """Everything that decides a training run, apart from the data.

    learning_rate is the peak; warmup the share of all steps before it is reached; weight_decay is decoupled (AdamW's
    way, also for SGD); ema the decay of the weights' moving average over steps (0: keep the last weights); flip, shift
    (pixels) and erase (probability) are the augmentation; fraction the share of the training images to use, drawn the
    share of those that an epoch sees, chosen by importance (ml/sampling.py); patience the epochs without a better
    validation loss after which training ends early (0: never). distill is the share of the loss that comes from a
    teacher's answers instead of the labels; precision that of convolutions in training (auto: bfloat16 where the
    processor multiplies it).
    """

    network: str = "resnet_small"
    epochs: int = 12
    batch_size: int = 128
    optimizer: str = "sgd"
    learning_rate: float = 0.1
    schedule: str = "one_cycle"
    warmup: float = 0.25
    momentum: float = 0.9
    weight_decay: float = 0.005
    label_smoothing: float = 0.05
    distill: float = 0.0
    ema: float = 0.998
    flip: bool = True
    shift: int = 2
    erase: float = 0.25
    seed: int = 0
    fraction: float = 1.0
    drawn: float = 1.0
    patience: int = 0
    precision: str = "auto"
    hyperparameters: Mapping[str, int | float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_choice("network", self.network, networks.names())
        _check_choice("optimizer", self.optimizer, OPTIMIZERS)
        _check_choice("schedule", self.schedule, SCHEDULES)
        _check_choice("precision", self.precision, PRECISIONS)
        if not isinstance(self.flip, bool):
            raise InvalidSpec("flip", "must be true or false.")
        for name, limits in LIMITS.items():
            _check_number(name, getattr(self, name), limits, whole=_TYPES[name] is int)
            # JSON's 1 is as good as 1.0, but Keras tells them apart.
            object.__setattr__(self, name, _TYPES[name](getattr(self, name)))
        self._check_hyperparameters()

    def _check_hyperparameters(self) -> None:
        if not isinstance(self.hyperparameters, Mapping):
            raise InvalidSpec("hyperparameters", "must be an object of numbers.")
        known = networks.limits(self.network)
        for name, value in self.hyperparameters.items():
            where = f"hyperparameters.{name}"
            if name not in known:
                raise InvalidSpec(where, f"{self.network} has no such hyperparameter; it has: {_listed(known)}.")
            _check_number(where, value, known[name], whole=isinstance(known[name][0], int))

    def to_dict(self) -> dict[str, Any]:
        """The spec as plain JSON values; from_dict turns it back."""
        return asdict(self) | {"hyperparameters": dict(self.hyperparameters)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "TrainingSpec":
        """A spec from JSON values; fields that are absent keep their default. Raises InvalidSpec."""
        for name in values:
            if name not in _TYPES:
                raise InvalidSpec(str(name), f"is no field of a training spec; the fields are: {_listed(_TYPES)}.")
        return replace(cls(), **values)


_TYPES: Final[dict[str, Any]] = {each.name: each.type for each in fields(TrainingSpec)}


def _listed(names: Any) -> str:
    return ", ".join(names) or "none"


def _check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise InvalidSpec(name, f"is {value!r}; must be one of: {_listed(choices)}.")


def _check_number(name: str, value: object, limits: tuple[float, float], whole: bool) -> None:
    kind = "a whole number" if whole else "a number"
    right_type = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
    # The chained comparison is false for NaN as well.
    if not right_type or not limits[0] <= value <= limits[1]:  # type: ignore[operator]
        raise InvalidSpec(name, f"is {value!r}; must be {kind} from {limits[0]:g} to {limits[1]:g}.")
