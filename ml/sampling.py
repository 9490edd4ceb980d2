"""Which images an epoch learns from when it need not see all of them: those that there is most to learn from.

Most of Fashion-MNIST is easy: after twenty epochs half of its training images, though moved and erased in part, are
within 0.06 of their targets, and one in ten is farther than 0.47 (of at most 1.41). Importance sampling draws an image
with a probability that grows with its gradient and divides by that probability, so that the expected gradient is that
of all images, at a share of the time. The bound that stands for the gradient's norm, the distance of what the network
says from its target, is that of Katharopoulos and Fleuret, "Not All Samples Are Created Equal" (ICML 2018).
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

# Half of the draws are blind: an image that was easy once is seen again, and none weighs more than twice its share.
BLIND: Final = 0.5
# How much the last distance of an image says; the rest is what was known before, as each was of one augmentation.
NEWS: Final = 0.5


def probabilities(scores: Floats, share: float) -> NDArray[np.float64]:
    """How likely each of n images is to be drawn, float64 [n]; together share * n, rounded, and at most 1 each."""
    count = max(1, round(share * len(scores)))
    least = BLIND * count / len(scores)
    known = np.maximum(scores, 1e-6, dtype=np.float64)
    low, high = 0.0, 1 / known.min()
    # The more the scores count, the larger the sum: halve the interval until it is exact to a part of an image.
    for _ in range(100):
        scale = (low + high) / 2
        if np.minimum(1.0, least + scale * known).sum() < count:
            low = scale
        else:
            high = scale
    likely: NDArray[np.float64] = np.minimum(1.0, least + high * known)
    return likely


def draw(scores: Floats, share: float, rng: np.random.Generator) -> tuple[NDArray[np.intp], Floats]:
    """Different images in random order, share * n of them, and the weight [n] of each in the mean of the loss.

    The draw is systematic: an image is taken wherever one of equidistant points falls on its part of the line.
    """
    order = rng.permutation(len(scores))
    likely = probabilities(scores, share)[order]
    line = likely.cumsum()
    points = rng.uniform() + np.arange(max(1, round(share * len(scores))))
    places = np.minimum(np.searchsorted(line, points, side="right"), len(scores) - 1)
    shuffled = rng.permutation(places)
    return order[shuffled], (share / likely[shuffled]).astype(np.float32)


def learn(scores: Floats, images: NDArray[np.intp], distances: Floats) -> None:
    """Take in, in place, how far the network was from the targets of some images."""
    scores[images] += np.float32(NEWS) * (distances - scores[images])
