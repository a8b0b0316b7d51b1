"""Pieces of yieldcast/workflow.py."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from yieldcast.data.files import atomic_text
from yieldcast.data.store import Store, is_synthetic
from yieldcast.errors import RunError
from yieldcast.evaluation import scores as evaluation
from yieldcast.features import samples, splits, yield_history
from yieldcast.models import baselines
from yieldcast.training.run_directory import Run


@dataclass(frozen=True)
class EvaluationResult:
    """What an evaluation gives: scores, and the rows and predictions behind them."""

    scores: evaluation.Evaluation
    rows: samples.SampleSet
    members: npt.NDArray[np.float64]
    lines: dict[str, baselines.Baseline]
    notes: tuple[str, ...]
    synthetic: bool
    as_of: dt.date | None

    def by_year(self) -> dict[int, evaluation.Evaluation]:
        """The same scores for every test year by itself."""
        whole = self.scores
        return evaluation.evaluate_years(
            whole.crop, whole.train_years, self.members, self.rows, self.lines, whole.seeds
        )


def evaluate_run(
    run: Run,
    store: Store,
    test_years: Sequence[int],
    as_of: dt.date | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> EvaluationResult:
    """Score every member, their mean and the reference lines on the same rows.

    Args:
        run: a trained run.
        store: tables; training rows are cut from it again for the references that are fitted.
        test_years: harvest years to score, all later than the training years.
        as_of: date of the public reference lines and of the weather that is seen; None takes the end
            of each row's window for the lines, and the whole window's weather, as the paper does.
        progress: called with members scored and members in all.

    Raises:
        LeakageError: a test year that is not later than every training year.
        RunError: no finished member.
    """
    seeds, identity, settings = run.seeds(), run.identity, run.settings.data
    if not seeds:
        raise RunError(f"{run.path} has no finished member", "Start the same yieldcast train again.")
    splits.check_order(identity.train_years, test_years)
    tables, calendar = store.tables, run.calendar()
    names = identity.static_names
    rows, dropped = samples.build_samples(
        tables, calendar, identity.crop, test_years, settings, as_of=as_of, static_names=names,
        climate_to=max(identity.train_years),
    )  # fmt: skip
    members = _predictions(run, rows, seeds, progress)
    # Reference lines read weather, soil and place as they are, whatever this run's network is fed.
    plain = settings.model_copy(update={"weather_inputs": "values", "yield_history": False})
    own = [name for name in names if name not in yield_history.NAMES]
    fitted, asked = (
        samples.build_samples(tables, calendar, identity.crop, years, plain, as_of=date, static_names=own)[0]
        for years, date in ((identity.train_years, None), (test_years, as_of))
    )
    dated = asked
    if as_of is None:
        dated = samples.known_at_window_end(asked, tables, calendar, identity.crop, plain)
    states = yield_history.states_of(tables.static)
    lines = baselines.all_baselines(
        fitted, asked, tables.yields, states, identity.crop, settings.publication(), as_of, dated
    )
    scores = evaluation.evaluate(identity.crop, identity.train_years, members, rows, lines, seeds)
    notes = [f"{reason.rows} rows left out: {reason.reason}" for reason in dropped]
    notes = [*_notes(run, store, rows, as_of), *notes]
    return EvaluationResult(scores, rows, members, lines, tuple(notes), is_synthetic(tables), as_of)


def write_scores(result: EvaluationResult, run: Run, file: Path | None = None) -> list[Path]:
    """Write the scores as JSON and every member's as CSV into the run, and the JSON to `file` too.

    Args:
        result: of `evaluate_run`.
        run: the run that was scored.
        file: a further place for the JSON.

    Returns:
        The files written.
    """
    text = json.dumps(result.scores.to_json(), indent=2, allow_nan=False) + "\n"
    stem = "synthetic-evaluation-" if result.synthetic else "evaluation-"
    stem += "-".join(map(str, result.scores.test_years))
    stem += f"-as-of-{result.as_of}" if result.as_of else ""
    own = {f"{stem}.json": text, f"{stem}-members.csv": result.scores.members_csv()}
    files = {**({file: text} if file else {}), **{run.path / name: content for name, content in own.items()}}
    for path, content in files.items():
        atomic_text(path, content)
    return list(files)


def _predictions(
    run: Run, rows: samples.SampleSet, seeds: Sequence[int], progress: Callable[[int, int], None]
) -> npt.NDArray[np.float64]:
    from yieldcast.models.dual_path import predict

    members = []
    for done, seed in enumerate(seeds, 1):
        members.append(predict(run.load_member(seed), rows))
        progress(done, len(seeds))
    return np.stack(members)


def _notes(run: Run, store: Store, rows: samples.SampleSet, as_of: dt.date | None) -> list[str]:
    """What a reader must know to read the scores rightly."""
    if as_of is None:
        notes = [
            "Network, ridge, boosted_weather and boosted_history see the weather of the whole window, as in "
            "the paper; its last months are published after the window ends (use --as-of for a dated view)."
        ]
    else:
        notes = [f"As of {as_of}: weather published later is replaced by the mean of the known years."]
        if as_of > rows.window_end.max().item():
            notes.append("That is after the season; the yields of the test years are still read by no line.")
    last, publication = max(run.identity.train_years), run.settings.data.publication()
    public = publication.yields_public(last)
    dates = rows.window_end if as_of is None else np.full(len(rows), np.datetime64(as_of))
    early = int((dates < np.datetime64(public)).sum())
    if early:
        notes.append(
            f"The network was trained on yields to {last}, published on {public}: on the forecast date of "
            f"{early} of the {len(rows)} rows nobody could have trained it."
        )
    changed = [name for name, text in store.fingerprints.items() if run.identity.data.get(name, text) != text]
    if changed:
        notes.append(f"The store's {', '.join(changed)} changed since training.")
    return notes
