"""Figures as files: matplotlib's object interface only, so that nothing global is touched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from yieldcast.data.files import atomic_write
from yieldcast.errors import ConfigError, SchemaError

LABELS = {
    "en": ("Observed yield (kg/ha)", "Predicted yield (kg/ha)", "Municipalities nearby"),
    "pt": ("Rendimento observado (kg/ha)", "Rendimento previsto (kg/ha)", "Municípios próximos"),
}


def scatter_png(
    path: Path,
    prediction: ArrayLike,
    target: ArrayLike,
    title: str,
    lang: Literal["en", "pt"] = "en",
) -> Path:
    """Predicted over observed yields as in Figure 2 of the paper: coloured by density, with the 1:1 line.

    Args:
        path: file to write; appears whole or not at all.
        prediction, target: (sample,) kg/ha, finite.
        title: shown above.
        lang: language of the labels.

    Raises:
        ConfigError: matplotlib is not installed, or an unknown language.
        SchemaError: shapes differ, no rows, or values that are not numbers.
        MissingDataError: the disk refuses the file.
    """
    if lang not in LABELS:
        raise ConfigError(f"expected a language of {', '.join(LABELS)}, received {lang!r}")
    y, x = np.asarray(prediction, dtype=np.float64), np.asarray(target, dtype=np.float64)
    if x.ndim != 1 or x.shape != y.shape or x.size == 0 or not np.isfinite([x, y]).all():
        raise SchemaError(
            f"expected finite predictions and targets of one shape, received {y.shape} and {x.shape}",
            "Leave out the rows whose yield is not known.",
        )
    figure = _scatter(x, y, title, LABELS[lang])
    atomic_write(path, lambda temporary: figure.savefig(temporary, metadata={"Software": None}))
    return path


def skill_png(path: Path, rows: Sequence[Mapping[str, Any]], title: str) -> Path:
    """Skill by lead: RMSE and CRPS of our forecast and the reference lines, and what the interval covered.

    Args:
        path: file to write; appears whole or not at all.
        rows: of a backtest, one crop.
        title: shown above.

    Raises:
        ConfigError: matplotlib is not installed.
        MissingDataError: the disk refuses the file.
    """
    from yieldcast.evaluation import skill

    figure = _figure((9.6, 3.6))
    from matplotlib.ticker import MaxNLocator

    pooled = skill.pool_by_lead(rows, str(rows[0]["crop"]))
    panels = figure.subplots(1, 3)
    scores = (
        ("rmse_kg_ha", "RMSE (kg/ha)"),
        ("crps_kg_ha", "CRPS or absolute error (kg/ha)"),
        ("coverage90", "share within the 90 % interval"),
    )
    models = list(dict.fromkeys(row["model"] for row in pooled))
    colours = {model: "black" if model == skill.FORECAST_MODEL else f"C{k}" for k, model in enumerate(models)}
    for axes, (score, label) in zip(panels, scores, strict=True):
        for model in models:
            line = [
                (r["lead_months"], r[score]) for r in pooled if r["model"] == model and r[score] is not None
            ]
            if line:
                ours = model == skill.FORECAST_MODEL
                axes.plot(*zip(*line, strict=True), label=model, marker="o", markersize=3,
                          linewidth=2.4 if ours else 1, color=colours[model])  # fmt: skip
        axes.set(xlabel="months before the end of harvest", ylabel=label)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.invert_xaxis()
    panels[2].axhline(0.9, color="0.7", linewidth=1, zorder=0)
    panels[2].set_ylim(0, 1)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=8)
    figure.suptitle(title, parse_math=False)
    atomic_write(path, lambda temporary: figure.savefig(temporary, metadata={"Software": None}))
    return path


def _figure(size: tuple[float, float]) -> Any:
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ConfigError(
            "a figure needs matplotlib, which is not installed",
            "Install it with: pip install 'yieldcast[report]'",
        ) from error
    figure = Figure(figsize=size, dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _scatter(x: NDArray[np.float64], y: NDArray[np.float64], title: str, labels: Sequence[str]) -> Any:
    figure = _figure((6.4, 5.6))
    from matplotlib.ticker import MaxNLocator

    axes = figure.add_subplot()
    low, high = min(x.min(), y.min()), max(x.max(), y.max())
    margin = 0.04 * (high - low) or 1.0
    ends = (low - margin, high + margin)
    density = _density(x, y, ends)
    order = density.argsort(kind="stable")
    axes.plot(ends, ends, color="0.6", linewidth=1, zorder=1)
    points = axes.scatter(x[order], y[order], c=density[order], s=8, linewidths=0, zorder=2)
    figure.colorbar(points, ax=axes, label=labels[2], shrink=0.8, ticks=MaxNLocator(integer=True))
    axes.set_title(title, parse_math=False)
    axes.set(xlim=ends, ylim=ends, aspect="equal", xlabel=labels[0], ylabel=labels[1])
    return figure


def _density(
    x: NDArray[np.float64], y: NDArray[np.float64], ends: tuple[float, float], cells: int = 50
) -> NDArray[np.float64]:
    """(sample,) number of rows in the same cell of a square grid over the axes."""
    step = (ends[1] - ends[0]) / cells
    cell = (np.floor((x - ends[0]) / step) * cells + np.floor((y - ends[0]) / step)).astype(np.int64)
    _, index, count = np.unique(cell, return_inverse=True, return_counts=True)
    return count[index].astype(np.float64)
