"""Score a trained run on later harvest years, beside the baselines, and write the scores."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from yieldcast.data.files import atomic_text
from yieldcast.data.store import Store, is_synthetic
from yieldcast.errors import RunError
from yieldcast.evaluation.public_lines import line_baselines
from yieldcast.evaluation.score_rows import Said, ScoredPlaces, score_table, write_rows
from yieldcast.evaluation.scores import ENSEMBLE, Evaluation, evaluate, evaluate_years
from yieldcast.features import splits, yield_history
from yieldcast.features.daily_months import network_tables
from yieldcast.features.samples import SampleSet
from yieldcast.features.source import build_samples, known_at_window_end
from yieldcast.forecasting.evidence import evidence_of
from yieldcast.language import message, sentence
from yieldcast.models.baselines import Baseline, all_baselines
from yieldcast.training.run_directory import Run

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class EvaluationResult:
    """Scores of a run, with the rows and predictions they were computed from.

    Args:
        scores: of members, ensemble and baselines.
        rows: test rows with their yields.
        members: (member, row) predictions in kg/ha.
        baselines: name -> predictions of the baseline.
        notes: what a reader must know to interpret the scores, one sentence each.
        synthetic: True if the data are synthetic.
        as_of: date of the public baselines and of the weather used; None for the paper's view.
    """

    scores: Evaluation
    rows: SampleSet
    members: npt.NDArray[np.float64]
    baselines: dict[str, Baseline]
    notes: tuple[str, ...]
    synthetic: bool
    as_of: dt.date | None

    def by_year(self) -> dict[int, Evaluation]:
        """The same scores for each test year separately."""
        whole = self.scores
        return evaluate_years(
            whole.crop, whole.train_years, self.members, self.rows, self.baselines, whole.seeds
        )


def evaluate_run(
    run: Run,
    store: Store,
    test_years: Sequence[int],
    as_of: dt.date | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> EvaluationResult:
    """Score every member, their mean and the baselines on the same rows.

    Args:
        run: a trained run.
        store: tables; the training rows are built from it again to fit ridge and boosted baselines.
        test_years: harvest years to score, all later than the training years.
        as_of: date of the public baselines; weather published later is not used. None: the end of each row's
            season window for the public baselines, and the weather of the whole window, as in the paper.
        progress: called with the number of members scored and of all members.

    Raises:
        LeakageError: a training year, also of the run that it was started from, is not before every test
            year.
        MissingDataError: the store has no yields or weather of a test year.
        RunError: no finished member.
    """
    seeds, identity, settings = run.seeds(), run.identity, run.settings.data
    if not seeds:
        raise RunError(f"{run.path} has no finished member", "Start the same yieldcast train again.")
    splits.check_order(identity.all_years, test_years)
    tables, calendar = network_tables(store, run.settings.data), run.calendar()
    names = identity.static_names
    rows, dropped = build_samples(
        tables, calendar, identity.crop, test_years, settings, as_of=as_of, static_names=names,
        climate_to=max(identity.train_years),
    )  # fmt: skip
    members = _predictions(run, rows, seeds, progress)
    # Baselines use values of weather, soil and position, whatever the inputs of the network of this run.
    plain = settings.model_copy(update={"weather_inputs": "values", "yield_history": False})
    own = [name for name in names if name not in yield_history.NAMES]
    train, test = (
        build_samples(tables, calendar, identity.crop, years, plain, as_of=date, static_names=own)[0]
        for years, date in ((identity.train_years, None), (test_years, as_of))
    )
    dated = test
    if as_of is None:
        dated = known_at_window_end(test, tables, calendar, identity.crop, plain)
    states = yield_history.states_of(tables.static)
    baselines = all_baselines(
        train, test, tables.yields, states, identity.crop, settings.publication(), as_of, dated
    )
    days = test.window_end if as_of is None else np.full(len(test), np.datetime64(as_of))
    evidence = evidence_of(store, identity.crop, calendar, run.settings)
    codes = tables.static["municipality"].values
    baselines |= line_baselines(evidence, codes, test, days, baselines["mean_5y_public"])
    scores = evaluate(identity.crop, identity.train_years, members, rows, baselines, seeds)
    notes: list[str] = [
        sentence("{n} rows left out: {reason}", n=reason.rows, reason=reason.reason) for reason in dropped
    ]
    notes = [*_notes(run, store, rows, as_of), *notes]
    return EvaluationResult(scores, rows, members, baselines, tuple(notes), is_synthetic(tables), as_of)


def write_scores(result: EvaluationResult, run: Run, file: Path | None = None) -> list[Path]:
    """Write the scores as JSON, those of every member as CSV, and every row into the run directory.

    Args:
        result: of `evaluate_run`.
        run: the run that was scored.
        file: a second file for the JSON.

    Returns:
        the files written.

    Raises:
        MissingDataError: a file cannot be written.
    """
    text = json.dumps(result.scores.to_json(), indent=2, allow_nan=False) + "\n"
    stem = "synthetic-evaluation-" if result.synthetic else "evaluation-"
    stem += "-".join(map(str, result.scores.test_years))
    stem += f"-as-of-{result.as_of}" if result.as_of else ""
    own = {f"{stem}.json": text, f"{stem}-members.csv": result.scores.members_csv()}
    files = {**({file: text} if file else {}), **{run.path / name: content for name, content in own.items()}}
    for path, content in files.items():
        atomic_text(path, content)
    row_file = run.path / f"{stem}-rows.csv.gz"
    write_rows(row_file, [score_rows_of(result)])
    return [*files, row_file]


def score_rows_of(result: EvaluationResult) -> pd.DataFrame:
    """Rows of the ensemble mean and of the baselines; a row's date is that of its public baselines."""
    rows = result.rows
    days = rows.window_end if result.as_of is None else np.datetime64(result.as_of)
    places = ScoredPlaces(
        result.scores.crop, rows.municipality, rows.harvest_year, days, rows.state,
        rows.target_kg_ha.astype(np.float64),
    )  # fmt: skip
    said = {name: Said(one.prediction) for name, one in result.baselines.items()}
    return score_table(places, {ENSEMBLE: Said(result.members.mean(axis=0, dtype=np.float64)), **said})


def _predictions(
    run: Run, rows: SampleSet, seeds: Sequence[int], progress: Callable[[int, int], None]
) -> npt.NDArray[np.float64]:
    from yieldcast.models.dual_path import predict

    members = []
    for done, seed in enumerate(seeds, 1):
        members.append(predict(run.load_member(seed), rows))
        progress(done, len(seeds))
    return np.stack(members)


def _notes(run: Run, store: Store, rows: SampleSet, as_of: dt.date | None) -> list[str]:
    """What a reader must know to interpret the scores."""
    if as_of is None:
        notes: list[str] = [
            message(
                "Network, ridge, boosted_weather and boosted_history use the weather of the whole window, "
                "as in the paper; its last months are published after the window ends (use --as-of DATE to "
                "avoid this)."
            )
        ]
    else:
        notes = [
            sentence(
                "As of {date}: weather published later is replaced by the mean of the known years.",
                date=as_of,
            )
        ]
        if as_of > rows.window_end.max().item():
            notes.append(
                message("That date is after the season; no model uses the yields of the test years.")
            )
    last, publication = max(run.identity.train_years), run.settings.data.publication()
    public = publication.yields_public(last)
    dates = rows.window_end if as_of is None else np.full(len(rows), np.datetime64(as_of))
    early = int((dates < np.datetime64(public)).sum())
    if early:
        notes.append(
            sentence(
                "The network was trained on yields up to {year}, published on {date}, after the forecast "
                "date of {early} of the {n} rows.",
                year=last,
                date=public,
                early=early,
                n=len(rows),
            )
        )
    changed = [name for name, text in store.fingerprints.items() if run.identity.data.get(name, text) != text]
    if changed:
        notes.append(sentence("The store's {tables} changed since training.", tables=", ".join(changed)))
    return notes
