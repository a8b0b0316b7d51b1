"""Probabilities of rasters of any size: overlapping tiles, blended so that no edge of a tile shows.

Near its edges a tile knows less of the surroundings and sees the zeros of the padding, so that two neighbours
disagree there. Each pixel is therefore the mean over all tiles that hold it, with weights that fall to
nothing at the edges of a tile (Hann window). The raster is continued by reflection, so that pixels at its
edge have as many tiles as all others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yieldcast.errors import ConfigError
from yieldcast.tiles.bands import BANDS, Floats
from yieldcast.tiles.patches import Ints, Progress, ignore
from yieldcast.tiles.resnet import DEEPEST

Read = Callable[[Ints, Ints], tuple[Floats, NDArray[np.bool_]]]
_BATCH = 4  # tiles of a step; more are not faster on a CPU and need more memory


@dataclass(frozen=True)
class Tiling:
    """How a raster is cut.

    Args:
        side: of a tile, pixels, a multiple of 32.
        parts: a tile begins every ``side / parts`` pixels: 1 has no overlap (and no blending), with 2 half of
            a tile overlaps the next one, with 4 three quarters.
    """

    side: int = 256
    parts: int = 2

    def __post_init__(self) -> None:
        if self.side < DEEPEST or self.side % DEEPEST or self.parts < 1 or self.side % self.parts:
            raise ConfigError(
                f"expected tiles of a multiple of {DEEPEST} pixels that the overlap divides, received "
                f"{self.side} pixels in {self.parts} parts"
            )

    @property
    def step(self) -> int:
        """Pixels from one tile to the next."""
        return self.side // self.parts

    def starts(self, size: int) -> range:
        """First positions of the tiles along a side of a raster; the first ones are outside of it."""
        return range(self.step - self.side, size, self.step)

    def window(self) -> NDArray[np.float32]:
        """(side, side) weights of the pixels of a tile; sin² of the distance from the edge, or 1."""
        if self.parts == 1:
            return np.ones((self.side, self.side), np.float32)
        one = np.sin(np.pi * (np.arange(self.side) + 0.5) / self.side) ** 2
        return np.outer(one, one).astype(np.float32)


@dataclass(frozen=True)
class Rows:
    """Finished rows of a raster.

    Args:
        first: position of the first row.
        probability: (y, x, class), summing to 1; NaN where missing.
        missing: (y, x) True where the image has no data.
    """

    first: int
    probability: Floats
    missing: NDArray[np.bool_]


def blended(
    network: Any, read: Read, shape: tuple[int, int], tiling: Tiling, progress: Progress = ignore
) -> Iterator[Rows]:
    """Probabilities, some rows at a time from the top; memory grows with the width only.

    Args:
        network: of `unet.tile_network`.
        read: a window of the raster from positions of rows and columns, see `image_files.ImageFile.read`.
        shape: rows and columns of the raster.
        tiling: tiles and overlap.
        progress: called with rows of tiles done and all of them.
    """
    height, width = shape
    window, starts = tiling.window(), tiling.starts(height)
    total = np.zeros((tiling.side, width, int(network.output_shape[-1])), np.float32)
    weight = np.zeros((tiling.side, width, 1), np.float32)
    for k, top in enumerate(starts):
        rows = np.arange(top, top + tiling.side)
        for left, chance in _tiles(network, read, rows, tiling, width):
            inside = slice(max(left, 0), min(left + tiling.side, width))
            own = slice(inside.start - left, inside.stop - left)
            total[:, inside] += chance[:, own] * window[:, own, None]
            weight[:, inside] += window[:, own, None]
        done = slice(max(top, 0), min(top + tiling.step, height))  # no later tile reaches these rows
        if done.start < done.stop:
            mine = slice(done.start - top, done.stop - top)
            yield _finished(total[mine] / weight[mine], read, done, width, tiling.side)
        for sums in (total, weight):
            sums[: -tiling.step] = sums[tiling.step :]
            sums[-tiling.step :] = 0
        progress(k + 1, len(starts))


def _tiles(network: Any, read: Read, rows: Ints, tiling: Tiling, width: int) -> Iterator[tuple[int, Floats]]:
    """First column and probabilities of each tile in a row of tiles."""
    from scipy.special import softmax

    starts = list(tiling.starts(width))
    for at in range(0, len(starts), _BATCH):
        mine = starts[at : at + _BATCH]
        images = np.zeros((min(_BATCH, len(starts)), tiling.side, tiling.side, len(BANDS)), np.float32)
        for k, left in enumerate(mine):
            images[k] = read(rows, np.arange(left, left + tiling.side))[0]
        chance = softmax(np.asarray(network.predict_on_batch(images)), axis=-1)
        yield from zip(mine, chance, strict=False)


def _finished(chance: Floats, read: Read, rows: slice, width: int, side: int) -> Rows:
    missing = np.zeros(chance.shape[:2], bool)
    for left in range(0, width, side):
        columns = np.arange(left, min(left + side, width))
        missing[:, columns] = read(np.arange(rows.start, rows.stop), columns)[1]
    return Rows(rows.start, np.where(missing[..., None], np.float32(np.nan), chance), missing)
