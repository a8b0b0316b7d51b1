"""The main job as two calls: a store to a trained run, a run to its evaluation."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import calendars
from yieldcast.config import Settings
from yieldcast.data.files import atomic_text, exclusive_lock, make_folder
from yieldcast.data.store import Store, Tables, is_synthetic
from yieldcast.features import augmentation, samples, weather, yield_history
from yieldcast.features.augmentation import SeasonMixer
from yieldcast.features.season_dates import calendar_for
from yieldcast.training import trainer
from yieldcast.training.model_card import model_card
from yieldcast.training.run_directory import Identity, Run, versions
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
    progress: Callable[[trainer.Epoch], None] = lambda epoch: None,
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
    from yieldcast.training.devices import choose_devices

    if os.environ.get("TF_CONFIG"):
        notice("TF_CONFIG is set: waiting for the other hosts to start")
    devices = choose_devices(strategy)  # first: several hosts must find each other before anything runs
    tables = store.tables
    calendar = calendar_for(settings.data, tables.static)
    rows, dropped = samples.build_samples(tables, calendar, crop, train_years, settings.data)
    trainer.check_trainable(rows)
    cuts = _cuts(tables, calendar, crop, rows, settings)
    for reason in dropped:
        notice(f"{reason.rows} rows left out: {reason.reason}")
    base, upper = weather.limits(crop, settings.data.degree_days)
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
        with exclusive_lock(folder, "a worker of another training is writing the run, see"):
            pass
    place = out / f"worker-{devices.worker}" if devices.worker else out
    make_folder(place)
    with exclusive_lock(place, "another training is writing the run"):
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
            trainer.train(rows, run, seeds, devices, block, progress, cuts)
        finally:
            if run.seeds():  # a worker may have had none to train
                atomic_text(out / "model_card.md", model_card(run, rows))
    return run


def _cuts(
    tables: Tables, calendar: calendars.Calendar, crop: str, rows: samples.SampleSet, settings: Settings
) -> SeasonMixer | None:
    """What training seasons are put together from; None where each row keeps its whole season and history."""
    if settings.training.season_cuts == 0 and not settings.data.yield_history:
        return None
    source = samples.Source(tables, calendar, crop, settings.data, int(rows.harvest_year.max()))
    lags = yield_history.possible_lags(calendar, crop, rows.state, settings.data.publication())
    return augmentation.season_mixer(source, rows, lags, settings.training.season_cuts)
