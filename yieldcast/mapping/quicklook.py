"""Pictures of a map: a quick look with its legend; patches of input, prediction, confidence, reference."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yieldcast.data.files import atomic_write
from yieldcast.errors import ConfigError
from yieldcast.language import Language
from yieldcast.mapping.class_maps import CLASS_FILE
from yieldcast.mapping.geotiffs import PROBABILITY_FILE, colours
from yieldcast.mapping.map_reference import MapReference
from yieldcast.mapping.raster_inputs import RasterInput, Window, opened_geotiff
from yieldcast.mapping.raster_series import windows

QUICKLOOK_FILE = "quicklook.png"
_MOST = 1200  # pixels of a side of a picture
_PATCH = 64  # pixels of a side of a patch
_PATCHES = 4
_LEAST = 0.25  # of the score of the best patch: less shows little
_SCANNED = 400  # windows among which patches are chosen
# Red, green, blue of a picture, the first that a raster has; the last is a single band.
_PICTURES = (("B4", "B3", "B2"), ("MIR", "NIR", "RED"), ("B11", "B8", "B4"), ("NIR", "RED", "BLUE"))
_SINGLE = ("NDVI", "EVI", "B8", "NIR", "VH", "VV")
_STRETCH = (2, 98)  # percentiles that are black and white
Picture = NDArray[np.float64]


@dataclass(frozen=True)
class Patch:
    """One part of a map as PNG pictures in base64.

    Args:
        window: in the map.
        latitude, longitude: of its middle (degrees).
        input: true or false colour, or one band, of one step.
        classes, confidence: of the map.
        reference: where there is one.
    """

    window: Window
    latitude: float
    longitude: float
    input: str
    classes: str
    confidence: str
    reference: str | None


def need_matplotlib() -> None:
    """Refuse to start without Matplotlib. ConfigError."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise ConfigError(
            "maps are drawn with Matplotlib, which is not installed", "pip install 'yieldcast[report]'"
        ) from None


def write_quicklook(
    folder: Path, classes: Sequence[str], title: str, hectares: dict[str, float], words: Language
) -> None:
    """Write ``quicklook.png``: the classes with a legend.

    Raises:
        MissingDataError: the disk refuses.
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch as Box

    with opened_geotiff(folder / CLASS_FILE) as raster:
        scale = max(1, -(-max(raster.shape) // _MOST))
        values = raster.read(1, out_shape=tuple(max(1, side // scale) for side in raster.shape))
        left, bottom, right, top = raster.bounds
        degrees = raster.crs.is_geographic
    high = 7 * (top - bottom) / (right - left) + 1
    figure = Figure(figsize=(9, min(max(high, 3), 12)), dpi=130, layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(_painted(values, classes), extent=(left, right, bottom, top), interpolation="nearest")
    if degrees:
        axes.set_aspect(1 / np.cos(np.radians((top + bottom) / 2)))
    axes.set_title(title, parse_math=False)
    axes.ticklabel_format(useOffset=False, style="plain")
    axes.tick_params(labelsize=7)
    table = colours(classes)
    boxes = [
        Box(color=f"#{bytes(table[k][:3]).hex()}", label=f"{name} ({words.number(hectares[name], 0)} ha)")
        for k, name in enumerate(classes, 1)
        if hectares[name] or len(classes) <= 12
    ]
    figure.legend(handles=boxes, loc="outside right upper", fontsize=8, frameon=False)
    atomic_write(
        folder / QUICKLOOK_FILE, lambda path: figure.savefig(path, format="png", metadata={"Software": None})
    )


def patches_of(
    folder: Path, classes: Sequence[str], raster: RasterInput, region: Window, reference: MapReference | None
) -> tuple[list[Patch], str]:
    """The parts of a map with the most classes, and what their pictures of the input show.

    Args:
        folder: of the map.
        classes: names.
        raster: that was mapped.
        region: the part of the raster that the map shows.
        reference: beside the map, or None.
    """
    made, shown = [], ""
    with (
        opened_geotiff(folder / CLASS_FILE) as of_class,
        opened_geotiff(folder / PROBABILITY_FILE) as of_share,
    ):
        grid = raster.grid.part(region)
        for window in _chosen(of_class, grid.height, grid.width):
            values = _read(of_class, window)[0]
            share = _read(of_share, window).max(axis=0)
            moved = Window(
                window.top + region.top, window.left + region.left, window.bottom + region.top,
                window.right + region.left,
            )  # fmt: skip
            seen, shown = _input(raster, moved)
            truth = reference.on(grid.part(window)) if reference else None
            middle = np.array([window.top + window.bottom]) // 2, np.array([window.left + window.right]) // 2
            latitude, longitude = grid.places(*middle)
            made.append(
                Patch(
                    window, float(latitude[0]), float(longitude[0]), _png(seen),
                    _png(_painted(values, classes)), _png(_shaded(share)),
                    None if truth is None else _png(_painted(truth, classes)),
                )
            )  # fmt: skip
    return made, shown


def _read(raster: Any, window: Window) -> NDArray[Any]:
    from rasterio.windows import Window as Part

    height, width = window.shape
    values: NDArray[Any] = raster.read(window=Part(window.left, window.top, width, height))
    return values


def _chosen(of_class: Any, height: int, width: int) -> list[Window]:
    """Windows with the most even mixture of classes, in the order of their rows."""
    every = list(windows(Window(0, 0, height, width), _PATCH))
    step = max(1, len(every) // _SCANNED)
    mixed = []
    for window in every[::step]:
        values = _read(of_class, window)[0]
        share = np.bincount(values.ravel(), minlength=2)[1:] / values.size
        known = share[share > 0]
        full = min(window.shape) / _PATCH  # a cut window shows less
        mixed.append((float(share.sum() - (known * np.log(known)).sum()) * full, window))
    best = sorted(mixed, key=lambda one: (-one[0], one[1]))[:_PATCHES]
    return sorted(window for score, window in best if score > _LEAST * best[0][0])


def _input(raster: RasterInput, window: Window) -> tuple[Picture, str]:
    """The picture of the step with the fewest gaps, of equal ones the one with the strongest contrast."""
    bands, _ = raster.read(window)
    singles = [(name,) for name in (*_SINGLE, *bands)]
    names = next(names for names in (*_PICTURES, *singles) if set(names) <= set(bands))
    layers = np.stack([bands[name] for name in names], axis=-1).astype(np.float64)
    known = np.isfinite(layers).all(axis=-1).mean(axis=(1, 2))
    spread = [float(np.nanstd(one)) if np.isfinite(one).any() else 0.0 for one in layers]
    best = max(range(len(known)), key=lambda k: (round(float(known[k]), 2), spread[k]))
    picture = layers[best]
    for band in range(picture.shape[-1]):
        some = picture[..., band][np.isfinite(picture[..., band])]
        low, high = np.percentile(some, _STRETCH) if some.size else (0.0, 1.0)
        picture[..., band] = np.clip((picture[..., band] - low) / max(high - low, 1e-9), 0, 1)
    missing = ~np.isfinite(picture).all(axis=-1)
    picture = np.repeat(picture, 3, axis=-1) if picture.shape[-1] == 1 else picture
    picture[missing] = 1.0
    return picture, f"{', '.join(names)} {raster.days[best].isoformat()[:10]}"


def _painted(values: NDArray[Any], classes: Sequence[str]) -> Picture:
    table = colours(classes)
    palette = np.array([table[k] for k in range(len(classes) + 1)], np.float64) / 255
    return np.asarray(palette[values.astype(np.int64)])


def _shaded(share: NDArray[np.floating]) -> Picture:
    """Probability of the class from light (0) to dark (1)."""
    from matplotlib import colormaps

    made = np.array(colormaps["cividis"](np.nan_to_num(share)))
    made[~np.isfinite(share)] = 1.0
    return made


def _png(picture: Picture) -> str:
    """PNG in base64, enlarged so that pixels show."""
    from matplotlib.image import imsave

    times = max(1, 256 // max(picture.shape[:2]))
    large = picture.repeat(times, axis=0).repeat(times, axis=1)
    content = io.BytesIO()
    imsave(content, large, format="png", metadata={"Software": ""})
    return base64.b64encode(content.getvalue()).decode()
