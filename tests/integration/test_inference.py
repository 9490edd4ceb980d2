"""The predictions task: one bad picture fails alone, and one that kills its worker does not do so for ever."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from redis import Redis, RedisError

from ml.artifacts import FileArtifacts
from ml.explanations import Explanation, Neighbor
from ml.images import CLASS_NAMES, read_image
from ml.registry import LocalIndex, Registry
from ml.runtime import Classifier, Predictions
from processes import SAMPLES, sample
from test_groups import DOC, states, submit
from workers import ids
from workers.aliases import RedisIndex
from workers.groups import Groups
from workers.records import Answer, Item, Slice
from workers.inference import Inference
from workers.jobs import JobState
from workers.metrics import Metrics
from workers.upkeep import Activity


class Stub:
    """In place of a classifier: calls a function for each picture's first pixel."""

    def __init__(self, look: Callable[[int], None]) -> None:
        self.look = look
        self.batches: list[int] = []
        self.photos: list[list[bool] | None] = []

    def classify(self, pixels: NDArray[np.uint8], photos: NDArray[np.bool_] | None) -> Predictions:
        self.batches.append(len(pixels))
        self.photos.append(None if photos is None else photos.tolist())
        for row in pixels:
            self.look(int(row[0]))
        best = np.zeros((len(pixels), 10), np.float32)
        best[:, 0] = 1
        return Predictions(best, np.zeros(len(pixels), np.float32), np.ones(len(pixels), bool))

    def explain(self, pixels: NDArray[np.uint8], photo: bool) -> Explanation:
        return Explanation(pixels.reshape(28, 28), (Neighbor(int(pixels[0]), int(photo)),))


class Stubbed(Inference):
    """The task with a stub for every version."""

    def __init__(self, groups: Groups, look: Callable[[int], None], max_attempts: int = 3) -> None:
        registry = Registry(FileArtifacts(Path("nowhere")), LocalIndex())
        super().__init__(groups, registry, Metrics(Redis()), loaded_versions=1, max_attempts=max_attempts)
        self.stub = Stub(look)

    def load(self, version: str) -> Classifier:
        return self.stub  # type: ignore[return-value]


class Away:
    """A store that cannot be reached."""

    def get(self, key: str) -> bytes:
        raise OSError("the store is away")


def whole(group: str, count: int) -> Slice:
    return Slice(group, 0, count)


def test_a_slice_is_answered_as_one_batch(groups: Groups) -> None:
    group = submit(groups, 4)
    work = Stubbed(groups, lambda _: None)
    work.run(whole(group, 4))

    assert work.stub.batches == [4]
    assert states(groups, group) == "ssss"
    prediction = groups.prediction(group, 3)
    assert prediction and prediction.result and prediction.result.batch_size == 4


def test_a_slice_without_photos_is_not_asked_for_any(groups: Groups) -> None:
    group = submit(groups, 2)
    work = Stubbed(groups, lambda _: None)
    work.run(whole(group, 2))

    assert work.stub.photos == [None]


def test_photos_and_what_is_to_be_explained_keep_their_places(groups: Groups) -> None:
    asked = [(False, False), (True, False), (False, True), (True, True)]
    items = [Item(DOC, bytes([i]) * 784, photo=photo, explain=explain) for i, (photo, explain) in enumerate(asked)]
    group = ids.new_group("pred")
    groups.submit(group, "production", items)
    work = Stubbed(groups, lambda _: None)
    work.run(whole(group, 4))
    found = [groups.prediction(group, place) for place in range(4)]

    assert work.stub.photos == [[False, True, False, True]]
    for i, (prediction, (photo, explain)) in enumerate(zip(found, asked, strict=True)):
        assert prediction and prediction.result
        assert prediction.pixels == bytes([i]) * 784
        assert (prediction.explanation is not None) == explain
        if prediction.explanation:
            assert prediction.explanation.neighbors == (Neighbor(i, photo),)
            assert (prediction.explanation.heat == i).all()


def test_a_picture_that_fails_alone_takes_no_explanation_from_the_others(groups: Groups) -> None:
    def look(pixel: int) -> None:
        if pixel == 1:
            raise ValueError("a poisonous picture")

    group = ids.new_group("pred")
    groups.submit(group, "production", [Item(DOC, bytes([i]) * 784, photo=True, explain=True) for i in range(3)])
    Stubbed(groups, look).run(whole(group, 3))
    found = [p and p.explanation and p.explanation.neighbors for p in (groups.prediction(group, i) for i in range(3))]

    assert states(groups, group) == "sfs"
    assert found == [(Neighbor(0, 1),), None, (Neighbor(2, 1),)]


def test_only_the_picture_that_cannot_be_classified_fails(groups: Groups) -> None:
    def look(pixel: int) -> None:
        if pixel == 2:
            raise ValueError("a poisonous picture")

    group = submit(groups, 4)
    Stubbed(groups, look).run(whole(group, 4))

    assert states(groups, group) == "ssfs"
    failed = groups.prediction(group, 2)
    assert failed and failed.error and failed.error["code"] == "inference_failed"
    assert failed.completed and failed.completed >= failed.created
    assert groups.overdue(10) == []


def test_a_model_that_answers_nothing_fails_every_picture_and_ends(groups: Groups) -> None:
    def look(_: int) -> None:
        raise ValueError("a broken model")

    group = submit(groups, 3)
    Stubbed(groups, look).run(whole(group, 3))

    assert states(groups, group) == "fff"


def test_a_picture_that_kills_its_worker_again_and_again_fails_and_the_others_do_not(groups: Groups) -> None:
    killed: Counter[int] = Counter()

    def look(pixel: int) -> None:
        if pixel == 1:
            killed[pixel] += 1
            raise SystemExit  # nobody catches this, as nobody catches a kill

    group = submit(groups, 3)
    for _ in range(20):
        try:
            Stubbed(groups, look, max_attempts=3).run(whole(group, 3))
        except SystemExit:
            continue
        break

    assert states(groups, group) == "sfs"
    failed = groups.prediction(group, 1)
    assert failed and failed.error and "its worker died 3 times" in failed.error["detail"]
    assert killed[1] == 1 + 3


def test_a_worker_that_was_killed_once_costs_nobody_an_answer(groups: Groups) -> None:
    group = submit(groups, 4)
    assert groups.begin(whole(group, 4))  # and then it was killed
    Stubbed(groups, lambda _: None).run(whole(group, 4))

    assert states(groups, group) == "ssss"


def test_what_was_answered_or_forgotten_meanwhile_is_not_computed_again(groups: Groups) -> None:
    group = submit(groups, 4)
    groups.forget(group, 0)
    seen: list[int] = []
    work = Stubbed(groups, seen.append)
    work.run(whole(group, 4))
    work.run(whole(group, 4))

    assert seen == [1, 2, 3]
    assert states(groups, group) == "dsss"


@pytest.mark.parametrize("losses", [1, 2, 3, 4])
def test_redis_being_away_is_nobodys_fault(groups: Groups, redis: Redis, losses: int) -> None:
    """Answers that could not be stored are computed again later; no picture fails for it."""

    class Shaky(Groups):
        left = losses

        def finish(self, piece: Slice, answers: Sequence[Answer]) -> int:
            if Shaky.left:
                Shaky.left -= 1
                raise RedisError("Redis is away")
            return super().finish(piece, answers)

    shaky = Shaky(redis, max_queued=1000, ttl=3600, slice_size=4, lease=0)
    group = submit(groups, 3)
    for _ in range(10):  # the sweep sends it again and again
        try:
            Stubbed(shaky, lambda _: None, max_attempts=9).run(whole(group, 3))
        except RedisError:
            continue
        break

    assert states(groups, group) == "sss"


@pytest.fixture
def registry(groups: Groups, redis: Redis, tmp_path: Path) -> Registry:
    redis.flushall()
    registry = Registry(FileArtifacts(tmp_path), RedisIndex(redis))
    registry.install_shipped()
    return registry


def test_the_samples_of_the_console_come_out_right(groups: Groups, registry: Registry) -> None:
    group = ids.new_group("batch")
    groups.submit(group, "production", [Item(DOC, read_image(sample(name)).pixels) for name in SAMPLES])
    work = Inference(groups, registry, Metrics(Redis()), loaded_versions=1, max_attempts=3)
    for piece in groups.slices(group, len(SAMPLES)):
        work.run(piece)

    answers = [groups.prediction(group, i) for i in range(len(SAMPLES))]
    best = [int(np.argmax(p.result.probabilities)) for p in answers if p and p.result]
    assert [CLASS_NAMES[i] for i in best] == list(SAMPLES.values())


def test_only_the_last_few_versions_stay_loaded(groups: Groups, registry: Registry) -> None:
    card = registry.card("v1")
    contents = {name: registry.file("v1", name) for name in card["sha256"]}
    names = [registry.publish(contents, card) for _ in range(3)]
    work = Inference(groups, registry, Metrics(Redis()), loaded_versions=2, max_attempts=3)
    first, second = work.load(names[0]), work.load(names[1])

    assert work.load(names[0]) is first
    third = work.load(names[2])
    assert work.load(names[0]) is first
    assert work.load(names[2]) is third
    assert work.load(names[1]) is not second


def test_a_version_whose_files_are_gone_fails_its_pictures(groups: Groups, registry: Registry, tmp_path: Path) -> None:
    group = submit(groups, 2)
    for path in tmp_path.rglob("*.tflite"):
        path.unlink()
    Inference(groups, registry, Metrics(Redis()), loaded_versions=2, max_attempts=3).run(whole(group, 2))

    assert states(groups, group) == "ff"


def test_pictures_wait_while_the_store_of_models_is_away(groups: Groups, registry: Registry) -> None:
    group = submit(groups, 2)
    work = Inference(groups, registry, Metrics(Redis()), loaded_versions=2, max_attempts=1)
    store, registry._artifacts = registry._artifacts, Away()  # type: ignore[assignment]
    for _ in range(3):
        with pytest.raises(OSError, match="away"):
            work.run(whole(group, 2))
    registry._artifacts = store
    work.run(whole(group, 2))

    assert states(groups, group) == "ss"


def test_a_worker_is_idle_only_between_slices(groups: Groups) -> None:
    idle: list[float] = []
    activity = Activity()
    work = Stubbed(groups, lambda _: idle.append(activity.idle_for()))
    group = submit(groups)
    activity.watching(work.run)(whole(group, 1))

    assert idle == [0.0]
    assert activity.idle_for() > 0
    assert groups.prediction(group, 0).state is JobState.SUCCEEDED  # type: ignore[union-attr]
