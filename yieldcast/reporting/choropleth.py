"""Coloured polygons of municipalities on matplotlib axes: colours by class, holes, borders of states."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from yieldcast.data.boundaries import FETCH_AGAIN, Rings, read_boundaries
from yieldcast.errors import SchemaError
from yieldcast.reporting.html_map import rings_on_grid, state_edges

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection

Floats = NDArray[np.float64]
Polygons = Mapping[int, Sequence[Rings]]
NO_VALUE = "#d3d6da"  # as in web/colours.js
BORDER = "#333333"
_GRID_DEG = 1e-5  # about 1 m: corners that two municipalities share fall on one point
_CLASSES = 8


class Choropleth(NamedTuple):
    """What `draw_choropleth` drew, for a colour bar and a legend.

    Args:
        coloured: the municipalities with a value, in the order of their codes.
        limits: between the classes.
        has_borders: whether borders of states were found: neighbours must share their corners.
    """

    coloured: PathCollection
    limits: Floats
    has_borders: bool


def read_polygons(mesh: Path) -> tuple[dict[int, list[Rings]], dict[int, str]]:
    """Polygons by municipality code, in the order of the codes, and states by municipality code.

    Args:
        mesh: see `yieldcast.data.boundaries`; several features of one municipality are joined.

    Raises:
        MissingDataError: no such file.
        SchemaError: it is not a mesh, or has no polygon.
    """
    found: dict[int, list[Rings]] = {}
    states: dict[int, str] = {}
    for boundary in read_boundaries(mesh):
        if boundary.polygons:
            found.setdefault(boundary.code, []).extend(boundary.polygons)
            states[boundary.code] = boundary.state
    if not found:
        raise SchemaError(f"{mesh}: expected at least one polygon, received none", FETCH_AGAIN)
    return dict(sorted(found.items())), states


def draw_choropleth(
    axes: Axes,
    polygons: Polygons,
    states: Mapping[int, str],
    values: Mapping[int, float],
    colours: str | Sequence[str],
    around_zero: bool = False,
) -> Choropleth:
    """Colour municipalities by class, those without a value grey, and draw the borders of states.

    Args:
        axes: empty; they get the limits of the polygons and lose their frame and ticks.
        polygons, states: of `read_polygons`.
        values: finite, by code.
        colours: name of a matplotlib colour map, or colours from low to high.
        around_zero: whether the classes are symmetric around zero.
    """
    from matplotlib.collections import LineCollection

    limits = class_limits(np.array(list(values.values())), around_zero)
    coloured = _paths([polygons[code] for code in polygons if code in values])
    coloured.set(array=np.array([values[code] for code in polygons if code in values]), edgecolor="face")
    _colour(coloured, limits, colours)
    others = _paths([polygons[code] for code in polygons if code not in values])
    others.set(facecolor=NO_VALUE, edgecolor=NO_VALUE)
    for collection, name in ((others, "no value"), (coloured, "values")):
        collection.set_gid(name)
        axes.add_collection(collection)
    borders = _state_borders(polygons, states)
    axes.add_collection(LineCollection(borders, colors=BORDER, linewidths=0.5, gid="state borders"))
    _frame(axes, polygons)
    return Choropleth(coloured, limits, bool(borders))


def class_limits(values: Floats, around_zero: bool = False) -> Floats:
    """Round limits between about eight classes over the middle 96 % of the values.

    The lowest and the highest class are open, so that a few extremes do not take all colours.

    Args:
        values: finite.
        around_zero: symmetric limits.
    """
    from matplotlib.ticker import MaxNLocator

    low, high = np.quantile(values, [0.02, 0.98])
    if around_zero:
        high = max(abs(low), abs(high))
        low = -high
    ticks = MaxNLocator(_CLASSES, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    inside = ticks[(ticks > low) & (ticks < high)]
    return np.asarray(inside if len(inside) > 1 else ticks, dtype=np.float64)


def _paths(shapes: Sequence[Sequence[Rings]]) -> PathCollection:
    """One path per municipality; holes run the other way round, so that they stay empty."""
    from matplotlib.collections import PathCollection
    from matplotlib.path import Path as Outline

    paths = []
    for polygons in shapes:
        rings = [_turned(ring, k > 0) for rings in polygons for k, ring in enumerate(rings)]
        steps = [[Outline.MOVETO, *[Outline.LINETO] * (len(ring) - 2), Outline.CLOSEPOLY] for ring in rings]
        paths.append(Outline(np.concatenate(rings), np.concatenate(steps)))
    return PathCollection(paths, linewidths=0.2)


def _turned(ring: Floats, clockwise: bool) -> Floats:
    return ring[::-1] if (_area(ring) < 0) != clockwise else ring


def _area(ring: Floats) -> float:
    """Area of a closed ring in square degrees (shoelace formula), negative where it runs clockwise."""
    x, y = (ring - ring[0]).T
    return float((x[:-1] * y[1:] - x[1:] * y[:-1]).sum() / 2)


def _colour(collection: PathCollection, limits: Floats, colours: str | Sequence[str]) -> None:
    from matplotlib.colors import BoundaryNorm, LinearSegmentedColormap

    cmap = colours if isinstance(colours, str) else LinearSegmentedColormap.from_list("own", colours)
    collection.set(cmap=cmap, norm=BoundaryNorm(limits, 256, extend="both"))


def _state_borders(polygons: Polygons, states: Mapping[int, str]) -> list[Floats]:
    """Sides (2 corners x longitude, latitude) that two municipalities of one state do not share."""
    grid = {
        code: rings_on_grid([ring for rings in parts for ring in rings], np.zeros(2), _GRID_DEG)
        for code, parts in polygons.items()
    }
    rings = [ring for own in grid.values() for ring in own]
    starts = np.concatenate(rings)
    ends = np.concatenate([np.roll(ring, -1, axis=0) for ring in rings])
    return list(np.stack([starts, ends], axis=1)[state_edges(grid, states)] * _GRID_DEG)


def _frame(axes: Axes, polygons: Polygons) -> None:
    """Limits of the municipalities' largest polygons, so that small islands far out do not shrink the map.

    In the middle of the map a kilometre is as long to the east as to the north.
    """
    outlines = [
        max((rings[0] for rings in parts), key=lambda ring: abs(_area(ring))) for parts in polygons.values()
    ]
    corners = np.concatenate(outlines)
    low, high = corners.min(axis=0), corners.max(axis=0)
    margin = 0.01 * (high - low)
    axes.set(xlim=(low[0] - margin[0], high[0] + margin[0]), ylim=(low[1] - margin[1], high[1] + margin[1]))
    axes.set_aspect(1 / np.cos(np.radians((low[1] + high[1]) / 2)))
    axes.set_axis_off()
