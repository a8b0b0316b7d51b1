"""What each ingredient of a forecast is worth on past harvest years, by date, level and protocol.

For every date the baseline `level_trend` is made, then the water balance, the official estimates
(`posterior`) and the boosted trees (`posterior+trees`) are added, each from the data public on that date. The
network has no part in it: `yieldcast backtest` scores the forecast with its network. Protocols: ``forward``
and ``leave_year_out``, see `yieldcast.forecasting.protocol`.

    python experiments/accuracy.py --store STORE --crop soybean --crop corn \\
        --note experiments/results/accuracy-data.txt

The store needs yields and official estimates and, better, daily weather. Writes accuracy.json (a row per
crop, level, protocol, date, harvest year and model) and accuracy.md. With `--keep FOLDER` an interrupted run
goes on where it was.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from results_file import heading, markdown_table, write
from yieldcast import FORECAST_SETTINGS, Store
from yieldcast.cli.terminal import short_errors
from yieldcast.data.files import atomic_text, make_folder
from yieldcast.evaluation.metrics import crps
from yieldcast.features.season_dates import calendar_for
from yieldcast.forecasting.combination import Combination, Combiner
from yieldcast.forecasting.evidence import evidence_of
from yieldcast.forecasting.expected import CropEvidence
from yieldcast.forecasting.protocol import Name
from yieldcast.forecasting.table import ALL_MUNICIPALITIES, QUANTILES
from yieldcast.models.sharing import state_mean

Floats = NDArray[np.float64]
# The settings of forecasts with the true release days of municipal yields.
SETTINGS = FORECAST_SETTINGS.model_copy(
    update={"data": FORECAST_SETTINGS.data.model_copy(update={"yield_releases": "pam"})}
)
# Months of the harvest year, October of the year before first; forecasts are made on the 15th.
MONTHS = ((-1, 10), (0, 1), (0, 2), (0, 3), (0, 4), (0, 6))
YEARS: dict[Name, range] = {"forward": range(2014, 2019), "leave_year_out": range(2011, 2019)}
DROUGHT = 2012  # shown alone: the only southern drought in the daily weather
WHOLE = "posterior+trees"  # the forecast without its network; the only model with intervals


def cases(crop: str) -> list[tuple[str, Name, int, dt.date]]:
    """Crop, protocol, harvest year and date of every forecast."""
    return [
        (crop, protocol, year, dt.date(year + before, month, 15))
        for protocol, years in YEARS.items()
        for year in years
        for before, month in MONTHS
    ]


def forecasts(
    combiner: Combiner, year: int, date: dt.date
) -> tuple[dict[str, Floats], Combination, dict[str, Floats]]:
    """Yields by model (municipality,), the calibrated forecast, and state yields by model."""
    evidence = combiner.evidence
    line, _, last = evidence.expected_line(year, date)
    found, plain, whole = combiner.without_network(), combiner.without_trees, combiner.expected
    mean = five_year_mean(evidence, last)
    models = {
        "mean_5y_public": mean,
        "official": mean * evidence.official_factor(year, date),
        "level_trend": line,
        "level_trend+water": plain.without_official,
        "posterior": plain.forecast,
        WHOLE: whole.forecast,
    }
    area = evidence.newest_area(last)
    states = {name: state_mean(values, area, evidence.places) for name, values in models.items()}
    states |= {"posterior": plain.posterior.mean, WHOLE: whole.posterior.mean}
    states["official_estimate"] = evidence.estimates.newest(year, date).yield_kg_ha
    return models, found, states


def five_year_mean(evidence: CropEvidence, last: int) -> Floats:
    """Mean of five public years; the state's, then the country's, where a municipality has none."""
    window = evidence.yields[:, max(evidence.column(last) - 4, 0) : evidence.column(last) + 1]
    known = np.isfinite(window)
    own = np.where(known, window, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    own = np.where(known.any(axis=1), own, np.nan)
    places = evidence.places
    count = places.total(np.isfinite(own).astype(float))
    state = places.total(np.nan_to_num(own)) / np.maximum(count, 1.0)
    state = np.where(count > 0, state, np.nanmean(own))
    return np.where(np.isfinite(own), own, state[places.state])


def scores(
    about: dict[str, Any], forecast: Floats, truth: Floats, area: Floats, quantiles: Floats | None = None,
    scatter: Floats | None = None,
) -> dict[str, Any]:  # fmt: skip
    """A row of accuracy.json; what does not exist for a model is None."""
    error = forecast - truth
    weight = np.where(np.isfinite(area), area, 0.0)
    row = {
        **about, "n": len(truth), "rmse": float(np.sqrt(np.mean(error**2))),
        "rmse_area_weighted": float(np.sqrt(np.average(error**2, weights=weight))) if weight.sum() else None,
        "bias": float(error.mean()), "below_median": None, "coverage_90": None, "width_90": None,
        "crps": None, "coverage_90_by_scatter": None,
    }  # fmt: skip
    if quantiles is not None:
        low, median, high = (quantiles[:, QUANTILES.index(level)] for level in (0.05, 0.50, 0.95))
        inside = (truth >= low) & (truth <= high)
        row |= {
            "below_median": float((truth < median).mean()), "coverage_90": float(inside.mean()),
            "width_90": float((high - low).mean()), "crps": float(crps(quantiles, truth).mean()),
        }  # fmt: skip
        if scatter is not None:
            thirds = np.array_split(np.argsort(scatter, kind="stable"), 3)
            row["coverage_90_by_scatter"] = [float(inside[third].mean()) for third in thirds]
    return row


def rows_of(
    evidence: CropEvidence, codes: NDArray[np.int32], case: tuple[str, Name, int, dt.date]
) -> Iterator[dict[str, Any]]:
    """All rows of one forecast: municipalities, states, country."""
    crop, protocol, year, date = case
    combiner = Combiner(evidence, codes, year, date, protocol)
    models, found, states = forecasts(combiner, year, date)
    column = evidence.column(year)
    truth, area = evidence.yields[:, column], evidence.area[:, column]
    known = np.isfinite(truth)
    about = {"crop": crop, "protocol": protocol, "as_of": date.isoformat(), "harvest_year": year}
    for name, values in models.items():
        head = {**about, "level": "municipality", "model": name}
        spread = (found.quantiles[known], combiner.expected.noise_sd[known]) if name == WHOLE else ()
        yield scores(head, values[known], truth[known], area[known], *spread)
    of_state = state_mean(truth, area, evidence.places)
    size = evidence.places.total(np.where(known & np.isfinite(area), area, 0.0))
    for name, values in states.items():
        scored = np.isfinite(values) & np.isfinite(of_state)
        if scored.any():
            head = {**about, "level": "state", "model": name}
            yield scores(head, values[scored], of_state[scored], size[scored])
        grown = np.isfinite(of_state) & (size > 0)
        if grown.any() and np.isfinite(values[grown]).all():
            head = {**about, "level": "country", "model": name}
            whole, country = (np.average(x[grown], weights=size[grown]) for x in (values, of_state))
            quantiles = found.aggregates[ALL_MUNICIPALITIES][None] if name == WHOLE else None
            yield scores(head, np.array([whole]), np.array([country]), np.ones(1), quantiles)


def kept_rows(
    folder: Path | None, evidence: CropEvidence, codes: NDArray[np.int32],
    case: tuple[str, Name, int, dt.date],
) -> list[dict[str, Any]]:  # fmt: skip
    """`rows_of`, read from the folder where a run before has written them."""
    if folder is None:
        return list(rows_of(evidence, codes, case))
    file = folder / ("-".join(map(str, case)) + ".json")
    if not file.is_file():
        atomic_text(file, json.dumps(list(rows_of(evidence, codes, case)), allow_nan=False))
    rows: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))
    return rows


def table(rows: Sequence[dict[str, Any]], crop: str, level: str, protocol: str, score: str) -> str:
    """Mean over the harvest years of a score, a row per model and a column per date."""
    mine = [r for r in rows if (r["crop"], r["level"], r["protocol"]) == (crop, level, protocol)]
    return markdown_table(["model", *_month_names()], _lines(mine, score))


def drought_table(rows: Sequence[dict[str, Any]], crop: str) -> str:
    """RMSE of the drought year alone."""
    mine = [
        r for r in rows
        if (r["crop"], r["level"], r["protocol"], r["harvest_year"])
        == (crop, "municipality", "leave_year_out", DROUGHT)
    ]  # fmt: skip
    return markdown_table(["model", *_month_names()], _lines(mine, "rmse"))


def interval_table(rows: Sequence[dict[str, Any]], crop: str, protocol: Name) -> str:
    """Coverage by year and by third of scatter, width and share below the median, a row per date."""
    lines = []
    for (_, month), name in zip(MONTHS, _month_names(), strict=True):
        mine = [
            r for r in rows
            if (r["crop"], r["level"], r["protocol"], r["model"]) == (crop, "municipality", protocol, WHOLE)
            and int(r["as_of"][5:7]) == month
        ]  # fmt: skip
        covered = " / ".join(f"{100 * r['coverage_90']:.0f}" for r in mine)
        thirds = np.mean([r["coverage_90_by_scatter"] for r in mine], axis=0)
        by_scatter = " / ".join(f"{100 * third:.0f}" for third in thirds)
        width, below = (np.mean([r[key] for r in mine]) for key in ("width_90", "below_median"))
        lines.append([name, covered, by_scatter, f"{width:.0f}", f"{100 * below:.0f}"])
    years = YEARS[protocol]
    heads = [
        "as of", f"covered, % ({years[0]} to {years[-1]})", "by third of scatter (low to high), %",
        "mean width, kg/ha", "below the median, %",
    ]  # fmt: skip
    return markdown_table(heads, lines)


def _month_names() -> list[str]:
    return [dt.date(2000, month, 15).strftime("%d %b") for _, month in MONTHS]


def _lines(rows: Sequence[dict[str, Any]], score: str) -> list[list[str]]:
    lines = []
    for model in dict.fromkeys(row["model"] for row in rows):
        cells = []
        for _, month in MONTHS:
            found = [r[score] for r in rows if r["model"] == model and int(r["as_of"][5:7]) == month]
            known = [value for value in found if value is not None]
            cells.append(f"{np.mean(known):.0f}" if known else "-")
        lines.append([model, *cells])
    return lines


def document(given: argparse.Namespace, rows: Sequence[dict[str, Any]]) -> list[str]:
    """The parts of accuracy.md."""
    parts = heading("Accuracy by ingredient, date and protocol")
    parts.append("Errors in kg/ha, means over the harvest years; every municipality with a yield is scored.")
    parts.append(given.note.read_text(encoding="utf-8").strip())
    forward, left_out = (f"{name.replace('_', ' ')} {y[0]}-{y[-1]}" for name, y in YEARS.items())
    for crop in given.crop:
        parts += [
            f"## {crop}, municipalities, {forward}: RMSE",
            table(rows, crop, "municipality", "forward", "rmse"),
            f"## {crop}, municipalities, {forward}: RMSE weighted by area",
            table(rows, crop, "municipality", "forward", "rmse_area_weighted"),
            f"## {crop}, municipalities, {left_out}: RMSE",
            table(rows, crop, "municipality", "leave_year_out", "rmse"),
            f"## {crop}, municipalities, {DROUGHT} alone, left out: RMSE",
            drought_table(rows, crop),
            f"## {crop}, states, {forward}: RMSE weighted by area",
            table(rows, crop, "state", "forward", "rmse_area_weighted"),
            f"## {crop}, municipalities, 90 % intervals of {WHOLE}, {forward}",
            interval_table(rows, crop, "forward"),
            f"## {crop}, municipalities, 90 % intervals of {WHOLE}, {left_out}",
            interval_table(rows, crop, "leave_year_out"),
        ]
    return parts


def main() -> None:
    """Score every crop, then write both files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    add = parser.add_argument
    add("--store", type=Path, required=True)
    add("--crop", action="append", required=True, help="may be given several times")
    add("--note", type=Path, required=True, help="text file: what a reader must know of the data")
    add("--keep", type=Path, help="folder for the rows of each forecast")
    add("--write", type=Path, default=Path("experiments/results"))
    given = parser.parse_args()
    store = Store.open(given.store)
    codes = store.static["municipality"].values
    calendar = calendar_for(SETTINGS.data, store.static)
    rows: list[dict[str, Any]] = []
    if given.keep is not None:
        make_folder(given.keep)
    for crop in given.crop:
        evidence = evidence_of(store, crop, calendar, SETTINGS)
        for case in track(cases(crop), description=crop):
            rows += kept_rows(given.keep, evidence, codes, case)
    make_folder(given.write)
    atomic_text(given.write / "accuracy.json", json.dumps(rows, indent=1, allow_nan=False) + "\n")
    print(f"written: {write(given.write / 'accuracy.md', document(given, rows))}")


if __name__ == "__main__":
    with short_errors():
        main()
