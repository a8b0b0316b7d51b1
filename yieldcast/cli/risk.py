"""`yieldcast risk`."""

from __future__ import annotations

from contextlib import nullcontext
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from yieldcast import clock
from yieldcast.cli.arguments import (
    HarvestYearOption,
    LanguageOption,
    RunArgument,
    StaleOption,
    StoreOption,
    check_json_folder,
    parse_date,
)
from yieldcast.cli.panels import FORECASTS, Command
from yieldcast.cli.terminal import console, load_tensorflow
from yieldcast.errors import ConfigError

if TYPE_CHECKING:
    from yieldcast.forecasting.forecast import ForecastPlan
    from yieldcast.forecasting.table import Forecast
    from yieldcast.risk.classes import RuleName
    from yieldcast.risk.forecast import Risk


class ClassesChoice(StrEnum):
    """Where the borders of the classes come from."""

    terciles = "terciles"
    municipality = "municipality"


class SourceChoice(StrEnum):
    """Where the probabilities come from."""

    forecast = "forecast"
    classifier = "classifier"
    both = "both"


def add_commands(app: typer.Typer) -> None:
    """Add `risk` to the command line."""
    app.command(cls=Command, rich_help_panel=FORECASTS)(risk)


def risk(
    run: RunArgument,
    store: StoreOption,
    harvest_year: HarvestYearOption,
    as_of: Annotated[
        str | None,
        typer.Option(
            metavar="YYYY-MM-DD",
            help="Date of the forecast: data that became public later are not used; default: today.",
        ),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            metavar="KG_HA", help="Break-even yield: two classes, below it and not, instead of three."
        ),
    ] = None,
    classes: Annotated[
        ClassesChoice,
        typer.Option(
            help="Three classes: thirds of all yields of the run's training years (terciles), or thirds of "
            "each municipality's ten newest public yields."
        ),
    ] = ClassesChoice.terciles,
    cost_miss: Annotated[
        float | None,
        typer.Option(metavar="A", help="Cost of a low yield without a flag; give both costs or none."),
    ] = None,
    cost_alarm: Annotated[
        float | None,
        typer.Option(metavar="B", help="Cost of a flag without a low yield, in the same unit."),
    ] = None,
    source: Annotated[
        SourceChoice,
        typer.Option(
            help="Probabilities of the calibrated forecast, of the best of four classifiers of the class "
            "itself (a search, minutes), or the mean of both."
        ),
    ] = SourceChoice.forecast,
    draws: Annotated[
        int, typer.Option(min=1, max=1000, help="Random draws of settings for each classifier.")
    ] = 30,
    search_rows: Annotated[
        int,
        typer.Option(min=0, help="Most training rows of the search; 0: all. The best one is fitted on all."),
    ] = 3000,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder for risk.csv, risk-areas.csv, risk.xlsx, risk.gpkg and risk.html (the report with "
            "two more layers of its map); not that of a bulletin.",
        ),
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Also write all numbers to this file.")
    ] = None,
    allow_stale: StaleOption = False,
    lang: LanguageOption = "en",
) -> None:
    """Will the yield be low? Probabilities of classes, and a flag where a warning costs less than none.

    A place is flagged from P(low) = alarm / (alarm + miss) on; without costs both errors cost 1. Borders of
    classes, classifiers and forecast use only what was public on the date.

    Example:

        yieldcast risk RUN --store STORE --harvest-year 2018 --as-of 2018-01-15 --out RISK

        yieldcast risk RUN --store STORE --harvest-year 2018 --threshold 2500 --cost-miss 5 --cost-alarm 1
    """
    from yieldcast import language
    from yieldcast.cli.progress import counting_progress
    from yieldcast.cli.views.risk import risk_view
    from yieldcast.data.files import check_writable
    from yieldcast.data.store import Store
    from yieldcast.forecasting.forecast import ForecastPlan
    from yieldcast.operations.bulletins import refuse_bulletin
    from yieldcast.operations.job import check_date
    from yieldcast.reporting.notices import notices
    from yieldcast.reporting.risk_tables import write_json
    from yieldcast.risk.classifiers import SearchSettings
    from yieldcast.risk.decisions import EQUAL_COSTS, costs_of
    from yieldcast.risk.forecast import risk_of, rule_of
    from yieldcast.training.run_directory import Run

    check_json_folder(file)
    costs = costs_of(cost_miss, cost_alarm) or EQUAL_COSTS
    today, words, screen = clock.today(), language.of(lang), console()
    date = check_date(parse_date(as_of, "--as-of") or today, today)
    if out is not None:
        refuse_bulletin(out)
        check_writable(out)
    settings = SearchSettings(draws=draws, rows=search_rows or None)
    plan = ForecastPlan(Run.open(run), Store.open(store), harvest_year, date, allow_stale=allow_stale)
    rule = rule_of(plan, rule_name(classes, threshold), threshold_kg_ha=threshold)
    load_tensorflow()
    with counting_progress(words.gettext("forecasting, members"), screen) as progress:
        forecast = plan.forecast(progress)
    searching = (
        counting_progress(words.gettext("searching classifiers, fits"), screen)
        if source is not SourceChoice.forecast
        else nullcontext(_no_progress)
    )
    with searching as progress:
        found = risk_of(plan, forecast, rule, costs, source.value, settings, progress)
    screen.print(risk_view(found, forecast, lang))
    for text in [*notices(forecast.attrs, lang), *_left_out(found, lang)]:
        screen.print(words.said(text), style="bold")
    written = _write(out, plan, found, forecast, lang) if out else []
    for path in [*written, *([write_json(file, found, forecast)] if file else [])]:
        screen.print(words.gettext("written: {path}", path=path))


def rule_name(classes: ClassesChoice, threshold: float | None) -> RuleName:
    """The rule of the classes that the two options ask for; ConfigError if they exclude each other."""
    if threshold is None:
        return classes.value
    if classes is not ClassesChoice.terciles:
        raise ConfigError(
            f"--threshold and --classes {classes.value} exclude each other", "Leave one of them out."
        )
    return "threshold"


def _no_progress(done: int, total: int) -> None:
    """Ignore progress."""


def _left_out(found: Risk, lang: str) -> list[str]:
    from yieldcast import language

    words = language.of(lang)
    return [f"{words.gettext(reason)}: {words.number(n)}" for reason, n in found.left_out.items() if n]


def _write(out: Path, plan: ForecastPlan, found: Risk, forecast: Forecast, lang: str) -> list[Path]:
    """The files of ``--out``."""
    from yieldcast.data.files import make_folder
    from yieldcast.evaluation.run_skill import hindcast_skill
    from yieldcast.reporting import geodata, html
    from yieldcast.reporting.risk_tables import map_columns, write_risk

    make_folder(out)
    mesh = plan.store.mesh
    shapes = geodata.read_shapes(mesh) if mesh is not None else None
    written = write_risk(out, found, forecast, shapes, lang)
    report = html.write(
        out / "risk.html", forecast, mesh, past=plan.public_yields, skill=hindcast_skill(plan),
        risk=map_columns(found), lang=lang,
    )  # fmt: skip
    return [*written, report]
