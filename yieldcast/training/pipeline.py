"""A store to a trained run: samples, members, model card."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import calendars
from yieldcast.config import DEFAULT_PRESET, PRESETS, Settings
from yieldcast.data.files import atomic_text, check_writable, exclusive_lock, make_folder
from yieldcast.data.inventory import yields_of
from yieldcast.data.store import Store, Tables, is_synthetic
from yieldcast.data.summary import number_spans
from yieldcast.errors import ConfigError
from yieldcast.features import augmentation, weather, yield_history
from yieldcast.features.augmentation import SeasonMixer
from yieldcast.features.daily_months import network_tables
from yieldcast.features.samples import SampleSet
from yieldcast.features.season_dates import calendar_for
from yieldcast.features.source import Dropped, Source, build_samples
from yieldcast.features.splits import held_year
from yieldcast.training import fine_tuning, trainer
from yieldcast.training.model_card import model_card
from yieldcast.training.run_directory import Identity, Run, versions
from yieldcast.variables import degree_day_quantity

Notice = Callable[[str], None]


def _quiet(text: str) -> None:
    """Ignore notices."""


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
    source: Run | None = None,
    frozen: Sequence[fine_tuning.Part] = (),
) -> Run:
    """Train one member per seed on the store's rows; continue the run if `out` holds the same training.

    Args:
        store: tables of places, weather and yields.
        crop: crop of both the calendar and the yields.
        train_years: harvest years of the training rows.
        seeds: 1 to 999, one member each.
        out: the run directory.
        settings: the preset `forecast` when None, as on the command line; with a source, see
            `fine_tuning.settings_from`.
        config_text: text of the config file, kept in the run.
        strategy: see `devices.choose_devices`.
        block: members trained together on one device; None for the fastest known.
        progress: called after every epoch of every member.
        notice: called with messages for the user, one line each.
        source: a run whose members are trained further, each from the one of the same seed.
        frozen: parts of the source's network whose weights stay as they are.

    Raises:
        YieldcastError: invalid input, found before anything is trained.
    """
    settings = _settings(settings, source).for_country(store.country)
    if source is not None:
        fine_tuning.check_source(source, settings, seeds)
    from yieldcast.training.devices import choose_devices

    if os.environ.get("TF_CONFIG"):
        notice("TF_CONFIG is set: waiting for the other hosts to start")
    # First of all: with several hosts, TensorFlow must connect them before it runs anything.
    devices = choose_devices(strategy)
    tables = network_tables(store, settings.data)
    calendar = calendar_for(settings.data, tables.static, store.country)
    rows = _rows(tables, calendar, crop, train_years, settings, source, notice)
    mixer = _mixer(tables, calendar, crop, rows, settings)
    for text in few_members(settings, train_years, seeds):
        notice(text)
    identity = Identity(
        crop=crop,
        train_years=tuple(sorted({int(year) for year in train_years})),
        steps=calendar.steps(crop),
        rows=len(rows),
        dynamic_names=rows.dynamic_names,
        static_names=rows.static_names,
        data={**store.fingerprints, "calendar": calendar.fingerprint(), "rows": rows.fingerprint()},
        synthetic=is_synthetic(tables),
        origin=fine_tuning.origin_of(source, frozen) if source else None,
    )
    if devices.workers == 1:
        _refuse_workers(out)
    place = out / f"worker-{devices.worker}" if devices.worker else out
    make_folder(place)
    with exclusive_lock(place, "another training is writing the run"):
        if devices.worker:
            run = Run.join(out, identity, settings)
        else:
            run = Run.start(out, identity, settings, calendar, config_text)
        changed = [name for name, version in versions().items() if run.made_with.get(name) != version]
        if changed:
            notice(f"this run was started with other versions of {', '.join(changed)}: members may differ")
        done = set(run.seeds()) & set(seeds)
        if done:
            notice(f"{len(done)} of {len(seeds)} members are finished; continuing with the rest")
        if settings.model.build and done != set(seeds):
            _keep_source(run, settings.model.build, notice)
        try:
            start = fine_tuning.starts(source, crop, frozen) if source else None
            trainer.train(rows, run, seeds, devices, block, progress, mixer, start)
        finally:
            if run.seeds():  # a worker may have no seed to train
                atomic_text(out / "model_card.md", model_card(run, rows))
    return run


def _settings(given: Settings | None, source: Run | None) -> Settings:
    """The settings given; else those of the source; else those for forecasts."""
    if given is not None:
        return given
    return PRESETS[DEFAULT_PRESET] if source is None else fine_tuning.settings_from(source)


def _rows(
    tables: Tables,
    calendar: calendars.Calendar,
    crop: str,
    train_years: Sequence[int],
    settings: Settings,
    source: Run | None,
    notice: Notice,
) -> SampleSet:
    """Training rows, with the inputs of the source if there is one; says what a user must know of them."""
    names = source.identity.static_names if source else None
    rows, dropped = build_samples(tables, calendar, crop, train_years, settings.data, static_names=names)
    trainer.check_trainable(rows)
    for text in fine_tuning.check_inputs(source, rows) if source else ():
        notice(text)
    for text in _of_rows(dropped, crop, tables, settings):
        notice(text)
    return rows


def _refuse_workers(out: Path) -> None:
    """Refuse a run that several workers write: the first creates it, each locks its own folder in it.

    Raises:
        MissingDataError: a worker is writing.
    """
    for folder in out.glob("worker-*"):
        with exclusive_lock(folder, "a worker of another training is writing the run, see"):
            pass


def _of_rows(dropped: Sequence[Dropped], crop: str, tables: Tables, settings: Settings) -> list[str]:
    """What a user must know of the rows: how many are left out, and approximated degree days."""
    found = [f"{reason.rows} rows left out: {reason.reason}" for reason in dropped]
    base, upper = weather.limits(crop, settings.data.degree_days)
    if degree_day_quantity(base, upper).name not in tables.weather:
        found.append(f"degree days ({base:g} to {upper:g} degC) are approximated from monthly means")
    return found


def check_training(store: Store, crop: str, settings: Settings, out: Path) -> None:
    """Refuse what a training would refuse after TensorFlow was loaded.

    Args:
        store, crop, settings: of the training.
        out: the run directory.

    Raises:
        YieldcastError: no table, no yields of the crop, no window in the calendar, a folder that cannot be
            written.
    """
    tables = network_tables(store, settings.data)
    calendar_for(settings.data, tables.static, store.country).steps(crop)
    yields_of(tables.yields, crop)
    check_writable(out)


def left_out_years(settings: Settings, train_years: Sequence[int], seeds: Sequence[int]) -> set[int]:
    """Harvest years that some member leaves out, whose hindcasts calibrate a forecast."""
    if settings.training.validation != "each_year":
        return set()
    years = sorted({int(year) for year in train_years})
    return {held_year(years, seed) for seed in seeds}


def check_members(settings: Settings, train_years: Sequence[int], seeds: Sequence[int]) -> None:
    """Refuse a training with `validation = "each_year"` whose run no forecast could use.

    Args:
        settings, train_years, seeds: of the training.

    Raises:
        ConfigError: fewer than two years are left out by a member, so that intervals cannot be calibrated.
    """
    wanted = settings.training.validation == "each_year"
    if wanted and len(left := left_out_years(settings, train_years, seeds)) < 2:
        raise ConfigError(
            f"expected members that leave out two harvest years or more, received {len(seeds)} members and "
            f"{len(set(train_years))} training years, of which {len(left)} is left out: intervals are "
            "calibrated on years left out",
            "Give more --seeds and --train-years: seed 1 leaves out the first year, seed 2 the second. Or "
            "train without forecasts in mind: --preset paper.",
        )


def few_members(settings: Settings, train_years: Sequence[int], seeds: Sequence[int]) -> list[str]:
    """What a run of few members costs, one sentence each; empty for a run of many.

    Measured on soybean 2018 with 1, 3, 10 and 30 members (experiments/results/members-2018.md).
    """
    years, left = set(map(int, train_years)), left_out_years(settings, train_years, seeds)
    if settings.training.validation != "each_year" or left == years:
        return []
    found = [
        f"{len(seeds)} members leave out {len(left)} of {len(years)} training years: "
        f"{number_spans(years - left)} have no hindcast of the network, and its share rests on the others; "
        f"{len(years)} --seeds give each year one"
    ]
    if settings.forecast.method == "posterior":
        found.append(
            "measured on soybean 2018: the RMSE of municipalities with 1, 3 or 10 members is within 1 kg/ha "
            "of that with 30 (experiments/results/members-2018.md)"
        )
    return found


def _keep_source(run: Run, build: str, notice: Notice) -> None:
    """Keep the source of a build function in the run; say so when it has changed since."""
    from yieldcast.models.custom import import_build, source_of

    source, file = source_of(import_build(build)), run.path / "model.py"
    if not file.is_file():
        atomic_text(file, source)
    elif file.read_text(encoding="utf-8") != source:
        notice(f"the source of {build} has changed since this run was started ({file}): members may differ")


def _mixer(
    tables: Tables, calendar: calendars.Calendar, crop: str, rows: SampleSet, settings: Settings
) -> SeasonMixer | None:
    """Source of mixed training seasons; None where each row keeps its own season and history."""
    if settings.training.season_cuts == 0 and not settings.data.yield_history:
        return None
    source = Source(tables, calendar, crop, settings.data, int(rows.harvest_year.max()))
    lags = yield_history.possible_lags(calendar, crop, rows.state, settings.data.publication())
    return augmentation.season_mixer(source, rows, lags, settings.training.season_cuts)
