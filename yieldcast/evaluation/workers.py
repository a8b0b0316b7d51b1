"""A backtest side by side: processes, or the workers of a Dask cluster, train runs, then score dates.

Each run is trained by one worker, and its members depend only on their seeds; each date is scored by one
worker from files. So the scores are those of one process. Runs and scores are written to the folder of the
backtest as soon as they exist: a backtest that was stopped goes on from there.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from contextlib import contextmanager, nullcontext
from dataclasses import fields
from functools import lru_cache
from pathlib import Path
from typing import Any

from yieldcast.data.store import Store
from yieldcast.evaluation.case_scores import CaseScorer
from yieldcast.evaluation.cases import Backtest, ForecastCase
from yieldcast.training.run_directory import Run

Progress = Callable[[int, int], None]


def scores_by_workers(
    test: Backtest, cases: Sequence[ForecastCase], executor: Executor, progress: Progress
) -> list[dict[str, Any]]:
    """Scores of all cases, in their order.

    Args:
        test: the backtest.
        cases: its forecasts.
        executor: runs functions in other processes, which see the same files.
        progress: called with the number of trainings and forecasts done, and of all of them.

    Raises:
        YieldcastError: of the first worker that failed; those that were not started are cancelled.
    """
    packed, scorer = _packed(test), CaseScorer(test, lambda label: nullcontext(lambda epoch: None))
    first = {scorer.train_years(case): case for case in reversed(cases)} if test.seeds else {}
    counted = _Counter(len(first) + len(cases), progress)
    trained = {years: executor.submit(train_case, packed, case) for years, case in first.items()}
    with _cancelling(trained.values()):
        runs = {years: counted.wait(one) for years, one in trained.items()}
    paths = [runs[scorer.train_years(case)] if test.seeds else None for case in cases]
    scored = [
        executor.submit(score_case, packed, case, path) for case, path in zip(cases, paths, strict=True)
    ]
    with _cancelling(scored):
        return [counted.wait(one) for one in scored]


def train_case(packed: bytes, case: ForecastCase) -> Path:
    """Train the run of a case in this process.

    Args:
        packed: the backtest.
        case: any of the cases that need the run.

    Returns:
        the run directory.
    """
    return _scorer(packed).run_for(case).path


def score_case(packed: bytes, case: ForecastCase, run: Path | None) -> dict[str, Any]:
    """Scores of a case, computed in this process or read from the folder.

    Args:
        packed: the backtest.
        case: the forecast.
        run: its run directory; None without a network.
    """
    # Trained by `train_case` with the settings of the caller, who named the code in them.
    opened = None if run is None else Run.open(run, trust_code=True)
    return _scorer(packed).scores(case, opened)


def _packed(test: Backtest) -> bytes:
    """The backtest without its tables, which each worker reads itself."""
    values = {one.name: getattr(test, one.name) for one in fields(test)}
    values["store"], values["folder"] = test.store.path.resolve(), test.folder.resolve()
    return pickle.dumps(values)


@lru_cache(maxsize=1)
def _scorer(packed: bytes) -> CaseScorer:
    """What the cases of a backtest have in common; kept from one case of a worker to the next."""
    values = pickle.loads(packed)
    test = Backtest(**{**values, "store": Store.open(values["store"])})
    return CaseScorer(test, lambda label: nullcontext(lambda epoch: None))


class _Counter:
    """Reports how many results have been waited for."""

    def __init__(self, total: int, progress: Progress) -> None:
        self.done, self.total, self.progress = 0, total, progress

    def wait(self, future: Future[Any]) -> Any:
        result = future.result()
        self.done += 1
        self.progress(self.done, self.total)
        return result


@contextmanager
def _cancelling(futures: Any) -> Iterator[None]:
    """After an error, or Ctrl-C, what has not begun is not begun."""
    try:
        yield
    except BaseException:
        for one in futures:
            one.cancel()
        raise
