"""The architectures: each file in this folder is one, and the file's name is the network's name.

A network's file has `build(**hyperparameters) -> keras.Model` (input [n, 28, 28, 1] from 0 to 1, output logits [n, 10])
and a literal `LIMITS` with the lowest and highest value of each hyperparameter. Names and limits are read without
importing the file, because the web process needs them and must not load Keras.
"""

import ast
import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any


@cache
def names() -> tuple[str, ...]:
    """Names of all networks, sorted."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))


@cache
def limits(name: str) -> Mapping[str, tuple[float, float]]:
    """Lowest and highest value of each hyperparameter of a network; KeyError if there is no such network."""
    if name not in names():
        raise KeyError(name)
    tree = ast.parse(Path(__path__[0], f"{name}.py").read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "LIMITS":
            return dict(ast.literal_eval(node.value))
    return {}


def build(name: str, **hyperparameters: float) -> Any:
    """An untrained keras.Model of this name; KeyError if there is no such network."""
    if name not in names():
        raise KeyError(name)
    return importlib.import_module(f"{__name__}.{name}").build(**hyperparameters)


def count_macs(model: Any) -> int:
    """Multiply-accumulates of the convolutions and dense layers for one image (the convention of ml/RESULTS.md)."""
    total = 0
    for layer in model.layers:
        kernel = getattr(layer, "kernel", None)
        if kernel is None:
            continue
        positions = 1
        for size in layer.output.shape[1:-1]:
            positions *= size
        weights = 1
        for size in kernel.shape:
            weights *= size
        total += positions * weights
    return total
