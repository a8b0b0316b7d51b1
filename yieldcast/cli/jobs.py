"""`yieldcast job preseason` and `yieldcast job inseason`: what cron, a systemd timer or Airflow calls.

The result of a job goes to stdout; progress, notices and errors go to stderr.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from yieldcast import clock
from yieldcast.cli.arguments import (
    CropOption,
    LanguageOption,
    Method,
    MethodOption,
    SkillOption,
    StaleOption,
    StoreOption,
    crop_key,
    parse_date,
)
from yieldcast.cli.panels import Command
from yieldcast.cli.terminal import console, exit_during_fetch, load_tensorflow
from yieldcast.errors import ConfigError, YieldcastError

if TYPE_CHECKING:
    from data_fetchers.fetching.order import FetchOrder
    from yieldcast.data.store import Store
    from yieldcast.operations.job import Job, JobResult
    from yieldcast.publication import Publication
    from yieldcast.training.run_directory import Run


jobs = typer.Typer(name="job", no_args_is_help=True)
EXIT_CODES = (
    "Exit codes: 0 a bulletin was written or there is nothing new, 1 unexpected error, 2 settings, "
    "3 missing data, no disk space or another copy of the job is running, 4 a service did not deliver and "
    "no bulletin was written, 5 malformed contents or data from after the date, 6 no usable run, "
    "130 stopped by Ctrl-C, SIGTERM or SIGHUP."
)
BulletinsOption = Annotated[
    Path | None,
    typer.Option("--bulletins", metavar="DIR", help="Folder of all bulletins, made if needed.  [required]"),
]
IssuesOption = Annotated[Path | None, typer.Option("--issues", hidden=True)]  # spelling of yieldcast 0.1
RunsOption = Annotated[Path, typer.Option("--runs", metavar="DIR", help="Folder of the trained runs.")]
SeasonOption = Annotated[
    int | None,
    typer.Option(
        "--harvest-year",
        min=1800,
        max=2200,
        help="Harvest year to forecast, 2018 is the season 2017/18; default: follows from --as-of.",
    ),
]
AsOfOption = Annotated[
    str | None,
    typer.Option("--as-of", metavar="YYYY-MM-DD", help="Date of the forecast; default: today (UTC)."),
]
SeedsOption = Annotated[int, typer.Option("--seeds", help="Members of a finished run.")]
OfflineOption = Annotated[
    bool, typer.Option("--offline", help="Open no connection: use what the store holds.")
]
StrictOption = Annotated[
    bool, typer.Option("--strict", help="Write no bulletin when something could not be fetched.")
]


@jobs.callback()
def root() -> None:
    """Forecasts on a schedule: fetch what is missing and write a bulletin when there is something new."""


@jobs.command(epilog=EXIT_CODES, cls=Command)
def preseason(
    store: StoreOption,
    crop: CropOption,
    runs: RunsOption,
    bulletins: BulletinsOption = None,
    issues: IssuesOption = None,
    harvest_year: SeasonOption = None,
    as_of: AsOfOption = None,
    scenarios: MethodOption = Method.climatology,
    seeds: SeedsOption = 30,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="TOML",
            help="Settings of the run; its keys have precedence over those of the preset forecast.",
        ),
    ] = None,
    lang: LanguageOption = "en",
    skill: SkillOption = None,
    offline: OfflineOption = False,
    strict: StrictOption = False,
    allow_stale: StaleOption = False,
) -> None:
    """Train a run on all public yields and write a bulletin for the next season.

    The job fetches what is missing (with the method "posterior" also official estimates and daily weather),
    trains or continues the run RUNS/CROP-to-LAST_PUBLIC_YEAR unless it is
    finished, and writes a bulletin when anything has changed since the newest one. The season is the next
    one whose window has not ended. A job that is killed at any moment and started again continues and ends
    with the same bulletin.

    Example:

        yieldcast job preseason --store STORE --crop soybean --bulletins BULLETINS --runs RUNS
    """
    from yieldcast.cli.progress import training_progress
    from yieldcast.config import read_settings
    from yieldcast.data.store import Store
    from yieldcast.features.season_dates import calendar_for
    from yieldcast.forecasting.freshness import freshness
    from yieldcast.operations.job import Job, read_skill
    from yieldcast.operations.run_selection import season_ahead, trained_run

    folder, date, opened = _bulletins_folder(bulletins, issues), _date(as_of), Store.open(store)
    settings = read_settings(config).for_country(opened.country)
    crop = crop_key(crop, opened.yields["crop"].values.tolist())
    calendar = calendar_for(settings.data, opened.static, opened.country)
    publication = settings.data.publication()
    text = config.read_text(encoding="utf-8") if config else ""
    screen = console(stderr=True)
    if harvest_year is None:
        harvest_year = season_ahead(opened, calendar, crop, date, publication)

    def run_for(store: Store) -> Run:
        if not allow_stale:  # before the training
            freshness(store, store.tables, crop, harvest_year, date, calendar, settings).check()
        with training_progress(settings.training.max_epochs, screen) as progress:
            return trained_run(
                runs, store, crop, date, seeds, settings,
                config_text=text, progress=progress, notice=_notice(lang), before_training=load_tensorflow,
            )  # fmt: skip

    job = Job(
        store, folder, crop, harvest_year, date, scenarios.value, lang,
        read_skill(skill, crop), strict, settings.optional_tables, allow_stale,
    )  # fmt: skip
    _carry_out(job, run_for, publication, offline)


@jobs.command(epilog=EXIT_CODES, cls=Command)
def inseason(
    store: StoreOption,
    crop: CropOption,
    runs: RunsOption,
    bulletins: BulletinsOption = None,
    issues: IssuesOption = None,
    harvest_year: SeasonOption = None,
    as_of: AsOfOption = None,
    scenarios: MethodOption = Method.climatology,
    seeds: SeedsOption = 30,
    lang: LanguageOption = "en",
    skill: SkillOption = None,
    offline: OfflineOption = False,
    strict: StrictOption = False,
    allow_stale: StaleOption = False,
) -> None:
    """Write a bulletin for the season under way when new weather or yields became public.

    The job fetches what is missing (with a run of the method "posterior" also official estimates and daily
    weather), takes the newest finished run of RUNS that was trained only on public
    yields, and writes a bulletin when anything has changed since the newest one. The season is the newest
    one of which weather is public. It never trains: without a usable run it ends with exit code 6; run the
    pre-season job first.

    Example:

        yieldcast job inseason --store STORE --crop soybean --bulletins BULLETINS --runs RUNS
    """
    from yieldcast.data.store import Store
    from yieldcast.operations.job import Job, read_skill
    from yieldcast.operations.run_selection import season_under_way, suitable_run

    folder, date, opened = _bulletins_folder(bulletins, issues), _date(as_of), Store.open(store)
    crop = crop_key(crop, opened.yields["crop"].values.tolist())
    run = suitable_run(runs, opened, crop, date, seeds, harvest_year)
    publication = run.settings.data.publication()
    if harvest_year is None:
        harvest_year = season_under_way(opened, run.calendar(), crop, date, publication)
    job = Job(
        store, folder, crop, harvest_year, date, scenarios.value, lang,
        read_skill(skill, crop), strict, run.settings.optional_tables, allow_stale,
    )  # fmt: skip
    _carry_out(job, lambda store: run, publication, offline)


def _bulletins_folder(bulletins: Path | None, issues: Path | None) -> Path:
    """The folder of ``--bulletins``, or of ``--issues`` as the option was called in yieldcast 0.1."""
    if issues is not None:
        typer.echo("note: --issues is now called --bulletins", err=True)
    folder = bulletins or issues
    if folder is None or (bulletins and issues):
        raise ConfigError(
            "expected --bulletins DIR once, received " + ("it twice" if folder else "none"),
            "Give the folder of all bulletins, for example --bulletins BULLETINS.",
        )
    return folder


def _date(as_of: str | None) -> dt.date:
    from yieldcast.operations.job import check_date

    today = clock.today()
    return check_date(parse_date(as_of, "--as-of") or today, today)


def _carry_out(job: Job, run_for: Callable[[Store], Run], publication: Publication, offline: bool) -> None:
    """Carry the job out and print its result."""
    from yieldcast.operations.job import carry_out

    def fetch(store: Store) -> YieldcastError | None:
        return _fetch_missing(store, job, publication)

    result = carry_out(
        job, run_for, fetch=None if offline else fetch, progress=_forecasting,
        notice=_notice(job.lang),
    )  # fmt: skip
    _print_result(result, job)


def _notice(lang: str) -> Callable[[str], None]:
    """Prints a message for the user to stderr, in a language."""
    from yieldcast import language

    words, screen = language.of(lang), console(stderr=True)
    return lambda text: screen.print(words.said(text))


@contextmanager
def _forecasting() -> Iterator[Callable[[int, int], None]]:
    from yieldcast.cli.progress import counting_progress

    load_tensorflow()
    with counting_progress("forecasting, members", console(stderr=True)) as progress:
        yield progress


def _print_result(result: JobResult, job: Job) -> None:
    from yieldcast import language
    from yieldcast.reporting import labels

    words, path = language.of(job.lang), str(result.bulletin.path)
    if not result.new:
        typer.echo(words.gettext("nothing new since the bulletin {path}", path=path))
        return
    head = words.gettext(
        "{crop} {year} as of {date}: {path}",
        crop=labels.crop(job.crop, job.lang), year=job.harvest_year, date=words.date(job.as_of), path=path,
    )  # fmt: skip
    typer.echo(head)
    typer.echo(result.summary or words.gettext("This is the first bulletin of the season."))
    for note in result.bulletin.manifest["notes"]:
        typer.echo(words.said(note))
    if result.trouble is not None:
        typer.echo(words.gettext("The next job asks again for what is missing."))


def _fetch_missing(store: Store, job: Job, publication: Publication) -> YieldcastError | None:
    """Fetch what is public on the date of the job and not in the store yet, see `fetch_orders`.

    Returns:
        the error that left the fetch incomplete, or None.

    Raises:
        ConfigError: the tables of the store come from no service.
        MissingDataError: another fetch is at work, or the disk refuses.
    """
    from data_fetchers.fetching.fetch import fetch
    from yieldcast.cli.progress import fetch_progress
    from yieldcast.cli.views.fetch import show_report

    errors: list[YieldcastError] = []
    screen = console(stderr=True)
    for order in fetch_orders(store, job, publication):
        try:
            with fetch_progress(screen) as progress:
                report = fetch(order, store.path, progress=progress)
        except KeyboardInterrupt:
            exit_during_fetch(screen)
        if report.missing or report.errors or report.unwritten or any(s.fetched for s in report.summaries):
            show_report(report, store.path, screen, job.lang)
        try:
            report.raise_for_missing()
        except YieldcastError as error:
            errors.append(error)
    return errors[0] if errors else None


def fetch_orders(store: Store, job: Job, publication: Publication) -> list[FetchOrder]:
    """What to ask the services for: each table is continued with its source, years, crops and states.

    Args:
        store: tables as they are.
        job: gives the date, the crop, the kind of scenarios, and optional tables to fetch.
        publication: when weather and yields become public.

    Raises:
        ConfigError: neither weather nor yields of the store come from a service.
    """
    from data_fetchers.fetching.order import FetchOrder
    from data_fetchers.fetching.plans import seasonal_default
    from data_fetchers.ibge import lspa
    from data_fetchers.ibge.sidra import CROPS, STATES

    states = tuple(sorted(set(store.static["state"].values.astype(str).tolist())))
    common = FetchOrder((), states=None if set(states) == set(STATES) else states)
    weather, yields = (_source(store, table) for table in ("weather", "yields"))
    orders = []
    if yields is not None:
        first, last = int(store.yields["harvest_year"].min()), publication.last_public_harvest_year(job.as_of)
        crops = tuple(dict.fromkeys([*store.yields["crop"].values.astype(str).tolist(), job.crop]))
        orders.append(replace(common, tables=("yields",), years=tuple(range(first, last + 1)), crops=crops))
    if weather is not None:
        first = int(store.weather["time"].dt.year.min())
        years = tuple(range(first, job.as_of.year + 1))
        daily = None if "daily" in job.optional else False
        orders.append(replace(common, tables=("weather",), years=years, daily=daily, **weather))
    if not orders:
        raise ConfigError(
            f"weather and yields of the store {store.path} come from your own tables, not from a service",
            "Import new tables yourself and give --offline.",
        )
    if "estimates" in job.optional and job.crop in CROPS and set(states) <= set(STATES):
        first = max(int(store.yields["harvest_year"].min()), lspa.FIRST_YEAR)
        years = tuple(range(first, job.harvest_year + 1))
        orders.append(replace(common, tables=("estimates",), years=years, crops=(job.crop,)))
    if job.scenarios == "seasonal":
        starts = seasonal_default((job.as_of.year,), job.as_of)
        orders.append(replace(common, tables=("seasonal",), starts=starts))
    return orders


def _source(store: Store, table: str) -> dict[str, Any] | None:
    """How a table of the store was fetched, as settings of an order; None where it was imported."""
    about = store.sources.get(table)
    if not isinstance(about, Mapping) or "source" not in about:
        return None
    if table != "weather":
        return {}
    weights = {
        "weights": about["weights_file"], "weights_before": about["weights_before"]
    } if "weights_file" in about else {}  # fmt: skip
    return {"weather": about["source"], "where": about["where"], **weights}
