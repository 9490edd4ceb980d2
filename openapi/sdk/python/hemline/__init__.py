"""A client of Hemline: classify pictures of clothes, train the model, follow both."""

from hemline.client import AsyncClient, AsyncTraining, Client, Training
from hemline.errors import HemlineError, TimedOut, Unreachable, WorkFailed
from hemline.protocol import TrainingEvent

__all__ = [
    "AsyncClient", "AsyncTraining", "Client", "HemlineError", "TimedOut", "Training", "TrainingEvent", "Unreachable",
    "WorkFailed",
]  # fmt: skip
