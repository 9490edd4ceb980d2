"""The compact index finds what a search over all features would find."""

import numpy as np

from ml import neighbors
from ml.neighbors import Neighbors

RNG = np.random.default_rng(4)
LABELS = RNG.integers(0, 10, 3000).astype(np.uint8)
# As many directions as a network of ten classes uses, in as many features as it has.
FEATURES = (RNG.normal(0, 1, (3000, 10)) @ RNG.normal(0, 1, (10, 48)) + 5).astype(np.float32)
INDEXES = np.sort(RNG.permutation(60_000)[:3000])
DATA = neighbors.build(FEATURES, LABELS, INDEXES)


def test_the_nearest_of_a_training_image_is_itself() -> None:
    indexes, labels = Neighbors.load(DATA).nearest(FEATURES[:50])
    assert indexes.shape == labels.shape == (50, 3)
    np.testing.assert_array_equal(indexes[:, 0], INDEXES[:50])
    np.testing.assert_array_equal(labels[:, 0], LABELS[:50])


def test_the_three_nearest_are_mostly_those_of_an_exact_search_in_its_order() -> None:
    asked = (RNG.normal(0, 1, (200, 10)) @ RNG.normal(0, 1, (10, 48)) + 5).astype(np.float32)
    exact = np.argsort(((asked[:, None] - FEATURES) ** 2).sum(axis=2), axis=1)
    found, labels = Neighbors.load(DATA).nearest(asked)
    places = np.searchsorted(INDEXES, found)
    np.testing.assert_array_equal(LABELS[places], labels)
    assert np.mean([first in row[:10] for first, row in zip(places[:, 0], exact)]) > 0.95
    distances = ((asked[:, None] - FEATURES[places]) ** 2).sum(axis=2)
    assert np.mean(np.diff(distances, axis=1) >= -0.05 * distances[:, 1:]) > 0.95


def test_many_pictures_are_looked_up_as_each_alone() -> None:
    index = Neighbors.load(DATA)
    together = index.nearest(np.tile(FEATURES, (2, 1)), k=2)[0]
    alone = np.concatenate([index.nearest(FEATURES[i : i + 1], k=2)[0] for i in range(20)])
    np.testing.assert_array_equal(together[:20], alone)


def test_an_index_of_all_training_images_stays_under_a_megabyte() -> None:
    features = RNG.normal(0, 1, (55_000, 128)).astype(np.float32)
    data = neighbors.build(features, np.zeros(55_000, np.uint8), np.arange(55_000))
    assert len(data) < 1_000_000


def test_the_same_features_give_the_same_bytes() -> None:
    assert neighbors.build(FEATURES, LABELS, INDEXES) == DATA
