"""`yieldcast workspace create`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from yieldcast.cli.arguments import ScreenLanguageOption, parse_years
from yieldcast.cli.panels import Command
from yieldcast.cli.terminal import console, load_tensorflow
from yieldcast.cli.workspace import JsonFlag, require_packages, show
from yieldcast.errors import ConfigError

if TYPE_CHECKING:
    from yieldcast.workspace.settings import WorkspaceSettings
    from yieldcast.workspace.tasks.options import DataOptions
    from yieldcast.workspace.tasks.task import TaskName

# Options by the task that they belong to; the others are of every task.
_SERIES = ("label", "season", "start", "step", "units", "months")
_STORE = ("crop", "config", "train_years", "lead_months")
_OF_TASK = {
    "crop-tiles": ("examples",),
    "crop-series": (*_SERIES, "group"),
    "yield": _STORE,
    "risk": (*_STORE, "rule", "threshold_kg_ha"),
}


class TaskChoice(StrEnum):
    """What models are asked for."""

    crop_tiles = "crop-tiles"
    crop_series = "crop-series"
    yields = "yield"
    risk = "risk"


class RuleChoice(StrEnum):
    """Where the borders of the classes of risk come from."""

    terciles = "terciles"
    municipality = "municipality"
    threshold = "threshold"


def add_commands(app: typer.Typer) -> None:
    """Add `create` to ``yieldcast workspace``."""
    app.command(cls=Command)(create)


def create(
    path: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to make.")],
    task: Annotated[TaskChoice, typer.Option(help="What models are asked for.")],
    data: Annotated[
        Path, typer.Option(metavar="PATH", help="Training set: a file, a folder, or a store of yieldcast.")
    ],
    holdout: Annotated[
        str,
        typer.Option(
            metavar="PATH|YEARS",
            help="Holdout: a file or folder like --data, or with a store harvest years such as 2016-2018.",
        ),
    ],
    config: Annotated[
        Path | None, typer.Option(metavar="TOML", help="Settings: rules, limits, prices, costs.")
    ] = None,
    title: Annotated[
        str | None, typer.Option(help="Heading of the page; has precedence over --config.")
    ] = None,
    database: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="An empty PostgreSQL database, postgresql://USER:PASSWORD@HOST/NAME, stored in the folder; "
            "or set the environment variable YIELDCAST_DATABASE, which is not. Default: SQLite in the "
            "folder.",
        ),
    ] = None,
    label: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="crop-series: column of classes.")
    ] = None,
    group: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="crop-series: column of fields or farms, never shown."),
    ] = None,
    allow_shared_groups: Annotated[
        bool,
        typer.Option(
            "--allow-shared-groups", help="Take data with one field or farm in training set and holdout."
        ),
    ] = False,
    season: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="crop-series: column of seasons.")
    ] = None,
    start: Annotated[
        str | None, typer.Option(metavar="[YYYY-]MM-DD", help="crop-series: first day of all series.")
    ] = None,
    step: Annotated[str | None, typer.Option(help="crop-series: month, ten-days or 16-days.")] = None,
    unit: Annotated[
        list[str] | None, typer.Option(metavar="BAND=UNIT", help="crop-series: unit of a band, e.g. VV=dB.")
    ] = None,
    months: Annotated[
        bool, typer.Option("--months", help="crop-series: make months of shorter steps.")
    ] = False,
    crop: Annotated[str | None, typer.Option(help="yield, risk: crop, e.g. soybean.")] = None,
    run_config: Annotated[
        Path | None, typer.Option(metavar="TOML", help="yield, risk: settings as for yieldcast train.")
    ] = None,
    train_years: Annotated[
        str | None,
        typer.Option(metavar="FIRST:LAST", help="yield, risk: default: all public before the holdout."),
    ] = None,
    lead_months: Annotated[
        int | None,
        typer.Option(min=0, max=24, help="yield, risk: months before the end of harvest; default: its end."),
    ] = None,
    rule: Annotated[
        RuleChoice | None, typer.Option(help="risk: borders of the classes; default: terciles.")
    ] = None,
    threshold: Annotated[
        float | None, typer.Option(metavar="KG_HA", help="risk: two classes, below this yield and not.")
    ] = None,
    examples: Annotated[
        int | None, typer.Option(min=0, max=20, help="crop-tiles: synthetic tiles shown of each class.")
    ] = None,
    synthetic: Annotated[
        bool, typer.Option("--synthetic", help="The data are synthetic, and the page says so.")
    ] = False,
    lang: ScreenLanguageOption = "en",
    as_json: JsonFlag = False,
) -> None:
    """Create a workspace from your data: nothing is made unless all of it is right.

    The data are copied into DIR as arrays, which never leave it. The token of the owner is shown once and
    stored nowhere; it opens the owner's page.

    Example:

        yieldcast workspace create WORKSPACE --task crop-tiles --data TRAIN --holdout HOLDOUT
    """
    from yieldcast import language
    from yieldcast.cli.progress import counting_progress

    require_packages()
    given = {
        "label": label, "group": group, "season": season, "start": start, "step": step,
        "units": _units(unit), "months": months or None, "crop": crop, "config": run_config,
        "train_years": tuple(parse_years(train_years, "--train-years")) if train_years else None,
        "lead_months": lead_months, "threshold_kg_ha": threshold, "examples": examples,
        "rule": (rule.value if rule else None) or ("threshold" if threshold is not None else None),
        "allow_shared_groups": allow_shared_groups or None, "synthetic": synthetic or None,
    }  # fmt: skip
    name: TaskName = task.value
    options = _options(name, {name: one for name, one in given.items() if one is not None})
    settings = _settings(config, title)
    if task in (TaskChoice.yields, TaskChoice.risk):
        load_tensorflow()
    from yieldcast.workspace import create as create_workspace
    from yieldcast.workspace.tasks.options import parse_holdout

    words, screen = language.of(lang), console(stderr=True)
    with counting_progress(words.gettext("rows"), screen) as progress:
        token = create_workspace(
            path, name, data, parse_holdout(holdout, name), settings, options, database,
            progress, lambda text: screen.print(words.said(text), soft_wrap=True),
        )  # fmt: skip
    lines = (
        words.gettext("workspace created: {path}", path=str(path)),
        words.gettext("The owner's token, shown this once:"),
        token,
    )
    show(as_json, {"workspace": str(path), "owner": "owner", "token": token}, *lines)


def _settings(config: Path | None, title: str | None) -> WorkspaceSettings:
    from yieldcast.workspace.settings import WorkspaceSettings, parse_settings, read_settings

    settings = read_settings(config) if config else WorkspaceSettings()
    if title is None:
        return settings
    return parse_settings({**settings.model_dump(exclude_none=True), "title": title}, "--title")


def _options(task: str, given: dict[str, Any]) -> DataOptions:
    """What was said of the data; options of other tasks are refused."""
    from pydantic import ValidationError

    from yieldcast.workspace.settings import explained
    from yieldcast.workspace.tasks.options import DataOptions

    of_tasks = {name for names in _OF_TASK.values() for name in names}
    foreign = [name for name in given if name in of_tasks and name not in _OF_TASK[task]]
    if foreign:
        shown = ", ".join(_SPELLED.get(name, "--" + name.replace("_", "-")) for name in foreign)
        raise ConfigError(
            f"{shown}: not an option of the task {task}", "Leave it out, or choose another task."
        )
    try:
        return DataOptions.model_validate(given)
    except ValidationError as error:
        raise ConfigError(explained(DataOptions, error), "Correct the option.") from None


_SPELLED = {"units": "--unit", "config": "--run-config", "threshold_kg_ha": "--threshold"}


def _units(given: list[str] | None) -> dict[str, str] | None:
    if not given:
        return None
    pairs = [one.partition("=") for one in given]
    for one, (band, _, unit) in zip(given, pairs, strict=True):
        if not band or not unit:
            raise ConfigError(f"--unit: expected BAND=UNIT, received {one!r}", "For example --unit VV=dB.")
    return {band: unit for band, _, unit in pairs}
