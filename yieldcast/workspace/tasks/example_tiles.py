"""Synthetic tiles for the page of the data: drawn from statistics of a class, never from one of its tiles."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yieldcast.tiles.tile_files import png
from yieldcast.workspace.tasks.options import DataOptions
from yieldcast.workspace.tasks.public_page import class_sample
from yieldcast.workspace.tasks.task import EXAMPLES, Task, read_inputs, read_target
from yieldcast.workspace.tasks.tile_data import INPUT

Floats = NDArray[np.float64]
# Correlation of an example with any training tile from which on it is drawn again. Fields as coarse as
# `_COARSEST` have the equivalent of 80 independent pixels: of 25,000 tiles the nearest is then at about 0.5.
MOST_ALIKE = 0.6
_COARSEST = 1 / 32  # width of the smoothing in sides of the tile
_DRAWS = 8
_BLOCK = 512
_SHOWN = (0.02, 0.98)  # quantiles that become black and white


@dataclass(frozen=True)
class Look:
    """Statistics of the tiles of a class.

    Args:
        mean: (band,) of all pixels.
        between: (band, band) covariance of the means of tiles.
        within: (band, band) covariance of pixels about the mean of their tile.
        neighbour: correlation of neighbouring pixels, 0 to 1, mean of bands.
    """

    mean: Floats
    between: Floats
    within: Floats
    neighbour: float

    @classmethod
    def of(cls, tiles: NDArray[np.float32]) -> Look:
        """Of (tile, y, x, band) pixels of two tiles or more."""
        values = tiles.astype(np.float64)
        means = values.mean(axis=(1, 2))
        rest = values - means[:, None, None]
        flat = rest.reshape(-1, rest.shape[-1])
        variance = float((rest**2).sum(axis=-1).mean())
        beside = [
            float((rest[:, 1:] * rest[:, :-1]).sum(axis=-1).mean()),
            float((rest[:, :, 1:] * rest[:, :, :-1]).sum(axis=-1).mean()),
        ]
        neighbour = float(np.clip(np.mean(beside) / variance, 0.0, 0.999)) if variance > 0 else 0.0
        return cls(means.mean(axis=0), _covariance(means), _covariance(flat), neighbour)

    def draw(self, shape: tuple[int, int], rng: np.random.Generator) -> Floats:
        """(y, x, band) of a new tile: smoothed noise with this correlation of neighbours.

        White noise smoothed by a Gaussian of width s has a correlation of exp(-1 / (4 s^2)) between
        neighbours.
        """
        from scipy.ndimage import gaussian_filter

        bands = len(self.mean)
        noise = rng.standard_normal((*shape, bands))
        if self.neighbour > 0.01:
            width = min(np.sqrt(-1 / (4 * np.log(self.neighbour))), _COARSEST * min(shape))
            noise = gaussian_filter(noise, (width, width, 0), mode="wrap")
            noise = (noise - noise.mean(axis=(0, 1))) / noise.std(axis=(0, 1))
        level = self.mean + _root(self.between) @ rng.standard_normal(bands)
        return np.asarray(level + noise @ _root(self.within).T)


def write_examples(
    folder: Path, task: Task, page: dict[str, Any], options: DataOptions
) -> list[dict[str, str]]:
    """Write ``examples/*.png`` for each class that the page describes.

    Args:
        folder: with the arrays of crop-tiles.
        task: of them.
        page: see `public_page`; only classes with statistics have examples.
        options: number of examples, seed.

    Returns:
        class and file of each.
    """
    pixels, target = read_inputs(folder, task, "training")[INPUT], read_target(folder, task, "training")
    looks = {
        name: Look.of(class_sample(pixels, np.flatnonzero(target == task.outputs.index(name))))
        for name in sorted({str(one["class"]) for one in page["statistics"]})
    }
    drawn = _unlike_all(looks, options, pixels)
    if not drawn:
        return []
    low, high = np.quantile(np.stack([tile for _, tile in drawn]), _SHOWN, axis=(0, 1, 2))
    written, numbers = [], dict[str, int]()
    for name, tile in drawn:
        numbers[name] = numbers.get(name, 0) + 1
        file = f"class_{task.outputs.index(name) + 1}_{numbers[name]}.png"
        (folder / EXAMPLES / file).write_bytes(png(_shown(tile, low, high)))
        written.append({"class": name, "file": file})
    return written


def _unlike_all(
    looks: dict[str, Look], options: DataOptions, pixels: NDArray[np.float32]
) -> list[tuple[str, Floats]]:
    """Examples of each class that are like no training tile; fewer where some are after several draws."""
    shape, rng = (pixels.shape[1], pixels.shape[2]), np.random.default_rng(options.seed)
    found: list[tuple[str, Floats]] = []
    wanted = [name for name in looks for _ in range(options.examples)]
    for _ in range(_DRAWS):
        if not wanted:
            break
        new = [looks[name].draw(shape, rng) for name in wanted]
        good = likeness(np.stack(new), pixels) < MOST_ALIKE
        found += [pair for pair, one in zip(zip(wanted, new, strict=True), good, strict=True) if one]
        wanted = [name for name, one in zip(wanted, good, strict=True) if not one]
    return sorted(found, key=lambda pair: pair[0])


def likeness(examples: Floats, pixels: NDArray[np.float32]) -> Floats:
    """(example,) largest absolute correlation with any tile, of pixels about the mean of each band.

    Args:
        examples: (example, y, x, band).
        pixels: (tile, y, x, band), may be mapped from the disk.
    """
    most, ours = np.zeros(len(examples)), _centred(examples.astype(np.float32))
    for start in range(0, len(pixels), _BLOCK):
        theirs = _centred(np.asarray(pixels[start : start + _BLOCK]))
        most = np.maximum(most, np.abs(ours @ theirs.T).max(axis=1))
    return most


def _centred(tiles: NDArray[np.float32]) -> NDArray[np.float32]:
    """(tile, value) with mean 0 in each band and length 1; 0 where a tile is constant."""
    rest = (tiles - tiles.mean(axis=(1, 2), keepdims=True)).reshape(len(tiles), -1)
    length = np.sqrt((rest**2).sum(axis=1, keepdims=True))
    return np.asarray(rest / np.where(length > 0, length, 1), dtype=np.float32)


def _covariance(values: Floats) -> Floats:
    return np.atleast_2d(np.cov(values, rowvar=False))


def _root(covariance: Floats) -> Floats:
    """A matrix whose product with its transpose is the covariance, which may be singular."""
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))


def _shown(tile: Floats, low: Floats, high: Floats) -> NDArray[np.uint8]:
    """The first three bands as colours, or the first one as grey."""
    scaled = (tile - low) / np.where(high > low, high - low, 1)
    bytes_ = np.clip(np.round(255 * scaled), 0, 255).astype(np.uint8)
    return bytes_[..., :3] if tile.shape[-1] >= 3 else bytes_[..., 0]
