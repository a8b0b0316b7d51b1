"""Made-up tiles of nine classes for tests, documentation and the demo; no measure of real skill.

A tile shows one field: its brightness, the coarseness of its canopy and the rows it was sown in depend on the
crop; a part of a neighbouring field may lie in a corner. Tiles of another region (`shift`) are brighter or
darker by crop, hazier, and sown at other distances: a model that was trained elsewhere must adapt.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yieldcast.data.files import atomic_write
from yieldcast.errors import ConfigError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class _Crop:
    """How a class looks.

    Args:
        count: tiles of the class in the published example, which give the shares.
        level: mean brightness, 0 to 255.
        width, roughness: of the canopy's patches, pixels and brightness.
        spacing, ridges: distance of rows, pixels, and their contrast, brightness.
    """

    count: int
    level: float
    width: float
    roughness: float
    spacing: float
    ridges: float


# Counts: class table of a published use case ("Sentinel-2 Crop Classification", 21,600 tiles). All else is
# made up: cereals are alike, row crops have ridges, rapeseed is bright, what is no crop is patchy.
_CROPS = {
    "barley": _Crop(4015, 118, 2.0, 14, 4.0, 9),
    "corn": _Crop(1982, 98, 1.5, 9, 6.0, 16),
    "non-crop": _Crop(2425, 104, 5.0, 26, 14.0, 2),
    "oats": _Crop(2374, 110, 2.0, 21, 5.0, 6),
    "potato": _Crop(2031, 94, 1.5, 9, 9.0, 17),
    "rapeseed": _Crop(1982, 138, 2.4, 12, 6.0, 4),
    "rye": _Crop(2391, 122, 1.2, 15, 5.0, 9),
    "sugar beet": _Crop(1989, 88, 1.5, 10, 7.5, 14),
    "wheat": _Crop(2411, 112, 3.0, 14, 4.0, 9),
}
CLASSES = tuple(_CROPS)
SHARES = np.array([crop.count for crop in _CROPS.values()]) / sum(crop.count for crop in _CROPS.values())
_TILES_OF_A_FARM = 4
_FARM, _TILE, _NOISE = 6.0, 8.0, 10.0  # brightness: standard deviations between farms, tiles and pixels
_SPREAD = 0.1  # of spacing and contrast of rows and of roughness, between tiles of a class, relative
_MIXED = 0.5  # of the tiles have a neighbour
_BLOCK = 256


@dataclass(frozen=True)
class SyntheticTiles:
    """Tiles with their labels.

    Args:
        images: (tile, y, x, band) uint8.
        labels: (tile,) positions in `CLASSES`.
        farms: (tile,) names.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int32]
    farms: NDArray[np.str_]


def synthetic_tiles(
    count: int, *, seed: int = 0, shift: float = 0.0, side: int = 64, bands: int = 1, farms: str = "farm"
) -> SyntheticTiles:
    """Tiles of a region.

    Args:
        count: tiles; classes have the shares of `SHARES`, rounded.
        seed: of everything.
        shift: how far the region is from that of 0; 1 is another country.
        side: pixels.
        bands: 1 (grey) or more.
        farms: start of their names: farms of two sets are different ones.

    Raises:
        ConfigError: fewer tiles than classes.
    """
    if count < len(CLASSES):
        raise ConfigError(f"expected {len(CLASSES)} tiles or more, one of each class, received {count}")
    rng = np.random.default_rng([seed, count, side, bands])
    labels = rng.permutation(np.repeat(np.arange(len(CLASSES)), _counts(count))).astype(np.int32)
    farm = rng.permutation(np.arange(count) // _TILES_OF_A_FARM)
    light = rng.normal(0, _FARM, farm.max() + 1)[farm]
    looks = _Looks(shift, bands)
    images = np.empty((count, side, side, bands), np.uint8)
    for start in range(0, count, _BLOCK):
        rows = slice(start, start + _BLOCK)
        images[rows] = looks.draw(labels[rows], light[rows], side, rng)
    return SyntheticTiles(images, labels, np.array([f"{farms} {k + 1}" for k in farm]))


def write_tiles(
    path: Path, count: int, *, seed: int = 0, shift: float = 0.0, side: int = 64, bands: int = 1,
    farms: str = "farm",
) -> Path:  # fmt: skip
    """Write synthetic tiles as `workspace create` reads them.

    Args:
        path: an NPZ file, by its ending, or a folder for PNG files of 1 or 3 bands.
        count, seed, shift, side, bands, farms: see `synthetic_tiles`.

    Returns:
        the path.

    Raises:
        ConfigError: PNG files of other bands.
        MissingDataError: the disk refuses.
    """
    made = synthetic_tiles(count, seed=seed, shift=shift, side=side, bands=bands, farms=farms)
    names = np.array(CLASSES)[made.labels]
    if path.suffix == ".npz":
        arrays: dict[str, Any] = {"images": made.images, "labels": names, "groups": made.farms}
        atomic_write(path, lambda temporary: np.savez_compressed(temporary, **arrays))
        return path
    if bands not in (1, 3):
        raise ConfigError(f"expected 1 or 3 bands of PNG files, received {bands}", "Write an NPZ file.")
    from yieldcast.tiles.tile_files import png

    for k, (image, name, farm) in enumerate(zip(made.images, names, made.farms, strict=True)):
        folder = path / str(name) / str(farm)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{k:06d}.png").write_bytes(png(image if bands == 3 else image[..., 0]))
    return path


def _counts(count: int) -> NDArray[np.int64]:
    """(class,) tiles, at least one, that add up; by the largest remainders."""
    counts = np.maximum(np.floor(SHARES * count), 1).astype(np.int64)
    order = np.argsort(counts - SHARES * count, kind="stable")
    for k in range(abs(count - int(counts.sum()))):
        counts[order[k % len(order)]] += 1 if counts.sum() < count else -1
    return counts


class _Looks:
    """All classes of a region.

    Args:
        shift, bands: see `synthetic_tiles`.
    """

    def __init__(self, shift: float, bands: int) -> None:
        crops, fixed = list(_CROPS.values()), np.random.default_rng(16)
        moved = fixed.normal(0, 1, len(crops))  # the same for all regions: a crop is brighter or darker
        self._level = np.array([crop.level for crop in crops]) + 9 * shift * moved
        self._level = (1 - 0.12 * shift) * self._level + 16 * shift  # haze
        self._width = np.array([crop.width for crop in crops])
        self._roughness = np.array([crop.roughness for crop in crops]) * (1 - 0.15 * shift)
        self._spacing = np.array([crop.spacing for crop in crops]) * (1 + 0.1 * shift)
        self._ridges = np.array([crop.ridges for crop in crops]) * (1 - 0.15 * shift)
        # Of each class and band; one band is as it is.
        self._colour = np.ones((len(crops), bands))
        self._colour[:, 1:] = fixed.uniform(0.75, 1.25, (len(crops), bands - 1))

    def draw(
        self, labels: NDArray[np.int32], light: Floats, side: int, rng: np.random.Generator
    ) -> NDArray[np.uint8]:
        """(tile, y, x, band) of a block."""
        own = self._fields(labels, side, rng)
        other = self._fields(rng.permutation(labels), side, rng)
        corner = _corner(len(labels), side, rng)
        values = np.where(corner[..., None], other, own)
        values += (light + rng.normal(0, _TILE, len(labels)))[:, None, None, None]
        values += rng.normal(0, _NOISE, values.shape)
        return np.clip(np.round(values), 0, 255).astype(np.uint8)

    def _fields(self, labels: NDArray[np.int32], side: int, rng: np.random.Generator) -> Floats:
        """(tile, y, x, band): canopy and rows."""
        from scipy.ndimage import gaussian_filter

        count = len(labels)
        canopy = rng.standard_normal((count, side, side))
        for k in np.unique(labels):
            mine = labels == k
            smooth = gaussian_filter(canopy[mine], (0, self._width[k], self._width[k]), mode="wrap")
            canopy[mine] = smooth / smooth.std()
        y, x = np.mgrid[:side, :side]
        turn, phase = (rng.uniform(0, 2 * np.pi, count)[:, None, None] for _ in range(2))
        across = x * np.cos(turn) + y * np.sin(turn)
        spacing, ridges, roughness = (
            (of[labels] * np.exp(rng.normal(0, _SPREAD, count)))[:, None, None]
            for of in (self._spacing, self._ridges, self._roughness)
        )
        rows = np.sin(2 * np.pi * across / spacing + phase)
        grey = self._level[labels][:, None, None] + roughness * canopy + ridges * rows
        return np.asarray(grey[..., None] * self._colour[labels][:, None, None])


def _corner(count: int, side: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """(tile, y, x) True where a neighbouring field lies, up to four tenths of the way in from an edge."""
    y, x = np.mgrid[:side, :side] / side - 0.5
    turn = rng.uniform(0, 2 * np.pi, count)[:, None, None]
    border = rng.uniform(0.1, 0.6, count)[:, None, None]
    has = (rng.uniform(size=count) < _MIXED)[:, None, None]
    return np.asarray(has & (x * np.cos(turn) + y * np.sin(turn) > border))
