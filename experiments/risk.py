"""Will a yield be low? Scores of the classes that forecasts give, beside classifiers, on past harvest years.

Takes the forecasts of backtests (`yieldcast backtest`, all crops in one folder), trains the classifiers as
of each date, and writes risk.json (all scores) and risk.md. Dates that were scored are kept in the folder: a
call that was stopped goes on.

    for crop in soybean corn; do
      yieldcast backtest --store STORE --crop $crop --out WORK --test-years 2014:2018 --dates 02-15,04-15 \\
          --seeds 0
    done
    python experiments/risk.py --store STORE --folder WORK --note experiments/results/risk-data.txt

`--vegetation STORE` names a store of the same tables with vegetation; the classifiers are then also trained
with and without it, on the places that have it.
"""

from __future__ import annotations

import argparse
import datetime as dt
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from results_file import heading, markdown_table, write
from yieldcast import language
from yieldcast.cli.terminal import short_errors
from yieldcast.comparison.compare import compare
from yieldcast.comparison.sources import Source
from yieldcast.comparison.verdict import verdict_text
from yieldcast.config import read_settings
from yieldcast.data.files import atomic_text, make_folder
from yieldcast.data.store import Store
from yieldcast.evaluation.class_scores import Case, ClassTest, RiskScores, Spread, run_class_test
from yieldcast.evaluation.score_rows import (
    CLASS,
    FORECAST,
    PROBABILITIES,
    QUANTILE_COLUMNS,
    TRUTH,
    read_rows,
)
from yieldcast.evaluation.skill import CLIMATOLOGY, FORECAST_MODEL
from yieldcast.risk.classifiers import SearchSettings
from yieldcast.risk.decisions import Costs
from yieldcast.risk.search_spaces import CLASSIFIERS, DUMMY

RATIOS = (1.0, 2.0, 5.0, 10.0)  # cost of a miss over that of a false alarm
SHOWN = (
    ("accuracy", 2), ("macro_f1", 3), ("brier", 3), ("reliability", 3), ("resolution", 3),
    ("reliability_slope", 2), ("roc_area", 2), ("pr_area", 2), ("recall_at_rate", 2),
)  # fmt: skip
YIELD_MODELS = ("level_trend", "boosted_history_public")


class Forecasts:
    """The forecasts that a backtest kept."""

    def __init__(self, rows: pd.DataFrame) -> None:
        mine = rows[rows["model"] == FORECAST_MODEL]
        self.parts = {
            (int(year), dt.date.fromisoformat(date)): part.sort_values("municipality")
            for (year, date), part in mine.groupby(["harvest_year", "as_of"])
        }

    def spread(self, year: int, date: dt.date) -> Spread:
        """The forecast of one date."""
        part = self.parts[year, date]
        return Spread(
            part["municipality"].to_numpy().astype(np.int32), part[FORECAST].to_numpy(),
            part[list(QUANTILE_COLUMNS)].to_numpy(),
        )  # fmt: skip

    def marks(self, year: int, date: dt.date) -> Mapping[str, str]:
        """Fingerprint of one forecast and its harvest."""
        columns = ["municipality", TRUTH, FORECAST, *QUANTILE_COLUMNS]
        text = self.parts[year, date][columns].to_csv(index=False)
        return {"forecast": hashlib.sha256(text.encode()).hexdigest()}

    def cases(self, day: str = "") -> list[Case]:
        """Harvest years and dates, of one day of the year if it is given."""
        return [case for case in sorted(self.parts) if f"{case[1]:%m-%d}".startswith(day)]


def scored(given: argparse.Namespace, store: Store, rows: pd.DataFrame, **changed: Any) -> RiskScores:
    """Class scores of one crop."""
    crop, made = str(rows["crop"].iloc[0]), Forecasts(rows)
    settings = read_settings(given.config).for_country(store.country)
    search = SearchSettings(draws=given.draws, folds=given.folds, rows=given.search_rows)
    day = changed.pop("day", "")
    values: dict[str, Any] = {
        "classifiers": CLASSIFIERS, "search": search, "train_rows": given.train_rows, **changed
    }  # fmt: skip
    test = ClassTest(store, crop, settings, made.spread, made.marks, given.folder / "risk-scores", **values)
    return run_class_test(
        test, made.cases(day), progress=lambda done, total: print(f"{crop} {done} of {total}", flush=True)
    )


def short(found: RiskScores) -> list[dict[str, Any]]:
    """The scores for risk.json: four decimals, curves of all years together only."""
    curves = ("roc", "pr", "reliability_curve")
    rows = []
    for row in found.scores:
        kept = {k: v for k, v in row.items() if row["harvest_year"] is None or k not in curves}
        rows.append(json.loads(json.dumps(kept), parse_float=lambda text: round(float(text), 4)))
    return rows


def pooled(found: RiskScores, day: str) -> dict[str, dict[str, Any]]:
    """Scores over all years of a day, by model."""
    return {
        row["model"]: row for row in found.scores if row["harvest_year"] is None and row["day"] == day
    }  # fmt: skip


def number(value: float | None, digits: int) -> str:
    """As text; a dash for none."""
    return "–" if value is None else f"{value:.{digits}f}"


def model_tables(found: RiskScores, day: str) -> list[str]:
    """Pooled scores, and macro-F1 by year."""
    rows = pooled(found, day)
    heads = ["model", "rows", *(name for name, _ in SHOWN)]
    lines = [
        [model, str(row["n"]), *(number(row.get(name), digits) for name, digits in SHOWN)]
        for model, row in rows.items()
    ]
    years = sorted({row["harvest_year"] for row in found.scores} - {None})
    by_year = {(r["model"], r["harvest_year"]): r for r in found.scores if r["day"] == day}
    yearly = [
        [
            model,
            *(
                f"{number(by_year[model, y]['macro_f1'], 2)} / {number(by_year[model, y].get('brier'), 3)}"
                for y in years
            ),
        ]
        for model in rows
    ]
    return [
        markdown_table(heads, lines),
        "macro-F1 / Brier score of P(low), by harvest year:",
        markdown_table(["model", *map(str, years)], yearly),
    ]


def best_classifier(found: RiskScores, day: str) -> str:
    """The classifier with the highest pooled macro-F1: known only afterwards, so an upper bound."""
    rows = pooled(found, day)
    return max(CLASSIFIERS, key=lambda name: float(rows[name]["macro_f1"]))


def sentence(rows: pd.DataFrame, a: str, b: str) -> str:
    """The verdict of `yieldcast compare` on two models of the same rows."""
    one, other = (Source(Path(name), name, rows[rows["model"] == name], False) for name in (a, b))
    return verdict_text(compare(one, other).verdict, language.of("en"))


def of_day(rows: pd.DataFrame, day: str) -> pd.DataFrame:
    """The rows of one day of the year."""
    return rows[rows["as_of"].str.endswith(day)]


def cost_table(found: RiskScores, day: str) -> str:
    """Mean cost of flags by P(low) for each place, in units of a false alarm."""
    rows = of_day(found.rows, day)
    heads = ["cost of a miss", "flag none", "flag all", *dict.fromkeys(rows["model"])]
    lines = []
    for ratio in RATIOS:
        costs = Costs(miss=ratio, alarm=1.0)
        cells = []
        for model in heads[3:]:
            mine = rows[rows["model"] == model]
            low, p_low = (mine[CLASS] == "low").to_numpy(), mine[PROBABILITIES[0]].to_numpy()
            flagged = costs.flags(p_low)
            cells.append(number(float((ratio * (low & ~flagged) + (~low & flagged)).mean()), 3))
        lines.append([f"{ratio:g}", number(ratio * low.mean(), 3), number(1 - low.mean(), 3), *cells])
    return markdown_table(heads, lines)


def day_parts(found: RiskScores, yields: pd.DataFrame, day: str) -> list[str]:
    """One crop and day of risk.md."""
    rows, best = pooled(found, day), best_classifier(found, day)
    ours = rows[FORECAST_MODEL]
    mine, kept = of_day(found.rows, day), of_day(yields, day)
    verdicts = [
        f"- {label}: {text}"
        for label, text in (
            ("classes against the best classifier", sentence(mine, FORECAST_MODEL, best)),
            ("classes against climatology", sentence(mine, FORECAST_MODEL, CLIMATOLOGY)),
            *((f"yields against {name}", sentence(kept, FORECAST_MODEL, name)) for name in YIELD_MODELS),
        )
    ]  # fmt: skip
    return [
        f"## {found.crop}, as known on {day}",
        f"Reliability slope of pooled P(low): {number(ours['reliability_slope'], 2)}. macro-F1 of the "
        f"forecast's classes {number(ours['macro_f1'], 3)}, of the best classifier ({best}, known only "
        f"afterwards) {number(rows[best]['macro_f1'], 3)}, of climatology "
        f"{number(rows[CLIMATOLOGY]['macro_f1'], 3)}, of the dummy {number(rows[DUMMY]['macro_f1'], 3)}. Low "
        f"yields were {100 * ours['frequency']:.0f} % of the rows.",
        *model_tables(found, day),
        "Mean cost of flags at the cost-optimal threshold, in units of one false alarm:",
        cost_table(found, day),
        "Is the difference real (`yieldcast compare`)?",
        "\n".join(verdicts),
    ]


def vegetation_parts(given: argparse.Namespace, rows: pd.DataFrame) -> tuple[list[str], dict[str, Any]]:
    """What vegetation of seasons adds to classifiers, on the places that have it."""
    store = Store.open(given.vegetation)
    places = tuple(store.season_vegetation["municipality"].values.tolist())
    day, few = given.vegetation_day, ("logistic", "boosting")
    mine = rows[rows["municipality"].isin(places)]
    common: dict[str, Any] = {"classifiers": few, "municipalities": places, "day": day}
    with_it = scored(given, store, mine, **common)
    without = scored(given, store, mine, without=("vegetation",), **common)
    lines, texts = [], []
    for name in few:
        pair = [pooled(one, day)[name] for one in (without, with_it)]
        cells = [f"{number(one['macro_f1'], 3)} / {number(one['roc_area'], 2)}" for one in pair]
        lines.append([name, str(pair[0]["n"]), *cells])
        both = pd.concat([
            with_it.rows[with_it.rows["model"] == name].assign(model=f"{name} with vegetation"),
            without.rows[without.rows["model"] == name].assign(model=f"{name} without"),
        ])  # fmt: skip
        texts.append(f"- {sentence(both, f'{name} with vegetation', f'{name} without')}")
    parts = [
        f"## {with_it.crop}, as known on {day}: what vegetation of seasons adds",
        f"Summaries of NDVI of whole seasons and of stages, {len(places)} places; each counts from the day "
        "on which it was public, so mostly those of the season before. macro-F1 / area under the ROC curve "
        "of P(low):",
        markdown_table(["classifier", "rows", "without", "with vegetation"], lines),
        "\n".join(texts),
    ]
    return parts, {"with": short(with_it), "without": short(without)}


def main() -> None:
    """Write both files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    add = parser.add_argument
    add("--store", type=Path, required=True)
    add("--folder", type=Path, required=True, help="of yieldcast backtest, all crops")
    add("--vegetation", type=Path, help="store of the same tables with vegetation of seasons")
    add("--vegetation-day", default="04-15", metavar="MM-DD")
    add("--config", type=Path, help="settings file of the backtests")
    add("--draws", type=int, default=3, help="random draws of each classifier's search")
    add("--folds", type=int, default=2)
    add("--search-rows", type=int, default=1500, help="training rows of the search")
    add("--train-rows", type=int, default=4000, help="training rows of each classifier")
    add("--command", action="append", default=[], help="a command that made the folder; several times")
    add("--note", type=Path, required=True, help="text file: what a reader must know of the data")
    add("--write", type=Path, default=Path("experiments/results"))
    given = parser.parse_args()
    store, rows = Store.open(given.store), read_rows(given.folder / "rows.csv.gz")
    parts = heading("Risk: classes and P(low) on past harvest years", *given.command)
    parts.append(given.note.read_text(encoding="utf-8").strip())
    parts.append(
        f"To take minutes, the classifiers learn from {given.train_rows:,} rows of each date, drawn from "
        f"all training years; their search has {given.draws} random draws and {given.folds} folds by season "
        f"on {given.search_rows:,} of them (the paper's has 30 draws and 5 folds). Borders of the classes "
        "and climatology rest on all rows."
    )
    parts.append(
        "Classes are the terciles of the yields of the harvest years with weather that were public on the "
        "date (2010 to the year before last). Yields grew, so fewer than a third of the later ones are low. "
        "`forecast` takes P(low) and the classes from the distribution of the yield. `reliability` and "
        "`resolution` are parts of the Brier score; `recall_at_rate` is the share of the low yields that are "
        "flagged where at most 20 % of the others are. Classifiers see the features of the same day of each "
        "training season."
    )
    content: dict[str, Any] = {}
    for crop in rows["crop"].unique():
        mine = rows[rows["crop"] == crop]
        found = scored(given, store, mine)
        content[crop] = {"scores": short(found)}
        for day in dict.fromkeys(row["day"] for row in found.scores):
            parts += day_parts(found, mine, day)
        if given.vegetation and crop == rows["crop"].iloc[0]:
            added, content[crop]["vegetation"] = vegetation_parts(given, mine)
            parts += added
    make_folder(given.write)
    atomic_text(given.write / "risk.json", json.dumps(content, allow_nan=False) + "\n")
    print(f"written: {write(given.write / 'risk.md', parts)}")


if __name__ == "__main__":
    with short_errors():
        main()
