"""Fills a store as ordered: plan the requests, fetch what is missing, make the tables, report gaps."""

from __future__ import annotations

import datetime as dt
import importlib.util
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from data_fetchers.engine.cache import Record, Request
from data_fetchers.engine.downloader import DownloadPlan, Progress, SourceSummary, fetch_requests
from data_fetchers.engine.source import Note, NotYetPublishedError, Retry
from data_fetchers.fetching.order import DAILY, FetchContext, FetchOrder, TableBuilt, TablePlan
from data_fetchers.fetching.plans import PLANS, estimate_metadata, plan_places, yield_metadata
from data_fetchers.fetching.provenance import dropped_tables, refuse_mixture, same_source, wants_daily
from data_fetchers.ibge import places, sidra, source
from yieldcast import clock
from yieldcast.data.files import atomic_text, exclusive_lock, make_folder
from yieldcast.data.store import Store
from yieldcast.errors import ConfigError, CredentialsError, FetchError, MissingDataError, YieldcastError


@dataclass
class FetchReport:
    """Results of a fetch.

    Args:
        summaries: results of the requests, one summary per table.
        notes: remarks for readers of the tables.
        written: names of the tables that were written.
        unwritten: names of the tables that were left unchanged, because data are missing.
        errors: names of the tables that could not be planned or made, with the error.
    """

    summaries: list[SourceSummary] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    written: list[str] = field(default_factory=list)
    unwritten: list[str] = field(default_factory=list)
    errors: list[tuple[str, YieldcastError]] = field(default_factory=list)

    @property
    def missing(self) -> list[tuple[str, YieldcastError]]:
        """Names of requests that failed, with the error."""
        return [entry for summary in self.summaries for entry in summary.missing]

    def note(self, notes: Sequence[Note]) -> None:
        """Add notes without repeating any."""
        self.notes = list(dict.fromkeys([*self.notes, *notes]))

    def raise_for_missing(self) -> None:
        """Raise an error when requested data are missing.

        Raises:
            YieldcastError: the error of a table that could not be made.
            CredentialsError: a key or licence was refused.
            FetchError: answers or values are missing, exit code 4.
        """
        absent = [note for note in self.notes if note.missing]
        first_of_all = [e for _, e in self.missing if isinstance(e, CredentialsError)]
        for error in [*(e for _, e in self.errors if e.exit_code != 3), *first_of_all]:
            raise error
        if not self.missing and not absent:
            for _, error in self.errors:
                raise error
            return
        first = str(self.missing[0][1]) if self.missing else f"{absent[0].table}: {absent[0].text}"
        hint = self.missing[0][1].hint if self.missing else ""
        raise FetchError(
            f"{len(self.missing)} requests failed and {len(absent)} notes report gaps; first: {first}",
            f"{hint} Run the same command again later: it fetches only what is missing.".strip(),
        )


SURVEYS = "surveys.csv"


def plan(order: FetchOrder, store: Path, today: dt.date) -> tuple[list[TablePlan], dict[str, str]]:
    """Plan a fetch without fetching anything.

    Args:
        order: what to fetch.
        store: folder of the store.
        today: decides which data are published.

    Returns:
        plans, and a rough estimate, as text, for each table that cannot be planned yet.

    Raises:
        ConfigError: as `fetch`.
    """
    context = FetchContext(order, Path(store).resolve(), today)
    _check(context)
    plans, later = [], {}
    without_places = _needs_places(context)
    if without_places:
        plans.append(plan_places(context))
    for table in _ordered(context):
        try:
            plans.append(PLANS[table](context))
        except (FetchError, MissingDataError, ConfigError):
            # No table can be planned without the places, nor yields and estimates without SIDRA's labels.
            if not without_places and table not in ("yields", "estimates-lspa"):
                raise
            later[table] = _rough_size(order, table)
    return plans, later


def fetch(
    order: FetchOrder,
    store: Path,
    *,
    executor: Executor | None = None,
    retry: Retry | None = None,
    progress: Progress | None = None,
    today: dt.date | None = None,
) -> FetchReport:
    """Fill a store as ordered; stored answers are not fetched again.

    A table that fails does not stop the others; its error is in the report.

    Args:
        order: what to fetch.
        store: folder of the store; tables that are not ordered stay unchanged.
        executor: where requests run; threads if None.
        retry: number of tries per request and pauses between them.
        progress: see `fetch_requests`.
        today: decides which data are published and which are preliminary; the current date if None.

    Raises:
        ConfigError: unknown crop or state, or a table from another source in the store.
        MissingDataError: the disk refuses, or another fetch works in this store.
    """
    # Absolute, because workers of a cluster have other working directories.
    context = FetchContext(order, Path(store).resolve(), today or clock.today())
    report = FetchReport()
    _check(context)
    # The lock also covers reading, merging and writing of tables.
    held = context.folder / ".one-fetch"
    make_folder(held)
    with exclusive_lock(held, "another fetch is at work in"):

        def get(plans: Sequence[DownloadPlan], labels: Sequence[str]) -> list[SourceSummary]:
            summaries = fetch_requests(
                plans, context.folder, executor=executor, retry=retry, progress=progress,
                today=context.today, labels=labels,
            )  # fmt: skip
            report.summaries += summaries
            return summaries

        _fetch(context, report, get)
    return report


_Get = Callable[[Sequence[DownloadPlan], Sequence[str]], list[SourceSummary]]


def _fetch(context: FetchContext, report: FetchReport, get: _Get) -> None:
    tables = _ordered(context)
    if _needs_places(context):
        planned = plan_places(context)
        _make_table(context, report, planned, get([planned.plan], ["places"])[0])
        if context.existing("static") is None or _absent_states(context):
            report.unwritten += tables
            return
    for table, metadata in (("yields", yield_metadata), ("estimates-lspa", estimate_metadata)):
        if table in tables and not _fetch_metadata(context, metadata(context), get):
            report.unwritten.append(table)
            tables.remove(table)
    if "yields" in tables and _has_new_places(context):
        planned = plan_places(context)
        _make_table(context, report, planned, get([planned.plan], ["places"])[0])
    plans = []
    for table in tables:
        try:
            plans.append(PLANS[table](context))
        except YieldcastError as error:
            report.errors.append((table, error))
    for batch in _batches(plans):
        summaries = get([p.plan for p in batch], [p.table for p in batch])
        for planned, summary in zip(batch, summaries, strict=True):
            _make_table(context, report, planned, summary)


def _batches(plans: Sequence[TablePlan]) -> list[list[TablePlan]]:
    """Plans to carry out at the same time; one that needs an answer of an earlier plan comes after it."""
    first, second, taken = list[TablePlan](), list[TablePlan](), set[tuple[str, str]]()
    for planned in plans:
        files = {(planned.source.name, request.file) for request in planned.requests}
        (second if files & taken else first).append(planned)
        taken |= files
    return [batch for batch in (first, second) if batch]


def _fetch_metadata(context: FetchContext, plan: DownloadPlan, get: _Get) -> bool:
    """Fetch what a table needs before it can be planned; whether all of it is cached then."""
    cache, summary = context.cache(plan[0]), get([plan], ["labels"])[0]
    return all(cache.complete(request) for request in summary.absent)


def leaves(planned: TablePlan, context: FetchContext) -> list[tuple[Request, Record | None]]:
    """Requests of a plan, or those they were split into, each with its sidecar or None; changes nothing."""
    cache = context.cache(planned.source)
    return [leaf for request in planned.requests for leaf in cache.expanded(request, finish=False)]


def still_to_fetch(planned: TablePlan, context: FetchContext) -> list[Request]:
    """The `leaves` of a plan without a stored answer, or with an outdated one."""
    return [
        request
        for request, record in leaves(planned, context)
        if record is None or planned.source.stale(request, record, context.today)
    ]


def _check(context: FetchContext) -> None:
    """Refuse an order that cannot be carried out, before anything is fetched."""
    order = context.order
    if context.existing("static") is None or same_source(context, "places"):
        places.state_codes(order.states)
    else:
        _refuse_other_country(context)
    if {"yields", "estimates"} & set(order.tables):
        sidra.known(order.crops)
    if "weather" in order.tables and order.where != "centroid":
        if order.weather == "nasa-power":
            raise ConfigError(
                f"--where {order.where}: NASA POWER's cells of 50 km are larger than most municipalities",
                "Use --where centroid, or ERA5.",
            )
        if importlib.util.find_spec("exactextract") is None:
            raise ConfigError(f"--where {order.where} needs exactextract", "pip install 'yieldcast[geo]'")
        _check_crop(order)
    if order.where != "centroid" and not _needs_places(context) and context.mesh() is None:
        raise ConfigError(
            f"--where {order.where}: the store has no boundaries of its places",
            "Run `yieldcast fetch places` first.",
        )
    refuse_mixture(context)


def _check_crop(order: FetchOrder) -> None:
    """ConfigError for weights of another grid than the weather's, and for months before their first map."""
    if (crop := order.crop()) is None:
        return
    if crop.table.attrs["grid"] != order.weather:
        raise ConfigError(
            f"--weights {order.weights}: made for cells of {crop.table.attrs['grid']}, the weather is from "
            f"{order.weather}",
            f"Make them again with: yieldcast crop-type mask --grid {order.weather}",
        )
    if order.years:
        crop.refuse_before(np.datetime64(f"{min(order.years)}-01", "M"))


_OF_BRAZIL = ("places", "yields", "surveys", "estimates")  # tables of IBGE and CONAB


def _refuse_other_country(context: FetchContext) -> None:
    """ConfigError for absent states, and for tables of Brazil's services where places are not Brazil's.

    For stores with imported places.
    """
    if context.order.states is not None and not context.order.replace:
        context.static()
    wanted = sorted(set(_OF_BRAZIL) & set(context.order.tables))
    if not wanted or ("places" in wanted and context.order.replace):
        return
    if first := places.first_outside_brazil(context.places()):
        raise ConfigError(
            f"{', '.join(wanted)}: IBGE and CONAB cover Brazil only, the store has {first}",
            "Fetch weather, soil and seasonal one at a time; import yields with `yieldcast import`.",
        )


def _needs_places(context: FetchContext) -> bool:
    """Whether places must be fetched: they are ordered, or those of an ordered state are missing."""
    static = context.existing("static")
    if "places" in context.order.tables or static is None:
        return True
    # Imported places are the user's own selection, and are never completed.
    return same_source(context, "places") and bool(_absent_states(context))


def _absent_states(context: FetchContext) -> set[str]:
    """Ordered states of which the store has no place."""
    wanted = set(context.order.states or sidra.STATES)
    return wanted - set(context.places()["state"].values.tolist())


def _has_new_places(context: FetchContext) -> bool:
    """Whether IBGE lists another number of municipalities than the store has in an ordered state."""
    if not same_source(context, "places"):
        return False
    listed = places.municipality_counts(context.cache(yield_metadata(context)[0]), source.Ibge())
    states = Counter((context.places()["municipality"].values // 100_000).tolist())
    return any(listed.get(uf) != states[uf] for uf in places.state_codes(context.order.states))


def _ordered(context: FetchContext) -> list[str]:
    """Names of the plans of an order; weather has one for its days, estimates one for each source."""
    names = [name for name in PLANS if name.partition("-")[0] in context.order.tables]
    return [name for name in names if name != DAILY or wants_daily(context)]


def _rough_size(order: FetchOrder, table: str) -> str:
    """Rough size of a table for a dry run, when its places are not fetched yet."""
    years, crops = len(order.years), len(order.crops)
    states = len(order.states or ()) or 27
    texts = {
        "yields": f"about {years * -(-crops // 2) * (states if order.states else 1)} requests of up to 9 MB",
        "weather": f"about {2 * years + 1} requests of 20 MB; of NASA POWER one for each of 1,391 cells",
        DAILY: f"about {5 * years} more requests of 20 MB; of NASA POWER two for each cell",
        "estimates-lspa": f"about {years} requests of 0.1 MB",
        "soil": f"about {(63 if order.soil == '2017' else 54) * states} requests, some 0.1 MB each",
    }
    return texts.get(table, "")


def _make_table(
    context: FetchContext, report: FetchReport, planned: TablePlan, summary: SourceSummary
) -> None:
    """Make a table and write it to the store, unless requests for it failed.

    It is also made when requests failed whose data are not published yet (their months stay empty and are
    reported), or whose earlier answer is stored.
    """
    report.note(planned.notes)
    if not planned.requests:  # nothing is published yet, as the notes report
        return
    cache = context.cache(planned.source)
    absent = [not cache.complete(request) for request in summary.absent]
    failed = [
        lost and not isinstance(error, NotYetPublishedError)
        for lost, (_, error) in zip(absent, summary.missing, strict=True)
    ]
    if summary.total == sum(absent) or (any(failed) and not context.order.partial):
        report.unwritten.append(planned.table)
        return
    try:
        built = planned.build()
        report.note(built.notes)
        _write(context, report, planned.table, built)
    except MissingDataError as error:
        if not summary.missing:
            report.errors.append((planned.table, error))
        report.unwritten += [planned.table] if summary.missing else []
        return
    except YieldcastError as error:
        report.errors.append((planned.table, error))
        return
    report.written.append(planned.table)


def _write(context: FetchContext, report: FetchReport, table: str, built: TableBuilt) -> None:
    if built.surveys is not None:
        atomic_text(context.store / SURVEYS, built.surveys)
    drop = dropped_tables(context) if table == "places" else []
    if drop:  # --replace: tables of the replaced places are dropped with them
        report.note([Note("places", f"replaced; dropped with them: {', '.join(drop)}", len(drop))])
    Store.update(context.store, built.tables, built.sources, mesh=built.mesh, drop=drop)
