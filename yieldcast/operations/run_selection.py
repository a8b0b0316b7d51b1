"""Choose the trained run that a job forecasts with, and the season that it forecasts."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from calendars import Calendar
from yieldcast.config import Settings
from yieldcast.data.files import check_writable, plain_name
from yieldcast.data.store import Store, is_synthetic
from yieldcast.errors import ConfigError, MissingDataError, RunError, YieldcastError
from yieldcast.features.daily_months import network_tables
from yieldcast.features.season_dates import main_window
from yieldcast.forecasting.leakage import check_leaks, trainable_years
from yieldcast.publication import Publication
from yieldcast.training.run_directory import Run

if TYPE_CHECKING:
    from yieldcast.training.trainer import Epoch


Notice = Callable[[str], None]
_LEFT_OUT = "each_year"  # the validation that makes hindcasts possible, see `forecasting.hindcasts`


def season_ahead(
    store: Store, calendar: Calendar, crop: str, as_of: dt.date, publication: Publication
) -> int:
    """The next harvest year whose window has not ended: the default of the pre-season job.

    Windows differ between states: the crop's main window counts, see `features.season_dates.main_window`.

    Args:
        store: tables.
        calendar: gives the windows.
        crop: name of the crop in the yields and in the calendar.
        as_of: the date of the forecast.
        publication: when weather and yields become public.

    Raises:
        MissingDataError: the store has no public yield of the crop.
    """
    start = _start(store, calendar, crop, as_of, publication)
    end, month = start + (calendar.steps(crop) - 1), np.datetime64(as_of, "M")
    # the smallest number of years after which the window ends in `month` or later
    years_ahead = -((end - month).astype(int) // 12)
    return as_of.year + int(years_ahead)


def season_under_way(
    store: Store, calendar: Calendar, crop: str, as_of: dt.date, publication: Publication
) -> int:
    """The newest harvest year with public weather: the default of the in-season job.

    A season stays under way until the first month of the next window is public, which is after the last month
    of its own window, and may be months after its harvest.

    Args:
        store, calendar, crop, as_of, publication: as for `season_ahead`.

    Raises:
        MissingDataError: as `season_ahead`.
    """
    start, year = _start(store, calendar, crop, as_of, publication), as_of.year
    first = start.astype("datetime64[D]").item()
    while publication.weather_public(first.replace(year=first.year + year - as_of.year + 1)) <= as_of:
        year += 1
    while publication.weather_public(first.replace(year=first.year + year - as_of.year)) > as_of:
        year -= 1
    return year


def _start(
    store: Store, calendar: Calendar, crop: str, as_of: dt.date, publication: Publication
) -> np.datetime64:
    """First month of the main window whose harvest year is the calendar year of `as_of`."""
    yields, newest = store.yields, publication.last_public_harvest_year(as_of)
    known = [str(name) for name in yields["crop"].values]
    public = yields["yield_kg_ha"].sel(crop=[crop] if crop in known else [])
    if not (public.sel(harvest_year=public["harvest_year"] <= newest) > 0).any():
        raise MissingDataError(
            f"the store {store.path} has no yields of {crop} up to {newest}, the newest harvest year "
            f"public on {as_of} (its crops: {', '.join(known)})",
            f"Fetch them with `yieldcast fetch yields --crops {crop} --years ...`, import yours, or give "
            "another --crop.",
        )
    return main_window(calendar, crop, store.tables, as_of.year, newest)[0]


def suitable_run(
    runs: Path, store: Store, crop: str, as_of: dt.date, seeds: int, harvest_year: int | None = None
) -> Run:
    """The newest finished run that was trained only on data public on the date of the forecast.

    Args:
        runs: folder of run directories.
        store: a synthetic store takes synthetic runs only, a store of real data takes no synthetic run.
        crop: of the run.
        as_of: date of the forecast, see `forecasting.leakage.check_leaks`.
        seeds: number of members of a finished run, seeds 1 to `seeds`.
        harvest_year: of the forecast, if known.

    Raises:
        RunError: no such run; the message gives the reason for each run of the folder.
    """
    fit, unfit = [], []
    for path in _run_folders(runs):
        try:
            run = Run.open(path)
            if run.identity.crop != crop:
                continue
            # check_leaks refuses a season that the run was trained on; 9999 stands for any other season
            check_leaks(run, harvest_year or 9999, as_of)
        except YieldcastError as error:
            unfit.append(str(error))
            continue
        reason = _unfit(run, store, seeds)
        if reason:
            unfit.append(f"{path.name}: {reason}")
        else:
            fit.append(run)
    if not fit:
        raise RunError(
            f"no run in {runs} can forecast {crop} as of {as_of}: {'; '.join(unfit) or 'none of this crop'}",
            "Run the pre-season job first (experiments/preseason_forecast.py): it trains one.",
        )

    def newer(run: Run) -> tuple[object, ...]:
        years = run.identity.train_years
        return max(years), len(years), _order(run.path)

    return max(fit, key=newer)


def _unfit(run: Run, store: Store, seeds: int) -> str:
    if run.identity.synthetic != is_synthetic(store.tables):
        return "trained on synthetic data" if run.identity.synthetic else "not trained on synthetic data"
    if run.settings.training.validation != _LEFT_OUT:
        return "its members left no harvest year out, so its intervals cannot be calibrated"
    return _unfinished(run, seeds)


def _unfinished(run: Run, seeds: int) -> str:
    have = set(run.seeds()) & set(range(1, seeds + 1))
    return "" if len(have) == seeds else f"{len(have)} of {seeds} members"


def trained_run(
    runs: Path,
    store: Store,
    crop: str,
    as_of: dt.date,
    seeds: int,
    settings: Settings,
    *,
    config_text: str = "",
    progress: Callable[[Epoch], None] = lambda epoch: None,
    notice: Notice = lambda text: None,
    before_training: Callable[[], None] = lambda: None,
) -> Run:
    """Find, continue or train the run on all public harvest years, in ``<crop>-to-<last year>``.

    A finished run is used as it is, even if its data were revised after its training. A run that cannot be
    continued (damaged, or trained with other settings, years or data) stays unchanged, and another one is
    trained beside it, in ``...-2``.

    Args:
        runs: folder of run directories.
        store: tables.
        crop, as_of, seeds, settings: what to train.
        config_text: contents of the config file.
        progress: called after every epoch.
        notice: called with messages for the user.
        before_training: called before TensorFlow is loaded; not called if a finished run is found.

    Raises:
        ConfigError: settings or seeds that give no hindcasts; raised before anything is trained.
        YieldcastError: as `train_run`, or too few public years.
    """
    if settings.training.validation != _LEFT_OUT or seeds < 2:
        raise ConfigError(
            f'expected [training] validation = "{_LEFT_OUT}" and 2 seeds or more, received '
            f'"{settings.training.validation}" and {seeds}: intervals are calibrated on years left out',
            "See experiments/configs/forecast.toml, and give at least as many --seeds as there are years.",
        )
    check_writable(runs)
    settings = settings.for_country(store.country)
    tables = network_tables(store, settings.data)
    years = trainable_years(tables, crop, as_of, settings.data, store.country)
    stem = f"{plain_name(crop, 'crop')}-to-{years[-1]}"
    existing = [path for path in _run_folders(runs) if re.fullmatch(rf"{re.escape(stem)}(-\d+)?", path.name)]
    existing.sort(key=_order)
    epochs: list[Epoch] = []

    def after_epoch(epoch: Epoch) -> None:
        epochs.append(epoch)
        progress(epoch)

    def train(path: Path) -> Run:
        before_training()
        from yieldcast.training.pipeline import train_run

        return train_run(
            store, crop, years, range(1, seeds + 1), path, settings,
            config_text=config_text, progress=after_epoch, notice=notice,
        )  # fmt: skip

    for path in reversed(existing):
        try:
            run = Run.open(path)
            same = run.identity.train_years == years and run.settings == settings
            same = same and run.identity.origin is None
            if same and run.identity.synthetic == is_synthetic(store.tables) and not _unfinished(run, seeds):
                _report_revisions(run, store, notice)
                return run
            return train(path)
        except RunError as error:
            if epochs:  # the training had begun: it failed itself, and another run would fail too
                raise
            notice(f"{path.name} stays as it is, another run is trained: {error}")
    number = 1 + max((_order(path)[1] for path in existing), default=0)
    return train(runs / (stem if number == 1 else f"{stem}-{number}"))


def _report_revisions(run: Run, store: Store, notice: Notice) -> None:
    trained_on = run.identity.data
    revised = [name for name, mark in store.fingerprints.items() if trained_on.get(name, mark) != mark]
    if revised:
        notice(f"{run.path.name} is used as it was trained; the store's {', '.join(revised)} changed since")


def _run_folders(runs: Path) -> Iterator[Path]:
    """Folders in `runs` that hold a run."""
    yield from sorted(path.parent for path in Path(runs).glob("*/run.json"))


def _order(path: Path) -> tuple[str, int]:
    """Stem and number of a run's folder: soybean-to-2016-2 comes after soybean-to-2016."""
    match = re.fullmatch(r"(.*-to-\d{4})(?:-(\d+))?", path.name)
    return (match[1], int(match[2] or 1)) if match else (path.name, 1)
