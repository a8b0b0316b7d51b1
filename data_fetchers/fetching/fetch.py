"""From an order to a filled store: plan, fetch what is missing, make the tables, say what is not there."""

from __future__ import annotations

import datetime as dt
import importlib.util
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path

from data_fetchers.engine import clock
from data_fetchers.engine.cache import Record, Request
from data_fetchers.engine.downloader import DownloadPlan, Progress, SourceSummary, fetch_requests
from data_fetchers.engine.source import Note, NotYetPublishedError, Retry
from data_fetchers.fetching.order import FetchContext, FetchOrder, TableBuilt, TablePlan
from data_fetchers.fetching.plans import PLANS, plan_places, table_requests
from data_fetchers.fetching.provenance import refuse_mixture, replaced, same
from data_fetchers.ibge import places, sidra, source
from yieldcast.data.files import atomic_text, exclusive_lock, make_folder
from yieldcast.data.store import Store
from yieldcast.errors import ConfigError, CredentialsError, FetchError, MissingDataError, YieldcastError


@dataclass
class FetchReport:
    """What a fetch did.

    Args:
        summaries: per target, what became of its parts.
        notes: what a reader of the tables should know.
        written: targets whose table was written.
        unwritten: targets whose table was left as it was, because parts are missing.
        errors: targets that could not be planned or made, with the reason.
    """

    summaries: list[SourceSummary] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    written: list[str] = field(default_factory=list)
    unwritten: list[str] = field(default_factory=list)
    errors: list[tuple[str, YieldcastError]] = field(default_factory=list)

    @property
    def missing(self) -> list[tuple[str, YieldcastError]]:
        """Parts that did not arrive, with the reason."""
        return [entry for summary in self.summaries for entry in summary.missing]

    def note(self, notes: Sequence[Note]) -> None:
        """Add notes, each once."""
        self.notes = list(dict.fromkeys([*self.notes, *notes]))

    def raise_for_missing(self) -> None:
        """An error when anything that was asked for is not there.

        Raises:
            YieldcastError: a target could not be made; its own error.
            CredentialsError: a key or licence is the reason.
            FetchError: parts or values are missing, exit code 4.
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
            f"{len(self.missing)} parts did not arrive, {len(absent)} notes name gaps; first: {first}",
            f"{hint} The same command goes on later: what has arrived is not asked for again.".strip(),
        )


SURVEYS = "surveys.csv"


def plan(order: FetchOrder, store: Path, today: dt.date) -> tuple[list[TablePlan], dict[str, str]]:
    """What would be fetched: plans, and about how much of targets that cannot be planned exactly yet.

    Args:
        order: what is asked.
        store: the folder.
        today: decides what is published.

    Raises:
        ConfigError: as `fetch`.
    """
    context = FetchContext(order, Path(store).resolve(), today)
    _check(context)
    plans, later = [], {}
    without_places = _needs_places(context)
    if without_places:
        plans.append(plan_places(context))
    for target in _rest(order):
        try:
            plans.append(PLANS[target](context))
        except (FetchError, MissingDataError, ConfigError):
            # Nothing can be planned before its places are here, nor yields before SIDRA's labels.
            if not without_places and target != "yields":
                raise
            later[target] = _about(order, target)
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
    """Fill a store with what was ordered; what is there already is not asked for again.

    A target that fails does not stop the others: it is in the report.

    Args:
        order: what is asked.
        store: the folder; tables of other targets stay.
        executor: where parts are fetched; threads if none.
        retry: how often one part is tried.
        progress: see `loop.fetch_requests`.
        today: decides what is published and what is preliminary; today if none.

    Raises:
        ConfigError: unknown crop or state, or a table of another origin in the store.
        MissingDataError: the disk refuses, or another fetch is at work.
    """
    # Absolute, since workers of a cluster have folders of their own.
    context = FetchContext(order, Path(store).resolve(), today or clock.today())
    report = FetchReport()
    _check(context)
    # One fetch at a time also while tables are read, joined and written.
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
    targets = _rest(context.order)
    if _needs_places(context):
        planned = plan_places(context)
        _finish(context, report, planned, get([planned.plan], ["places"])[0])
        if context.existing("static") is None or _absent_states(context):
            report.unwritten += targets
            return
    if "yields" in targets:
        summary = get([table_requests(context)], ["labels"])[0]
        if any(not context.shelf(table_requests(context)[0]).complete(part) for part in summary.absent):
            report.unwritten.append("yields")
            targets.remove("yields")
        elif _has_new_places(context):
            planned = plan_places(context)
            _finish(context, report, planned, get([planned.plan], ["places"])[0])
    plans = []
    for target in targets:
        try:
            plans.append(PLANS[target](context))
        except YieldcastError as error:
            report.errors.append((target, error))
    summaries = get([p.plan for p in plans], [p.target for p in plans]) if plans else []
    for planned, summary in zip(plans, summaries, strict=True):
        _finish(context, report, planned, summary)


def leaves(planned: TablePlan, context: FetchContext) -> list[tuple[Request, Record | None]]:
    """The parts of a plan, or of what they were split into, each with its sidecar; nothing is touched."""
    shelf = context.shelf(planned.source)
    return [leaf for part in planned.parts for leaf in shelf.below(part, finish=False)]


def still_to_fetch(planned: TablePlan, context: FetchContext) -> list[Request]:
    """The parts among the `leaves` of a plan that are not on their shelf, or stale."""
    return [
        part
        for part, record in leaves(planned, context)
        if record is None or planned.source.stale(part, record, context.today)
    ]


def _check(context: FetchContext) -> None:
    """Everything that can be refused before anything is asked for."""
    places.state_codes(context.order.states)
    order = context.order
    if "yields" in order.targets:
        sidra.known(order.crops)
    if "weather" in order.targets and order.where == "polygon":
        if order.weather == "nasa-power":
            raise ConfigError(
                "--where polygon: NASA POWER's cells of 50 km are larger than most municipalities",
                "Take --where centroid, or ERA5.",
            )
        if importlib.util.find_spec("exactextract") is None:
            raise ConfigError("--where polygon needs exactextract", "pip install 'yieldcast[geo]'")
    if order.where == "polygon" and not _needs_places(context) and context.mesh() is None:
        raise ConfigError(
            "--where polygon: the store has no boundaries of its places",
            "Run `yieldcast fetch places` first.",
        )
    refuse_mixture(context)


def _needs_places(context: FetchContext) -> bool:
    """Whether places are asked for, or those of an asked state are not there although all hangs on them."""
    static = context.existing("static")
    if "places" in context.order.targets or static is None:
        return True
    # Imported places are the user's own selection.
    return same(context, "places") and bool(_absent_states(context))


def _absent_states(context: FetchContext) -> set[str]:
    """Asked states of which the store has no place."""
    wanted = set(context.order.states or places.STATES)
    return wanted - set(context.places()["state"].values.tolist())


def _has_new_places(context: FetchContext) -> bool:
    """Whether IBGE lists more or fewer municipalities of the asked states than the store has."""
    if not same(context, "places"):
        return False
    listed = places.municipality_counts(context.shelf(table_requests(context)[0]), source.Ibge())
    states = Counter((context.places()["municipality"].values // 100_000).tolist())
    return any(listed.get(uf) != states[uf] for uf in places.state_codes(context.order.states))


def _rest(order: FetchOrder) -> list[str]:
    return [target for target in PLANS if target in order.targets]


def _about(order: FetchOrder, target: str) -> str:
    """A rough count for a dry run before the places are here."""
    years, crops = len(order.years), len(order.crops)
    states = len(order.states or ()) or 27
    texts = {
        "yields": f"about {years * -(-crops // 2) * (states if order.states else 1)} requests of up to 9 MB",
        "weather": f"about {2 * years + 1} requests of 20 MB; of NASA POWER one for each of 1,391 cells",
        "soil": f"about {(63 if order.soil == '2017' else 54) * states} requests, some 0.1 MB each",
    }
    return texts.get(target, "")


def _finish(context: FetchContext, report: FetchReport, planned: TablePlan, summary: SourceSummary) -> None:
    """Make the table and put it into the store, unless parts of it failed.

    Parts that the service will have later do not hold the others up, their months stay empty and are named;
    nor do parts of which an earlier file is here.
    """
    report.note(planned.notes)
    if not planned.parts:  # nothing is out yet; the notes say so
        return
    shelf = context.shelf(planned.source)
    absent = [not shelf.complete(part) for part in summary.absent]
    failed = [
        lost and not isinstance(error, NotYetPublishedError)
        for lost, (_, error) in zip(absent, summary.missing, strict=True)
    ]
    if summary.total == sum(absent) or (any(failed) and not context.order.partial):
        report.unwritten.append(planned.target)
        return
    try:
        built = planned.build()
        report.note(built.notes)
        _write(context, report, planned.target, built)
    except MissingDataError as error:
        if not summary.missing:
            report.errors.append((planned.target, error))
        report.unwritten += [planned.target] if summary.missing else []
        return
    except YieldcastError as error:
        report.errors.append((planned.target, error))
        return
    report.written.append(planned.target)


def _write(context: FetchContext, report: FetchReport, target: str, built: TableBuilt) -> None:
    if built.surveys is not None:
        atomic_text(context.store / SURVEYS, built.surveys)
    drop = replaced(context) if target == "places" else []
    if drop:  # --replace: what belonged to the places of before goes with them
        report.note([Note("places", f"replaced, and dropped with them: {', '.join(drop)}", len(drop))])
    Store.update(context.store, built.tables, built.about, mesh=built.mesh, drop=drop)
