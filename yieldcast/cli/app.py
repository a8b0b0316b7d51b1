"""The command line: its root, `main`, and `demo`.

Heavy imports stay inside the commands, so that ``--help`` is fast.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from yieldcast.cli import (
    bulletins,
    compare,
    crop_type,
    crop_type_map,
    crop_type_mask,
    crop_type_tiles,
    crop_type_vegetation,
    encoder,
    evaluate,
    explain,
    fetch,
    forecast,
    generalise,
    jobs,
    probe,
    risk,
    tables,
    train,
    workspace,
    workspace_check,
    workspace_create,
    workspace_federate,
    workspace_kubernetes,
    workspace_report,
    workspace_serve,
    workspace_submit,
    workspace_worker,
)
from yieldcast.cli.panels import FORECASTS, START, WORKSPACE, Command
from yieldcast.cli.terminal import (
    DEBUG,
    INTERRUPTED,
    TRUST_CODE,
    console,
    fail,
    lenient_streams,
    load_tensorflow,
    short_errors,
    signals_as_ctrl_c,
)
from yieldcast.errors import ConfigError
from yieldcast.user_code import trusted_code

if TYPE_CHECKING:
    pass

app = typer.Typer(
    name="yieldcast",
    epilog="--debug with any command shows the traceback of an error. --trust-code with any command runs "
    "code that a run names: give it only for runs of people whom you trust. Exit codes: 0 done, 1 unexpected "
    "error, 2 settings and options, 3 missing data or files, 4 fetch or credentials, 5 malformed contents or "
    "data from after the date of a forecast, 6 unusable run, 130 stopped by Ctrl-C.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode="markdown",
)


def _version(wanted: bool) -> None:
    if wanted:
        import yieldcast

        console().print(f"yieldcast {yieldcast.__version__}")
        raise typer.Exit()


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Municipal crop-yield forecasts, before sowing and in season, with honest skill."""


@app.command(cls=Command, rich_help_panel=START)
def demo(
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder for all files; default: demo-output, with --fields demo-output-fields, with "
            "--workspace demo-output-workspace.",
        ),
    ] = None,
    seeds: Annotated[int, typer.Option(min=2, max=30, help="Members to train.")] = 10,
    of_fields: Annotated[
        bool,
        typer.Option(
            "--fields",
            help="Fields instead of municipalities: import them with days and vegetation, classify "
            "their last season, and write P(low), scores and a report. No member is trained.",
        ),
    ] = False,
    of_workspace: Annotated[
        bool,
        typer.Option(
            "--workspace",
            help="A workspace of private synthetic tiles instead: three contributors submit models, which "
            "are scored, fine-tuned and scored again; then the leaderboard. A few minutes.",
        ),
    ] = False,
) -> None:
    """Import, train, evaluate and forecast on a small synthetic country, and write a report.

    Example:

        yieldcast demo --out demo-output

        yieldcast demo --fields

        yieldcast demo --workspace
    """
    if of_fields and of_workspace:
        raise ConfigError("expected --fields or --workspace, received both", "Give one of them.")
    if of_workspace:
        from yieldcast.cli.workspace_demo import run_workspace_demo

        run_workspace_demo(out or Path("demo-output-workspace"), console())
        return
    if of_fields:
        from yieldcast.cli.field_demo import run_field_demo

        run_field_demo(out or Path("demo-output-fields"), console())
        return
    load_tensorflow()
    from yieldcast.cli.demo import run_demo

    run_demo(out or Path("demo-output"), seeds, console())


tables.add_commands(app)
train.add_commands(app)
evaluate.add_commands(app)
fetch.add_commands(app)
forecast.add_commands(app)
bulletins.add_commands(app)
encoder.add_commands(app)
crop_type.add_commands(app)
crop_type_tiles.add_commands(app)
crop_type_map.add_commands(app)
crop_type_mask.add_commands(app)
crop_type_vegetation.add_commands(app)
compare.add_commands(app)
explain.add_commands(app)
generalise.add_commands(app)
probe.add_commands(app)
risk.add_commands(app)
app.add_typer(jobs.jobs, rich_help_panel=FORECASTS)
workspace_create.add_commands(workspace.workspace)
workspace_serve.add_commands(workspace.workspace)
workspace.add_commands(workspace.workspace)
workspace_submit.add_commands(workspace.workspace)
workspace_worker.add_commands(workspace.workspace)
app.add_typer(workspace.workspace, rich_help_panel=WORKSPACE)
workspace.workspace.add_typer(workspace_kubernetes.kubernetes)
workspace.workspace.add_typer(workspace_federate.federate)
workspace_check.add_commands(workspace.workspace)
workspace_report.add_commands(workspace.workspace)


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point: every error becomes a short message with a hint, and an exit code for schedulers.

    Args:
        arguments: what follows ``yieldcast`` on the command line; None takes it from `sys.argv`.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    lenient_streams()
    try:
        with signals_as_ctrl_c(), short_errors(), trusted_code(TRUST_CODE in given):
            app([one for one in given if one not in (DEBUG, TRUST_CODE)], prog_name="yieldcast")
    except SystemExit as ended:
        if ended.code != INTERRUPTED:
            sys.stdout.flush()
            raise
        fail("stopped", "What was done is kept; the same command goes on from there.", INTERRUPTED)
    except Exception as error:
        if DEBUG in sys.argv:
            raise
        fail(
            f"unexpected {type(error).__name__}: {error}",
            "Run it again with --debug and report the traceback.",
            1,
        )
