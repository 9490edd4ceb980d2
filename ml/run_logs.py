"""Where a run's figures go besides the terminal: event files for TensorBoard, and an MLflow server.

Both are callbacks for `ml.training.train`, so training itself knows neither.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from ml.spec import TrainingSpec
from ml.runs import Epoch

Log = Callable[[Epoch], None]


@contextmanager
def tensorboard(folder: Path) -> Iterator[Log]:
    """Write a row per epoch into event files under `folder`; `tensorboard --logdir` shows them."""
    import tensorflow as tf

    writer = tf.summary.create_file_writer(str(folder))

    def log(row: Epoch) -> None:
        with writer.as_default(step=row.epoch):
            for name, value in _figures(row):
                tf.summary.scalar(name, value)
        writer.flush()

    try:
        yield log
    finally:
        writer.close()


@contextmanager
def mlflow(spec: TrainingSpec, uri: str, experiment: str = "hemline") -> Iterator[Log]:
    """A run of an MLflow experiment, with the spec as parameters and a metric per figure and epoch.

    Needs mlflow-skinny (requirements/mlflow.lock). The run ends as failed when the block does.
    """
    from mlflow import MlflowClient

    client = MlflowClient(uri)
    known = client.get_experiment_by_name(experiment)
    run = client.create_run(known.experiment_id if known else client.create_experiment(experiment)).info.run_id
    for name, value in spec.to_dict().items():
        client.log_param(run, name, value)

    def log(row: Epoch) -> None:
        for name, value in _figures(row):
            client.log_metric(run, name, value, step=row.epoch)

    try:
        yield log
    except BaseException:
        client.set_terminated(run, "FAILED")
        raise
    client.set_terminated(run)


def _figures(row: Epoch) -> list[tuple[str, float]]:
    return [(name, value) for name, value in asdict(row).items() if name != "epoch"]
