"""`yieldcast workspace submit`, `status` and `results`: what contributors do."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from yieldcast.cli.arguments import ScreenLanguageOption
from yieldcast.cli.panels import Command
from yieldcast.cli.terminal import console
from yieldcast.cli.workspace import JsonFlag, require_packages
from yieldcast.errors import ConfigError, MissingDataError, SchemaError

if TYPE_CHECKING:
    from rich.console import Console

    from yieldcast.language import Language
    from yieldcast.workspace.client import Connection
    from yieldcast.workspace.settings import TrainingOptions

UrlArgument = Annotated[
    str, typer.Argument(metavar="URL", help="Address of the workspace, e.g. https://owner.example:8800.")
]
TokenFileOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="File with your token; default: the variable YIELDCAST_TOKEN."),
]
CaOption = Annotated[
    Path | None, typer.Option("--ca", metavar="PEM", help="Certificates of the owner's own authority.")
]
InsecureOption = Annotated[
    bool, typer.Option("--insecure", help="Send token and model over http to another machine.")
]


def add_commands(app: typer.Typer) -> None:
    """Add `submit`, `status` and `results` to ``yieldcast workspace``."""
    for command in (submit, status, results):
        app.command(cls=Command)(command)


def submit(
    url: UrlArgument,
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="Model saved by Keras, model.keras.")],
    name: Annotated[str, typer.Option(metavar="TEXT", help="Name of the model on the leaderboard.")],
    price_per_km2: Annotated[
        str | None, typer.Option(metavar="AMOUNT", help="Licence per km2 and year, e.g. 0.22.")
    ] = None,
    outputs: Annotated[
        str | None,
        typer.Option(metavar="NAME,...", help="What the outputs are, in their order; default: as the task."),
    ] = None,
    outputs_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The same, one name a line.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Epochs of the fine-tuning, at most.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Of Adam, 0 to 1.")] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Rows of a step.")] = None,
    freeze: Annotated[
        str | None,
        typer.Option(metavar="N|NAME,...", help="Layers that stay: the first N with weights, or names."),
    ] = None,
    augment: Annotated[
        str | None, typer.Option(metavar="KIND,...", help="flips, rotations, shifts, noise.")
    ] = None,
    class_weights: Annotated[
        bool, typer.Option("--class-weights", help="All classes count alike in the loss.")
    ] = False,
    patience: Annotated[
        int | None, typer.Option(min=1, help="Epochs without a better loss before the end.")
    ] = None,
    new_head: Annotated[
        bool, typer.Option("--new-head", help="Replace the last layer: the model knows other classes.")
    ] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Follow it to its end and show its results.")] = False,
    token_file: TokenFileOption = None,
    ca: CaOption = None,
    insecure: InsecureOption = False,
    as_json: JsonFlag = False,
    lang: ScreenLanguageOption = "en",
) -> None:
    """Submit a model: it is checked here first, then sent, fine-tuned and scored in the workspace.

    Safe to repeat: the same file with the same options is the same submission and counts once.

    Example:

        yieldcast workspace submit https://owner.example model.keras --name "Model B" --price-per-km2 0.22
    """
    from yieldcast import language
    from yieldcast.workspace.client import about, send

    words, screen = language.of(lang), console(stderr=as_json)
    connection = _connection(url, token_file, ca, insecure)
    options = _options(
        epochs=epochs, learning_rate=learning_rate, batch_size=batch_size, frozen_layers=_frozen(freeze),
        augmentation=_names(augment), class_weights=class_weights or None, patience=patience,
        new_head=new_head or None,
    )  # fmt: skip
    declared = about(name, _price(price_per_km2), _outputs(outputs, outputs_file), options)
    with _uploading(words, screen) as progress:
        submission = send(connection, model, declared, progress)
    said = words.gettext("submission {id}: {state}", id=submission.id, state=_state(submission.state, words))
    screen.print(said)
    if wait:
        with _following(words, screen) as moved:
            submission = submission.wait(progress=moved)
        _show_results(submission.results(), as_json, lang)
        return
    if as_json:
        _print_json(submission.detail)
    for command in (f"status {url} {submission.id} --watch", f"results {url} {submission.id}"):
        screen.print(f"  yieldcast workspace {command}", soft_wrap=True)


def status(
    url: UrlArgument,
    submission: Annotated[
        str | None, typer.Argument(metavar="ID", help="Submission, or how its ID begins; default: all.")
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Follow it to its end.")] = False,
    token_file: TokenFileOption = None,
    ca: CaOption = None,
    insecure: InsecureOption = False,
    as_json: JsonFlag = False,
    lang: ScreenLanguageOption = "en",
) -> None:
    """Show your submissions, or where one of them stands: queue, phase, epoch, losses, compute used.

    Example:

        yieldcast workspace status https://owner.example:8800
    """
    from yieldcast import language
    from yieldcast.cli.views.submissions import list_view, progress_view
    from yieldcast.workspace.client import Submission

    words, screen, connection = language.of(lang), console(), _connection(url, token_file, ca, insecure)
    if submission is None:
        if watch:
            raise ConfigError("--watch: expected a submission", "Give its ID: status URL ID --watch.")
        rows = connection.get("/submissions")
        _print_json(rows) if as_json else screen.print(list_view(rows, lang))
        return
    followed = Submission(connection, _whole_id(connection, submission), {})
    if watch:
        with _following(words, console(stderr=as_json)) as moved:
            followed.wait(progress=moved)
    now = followed.progress()
    _print_json(now) if as_json else screen.print(progress_view(now, lang))


def results(
    url: UrlArgument,
    submission: Annotated[
        str | None,
        typer.Argument(metavar="ID", help="Submission, or how its ID begins; default: the newest one done."),
    ] = None,
    token_file: TokenFileOption = None,
    ca: CaOption = None,
    insecure: InsecureOption = False,
    as_json: JsonFlag = False,
    lang: ScreenLanguageOption = "en",
) -> None:
    """Show the scores of a submission, by phase and class, with what the Ladder rule tells.

    Example:

        yieldcast workspace results https://owner.example:8800
    """
    from yieldcast.workspace.client import Submission

    connection = _connection(url, token_file, ca, insecure)
    _show_results(Submission(connection, _whole_id(connection, submission), {}).results(), as_json, lang)


def _connection(url: str, token_file: Path | None, ca: Path | None, insecure: bool) -> Connection:
    require_packages()
    from yieldcast.workspace.client import Connection, check_address, read_token

    check_address(url, insecure)
    return Connection(url, read_token(token_file), ca, insecure)


def _whole_id(connection: Connection, begin: str | None) -> str:
    """The identifier that begins so; without a beginning that of the newest submission that is done."""
    rows = connection.get("/submissions")
    if begin is None:
        found = [row["id"] for row in rows if row["state"] == "done"][:1]
    else:
        found = [row["id"] for row in rows if row["id"].startswith(begin)]
    if len(found) != 1:
        what = "none" if not found else f"{len(found)} of them"
        raise MissingDataError(
            f"expected one submission{f' that begins with {begin}' if begin else ' that is done'}, "
            f"received {what}",
            f"List them: yieldcast workspace status {connection.url}",
        )
    return str(found[0])


def _options(**given: Any) -> TrainingOptions:
    from yieldcast.workspace.settings import parse_options

    try:
        return parse_options({name: value for name, value in given.items() if value is not None})
    except SchemaError as error:
        raise ConfigError(str(error), "Correct the options.") from None


def _frozen(text: str | None) -> int | list[str] | None:
    return int(text) if text is not None and text.strip().isdecimal() else _names(text)


def _names(text: str | None) -> list[str] | None:
    return None if text is None else [part.strip() for part in text.split(",")]


def _outputs(text: str | None, file: Path | None) -> list[str] | None:
    if text is not None and file is not None:
        raise ConfigError("expected --outputs or --outputs-file, received both", "Give one of them.")
    if file is None:
        return _names(text)
    if not file.is_file():
        raise MissingDataError(f"--outputs-file: no file {file}", "Write one name a line.")
    return [line.strip() for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]


def _price(text: str | None) -> float | None:
    from decimal import Decimal, InvalidOperation

    if text is None:
        return None
    try:
        price = Decimal(text)
    except InvalidOperation:
        price = Decimal(-1)
    if not price.is_finite() or price < 0:
        raise ConfigError(f"--price-per-km2: expected an amount such as 0.22, received {text!r}")
    return float(price)


@contextmanager
def _uploading(words: Language, screen: Console) -> Iterator[Callable[[int, int], None]]:
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(20), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=screen, transient=True) as bar:
        task = bar.add_task(words.gettext("sending the model"), total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def _following(words: Language, screen: Console) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """Draws where a submission stands; without a terminal, a line whenever that changes."""
    from rich.live import Live

    from yieldcast.cli.views.submissions import Curve, progress_line, progress_view

    curve, said = Curve(), [""]
    if not screen.is_terminal:

        def say(now: Mapping[str, Any]) -> None:
            line = progress_line(now, words.tag)
            if line != said[0]:
                said[0] = line
                screen.print(line, soft_wrap=True)

        yield say
        return
    with Live(console=screen, refresh_per_second=4, transient=True) as live:

        def draw(now: Mapping[str, Any]) -> None:
            curve.add(now)
            live.update(progress_view(now, words.tag, curve))

        yield draw


def _state(state: str, words: Language) -> str:
    from yieldcast.workspace.server.wording import STATES

    return words.gettext(STATES[state])


def _show_results(found: Mapping[str, Any], as_json: bool, lang: str) -> None:
    from yieldcast.cli.views.submission_results import results_view

    _print_json(found) if as_json else console().print(results_view(found, lang))


def _print_json(content: Any) -> None:
    typer.echo(json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False))
