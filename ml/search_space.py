"""What a hyperparameter search may vary and between which values, checked before anything heavy is loaded.

A search space in JSON mirrors a training spec: in place of a field's value it has `{"choices": [...]}` or a range
`{"low": ..., "high": ..., "log": true}`. The web process checks it with this, so it needs no Optuna.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

from ml import networks
from ml.spec import LIMITS, InvalidSpec, TrainingSpec

# What a trial costs, and what makes trials comparable, is the same for all of them.
BUDGET: Final = ("epochs", "fraction", "patience", "seed")
# These change what a training costs, or need more than a spec.
_NOT_SEARCHED: Final = (*BUDGET, "distill", "drawn", "hyperparameters", "precision")
SEARCHABLE: Final = tuple(each.name for each in fields(TrainingSpec) if each.name not in _NOT_SEARCHED)
MOST_CHOICES: Final = 100

_NAME: Final = "search_space"


@dataclass(frozen=True, slots=True)
class Dimension:
    """The values that one field may take: `choices`, or everything from `low` to `high`, both included.

    `field` is written as InvalidSpec does it: "learning_rate", "hyperparameters.dense". A range is of whole numbers
    where `whole`, and is searched by orders of magnitude where `log`.
    """

    field: str
    choices: tuple[Any, ...] = ()
    low: float = 0
    high: float = 0
    log: bool = False
    whole: bool = False

    def corners(self) -> Iterator[tuple[str, Any]]:
        """The values that decide whether all are allowed, and where each stands in the request."""
        if self.choices:
            yield from ((f"choices.{place}", value) for place, value in enumerate(self.choices))
        else:
            yield from (("low", self.low), ("high", self.high))


def read_space(space: Any, fixed: Mapping[str, Any]) -> tuple[Dimension, ...]:
    """The dimensions of a search space, when every point of it makes a valid spec with the `fixed` fields.

    Raises InvalidSpec, with the place within "search_space" that is at fault.
    """
    if not isinstance(space, Mapping):
        raise InvalidSpec(_NAME, "must be an object of fields to search.")
    dimensions = tuple(_dimensions(space, _networks(space, fixed)))
    if not dimensions:
        raise InvalidSpec(_NAME, "is empty; name at least one field to search.")
    for each in dimensions:
        if each.field in fixed or each.field.partition(".")[2] in fixed.get("hyperparameters", {}):
            raise InvalidSpec(f"{_NAME}.{each.field}", "has a fixed value too; leave out one of the two.")
    _check_corners(dimensions, fixed)
    return dimensions


def with_values(fixed: Mapping[str, Any], values: Mapping[str, Any]) -> TrainingSpec:
    """The spec of one point: the `fixed` fields, and a value for each dimension's field. Raises InvalidSpec."""
    spec = dict(fixed)
    spec["hyperparameters"] = dict(fixed.get("hyperparameters", {}))
    for name, value in values.items():
        if name.startswith("hyperparameters."):
            spec["hyperparameters"][name.partition(".")[2]] = value
        else:
            spec[name] = value
    return TrainingSpec.from_dict(spec)


def _networks(space: Mapping[str, Any], fixed: Mapping[str, Any]) -> tuple[Any, ...]:
    """The networks that can come up, the valid ones at least."""
    if "network" not in space:
        return (fixed.get("network", TrainingSpec().network),)
    (dimension,) = _dimensions({"network": space["network"]}, ())
    return dimension.choices


def _dimensions(space: Mapping[str, Any], known: tuple[Any, ...]) -> Iterator[Dimension]:
    for name, said in space.items():
        if name == "hyperparameters":
            if not isinstance(said, Mapping):
                raise InvalidSpec(f"{_NAME}.{name}", "must be an object of hyperparameters to search.")
            for parameter, inner in said.items():
                limits = [networks.limits(n).get(parameter) for n in known if n in networks.names()]
                whole = all(each is None or isinstance(each[0], int) for each in limits)
                yield _dimension(f"{name}.{parameter}", inner, whole)
        elif name in SEARCHABLE:
            yield _dimension(name, said, name in LIMITS and isinstance(LIMITS[name][0], int), name in LIMITS)
        else:
            those = ", ".join((*SEARCHABLE, "hyperparameters"))
            raise InvalidSpec(f"{_NAME}.{name}", f"cannot be searched; what can: {those}.")


def _dimension(field: str, said: Any, whole: bool, numeric: bool = True) -> Dimension:
    where = f"{_NAME}.{field}"
    if not isinstance(said, Mapping):
        raise InvalidSpec(where, 'must be {"choices": [...]} or {"low": ..., "high": ..., "log": false}.')
    if set(said) == {"choices"}:
        return Dimension(field, choices=_choices(f"{where}.choices", said["choices"]))
    if not numeric:
        raise InvalidSpec(where, "is no number and takes choices, not a range.")
    if not {"low", "high"} <= set(said) <= {"low", "high", "log"}:
        raise InvalidSpec(where, "must have either choices, or low and high and, where it is wanted, log.")
    if not isinstance(said.get("log", False), bool):
        raise InvalidSpec(f"{where}.log", "must be true or false.")
    for end in ("low", "high"):
        if not isinstance(said[end], int | float) or isinstance(said[end], bool):
            raise InvalidSpec(f"{where}.{end}", f"is {said[end]!r}; must be a number.")
    if said["low"] > said["high"]:
        raise InvalidSpec(f"{where}.high", f"is {said['high']}, which is less than low, {said['low']}.")
    if said.get("log") and said["low"] <= 0:
        raise InvalidSpec(f"{where}.low", "must be more than 0 where log is true.")
    return Dimension(field, low=said["low"], high=said["high"], log=said.get("log", False), whole=whole)


def _choices(where: str, choices: Any) -> tuple[Any, ...]:
    if not isinstance(choices, list) or not 0 < len(choices) <= MOST_CHOICES:
        raise InvalidSpec(where, f"must be a list of 1 to {MOST_CHOICES} values.")
    for place, value in enumerate(choices):
        if not isinstance(value, str | int | float | bool):
            raise InvalidSpec(f"{where}.{place}", "must be a text, a number, true or false.")
        if value in choices[:place]:
            raise InvalidSpec(f"{where}.{place}", f"is {value!r} again; name each value once.")
    return tuple(choices)


def _check_corners(dimensions: tuple[Dimension, ...], fixed: Mapping[str, Any]) -> None:
    """Fields are valid or not one by one, but for hyperparameters, which every network that can come up must have."""
    network = next((each for each in dimensions if each.field == "network"), None)
    points: list[dict[str, Any]] = [{"network": value} for value in network.choices] if network else [{}]
    for each in sorted(dimensions, key=lambda each: each is not network):
        for point in points:
            for place, value in each.corners():
                try:
                    with_values(fixed, point | {each.field: value})
                except InvalidSpec as invalid:
                    if invalid.field != each.field:
                        raise
                    raise InvalidSpec(f"{_NAME}.{each.field}.{place}", invalid.detail) from None
