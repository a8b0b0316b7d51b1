"""Backtest: retrain as of each harvest year, forecast on each date, score beside the baselines.

By the protocol "forward" a forecast of harvest year Y made on a date uses a run trained on the yields and
weather public then, and hindcasts of earlier years; by "leave_year_out" a run trained on all other years
(`forecasting.protocol`). The baselines use the same data. Runs and scores are kept in the folder of the
backtest: a repeated call computes only what is missing.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from yieldcast.data.files import atomic_text, make_folder
from yieldcast.data.store import is_synthetic
from yieldcast.errors import YieldcastError
from yieldcast.evaluation.accuracy import merged
from yieldcast.evaluation.case_scores import ROW_FILE, CaseScorer, Training
from yieldcast.evaluation.cases import Backtest, ForecastCase
from yieldcast.evaluation.score_rows import read_rows, write_rows
from yieldcast.evaluation.workers import scores_by_workers
from yieldcast.training.run_directory import Run

if TYPE_CHECKING:
    import pandas as pd

Progress = Callable[[int, int], None]
__all__ = [
    "Backtest", "BacktestResult", "ForecastCase", "file_mark", "run_backtest", "runs_of", "table_csv",
    "write_results",
]  # fmt: skip


@dataclass(frozen=True)
class BacktestResult:
    """Scores of a backtest, as dictionaries.

    Args:
        rows: one per case and model, with the keys of `skill.Skill`; by the leave-year-out protocol also the
            key ``protocol``.
        by_state: the same for each state, with the key ``state``.
        reliability: one per case and model with quantiles: share of the yields at or below each quantile, and
            mean width of the 90 % interval in kg/ha.
        accuracy: one per case, level and model, with the keys `accuracy.KEYS`.
        synthetic: True if the data are synthetic.
        protocol: of the backtest.
        row_files: one per case, of `score_rows`: what the forecast and every baseline said of every row.
    """

    rows: list[dict[str, Any]]
    by_state: list[dict[str, Any]]
    reliability: list[dict[str, Any]]
    accuracy: list[dict[str, Any]]
    synthetic: bool
    protocol: str = "forward"
    row_files: tuple[Path, ...] = field(default=(), compare=False)


def run_backtest(
    test: Backtest,
    *,
    training: Training = lambda label: nullcontext(lambda epoch: None),
    progress: Progress = lambda done, total: None,
    executor: Executor | None = None,
) -> BacktestResult:
    """Run a backtest; runs and scores that its folder already holds are used again.

    Args:
        test: what to test.
        training: called with the label of each training; gives a context that shows its epochs. Not used
            with an executor.
        progress: called with the number of forecasts done and of all forecasts; with an executor trainings
            count too.
        executor: of processes or of a Dask cluster, which train and score side by side; all of them must see
            the store and the folder. None: one after the other in this process.

    Raises:
        YieldcastError: bad input, or too few years before a test year.
    """
    test.check()
    cases = test.cases()
    make_folder(test.folder / "scores")
    scorer = CaseScorer(test, training)
    for case in cases if test.seeds else []:  # too few years for the last one is said before the first trains
        scorer.train_years(case)
    if executor is not None:
        scored = scores_by_workers(test, cases, executor, progress)
    else:
        scored = []
        for done, case in enumerate(cases, 1):
            scored.append(scorer.scores(case))
            progress(done, len(cases))
    rows, by_state, reliability, accuracy = (
        [row for one in scored for row in one[part]]
        for part in ("rows", "by_state", "reliability", "accuracy")
    )
    return BacktestResult(
        rows, by_state, reliability, accuracy, is_synthetic(test.store.tables), test.protocol,
        tuple(one[ROW_FILE] for one in scored),
    )  # fmt: skip


def runs_of(
    test: Backtest, training: Training = lambda label: nullcontext(lambda epoch: None)
) -> Callable[[ForecastCase], Run]:
    """A function from a case to its run, trained on data public on the date of the case if not kept yet."""
    return CaseScorer(test, training).run_for


def table_csv(rows: Sequence[dict[str, Any]]) -> str:
    """Rows with the same keys as CSV; empty for None."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def write_results(result: BacktestResult, folder: Path, file: Path | None = None) -> list[Path]:
    """Write the scores into the folder of the backtest: rows as JSON, states and reliability as CSV.

    ``rows.csv.gz`` has what every model said of every place, see `score_rows`; it keeps other crops too.
    ``accuracy.json`` keeps the rows of other crops and protocols that it holds already.

    Args:
        result: of `run_backtest`.
        folder: of the backtest.
        file: a second file for the JSON.

    Returns:
        the files written.

    Raises:
        MissingDataError: a file cannot be written.
    """
    mark = file_mark(result)
    text = json.dumps(result.rows, indent=2, allow_nan=False) + "\n"
    files = {**({file: text} if file else {}), folder / f"{mark}backtest.json": text}
    files[folder / f"{mark}by-state.csv"] = table_csv(result.by_state)
    files[folder / f"{mark}reliability.csv"] = table_csv(result.reliability)
    accuracy = folder / f"{'synthetic-' if result.synthetic else ''}accuracy.json"
    rows = merged(_kept_rows(accuracy), result.accuracy)
    files[accuracy] = json.dumps(rows, indent=1, allow_nan=False) + "\n"
    for path, content in files.items():
        atomic_text(path, content)
    row_file = folder / f"{mark}rows.csv.gz"
    new = [read_rows(one) for one in result.row_files]
    write_rows(row_file, [*_other_crops(row_file, new), *new])
    return [*files, row_file]


def _other_crops(file: Path, new: Sequence[pd.DataFrame]) -> list[pd.DataFrame]:
    """Rows of the file whose crop has no new ones; none where it is not there or damaged."""
    try:
        kept = read_rows(file)
    except YieldcastError:
        return []
    return [kept[~kept["crop"].isin({crop for table in new for crop in table["crop"].unique()})]]


def file_mark(result: BacktestResult) -> str:
    """How the names of a result's files begin: what is synthetic, or no forecast, says so."""
    left_out = "" if result.protocol == "forward" else "leave-year-out-"
    return ("synthetic-" if result.synthetic else "") + left_out


def _kept_rows(file: Path) -> list[dict[str, Any]]:
    try:
        rows: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))
        return rows
    except (OSError, ValueError):  # none yet, or a damaged one: the scores themselves are in the folder
        return []
