"""Figures for notebooks and documents; `yieldcast.plot` is this module.

Every function returns a matplotlib figure, which notebooks show and ``figure.savefig(...)`` writes. Only
matplotlib's object interface is used, so that no global setting changes and no window opens.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from yieldcast import language
from yieldcast.data.store import Store
from yieldcast.data.summary import number_spans
from yieldcast.errors import ConfigError, MissingDataError, RunError, SchemaError
from yieldcast.evaluation.skill import pool_by_lead
from yieldcast.forecasting.table import QUANTILES, check_forecast
from yieldcast.language import message
from yieldcast.reporting import labels
from yieldcast.reporting.choropleth import BORDER, NO_VALUE, draw_choropleth, read_polygons
from yieldcast.reporting.figures import SKILL_SCORES, draw_skill, new_figure, put_footer, put_title
from yieldcast.reporting.waterfall import position
from yieldcast.reporting.waterfall import waterfall as waterfall
from yieldcast.training.run_directory import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]
# As in web/colours.js: no pale middle, which would look like the grey of "no forecast"
_ORANGE_BLUE = ("#5a2a04", "#9c4a08", "#d9821f", "#f9c36b", "#8ec4ea", "#4a93cf", "#1f63a8", "#08306b")
_FAN = ((0.05, 0.95, "#c6dbef"), (0.10, 0.90, "#9ecae1"), (0.25, 0.75, "#4292c6"))
_BASELINES = (  # colours of Okabe and Ito (2008), with a marker each
    ("last_public", "last_public_kg_ha", "#E69F00", "s"),
    ("mean_5y_public", "mean_5y_public_kg_ha", "#D55E00", "^"),
    ("trend_10y_public", "trend_10y_public_kg_ha", "#009E73", "D"),
)
_WORDS = {
    "no_forecast": message("no forecast"),
    "unknown": message("no forecast, or not known"),
    "border": message("state border"),
    "not_drawn": message("Municipalities with a forecast and without boundaries, not shown: {n}"),
    "change": message("Change of the median since {date} (kg/ha)"),
    "skill": message("{crop}: skill by lead time"),
    "years": message("harvest years {years}"),
    "yield": message("Yield (kg/ha)"),
    "harvest_year": message("Harvest year"),
    "public": message("yield, public on {date}"),
    "later": message("yield, published later"),
    "interval": message("forecast: {share} interval"),
    "median": message("forecast: median"),
    "state_baselines": message("Too few public yields of its own: the baselines are those of its state."),
    "loss": message("Loss on training rows ({loss})"),
    "val_loss": message("Loss on validation rows ({loss})"),
    "epoch": message("Epoch"),
    "member": message("member"),
    "median_member": message("median while all members train"),
    "best": message("best epoch of a member"),
    "curves": message("{crop}, {n} members"),
}


def _word(key: str, lang: str, **values: Any) -> str:
    return language.of(lang).gettext(_WORDS[key], **values)


@dataclass(frozen=True)
class _Layer:
    """What a map can show: a column of `reporting.column_labels`, its colours, its values by municipality."""

    column: str
    colours: str | tuple[str, ...]
    values: Callable[[xr.Dataset], Floats]
    around_zero: bool = False


def _quantile(forecast: xr.Dataset, level: float) -> Floats:
    return forecast["yield_kg_ha"].values[:, QUANTILES.index(level)].astype(np.float64)


_LAYERS: Mapping[str, _Layer] = {
    "median": _Layer("yield_p50_kg_ha", "viridis", lambda f: _quantile(f, 0.5)),
    "departure": _Layer(
        "anomaly_kg_ha", _ORANGE_BLUE, lambda f: _quantile(f, 0.5) - f["mean_5y_public_kg_ha"].values, True
    ),
    "probability_low": _Layer("prob_low_pct", "YlOrBr", lambda f: 100.0 * f["probability_low"].values),
    "width90": _Layer("width90_kg_ha", "magma_r", lambda f: _quantile(f, 0.95) - _quantile(f, 0.05)),
}


def map(
    forecast: xr.Dataset,
    boundaries: Path | None,
    value: str = "median",
    *,
    previous: xr.Dataset | None = None,
    lang: str = "en",
) -> Figure:
    """A forecast by municipality: coloured by classes of equal width, places without a forecast grey.

    Args:
        forecast: of `yieldcast.forecast`.
        boundaries: GeoJSON of the municipalities, e.g. ``store.mesh``.
        value: ``median``, ``departure`` (median less the five-year mean), ``probability_low`` (percent),
            ``width90`` (of the 90 % interval) or ``change`` (median less that of `previous`).
        previous: an earlier forecast of the same crop and harvest year, for ``change``.
        lang: language.

    Raises:
        ConfigError: no boundaries, another value or language, or matplotlib is not installed.
        MissingDataError: no such file, or no municipality has the value.
        SchemaError: a table that is not a forecast, or a file that does not hold boundaries.
    """
    check_forecast(forecast)
    if boundaries is None:
        raise ConfigError(
            "a map needs the boundaries of the municipalities, received none",
            "Give a GeoJSON file: `store.mesh` after `yieldcast fetch places` or an import with --mesh.",
        )
    layer, label = _layer(forecast, value, previous, lang)
    codes, numbers = forecast["municipality"].values.tolist(), layer.values(forecast).tolist()
    values = {code: x for code, x in zip(codes, numbers, strict=True) if np.isfinite(x)}
    if not values:
        raise MissingDataError(f"no municipality of the forecast has a value of {value!r}")
    polygons, states = read_polygons(Path(boundaries))
    figure = new_figure((8.0, 6.6))
    axes = figure.add_subplot()
    drawn = draw_choropleth(axes, polygons, states, values, layer.colours, layer.around_zero)
    bar = figure.colorbar(drawn.coloured, ax=axes, label=label, shrink=0.7, ticks=drawn.limits)
    bar.ax.set_yticklabels([language.of(lang).number(limit) for limit in drawn.limits.tolist()])
    keys = _map_keys("no_forecast" if len(values) == len(codes) else "unknown", lang)
    axes.legend(handles=keys if drawn.has_borders else keys[:1], loc="lower left", frameon=False, fontsize=9)
    put_title(figure, labels.title(labels.facts(forecast), lang))
    lost = sum(code not in polygons for code in values)
    notes = [_word("not_drawn", lang, n=lost)] if lost else []
    put_footer(figure, [*notes, str(forecast.attrs["attribution"])])
    return figure


def _map_keys(grey: str, lang: str) -> list[Any]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    return [
        Patch(facecolor=NO_VALUE, label=_word(grey, lang)),
        Line2D([], [], color=BORDER, linewidth=0.8, label=_word("border", lang)),
    ]


def _layer(forecast: xr.Dataset, value: str, previous: xr.Dataset | None, lang: str) -> tuple[_Layer, str]:
    if value in _LAYERS:
        return _LAYERS[value], labels.column(_LAYERS[value].column, lang)
    if value != "change":
        names = ", ".join([*_LAYERS, "change"])
        raise ConfigError(f"expected a value to map of {names}, received {value!r}", "Choose one of these.")
    season = [
        None if ds is None else (ds.attrs["crop"], ds.attrs["harvest_year"]) for ds in (forecast, previous)
    ]
    if previous is None or season[0] != season[1]:
        raise ConfigError(
            f"a map of the change needs an earlier forecast of {season[0]}, received {season[1]}",
            "Give it as previous=...",
        )
    before = _quantile(previous, 0.5)
    earlier = xr.DataArray(before, {"municipality": check_forecast(previous)["municipality"].values})
    day = language.of(lang).date(np.datetime64(previous.attrs["as_of"]).item())

    def change(ds: xr.Dataset) -> Floats:
        same: Floats = earlier.reindex(municipality=ds["municipality"].values).values
        return _quantile(ds, 0.5) - same

    return _Layer("", _ORANGE_BLUE, change, True), _word("change", lang, date=day)


def skill_by_lead(
    rows: Sequence[Mapping[str, Any]] | Path | str, crop: str, score: str = "rmse_kg_ha", lang: str = "en"
) -> Figure:
    """A score of the forecast and the baselines over the lead time, pooled over harvest years.

    Args:
        rows: of a backtest, or the JSON file that ``yieldcast backtest --json FILE`` wrote.
        crop: rows of other crops are left out.
        score: ``rmse_kg_ha``, ``crps_kg_ha`` (without intervals the absolute error) or ``coverage90``.
        lang: language.

    Raises:
        ConfigError: another score or language, or matplotlib is not installed.
        MissingDataError: no such file, or no rows of the crop.
        SchemaError: something else than rows of a backtest.
    """
    if score not in SKILL_SCORES:
        raise ConfigError(f"expected a score of {', '.join(SKILL_SCORES)}, received {score!r}")
    name = labels.crop(crop, lang).capitalize()
    synthetic = isinstance(rows, (Path, str)) and Path(rows).name.startswith("synthetic-")
    pooled = pool_by_lead(_backtest_rows(Path(rows)) if isinstance(rows, (Path, str)) else rows, crop)
    if not any(row[score] is not None for row in pooled):
        raise MissingDataError(
            f"no {score} of {crop!r} in the backtest", "Give the rows of a backtest of this crop."
        )
    figure = new_figure((7.2, 4.2))
    axes = figure.add_subplot()
    draw_skill(axes, pooled, score, lang)
    years = number_spans(year for row in pooled for year in row["harvest_years"])
    title = f"{_word('skill', lang, crop=name)}, {_word('years', lang, years=years)}"
    put_title(figure, labels.marked(title, synthetic, lang))
    model_legend(figure, axes, lang)
    return figure


def model_legend(figure: Figure, axes: Axes, lang: str, columns: int = 3) -> None:
    """Names of the models of `draw_skill` below the panels, for readers; an unknown model keeps its name."""
    lines, models = axes.get_legend_handles_labels()
    names = [labels.model(model, lang) for model in models]
    figure.legend(lines, names, loc="outside lower center", ncols=columns, frameon=False, fontsize=9)


def _backtest_rows(path: Path) -> list[Mapping[str, Any]]:
    hint = "Give a file that `yieldcast backtest --json FILE` wrote."
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise MissingDataError(f"cannot read {path}: {error.strerror or error}", hint) from None
    except ValueError as error:
        raise SchemaError(f"{path} is not JSON: {error}", hint) from None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise SchemaError(f"{path}: expected a list of rows, received {type(rows).__name__}", hint)
    return rows


def place(forecast: xr.Dataset, store: Store, municipality: int | str, lang: str = "en") -> Figure:
    """Past yields of a municipality beside its forecast (50, 80 and 90 % intervals) and its baselines.

    Args:
        forecast: of `yieldcast.forecast`.
        store: has the yields; those that were not public on the date of the forecast are drawn hollow.
        municipality: its code, or its name where only one municipality of the forecast has it.
        lang: language.

    Raises:
        ConfigError: no such municipality in the forecast, several of this name, another language, or
            matplotlib is not installed.
        SchemaError: a table that is not a forecast.
        MissingDataError: the store has no yields.
    """
    row = check_forecast(forecast).isel(municipality=position(forecast, municipality))
    about, year = forecast.attrs, int(forecast.attrs["harvest_year"])
    figure = new_figure((8.0, 4.6))
    axes = figure.add_subplot()
    axes.use_sticky_edges = False  # a margin below the lowest bar
    _past(axes, row, store, lang)
    quantiles = dict(zip(QUANTILES, row["yield_kg_ha"].values.tolist(), strict=True))
    for k, (low, high, colour) in enumerate(_FAN):
        axes.bar(year, quantiles[high] - quantiles[low], 0.7, quantiles[low], color=colour, zorder=2 + k,
                 label=_word("interval", lang, share=language.of(lang).percent(high - low)))  # fmt: skip
    axes.hlines(quantiles[0.5], year - 0.35, year + 0.35, color="#08306b", linewidth=2.5, zorder=6,
                label=_word("median", lang))  # fmt: skip
    for k, (key, name, colour, marker) in enumerate(_BASELINES):
        if np.isfinite(row[name]):
            axes.plot(year + 0.6 + 0.25 * k, float(row[name]), marker, color=colour, markersize=6, zorder=6,
                      label=labels.model(key, lang))  # fmt: skip
    if np.isfinite(row["low_threshold_kg_ha"]):
        axes.axhline(float(row["low_threshold_kg_ha"]), color="0.5", linewidth=1, linestyle=":", zorder=1,
                     label=labels.column("low_limit_kg_ha", lang))  # fmt: skip
    axes.set(xlabel=_word("harvest_year", lang), ylabel=_word("yield", lang))
    axes.yaxis.set_major_formatter(lambda number, _: language.of(lang).number(number))
    name = f"{row['name'].item()} ({row['state'].item()})"
    put_title(figure, f"{name}\n{labels.title(labels.facts(forecast), lang)}")
    figure.legend(loc="outside right upper", frameon=False, fontsize=8)
    notes = [] if bool(row["own_history"]) else [_word("state_baselines", lang)]
    put_footer(figure, [*notes, str(about["attribution"])])
    return figure


def _past(axes: Axes, row: xr.Dataset, store: Store, lang: str) -> None:
    """Yields of the store, public ones filled, later ones hollow."""
    from matplotlib.ticker import MaxNLocator

    yields, about = store.yields, row.attrs
    years, values = np.empty(0, dtype=np.int64), np.empty(0)
    if about["crop"] in yields["crop"].values and row["municipality"].item() in yields["municipality"].values:
        table = yields["yield_kg_ha"].sel(crop=about["crop"], municipality=row["municipality"].item())
        table = table.sortby("harvest_year").dropna("harvest_year")
        years, values = table["harvest_year"].values.astype(np.int64), table.values
    public = years <= int(about["last_public_harvest_year"])
    day = language.of(lang).date(np.datetime64(about["as_of"]).item())
    for chosen, key, face in ((public, "public", "black"), (~public, "later", "white")):
        if chosen.any():
            axes.plot(years[chosen], values[chosen], "o-" if key == "public" else "o", color="black",
                      markerfacecolor=face, markersize=5, linewidth=1, zorder=7,
                      label=_word(key, lang, date=day))  # fmt: skip
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def learning_curves(run: Run, lang: str = "en") -> Figure:
    """Loss per epoch of every member of a run on its training rows and its validation rows.

    The median is drawn while all members train: after that it would be one of other members.

    Args:
        run: with a finished member or more.
        lang: language.

    Raises:
        RunError: no finished member, or a history that cannot be read.
        ConfigError: another language, or matplotlib is not installed.
    """
    from matplotlib.lines import Line2D
    from matplotlib.ticker import MaxNLocator

    curves = _histories(run)
    best = [(int(record["best_epoch"]), float(record["best_validation_loss"])) for record in run.records()]
    figure = new_figure((9.0, 4.2))
    panels = figure.subplots(1, 2, sharey=True)
    for axes, column in zip(panels, ("loss", "val_loss"), strict=True):
        lines = [curve[column] for curve in curves]
        for line in lines:
            axes.plot(np.arange(1, len(line) + 1), line, color="#0072B2", linewidth=0.7, alpha=0.35)
        shared = min(len(line) for line in lines)
        median = np.median([line[:shared] for line in lines], axis=0)
        axes.plot(np.arange(1, shared + 1), median, color="black", linewidth=2)
        axes.set(xlabel=_word("epoch", lang), ylabel=_word(column, lang, loss=run.settings.training.loss))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    panels[1].plot(*zip(*best, strict=True), "o", color="#D55E00", markersize=4)
    keys = [
        Line2D([], [], color="#0072B2", linewidth=0.7, label=_word("member", lang)),
        Line2D([], [], color="black", linewidth=2, label=_word("median_member", lang)),
        Line2D([], [], color="#D55E00", marker="o", linestyle="", markersize=4, label=_word("best", lang)),
    ]
    figure.legend(handles=keys, loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    title = _word("curves", lang, crop=labels.crop(run.identity.crop, lang).capitalize(), n=len(curves))
    years = _word("years", lang, years=number_spans(run.identity.train_years))
    put_title(figure, labels.marked(f"{title}, {years}", run.identity.synthetic, lang))
    return figure


def _histories(run: Run) -> list[dict[str, Floats]]:
    """Columns of the history of every finished member, an element per epoch."""
    if not run.seeds():
        raise RunError(f"{run.path} has no finished member", "Train it first: yieldcast train ... --out RUN")
    curves = []
    for seed in run.seeds():
        path = run.history_path(seed)
        try:
            with open(path, encoding="utf-8", newline="") as file:
                rows = list(csv.DictReader(file))
            curve = {name: np.array([float(row[name]) for row in rows]) for name in ("loss", "val_loss")}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RunError(f"{path} cannot be read: {error!r}", "Train the member again.") from None
        if not rows:
            raise RunError(f"{path} has no epochs", "Train the member again.")
        curves.append(curve)
    return curves
