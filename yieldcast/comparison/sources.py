"""What is compared: run directories, folders of backtests, files of rows, each with one of its models."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from yieldcast.data.store import Store
from yieldcast.errors import ConfigError, MissingDataError
from yieldcast.evaluation.score_rows import check_rows, models_of, read_rows
from yieldcast.evaluation.scores import ENSEMBLE
from yieldcast.evaluation.skill import FORECAST_MODEL
from yieldcast.training.run_directory import Run

ROW_FILES = "*rows.csv*"
# Taken, in this order, where a source has several models and none is named.
PREFERRED = (FORECAST_MODEL, ENSEMBLE)
RUN_FILE = "run.json"


@dataclass(frozen=True)
class Source:
    """One side of a comparison.

    Args:
        path: as typed, without the model.
        model: of its rows.
        rows: of that model.
        synthetic: whether the name of the file says so.
    """

    path: Path
    model: str
    rows: pd.DataFrame
    synthetic: bool


@dataclass(frozen=True)
class RunRows:
    """What is needed to score a run directory.

    Args:
        store: tables.
        test_years: harvest years, after the training years of the run.
        as_of: see `evaluate.evaluate_run`.
        progress: called with the number of members scored and of all members.
    """

    store: Store
    test_years: Sequence[int]
    as_of: dt.date | None = None
    progress: Callable[[int, int], None] = lambda done, total: None


def read_source(text: str, scored: RunRows | None = None) -> Source:
    """Rows of one model.

    Args:
        text: a path, or a path, a colon and the name of a model.
        scored: for a run directory.

    Raises:
        MissingDataError: nothing at the path, or a folder without rows.
        ConfigError: a run directory without store and years, several files, or a model that is not there.
    """
    path, wanted = split_model(text)
    if is_run(path):
        table, synthetic = _of_run(path, scored)
    else:
        file = _file_in(path) if path.is_dir() else path
        table, synthetic = read_rows(file), file.name.startswith("synthetic-")
    model = _model(models_of(table), wanted, text)
    return Source(path, model, table[table["model"] == model].reset_index(drop=True), synthetic)


def is_run(path: Path) -> bool:
    """Whether a path is a run directory."""
    return (path / RUN_FILE).is_file()


def split_model(text: str) -> tuple[Path, str]:
    """Path and model of ``PATH`` or ``PATH:MODEL``; an existing path may hold a colon itself."""
    path = Path(text)
    if path.exists():
        return path, ""
    start, colon, model = text.rpartition(":")
    if colon and Path(start).exists():
        return Path(start), model
    raise MissingDataError(
        f"nothing to compare at {text}",
        "Give a run directory, the folder of a backtest or a file of rows (.csv, .csv.gz), each with :MODEL "
        "at its end if another model than the forecast is meant.",
    )


def _of_run(path: Path, scored: RunRows | None) -> tuple[pd.DataFrame, bool]:
    from yieldcast.evaluation.evaluate import evaluate_run, score_rows_of

    if scored is None:
        kept = sorted(file.name for file in path.glob(ROW_FILES))
        also = f" Or give a file of rows that is there: {', '.join(kept)}." if kept else ""
        raise ConfigError(
            f"{path} is a run directory: expected --store and --test-years, on which it is scored",
            f"Add both.{also}",
        )
    result = evaluate_run(Run.open(path), scored.store, scored.test_years, scored.as_of, scored.progress)
    return check_rows(score_rows_of(result), str(path)), result.synthetic


def _file_in(folder: Path) -> Path:
    found = sorted(folder.glob(ROW_FILES))
    if not found:
        again = (
            "It was written by an earlier version: the same yieldcast backtest --out there adds the rows and "
            "trains nothing again."
            if any(folder.glob("*backtest.json"))
            else "Give the folder of a backtest, a run directory or a file of rows (.csv, .csv.gz)."
        )
        raise MissingDataError(f"no rows.csv.gz in {folder}", again)
    if len(found) > 1:
        raise ConfigError(
            f"{folder} has several files of rows: {', '.join(file.name for file in found)}",
            "Give one of them instead of the folder: forecasts and leave-year-out tests are not the same.",
        )
    return found[0]


def _model(known: Sequence[str], wanted: str, text: str) -> str:
    if wanted in known:
        return wanted
    if wanted:
        raise ConfigError(
            f"{text}: expected a model of {', '.join(known)}; received {wanted!r}", "Give one of these."
        )
    if len(known) == 1:
        return known[0]
    for name in PREFERRED:
        if name in known:
            return name
    raise ConfigError(
        f"{text} has several models: {', '.join(known)}", f"Say which one, for example {text}:{known[0]}"
    )
