"""`yieldcast evaluate`: scores of a run's yields, or of its classes, beside what it must beat."""

from __future__ import annotations

import datetime as dt
import re
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from yieldcast.cli.arguments import (
    JsonOption,
    RunArgument,
    ScreenLanguageOption,
    StoreOption,
    check_json_folder,
    parse_date,
    parse_dates,
    parse_years,
)
from yieldcast.cli.panels import MODELS, Command
from yieldcast.cli.risk import ClassesChoice, rule_name
from yieldcast.cli.terminal import console, load_tensorflow
from yieldcast.errors import ConfigError

if TYPE_CHECKING:
    from yieldcast.risk.classes import RuleName

_DAYS = re.compile(r"\d\d-\d\d(,\d\d-\d\d)*")


class Task(StrEnum):
    """What is scored."""

    yields = "yield"
    risk = "risk"


def add_commands(app: typer.Typer) -> None:
    """Add `evaluate` to the command line."""
    app.command(cls=Command, rich_help_panel=MODELS)(evaluate)


def evaluate(
    run: RunArgument,
    store: StoreOption,
    test_years: Annotated[str, typer.Option(help="Harvest years to score, all after the training years.")],
    file: JsonOption = None,
    as_of: Annotated[
        str | None,
        typer.Option(
            metavar="YYYY-MM-DD",
            help="Date that limits public yields and weather; default: the end of each row's window for "
            "the public baselines, and no limit on the weather of the window. With --task risk also days of "
            "each season, MM-DD,...; default: the 15th of the last month of harvest.",
        ),
    ] = None,
    task: Annotated[
        Task,
        typer.Option(
            help="yield: errors of the yields. risk: scores of the classes and of P(low) as "
            "forecast on a date of each season, beside four classifiers, a dummy and climatology."
        ),
    ] = Task.yields,
    threshold: Annotated[
        float | None,
        typer.Option(
            metavar="KG_HA", help="With --task risk: low is a yield below this one, instead of terciles."
        ),
    ] = None,
    classes: Annotated[
        ClassesChoice,
        typer.Option(
            help="With --task risk: thirds of all yields of the run's training years (terciles), or of each "
            "municipality's ten newest public yields."
        ),
    ] = ClassesChoice.terciles,
    false_alarm_rate: Annotated[
        float,
        typer.Option(min=0, max=1, help="With --task risk: share of false alarms at which recall is told."),
    ] = 0.2,
    draws: Annotated[
        int,
        typer.Option(
            min=0, help="With --task risk: random draws of each classifier's search; 0: no classifiers."
        ),
    ] = 30,
    search_rows: Annotated[
        int,
        typer.Option(
            min=20,
            help="With --task risk: most training rows of the search; the best is then trained on all.",
        ),
    ] = 3000,
    lstm: Annotated[
        bool,
        typer.Option("--lstm", help="With --task risk: also a Keras classifier on the network's inputs."),
    ] = False,
    lang: ScreenLanguageOption = "en",
) -> None:
    """Score a run and what it must beat on the same rows.

    With --task risk each harvest year is forecast forward, as known on its date; the borders of the classes
    and the classifiers are taught by the training years of the run. Dates that were scored are kept in the
    run: a call that was stopped is continued by the same command.

    Example:

        yieldcast evaluate RUN --store STORE --test-years 2018

        yieldcast evaluate RUN --store STORE --test-years 2017:2018 --task risk --as-of 02-15
    """
    check_json_folder(file)
    years = parse_years(test_years, "--test-years")
    if task is Task.risk:
        options = (rule_name(classes, threshold), threshold, false_alarm_rate, draws, search_rows, lstm)
        _evaluate_risk(run, store, years, file, as_of, options, lang)
        return
    if threshold is not None:
        raise ConfigError("--threshold needs --task risk", "Add --task risk, or leave the threshold out.")
    _evaluate_yields(run, store, years, file, parse_date(as_of, "--as-of"), lang)


def _evaluate_yields(
    run: Path, store: Path, years: list[int], file: Path | None, date: dt.date | None, lang: str
) -> None:
    from yieldcast import language
    from yieldcast.cli.progress import counting_progress
    from yieldcast.cli.views.scores import evaluation_table, years_table
    from yieldcast.data.store import Store
    from yieldcast.evaluation.evaluate import evaluate_run, write_scores
    from yieldcast.training.run_directory import Run

    screen = console()
    opened, trained, words = Store.open(store), Run.open(run), language.of(lang)
    load_tensorflow()
    with counting_progress(words.gettext("scoring members"), screen) as progress:
        result = evaluate_run(trained, opened, years, date, progress)
    screen.print(evaluation_table(result.scores, result.synthetic, result.notes, lang))
    if len(result.scores.test_years) > 1:
        screen.print(years_table(result.by_year(), result.synthetic, lang))
    for path in write_scores(result, trained, file):
        screen.print(words.gettext("written: {path}", path=path))


def _evaluate_risk(
    run: Path, store: Path, years: list[int], file: Path | None, as_of: str | None,
    options: tuple[RuleName, float | None, float, int, int, bool], lang: str,
) -> None:  # fmt: skip
    from yieldcast import language
    from yieldcast.cli.progress import counting_progress
    from yieldcast.cli.views.risk_scores import risk_scores_view
    from yieldcast.data.store import Store
    from yieldcast.evaluation import run_classes
    from yieldcast.evaluation.class_scores import run_class_test
    from yieldcast.risk.classifiers import SearchSettings
    from yieldcast.risk.search_spaces import CLASSIFIERS
    from yieldcast.training.run_directory import Run

    rule, threshold, rate, draws, rows, lstm = options
    screen, words = console(), language.of(lang)
    opened, trained = Store.open(store), Run.open(run)
    cases = run_classes.class_cases(trained, opened, years, _days(as_of))
    test = run_classes.class_test(
        trained, opened, rule=rule, threshold_kg_ha=threshold, classifiers=CLASSIFIERS if draws else (),
        search=SearchSettings(draws=max(draws, 1), rows=rows), lstm=lstm,
    )  # fmt: skip
    load_tensorflow()
    with counting_progress(words.gettext("scoring classes, dates"), screen) as progress:
        scores = run_class_test(test, cases, rate, progress)
    screen.print(risk_scores_view(scores, trained.identity.synthetic, lang))
    for path in run_classes.write_class_scores(scores, test, cases, trained, file):
        screen.print(words.gettext("written: {path}", path=path))


def _days(text: str | None) -> tuple[tuple[int, int], ...] | dt.date | None:
    """Days of each season, or one date, as it was typed."""
    if text is not None and _DAYS.fullmatch(text.replace(" ", "")):
        return parse_dates(text, "--as-of")
    return parse_date(text, "--as-of")
