"""Figures for files and notebooks, drawn without pyplot so that no global state changes."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from yieldcast import language
from yieldcast.data.files import atomic_write
from yieldcast.errors import ConfigError, SchemaError
from yieldcast.language import Language, message

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SKILL_SCORES = {
    "rmse_kg_ha": message("RMSE (kg/ha)"),
    "crps_kg_ha": message("CRPS or absolute error (kg/ha)"),
    "coverage90": message("share within the {share} interval"),
}
# Colours of Okabe and Ito (2008), distinct for all kinds of colour blindness, and grey; the markers differ
# too.
MODEL_STYLES = (
    ("#0072B2", "s"), ("#D55E00", "^"), ("#009E73", "v"), ("#CC79A7", "D"), ("#E69F00", "P"),
    ("#56B4E9", "X"), ("#999999", "*"),
)  # fmt: skip


def scatter_png(
    path: Path,
    prediction: ArrayLike,
    target: ArrayLike,
    title: str,
    lang: str = "en",
) -> Path:
    """Draw predicted against observed yields, coloured by density, with the 1:1 line.

    As Figure 2 of Cunha and Silva (2020), doi:10.1109/LAGIRS48042.2020.9165608.

    Args:
        path: file to write; written completely or not at all.
        prediction, target: (sample,) kg/ha, finite.
        title: shown above the figure.
        lang: language of the labels.

    Raises:
        ConfigError: matplotlib is not installed, or an unknown language.
        SchemaError: the shapes differ, there are no rows, or a value is not finite.
        MissingDataError: the disk refuses.
    """
    words = language.of(lang)
    y, x = np.asarray(prediction, dtype=np.float64), np.asarray(target, dtype=np.float64)
    if x.ndim != 1 or x.shape != y.shape or x.size == 0 or not np.isfinite([x, y]).all():
        raise SchemaError(
            f"expected finite predictions and targets of one shape, received {y.shape} and {x.shape}",
            "Leave out rows without an observed yield.",
        )
    figure = _scatter(x, y, title, words)
    atomic_write(path, lambda temporary: figure.savefig(temporary, metadata={"Software": None}))
    return path


def skill_png(path: Path, rows: Sequence[Mapping[str, Any]], title: str) -> Path:
    """Draw RMSE and CRPS of the forecast and the baselines by lead, and the coverage of the 90 % interval.

    Args:
        path: file to write; written completely or not at all.
        rows: rows of a backtest, all of one crop.
        title: shown above the figure.

    Raises:
        ConfigError: matplotlib is not installed.
        MissingDataError: the disk refuses.
    """
    from yieldcast.evaluation import skill

    figure = new_figure((9.6, 3.6))
    pooled = skill.pool_by_lead(rows, str(rows[0]["crop"]))
    panels = figure.subplots(1, len(SKILL_SCORES))
    for axes, score in zip(panels, SKILL_SCORES, strict=True):
        draw_skill(axes, pooled, score)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=8)
    figure.suptitle(title, parse_math=False)
    atomic_write(path, lambda temporary: figure.savefig(temporary, metadata={"Software": None}))
    return path


def draw_skill(axes: Any, pooled: Sequence[Mapping[str, Any]], score: str, lang: str = "en") -> None:
    """Draw one score over the lead, a line per model and the forecast in black; the harvest is at the right.

    Args:
        axes: matplotlib axes.
        pooled: of `skill.pool_by_lead`.
        score: one of `SKILL_SCORES`.
        lang: language.

    Raises:
        ConfigError: an unknown language.
    """
    from matplotlib.ticker import MaxNLocator

    from yieldcast.evaluation.skill import FORECAST_MODEL

    words = language.of(lang)
    models = list(dict.fromkeys(row["model"] for row in pooled))
    for k, model in enumerate(models):
        own = [row for row in pooled if row["model"] == model and row[score] is not None]
        ours = model == FORECAST_MODEL
        colour, marker = ("black", "o") if ours else MODEL_STYLES[k % len(MODEL_STYLES)]
        if own:
            axes.plot([row["lead_months"] for row in own], [row[score] for row in own],
                      label=model, color=colour, marker=marker, markersize=4,
                      linewidth=2.4 if ours else 1.2, zorder=3 if ours else 2)  # fmt: skip
    axes.set(
        xlabel=words.gettext("months before the end of harvest"),
        ylabel=words.gettext(SKILL_SCORES[score], share=words.percent(0.9)),
    )
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.invert_xaxis()
    if score == "coverage90":
        axes.axhline(0.9, color="0.7", linewidth=1, zorder=0)
        axes.set_ylim(0, 1)


def new_figure(size: tuple[float, float]) -> Figure:
    """An empty figure without pyplot, which therefore keeps no list of figures and opens no window.

    Jupyter shows a figure by itself only after pyplot was imported; this one brings its own picture
    (``_repr_png_``), so it is shown when it is the last value of a cell.

    Args:
        size: width and height in inches, at 150 dots per inch.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ConfigError(
            "a figure needs matplotlib, which is not installed",
            "Install it with: pip install 'yieldcast[report]'",
        ) from error
    return _notebook_class(Figure)(figsize=size, dpi=150, layout="constrained")


def put_title(figure: Figure, title: str) -> None:
    """Write a title above all panels, from the left edge of the figure."""
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, parse_math=False)


def put_footer(figure: Figure, notes: Sequence[str]) -> None:
    """Write notes and sources below all panels in small grey letters, a paragraph each."""
    width = int(figure.get_figwidth() * 18)  # letters of this size in a line
    text = "\n".join(line for note in notes for line in textwrap.wrap(note, width))
    figure.supxlabel(text, x=0.01, ha="left", fontsize=7, color="0.35", parse_math=False)


@cache
def _notebook_class(base: type[Figure]) -> type[Figure]:
    class NotebookFigure(base):  # type: ignore[valid-type, misc]
        """A figure that notebooks show."""

        def _repr_png_(self) -> bytes:
            picture = io.BytesIO()
            self.savefig(picture, format="png")
            return picture.getvalue()

    return NotebookFigure


def _scatter(x: NDArray[np.float64], y: NDArray[np.float64], title: str, words: Language) -> Any:
    figure = new_figure((6.4, 5.6))
    from matplotlib.ticker import MaxNLocator

    axes = figure.add_subplot()
    low, high = min(x.min(), y.min()), max(x.max(), y.max())
    margin = 0.04 * (high - low) or 1.0
    ends = (low - margin, high + margin)
    density = _density(x, y, ends)
    order = density.argsort(kind="stable")
    axes.plot(ends, ends, color="0.6", linewidth=1, zorder=1)
    points = axes.scatter(x[order], y[order], c=density[order], s=8, linewidths=0, zorder=2)
    figure.colorbar(
        points,
        ax=axes,
        label=words.gettext("Municipalities nearby"),
        shrink=0.8,
        ticks=MaxNLocator(integer=True),
    )
    axes.set_title(title, parse_math=False)
    axes.set(
        xlim=ends,
        ylim=ends,
        aspect="equal",
        xlabel=words.gettext("Observed yield (kg/ha)"),
        ylabel=words.gettext("Predicted yield (kg/ha)"),
    )
    return figure


def _density(
    x: NDArray[np.float64], y: NDArray[np.float64], ends: tuple[float, float], cells: int = 50
) -> NDArray[np.float64]:
    """(sample,) number of samples in the same cell of a square grid over the axes."""
    step = (ends[1] - ends[0]) / cells
    cell = (np.floor((x - ends[0]) / step) * cells + np.floor((y - ends[0]) / step)).astype(np.int64)
    _, index, count = np.unique(cell, return_inverse=True, return_counts=True)
    return count[index].astype(np.float64)
