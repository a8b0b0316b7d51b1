"""From an order to a filled store: plan, fetch what is missing, make the tables, say what is not there."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path

from data_fetchers.base import (
    Note,
    NotYetError,
    Plan,
    Progress,
    Retry,
    SourceSummary,
    fetch_parts,
)
from data_fetchers.orders import Built, Context, Order, Planned
from data_fetchers.parts import Part
from data_fetchers.targets import PLANS, plan_places, table_parts
from yieldcast.disk import atomic_text
from yieldcast.errors import CredentialsError, FetchError, YieldcastError
from yieldcast.store import Store

SURVEYS = "surveys.csv"


@dataclass
class Report:
    """What a fetch did.

    Args:
        summaries: per source and stage, what became of its parts.
        notes: what a reader of the tables should know.
        written: targets whose table was written.
        unwritten: targets whose table was left as it was, because parts are missing.
    """

    summaries: list[SourceSummary] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    written: list[str] = field(default_factory=list)
    unwritten: list[str] = field(default_factory=list)

    @property
    def missing(self) -> list[tuple[str, YieldcastError]]:
        """Parts that did not arrive, with the reason."""
        return [entry for summary in self.summaries for entry in summary.missing]

    def raise_for_missing(self) -> None:
        """FetchError (exit code 4) when anything that was asked for is not there.

        Raises:
            CredentialsError: a key or licence is the reason.
            FetchError: parts or values are missing.
        """
        for _, error in self.missing:
            if isinstance(error, CredentialsError):
                raise error
        absent = [note for note in self.notes if note.missing]
        if not self.missing and not absent:
            return
        first = str(self.missing[0][1]) if self.missing else f"{absent[0].table}: {absent[0].text}"
        raise FetchError(
            f"{len(self.missing)} parts did not arrive, {len(absent)} notes name gaps; first: {first}",
            "Run the same command again, later: what has arrived is kept and not asked for again.",
        )


def plan(order: Order, store: Path, today: dt.date) -> tuple[list[Planned], list[str]]:
    """What would be fetched: plans, and the targets that cannot be planned until others are here.

    Args:
        order: what is asked.
        store: the folder.
        today: decides what is published.
    """
    context = Context(order, store, today)
    plans, later = [], []
    if needs_places(context):
        plans.append(plan_places(context))
    for target in _rest(order):
        try:
            plans.append(PLANS[target](context))
        except FetchError:
            later.append(target)
        except YieldcastError:
            if context.existing("static") is not None:
                raise
            later.append(target)
    return plans, later


def fetch(
    order: Order,
    store: Path,
    *,
    executor: Executor | None = None,
    retry: Retry | None = None,
    progress: Progress | None = None,
    today: dt.date | None = None,
) -> Report:
    """Fill a store with what was ordered; what is there already is not asked for again.

    Args:
        order: what is asked.
        store: the folder; tables of other targets stay.
        executor: where parts are fetched; threads if none.
        retry: how often one part is tried.
        progress: see `base.fetch_parts`.
        today: decides what is published and what is preliminary; today if none.

    Raises:
        ConfigError: unknown crop or state, or a table of another origin in the store.
        MissingDataError: the disk refuses, or another fetch is at work.
        SchemaError: a service sent contents that break a table's contract.
    """
    today = today or dt.datetime.now(dt.UTC).date()
    context, report = Context(order, store, today), Report()

    def get(plans: Sequence[Plan]) -> list[SourceSummary]:
        summaries = fetch_parts(
            plans, context.folder, executor=executor, retry=retry, progress=progress, today=today
        )
        report.summaries += summaries
        return summaries

    if needs_places(context):
        _finish(context, report, planned := plan_places(context), get([planned.plan])[0])
        if planned.target in report.unwritten:
            report.unwritten += _rest(order)
            return report
    targets = list(_rest(order))
    if "yields" in targets and get([table_parts(context)])[0].missing:
        report.unwritten.append("yields")
        targets.remove("yields")
    plans = [PLANS[target](context) for target in targets]
    for planned, summary in zip(plans, get([p.plan for p in plans]) if plans else [], strict=True):
        _finish(context, report, planned, summary)
    return report


def needs_places(context: Context) -> bool:
    """Whether places are asked for, or not there although everything hangs on them."""
    return "places" in context.order.targets or context.existing("static") is None


def still_to_fetch(planned: Planned, context: Context) -> list[Part]:
    """The parts of a plan that are not on their shelf, or stale."""
    shelf, left = context.shelf(planned.source), []
    for part in planned.parts:
        record = shelf.verified(part)
        if record is None or ("split" not in record and planned.source.stale(part, record, context.today)):
            left.append(part)
    return left


def _rest(order: Order) -> list[str]:
    return [target for target in PLANS if target in order.targets]


def _finish(context: Context, report: Report, planned: Planned, summary: SourceSummary) -> None:
    """Make the table and put it into the store, unless parts of it failed.

    Parts that the service will have later do not hold the others up: their months stay empty and are named.
    """
    report.notes += planned.notes
    failed = [name for name, error in summary.missing if not isinstance(error, NotYetError)]
    nothing = summary.total > 0 and summary.total == len(summary.missing)
    if nothing or (failed and not context.order.partial):
        report.unwritten.append(planned.target)
        return
    built = planned.build()
    report.notes += built.notes
    _write(context, planned.target, built)
    report.written.append(planned.target)


def _write(context: Context, target: str, built: Built) -> None:
    if built.surveys is not None:
        atomic_text(context.store / SURVEYS, built.surveys)
    Store.update(context.store, built.tables, built.about, mesh=built.mesh)
