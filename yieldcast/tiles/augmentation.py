"""Flips and random resized crops of image and label, as in the paper (section 4)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from yieldcast.tiles.bands import Floats
from yieldcast.tiles.label_codes import Labels

# Share of the area and ratio of the sides of a crop. The paper does not give them; from half of the area on,
# fields keep about their size in pixels (our choice). The ratios are the usual ones (torchvision).
AREA = (0.5, 1.0)
RATIO = (3 / 4, 4 / 3)
_TRIES = 10


def augmented(image: Floats, label: Labels, side: int, rng: np.random.Generator) -> tuple[Floats, Labels]:
    """A random part of a patch, flipped at random and resized.

    Args:
        image: (y, x, band).
        label: (y, x).
        side: of the result, pixels.
        rng: decides everything.

    Returns:
        (side, side, band) image, interpolated linearly, and (side, side) labels of the nearest pixels.
    """
    rows, columns = random_window(label.shape[0], label.shape[1], rng)
    flips = rng.random(2) < 0.5
    down, right = (
        _centres(*window, side, bool(flip)) for window, flip in zip((rows, columns), flips, strict=True)
    )
    nearest = (np.floor(down + 0.5).astype(int), np.floor(right + 0.5).astype(int))
    # a centre that lies on the edge of the window rounds to the pixel inside
    inside = [np.clip(n, w[0], w[0] + w[1] - 1) for n, w in zip(nearest, (rows, columns), strict=True)]
    return _linear(_linear(image, down, 0), right, 1), label[np.ix_(*inside)]


def random_window(
    height: int, width: int, rng: np.random.Generator
) -> tuple[tuple[int, int], tuple[int, int]]:
    """First row and number of rows, first column and number of columns, of a random crop."""
    for _ in range(_TRIES):
        area = height * width * rng.uniform(*AREA)
        ratio = np.exp(rng.uniform(*np.log(RATIO)))
        down, right = round(float(np.sqrt(area / ratio))), round(float(np.sqrt(area * ratio)))
        if 0 < down <= height and 0 < right <= width:
            top, left = int(rng.integers(height - down + 1)), int(rng.integers(width - right + 1))
            return (top, down), (left, right)
    return (0, height), (0, width)


def _centres(start: int, count: int, side: int, flip: bool) -> NDArray[np.float64]:
    """Centres of the new pixels, in positions of the old ones."""
    centres = start + (np.arange(side) + 0.5) * (count / side) - 0.5
    return np.clip(centres[::-1] if flip else centres, start, start + count - 1)


def _linear(values: Floats, at: NDArray[np.float64], axis: int) -> Floats:
    """Linear interpolation along one axis."""
    low = np.floor(at).astype(int)
    high = np.minimum(low + 1, values.shape[axis] - 1)
    shape: list[Any] = [1, 1, 1]
    shape[axis] = -1
    share = (at - low).astype(np.float32).reshape(shape)
    made: Floats = np.take(values, low, axis) * (1 - share) + np.take(values, high, axis) * share
    return made
