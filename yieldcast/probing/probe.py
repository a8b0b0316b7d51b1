"""All probes of a run, or of settings and a store, and what the pipeline rests on."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from yieldcast.config import Settings
from yieldcast.data.files import atomic_text
from yieldcast.data.inventory import yields_of
from yieldcast.data.store import Store, is_synthetic
from yieldcast.errors import MissingDataError, RunError
from yieldcast.features.feature_rows import FeatureRows
from yieldcast.features.season_dates import calendar_for, main_window
from yieldcast.features.splits import check_order
from yieldcast.forecasting.leakage import trainable_years
from yieldcast.language import Sentence, sentence
from yieldcast.probing import changes, suspects, takeaways
from yieldcast.probing.given import GivenFeatures
from yieldcast.probing.importance import (
    Ablation,
    Importance,
    ablation,
    as_json,
    importance,
    predictions_of,
    share_by_variable,
    warnings,
)
from yieldcast.probing.lines import Line
from yieldcast.probing.members import Members, future_of_members, members_of, scaling_of_members
from yieldcast.probing.pipeline import Floats, Learner, Pipeline, Ridge, skill
from yieldcast.probing.rows import Case, harvest_days, later_weather
from yieldcast.publication import Publication
from yieldcast.training.run_directory import Run

DAYS_BEFORE_END = 30  # of the default date before the end of the season (Xavier et al. 2026, Section 2.3)
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class ProbeReport:
    """What a probe found.

    Args:
        about: crop, years, date, rows, and whether the data are synthetic; for JSON.
        lines: one for each probe.
        skills: learner, or "climatology" -> skill on the test years, against the training mean.
        ablation: skill without each group of features.
        importance: of each variable and month, largest first.
        warnings: signs of a leak that are no proof.
    """

    about: dict[str, Any]
    lines: tuple[Line, ...]
    skills: dict[str, float]
    ablation: tuple[Ablation, ...]
    importance: tuple[Importance, ...]
    warnings: tuple[Sentence, ...] = field(default=())

    @property
    def failed(self) -> list[str]:
        """Names of the probes that failed."""
        return [line.name for line in self.lines if line.verdict == "failed"]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            **self.about, "passed": not self.failed, "failed": self.failed,
            "probes": [line.to_json() for line in self.lines], "skill": self.skills,
            "ablation": as_json(self.ablation), "importance": as_json(self.importance),
            "importance_share": share_by_variable(self.importance),
            "warnings": [str(text) for text in self.warnings],
        }  # fmt: skip


def case_of_run(run: Run, store: Store, test_years: Sequence[int] = (), as_of: dt.date | None = None) -> Case:
    """The rows of a run's settings, its training years and later test years.

    Args:
        run: a trained run.
        store: tables.
        test_years: later than the training years; when empty the one under way on `as_of`, or the first one
            before whose default date the yields of all training years were public.
        as_of: date of the forecast of the last test year; None: see `default_date`.

    Raises:
        LeakageError: a test year is not after every training year.
        MissingDataError: the store has no yields after the training years.
        RunError: no finished member.
    """
    if not run.seeds():
        raise RunError(f"{run.path} has no finished member", "Start the same yieldcast train again.")
    identity = run.identity
    last = max(identity.train_years)
    case = Case(store, identity.crop, run.calendar(), run.settings, identity.train_years,
                tuple(sorted(set(test_years))), dt.date.min, identity.static_names)  # fmt: skip
    if not test_years:
        later = [replace(case, test_years=(year,)) for year in _newer(store, identity.crop, last)]
        case = _under_way(later, as_of) if as_of else _first_public(later)
    check_order(identity.train_years, case.test_years)
    return _dated(case, as_of)


def case_of_settings(
    store: Store, crop: str, settings: Settings, test_years: Sequence[int] = (), as_of: dt.date | None = None
) -> Case:
    """The rows of settings and a store; the years that were public on the date of the first test year teach.

    Args:
        store: tables.
        crop: crop of its yields.
        settings: for its country.
        test_years: harvest years; when empty the one under way on `as_of`, or the newest one with yields.
        as_of: date of the forecast of the last test year; None: see `default_date`.

    Raises:
        MissingDataError: no yields, or fewer than two years may teach.
    """
    years = tuple(sorted(set(test_years)))
    calendar = calendar_for(settings.data, store.static, store.country)
    calendar.steps(crop)
    case = Case(store, crop, calendar, settings, (), years, dt.date.min, by_days=_by_days(store))
    if not years:
        every = [replace(case, test_years=(year,)) for year in _newer(store, crop, 0)]
        case = _under_way(every, as_of) if as_of else every[-1]
    case, years = _dated(case, as_of), case.test_years
    first = case.date(min(years))
    known = (
        _public_years(case, first) if case.by_days
        else trainable_years(store.tables, crop, first, settings.data, store.country)
    )  # fmt: skip
    train = tuple(year for year in known if year < min(years))
    if len(train) < 2:
        raise MissingDataError(
            f"expected two harvest years or more whose yields were public on {first}, received {len(train)}",
            "Choose later --test-years, or a later --as-of.",
        )
    return case.with_training(train)


def default_date(case: Case) -> dt.date:
    """30 days before the end of the season of the last test year; of fields, before the middle harvest."""
    year = max(case.test_years)
    if "field_seasons" in case.store:
        dates = case.store.field_seasons["harvest_date"].values.astype("datetime64[D]")
        mine = (case.store.field_seasons["harvest_year"].values == year) & ~np.isnat(dates)
        mine &= case.store.field_seasons["crop"].values.astype(str) == case.crop
        if mine.any():
            middle: dt.date = np.sort(dates[mine])[mine.sum() // 2].item()
            return middle - dt.timedelta(days=DAYS_BEFORE_END)
    end = main_window(case.calendar, case.crop, case.store.tables, year, year - 1)[1]
    last_day: dt.date = ((end + 1).astype("datetime64[D]") - 1).item()
    return last_day - dt.timedelta(days=DAYS_BEFORE_END)


def _by_days(store: Store) -> bool:
    """Whether a store has what only rows of days use: fields with dates, or vegetation."""
    return any(name in store for name in ("field_seasons", "vegetation", "season_vegetation"))


def _public_years(case: Case, date: dt.date) -> tuple[int, ...]:
    """Harvest years with yields that were public on a date."""
    newest = case.settings.data.publication().last_public_harvest_year(date)
    return tuple(year for year in _newer(case.store, case.crop, 0) if year <= newest)


def _under_way(cases: Sequence[Case], as_of: dt.date) -> Case:
    """The first of cases of one test year each whose season had not ended on a date, else the last."""
    days = dt.timedelta(days=DAYS_BEFORE_END)
    return next((one for one in cases if default_date(one) + days >= as_of), cases[-1])


def _first_public(cases: Sequence[Case]) -> Case:
    """The first of cases of one test year each whose training years were all public, else the first."""
    public = cases[0].settings.data.publication().last_public_harvest_year
    last = max(cases[0].train_years)
    return next((one for one in cases if public(default_date(one)) >= last), cases[0])


def _dated(case: Case, as_of: dt.date | None) -> Case:
    return case.on(as_of or default_date(case))


def _newer(store: Store, crop: str, after: int) -> tuple[int, ...]:
    """Harvest years with yields after one, ascending."""
    table = yields_of(store.yields, crop)["yield_kg_ha"]
    grown = (table.fillna(0) > 0).any("municipality").values
    years = tuple(int(year) for year in table["harvest_year"].values[grown] if year > after)
    if not years:
        raise MissingDataError(
            f"the store has no {crop} yields of a harvest year after {after}, which a test needs",
            "Import or fetch them.",
        )
    return years


def probe(
    case: Case,
    *,
    run: Run | None = None,
    given: GivenFeatures | None = None,
    progress: Progress = lambda done, total: None,
) -> ProbeReport:
    """Every probe of a case.

    Args:
        case: what rows are made of.
        run: whose members are probed too.
        given: features of a user's table, which are used beside the others.
        progress: called with the number of probes done and of all.

    Raises:
        MissingDataError: no rows in the training or the test years.
        SchemaError: `given` does not fit the rows.
    """
    own = case.rows()

    def joined(rows: FeatureRows) -> FeatureRows:
        return given.join(rows) if given else rows

    pipeline = Pipeline(joined(own), case.test_years)
    names = given.names if given else ()
    early = early_yields(case)
    network = members_of(run) if run else None
    report = probe_pipeline(
        pipeline, (Ridge(),), about=_about(case, own, names), given=names,
        rebuild=lambda year: joined(case.after_changes(year).rows()), harvest_day=harvest_days(case, own),
        later=later_weather(case, own) if given else None,
        members=_member_probes(case, run, network, own) if run and network else (), progress=progress,
        network=network, network_rows=own,
    )  # fmt: skip
    return replace(report, warnings=(*report.warnings, *early))


def early_yields(case: Case) -> list[Sentence]:
    """A warning where the settings take yields for public before the country releases them."""
    released = case.store.country.publication.get("yields")
    if released is None:
        return []
    years = range(min(case.train_years), max(case.test_years) + 1)
    rule = Publication(
        yields_months=released.months, yields_days=released.days, releases=dict(released.released)
    )
    own = case.settings.data.publication()
    delay = Publication(yields_months=released.months, yields_days=released.days)
    early = [
        year for year in years
        if own.yields_public(year) < min(rule.yields_public(year), delay.yields_public(year))
    ]  # fmt: skip
    if not early:
        return []
    return [
        sentence(
            "the settings take yields of {year} for public on {own}, which the country's statistics release "
            "on {released}", year=early[-1], own=own.yields_public(early[-1]),
            released=rule.yields_public(early[-1]),
        )
    ]  # fmt: skip


def probe_pipeline(
    pipeline: Pipeline,
    others: Sequence[Learner] = (),
    *,
    about: dict[str, Any] | None = None,
    given: tuple[str, ...] = (),
    rebuild: Callable[[int], FeatureRows] | None = None,
    harvest_day: Floats | None = None,
    later: suspects.Later | None = None,
    members: Sequence[Callable[[], Line]] = (),
    network: Members | None = None,
    network_rows: FeatureRows | None = None,
    progress: Progress = lambda done, total: None,
) -> ProbeReport:
    """Every probe of a pipeline, also of one that was not made by yieldcast.

    Args:
        pipeline: rows and learner under test.
        others: further learners, whose predictions are compared with those of the first.
        about: what the report says of it.
        given: names of features from a user's table.
        rebuild: see `changes.future`.
        harvest_day: days to the harvest, see `suspects.harvest_proxy`.
        later: see `suspects.tells_later`.
        members: further probes, of the members of a run.
        network, network_rows: members of a run, as a further model, and the rows that they take.
        progress: called with the number of probes done and of all.
    """
    tried = [pipeline.with_learner(one) for one in (pipeline.learner, *others)]
    probes: list[Callable[[], Line]] = [
        *(partial(one, pipeline) for one in takeaways.ALL),
        lambda: suspects.harvest_proxy(pipeline, harvest_day),
        lambda: suspects.tells_outcome(pipeline),
        lambda: suspects.tells_later(pipeline, given, later),
        lambda: changes.worst([changes.scaling_on_test(one) for one in tried]),
        lambda: changes.worst([changes.yields_of_test(one) for one in tried]),
        lambda: changes.future(pipeline, rebuild),
        *members,
    ]  # fmt: skip
    total, lines = len(probes) + 2, []
    for done, one in enumerate(probes, 1):
        lines.append(one())
        progress(done, total)
    told = predictions_of(pipeline, [one.learner for one in tried])
    if network is not None and network_rows is not None:
        told["network"] = network.predict(
            network_rows, pipeline.truth, ~pipeline.test
        )[pipeline.test]  # fmt: skip
    groups = ablation(pipeline)
    progress(total - 1, total)
    carried = importance(pipeline)
    progress(total, total)
    truth, test, mean = pipeline.truth, pipeline.test, float(pipeline.truth[pipeline.train].mean())
    skills = {name: skill(values, truth[test], mean) for name, values in told.items()}
    skills["climatology"] = skill(takeaways.climatology(pipeline, pipeline.train)[test], truth[test], mean)
    return ProbeReport(
        about or {}, tuple(lines), skills, tuple(groups), tuple(carried),
        tuple(warnings(carried, told, pipeline)),
    )  # fmt: skip


def write_report(report: ProbeReport, file: Path) -> None:
    """Write a report as JSON.

    Raises:
        MissingDataError: the disk refuses.
    """
    atomic_text(file, json.dumps(report.to_json(), indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def _member_probes(case: Case, run: Run, members: Members, rows: FeatureRows) -> list[Callable[[], Line]]:
    return [
        lambda: scaling_of_members(case, run),
        lambda: future_of_members(case, members, rows),
    ]


def _about(case: Case, rows: FeatureRows, given: tuple[str, ...]) -> dict[str, Any]:
    teach = rows.harvest_year < min(case.test_years)
    return {
        "crop": case.crop, "as_of": case.as_of.isoformat(), "train_years": list(case.train_years),
        "test_years": list(case.test_years), "train_rows": int(teach.sum()),
        "test_rows": int((~teach).sum()), "features": len(rows.features) + len(given), "given": list(given),
        "synthetic": is_synthetic(case.store.tables),
    }  # fmt: skip
