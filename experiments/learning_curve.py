"""Learning curve: what the response network adds to the water response, by years of training.

Every test year is forecast from other years (leave-year-out): the water response alone, the response network,
the same network without its linear path, and boosted trees on the same inputs, all trained on the same 4 to
30 harvest years. The synthetic country has 36 harvest years and a known truth; a store has the years that it
has. The dual-path network of `yieldcast train` is scored on the synthetic country only.

    python experiments/learning_curve.py --synthetic --seeds 10
    python experiments/learning_curve.py --store STORE --crop soybean --seeds 30 --years 3,5,8 \\
        --note experiments/results/accuracy-data.txt

Every call adds its rows to learning-curve.json and writes learning-curve.md from all rows. Cases that are
there already are not computed again, so that a call that was stopped can be continued.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from results_file import heading, markdown_table, write
from yieldcast import FORECAST_SETTINGS, Store, train_run
from yieldcast.cli.terminal import short_errors
from yieldcast.data import synthetic
from yieldcast.data.files import atomic_text, make_folder
from yieldcast.data.store import Tables
from yieldcast.features.season_dates import calendar_for
from yieldcast.features.source import build_samples
from yieldcast.forecasting.evidence import crop_evidence, evidence_of
from yieldcast.forecasting.expected import FAR, CropEvidence
from yieldcast.forecasting.network_response import response_evidence
from yieldcast.models.dual_path import predict
from yieldcast.training.response import ResponseRows, train_response

Floats = NDArray[np.float64]
Content = dict[str, Any]  # of learning-curve.json: notes by data, commands, rows

FIRST_YEAR, YEARS, PLACES, SEED = 1978, 41, 100, 3  # of the synthetic country
EVERY = 6  # each sixth usable year of the synthetic country is a test year
DRAWS = {4: 3, 8: 2}  # sets of training years that are drawn where there are few years; else one
DRY = 0.10  # part of the municipalities of a test year with the lowest water index that is scored by itself
MEMBERS = (1, 3, 10, 30)
MEMBERS_MODEL = "response network, mean over disjoint sets of members"
DUAL_PATH_SEEDS = range(1, 5)
MODELS = (
    "level_trend", "level_trend+water", "response network", "network without linear path",
    "boosted trees", "water+boosted trees", "dual-path network", "truth",
)  # fmt: skip


@dataclass(frozen=True)
class Case:
    """One training.

    Args:
        data: name of the data.
        train, test: harvest years.
        draw: number of the draw of training years.
        month: of the harvest year; forecasts are made on the 15th.
    """

    data: str
    train: tuple[int, ...]
    test: tuple[int, ...]
    draw: int
    month: int

    def about(self) -> dict[str, Any]:
        """What its rows have in common."""
        return {"data": self.data, "years": len(self.train), "draw": self.draw, "test": list(self.test)}


def boosted(rows: ResponseRows, remainder: bool, seed: int = 1) -> Any:
    """Boosted trees on the network's inputs; they predict the departure of the yield, or what the water
    response leaves of it."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    linear = own_linear(rows)
    trees = HistGradientBoostingRegressor(
        learning_rate=0.05, max_iter=150, max_leaf_nodes=15, min_samples_leaf=40, l2_regularization=10.0,
        max_features=0.5, random_state=seed,
    )  # fmt: skip
    target = rows.target - linear if remainder else rows.target
    return trees.fit(columns(rows.weather, rows.place, linear), target, sample_weight=1.0 / rows.variance)


def own_linear(rows: ResponseRows) -> Floats:
    """(row,) water response of every row, fitted without the row's year."""
    found = np.empty(len(rows.target))
    for year in rows.years:
        mine = rows.year == year
        found[mine] = rows.linear[year][mine]
    return found


def columns(weather: Floats, place: Floats, linear: Floats) -> Floats:
    """(row, feature) all inputs side by side."""
    return np.column_stack([weather.reshape(len(weather), -1), place, linear])


def without_linear(rows: ResponseRows) -> ResponseRows:
    """The same rows, whose linear path is 0."""
    return replace(rows, linear={year: np.zeros(len(rows.target)) for year in rows.years})


def scored(evidence: CropEvidence, case: Case, seeds: Sequence[int]) -> Iterator[dict[str, Any]]:
    """Rows of one training: every model on every test year."""
    known = response_evidence(evidence, case.train, case.train, evidence.units(FAR))
    units = known.units
    rows = known.rows()
    members = train_response(rows, seeds)
    plain = train_response(without_linear(rows), seeds[:10])
    trees, remainder = boosted(rows, False), boosted(rows, True)
    for year in case.test:
        date = dt.date(year, case.month, 15)
        expected = evidence.expected(year, date, case.train, case.train)
        weather, place, linear = known.inputs(expected, year, known.season(date))
        features = columns(weather, place, linear)

        def whole(values: Floats, line: Floats = expected.level_trend) -> Floats:
            return line + units.to_municipalities(values * known.mean_yield)

        zero = np.zeros_like(linear)
        found = {
            "level_trend": expected.level_trend, "level_trend+water": whole(linear),
            "network without linear path": whole(plain.predict(weather, place, zero).mean(axis=0)),
            "boosted trees": whole(trees.predict(features)),
            "water+boosted trees": whole(linear + remainder.predict(features)),
        }  # fmt: skip
        each = members.predict(weather, place, linear)
        found["response network"] = whole(each.mean(axis=0))
        head = {**case.about(), "harvest_year": year, "epochs": members.epochs, "seeds": len(seeds)}
        for name, values in found.items():
            yield {**head, "model": name, **errors(evidence, year, values, expected.departure)}
        for number in MEMBERS:
            sets = [each[k : k + number].mean(axis=0) for k in range(0, len(seeds) - number + 1, number)]
            if sets:
                rmse = [errors(evidence, year, whole(one), expected.departure)["rmse"] for one in sets]
                yield {**head, "model": MEMBERS_MODEL, "members": number, "rmse": float(np.mean(rmse))}


def errors(evidence: CropEvidence, year: int, forecast: Floats, departure: Floats) -> dict[str, Any]:
    """RMSE of all municipalities with a yield, and of the driest of them."""
    error = forecast - evidence.yields[:, evidence.column(year)]
    known = np.isfinite(error)
    dry = known & (departure <= np.quantile(departure[known], DRY))
    return {
        "n": int(known.sum()), "rmse": float(np.sqrt(np.mean(error[known] ** 2))),
        "rmse_dry": float(np.sqrt(np.mean(error[dry] ** 2))),
    }  # fmt: skip


def synthetic_cases(evidence: CropEvidence, sizes: Sequence[int]) -> list[Case]:
    """Every sixth year is tested; the training years are drawn from the others."""
    years = evidence.weather_years()
    test = tuple(years[EVERY // 2 :: EVERY])
    pool = [year for year in years if year not in test]
    return [
        Case("synthetic", drawn(pool, size, draw), test, draw, 6)
        for size in sizes
        for draw in range(DRAWS.get(size, 1))
    ]


def store_cases(evidence: CropEvidence, data: str, sizes: Sequence[int], tested: Sequence[int]) -> list[Case]:
    """Every year is tested, with training years drawn from all others."""
    years = evidence.weather_years()
    return [
        Case(data, drawn([other for other in years if other != year], size, year), (year,), 0, 3)
        for size in sizes
        for year in tested
    ]


def drawn(years: Sequence[int], size: int, draw: int) -> tuple[int, ...]:
    """Some of the years, the same ones whatever else is computed in the same call."""
    rng = np.random.default_rng([SEED, size, draw])
    return tuple(sorted(rng.choice(years, min(size, len(years)), replace=False).tolist()))


def synthetic_references(
    evidence: CropEvidence, tables: Tables, cases: Sequence[Case]
) -> Iterator[dict[str, Any]]:
    """The dual-path network of `yieldcast train` on the first draw of each size, and the known truth."""
    truth = synthetic.true_response(tables)["expected_yield_kg_ha"].values[0]
    calendar = calendar_for(FORECAST_SETTINGS.data, tables.static)
    with tempfile.TemporaryDirectory() as folder:
        store = Store.write(Path(folder) / "store", tables, {})
        for case in cases:
            if case.draw:
                continue
            out = Path(folder) / str(len(case.train))
            run = train_run(store, "soybean", case.train, DUAL_PATH_SEEDS, out, FORECAST_SETTINGS)
            members = [run.load_member(seed) for seed in run.seeds()]
            for year in case.test:
                rows, _ = build_samples(tables, calendar, "soybean", [year], FORECAST_SETTINGS.data)
                values = np.full(len(evidence.yields), np.nan)
                at = np.searchsorted(tables.static["municipality"].values, rows.municipality)
                values[at] = np.mean([predict(member, rows) for member in members], axis=0)
                date = dt.date(year, case.month, 15)
                dry = evidence.expected(year, date, case.train, case.train).departure
                head = {**case.about(), "harvest_year": year, "epochs": 0, "seeds": len(members)}
                known = truth[:, evidence.column(year)]
                for name, forecast in (("dual-path network", values), ("truth", known)):
                    yield {**head, "model": name, **errors(evidence, year, forecast, dry)}


def curve(rows: Sequence[dict[str, Any]], score: str) -> str:
    """RMSE by years of training: a row per model; the mean over test years and draws."""
    sizes = sorted({row["years"] for row in rows})
    lines = []
    for model in MODELS:
        cells = []
        for size in sizes:
            mine = [r[score] for r in rows if r["model"] == model and r["years"] == size]
            cells.append(f"{np.mean(mine):.1f}" if mine else "-")
        if set(cells) != {"-"}:
            lines.append([model, *cells])
    return markdown_table(["trained on", *(f"{size} years" for size in sizes)], lines)


def members_table(rows: Sequence[dict[str, Any]]) -> str:
    """RMSE of the response network by the number of members, mean over disjoint sets of members."""
    sizes = sorted({row["years"] for row in rows})
    lines = []
    for number in MEMBERS:
        cells = []
        for size in sizes:
            mine = [r["rmse"] for r in rows if r.get("members") == number and r["years"] == size]
            cells.append(f"{np.mean(mine):.1f}" if mine else "-")
        lines.append([str(number), *cells])
    return markdown_table(["members", *(f"{size} years" for size in sizes)], lines)


def document(content: Content, reading: str) -> list[str]:
    """The parts of learning-curve.md."""
    rows, notes = content["rows"], content["notes"]
    earlier = [command for command in content["commands"] if command != this_command()]
    parts = heading("Learning curve of the response network", *earlier)
    parts.append(
        "RMSE in kg/ha, mean over test years; every municipality with a yield is scored. The response "
        "network has the largest number of members of its table, without its linear path 10."
    )
    for data in dict.fromkeys(row["data"] for row in rows):
        mine = [row for row in rows if row["data"] == data]
        tested = sorted({row["harvest_year"] for row in mine})
        title = f"## {data}, harvest years {', '.join(map(str, tested))} left out"
        parts += [
            title, *filter(None, [notes.get(data)]), curve(mine, "rmse"),
            f"### The driest {100 * DRY:.0f} % of the municipalities of each test year",
            curve(mine, "rmse_dry"), "### By number of members", members_table(mine),
        ]  # fmt: skip
    return [*parts, READING, *filter(None, [reading])]


READING = "## Reading"  # text below it was written by a person and is kept
NOTES = {
    "synthetic": f"A country of {PLACES} municipalities, each with its own weather, without daily values "
    "(days are made from months); whole seasons known. `truth` is the known response, which no model can "
    "beat by skill."
}


def this_command() -> str:
    """The command of this call, as `heading` writes it."""
    return f"python {' '.join(sys.argv)}"


def save(folder: Path, content: Content) -> None:
    """Write both files."""
    page = folder / "learning-curve.md"
    written = page.read_text(encoding="utf-8") if page.is_file() else ""
    make_folder(folder)
    atomic_text(folder / "learning-curve.json", json.dumps(content, indent=1, allow_nan=False) + "\n")
    write(page, document(content, written.partition(READING)[2].strip()))


def options() -> argparse.Namespace:
    """The options of this call."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    add = parser.add_argument
    add("--store", type=Path)
    add("--crop", default="soybean")
    add("--synthetic", action="store_true", help="the synthetic country in place of a store")
    add("--years", default="4,8,15,30", help="numbers of training years")
    add("--tested", default="2011,2012,2013,2014,2015,2016,2017,2018", help="test years of a store")
    add("--seeds", type=int, default=10)
    add("--note", type=Path, help="text file: what a reader must know of the store's data")
    add("--write", type=Path, default=Path("experiments/results"))
    given = parser.parse_args()
    if given.synthetic == (given.store is not None):
        parser.error("expected one of --store and --synthetic")
    return given


def main() -> None:
    """Compute the cases that are missing, then write both files."""
    given = options()
    sizes = [int(size) for size in given.years.split(",")]
    content: Content = {"notes": NOTES, "commands": [], "rows": []}
    if (file := given.write / "learning-curve.json").is_file():
        content = json.loads(file.read_text(encoding="utf-8"))
    rows, notes = content["rows"], content["notes"]
    if this_command() not in content["commands"]:
        content["commands"].append(this_command())
    if given.synthetic:
        tables = synthetic.country(SEED, PLACES, FIRST_YEAR, YEARS)
        calendar = calendar_for(FORECAST_SETTINGS.data, tables.static)
        evidence = crop_evidence(tables, "soybean", calendar, FORECAST_SETTINGS)
        cases = synthetic_cases(evidence, sizes)
    else:
        store, name = Store.open(given.store), f"{given.crop}, 15 March"
        evidence = evidence_of(
            store, given.crop, calendar_for(FORECAST_SETTINGS.data, store.static), FORECAST_SETTINGS
        )
        cases = store_cases(evidence, name, sizes, [int(year) for year in given.tested.split(",")])
        if given.note:
            notes[name] = given.note.read_text(encoding="utf-8").strip()
    done = {(r["data"], r["years"], r["draw"], tuple(r["test"])) for r in rows}
    for case in cases:
        if (case.data, len(case.train), case.draw, case.test) not in done:
            rows += scored(evidence, case, range(1, given.seeds + 1))
            save(given.write, content)
    if given.synthetic:
        known = {row["years"] for row in rows if row["model"] == "truth"}
        rows += synthetic_references(evidence, tables, [c for c in cases if len(c.train) not in known])
    save(given.write, content)
    print(f"written: {given.write / 'learning-curve.md'}")


if __name__ == "__main__":
    with short_errors():
        main()
