"""The main job as two calls: a store to a trained run, a run to its evaluation."""

from __future__ import annotations

import datetime as dt
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

import calendars
from yieldcast import baselines, evaluation, features, history, samples, scenarios, training
from yieldcast.cards import model_card
from yieldcast.config import Settings
from yieldcast.dates import calendar_for
from yieldcast.disk import alone, atomic_text, make_folder
from yieldcast.errors import RunError
from yieldcast.runs import Identity, Run, versions
from yieldcast.season_cuts import Cuts
from yieldcast.store import Store, Tables
from yieldcast.variables import degree_day_quantity

Notice = Callable[[str], None]


def _quiet(text: str) -> None:
    """Tell nobody."""


def train_run(
    store: Store,
    crop: str,
    train_years: Sequence[int],
    seeds: Sequence[int],
    out: Path,
    settings: Settings | None = None,
    *,
    config_text: str = "",
    strategy: str = "auto",
    block: int | None = None,
    progress: Callable[[training.Epoch], None] = lambda epoch: None,
    notice: Notice = _quiet,
) -> Run:
    """Train a member per seed on the store's rows; continue the run when it was begun before.

    Args:
        store: tables of places, weather and yields.
        crop: crop of both the calendar and the yields.
        train_years: harvest years of the training rows.
        seeds: one member each.
        out: the run directory.
        settings: the paper's when None.
        config_text: the config file as given, kept in the run.
        strategy: see `backend.choose_devices`.
        block: members trained together by one lane; None takes the fastest known for the devices.
        progress: called after every epoch.
        notice: called with lines worth telling the user.

    Raises:
        YieldcastError: bad input of any kind, before anything is trained.
    """
    settings = settings or Settings()
    from yieldcast.backend import choose_devices

    if os.environ.get("TF_CONFIG"):
        notice("TF_CONFIG is set: waiting for the other hosts to start")
    devices = choose_devices(strategy)  # first: several hosts must find each other before anything runs
    tables = store.tables
    calendar = calendar_for(settings.data, tables.static)
    rows, dropped = samples.build(tables, calendar, crop, train_years, settings.data)
    training.check_trainable(rows)
    cuts = _cuts(tables, calendar, crop, rows, settings)
    for reason in dropped:
        notice(f"{reason.rows} rows left out: {reason.reason}")
    base, upper = features.limits(crop, settings.data.degree_days)
    if degree_day_quantity(base, upper).name not in tables.weather:
        notice(f"degree days ({base:g} to {upper:g} degC) are approximated from monthly means")
    identity = Identity(
        crop=crop,
        train_years=tuple(sorted({int(year) for year in train_years})),
        steps=calendar.steps(crop),
        rows=len(rows),
        dynamic_names=rows.dynamic_names,
        static_names=rows.static_names,
        data={**store.fingerprints, "calendar": calendar.fingerprint(), "rows": rows.fingerprint()},
        synthetic=is_synthetic(tables),
    )
    # Several workers share the run: the first starts it, each holds its own place in it.
    others = out.glob("worker-*") if devices.workers == 1 else []
    for folder in others:
        with alone(folder, "a worker of another training is writing the run, see"):
            pass
    place = out / f"worker-{devices.worker}" if devices.worker else out
    make_folder(place)
    with alone(place, "another training is writing the run"):
        if devices.worker:
            run = Run.join(out, identity, settings)
        else:
            run = Run.start(out, identity, settings, calendar, config_text)
        changed = [name for name, version in versions().items() if run.made_with.get(name) != version]
        if changed:
            notice(f"this run was begun with other versions of {', '.join(changed)}: members may differ")
        done = set(run.seeds()) & set(seeds)
        if done:
            notice(f"{len(done)} of {len(seeds)} members are there already; continuing with the rest")
        try:
            training.train(rows, run, seeds, devices, block, progress, cuts)
        finally:
            if run.seeds():  # a worker may have had none to train
                atomic_text(out / "model_card.md", model_card(run, rows))
    return run


def _cuts(
    tables: Tables, calendar: calendars.Calendar, crop: str, rows: samples.SampleSet, settings: Settings
) -> Cuts | None:
    """What training seasons are put together from; None where each row keeps its whole season and history."""
    if settings.training.season_cuts == 0 and not settings.data.yield_history:
        return None
    source = samples.Source(tables, calendar, crop, settings.data, int(rows.harvest_year.max()))
    lags = history.possible_lags(calendar, crop, rows.state, settings.data.publication())
    return scenarios.training_cuts(source, rows, lags, settings.training.season_cuts)


def is_synthetic(tables: Tables) -> bool:
    """Whether the tables come from `yieldcast.synthetic`; everything made from them must say so."""
    return bool(tables.weather.attrs.get("synthetic", 0))


@dataclass(frozen=True)
class Evaluated:
    """What an evaluation gives: scores, and the rows and predictions behind them."""

    scores: evaluation.Evaluation
    rows: samples.SampleSet
    members: npt.NDArray[np.float64]
    lines: dict[str, baselines.Line]
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
) -> Evaluated:
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
    baselines.check_order(identity.train_years, test_years)
    tables, calendar = store.tables, run.calendar()
    names = identity.static_names
    rows, dropped = samples.build(
        tables, calendar, identity.crop, test_years, settings, as_of=as_of, static_names=names,
        climate_to=max(identity.train_years),
    )  # fmt: skip
    members = _predictions(run, rows, seeds, progress)
    # Reference lines read weather, soil and place as they are, whatever this run's network is fed.
    plain = settings.model_copy(update={"weather_inputs": "values", "yield_history": False})
    own = [name for name in names if name not in history.NAMES]
    fitted, asked = (
        samples.build(tables, calendar, identity.crop, years, plain, as_of=date, static_names=own)[0]
        for years, date in ((identity.train_years, None), (test_years, as_of))
    )
    dated = asked
    if as_of is None:
        dated = samples.known_at_window_end(asked, tables, calendar, identity.crop, plain)
    states = history.states_of(tables.static)
    lines = baselines.reference_lines(
        fitted, asked, tables.yields, states, identity.crop, settings.publication(), as_of, dated
    )
    scores = evaluation.evaluate(identity.crop, identity.train_years, members, rows, lines, seeds)
    notes = [f"{reason.rows} rows left out: {reason.reason}" for reason in dropped]
    notes = [*_notes(run, store, rows, as_of), *notes]
    return Evaluated(scores, rows, members, lines, tuple(notes), is_synthetic(tables), as_of)


def write_scores(result: Evaluated, run: Run, file: Path | None = None) -> list[Path]:
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
    from yieldcast.model import predict

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
