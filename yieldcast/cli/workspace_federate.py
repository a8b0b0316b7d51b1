"""`yieldcast workspace federate`: one model of several owners, whose data stay where they are."""

from __future__ import annotations

import ipaddress
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from yieldcast.cli.arguments import ScreenLanguageOption, check_json_folder
from yieldcast.cli.panels import Command
from yieldcast.cli.terminal import console, load_tensorflow
from yieldcast.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from yieldcast.workspace.federated.roster import Event
    from yieldcast.workspace.federated.settings import FederationSettings
    from yieldcast.workspace.federated.site import Round

federate = typer.Typer(name="federate", no_args_is_help=True)

ModelArgument = Annotated[
    Path, typer.Argument(metavar="MODEL", help="Model file (.keras): the same one for all owners.")
]
SecretOption = Annotated[
    Path,
    typer.Option(
        metavar="FILE",
        help="File with the secret that the owners share, at least 16 bytes: openssl rand -hex 32.",
    ),
]
InsecureOption = Annotated[
    bool,
    typer.Option("--insecure", help="No TLS; only for addresses of this machine."),
]
RoundsOption = Annotated[int, typer.Option(min=1, max=1000, help="Rounds of training and averaging.")]
EpochsOption = Annotated[
    int, typer.Option(min=1, max=100, help="Passes of each site over its data in one round.")
]
BatchOption = Annotated[int, typer.Option(min=1, max=4096, help="Examples of one step.")]
RateOption = Annotated[float, typer.Option(min=1e-8, max=1.0, help="Learning rate of Adam at the sites.")]
SeedOption = Annotated[int, typer.Option(min=0, help="Order of examples and dropout follow from it.")]
WaitOption = Annotated[
    float, typer.Option(min=1.0, help="Seconds to wait for the other side, at the start and in every round.")
]


@federate.callback()
def root() -> None:
    """Train one model on the data of several owners, by federated averaging through Flower.

    Unlike all other results of a workspace, weights leave the owner's machine here, and weights say something
    about the data that they were trained on: see the guide on scale before you take part.
    """


@federate.command(cls=Command)
def server(
    model: ModelArgument,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for model.keras and federation.json.")],
    secret_file: SecretOption,
    sites: Annotated[
        int, typer.Option(min=2, max=100, help="Number of owners; all take part in all rounds.")
    ],
    address: Annotated[str, typer.Option(metavar="HOST:PORT", help="Where to listen.")] = "0.0.0.0:8443",
    ca: Annotated[
        Path | None, typer.Option(metavar="FILE", help="PEM: authority that signed the certificate.")
    ] = None,
    certificate: Annotated[
        Path | None, typer.Option(metavar="FILE", help="PEM: certificate of this server, with its host name.")
    ] = None,
    key: Annotated[Path | None, typer.Option(metavar="FILE", help="PEM: its private key.")] = None,
    insecure: InsecureOption = False,
    rounds: RoundsOption = 10,
    local_epochs: EpochsOption = 1,
    batch: BatchOption = 32,
    learning_rate: RateOption = 1e-3,
    seed: SeedOption = 0,
    wait: WaitOption = 3600.0,
    lang: ScreenLanguageOption = "en",
) -> None:
    """Lead a federation: send weights to the sites, average what they send back, keep the result.

    The server has no data and sees no row; it does see the weights of every site. The same command again
    continues after the last finished round.

    Example:

        yieldcast workspace federate server model.keras --out FEDERATION --secret-file secret --sites 3
        --ca ca.pem --certificate server.pem --key server.key
    """
    from yieldcast.cli.views.federation import federation_view
    from yieldcast.workspace.federated.model import open_model
    from yieldcast.workspace.federated.progress import Progress
    from yieldcast.workspace.federated.result import kind_of, report, write_result
    from yieldcast.workspace.federated.server import Certificates, serve
    from yieldcast.workspace.federated.settings import read_secret

    settings = _settings(sites, rounds, local_epochs, batch, learning_rate, seed, wait)
    secret, screen = read_secret(secret_file), console()
    if insecure:
        _check_loopback(address)
        certificates = None
    elif ca is None or certificate is None or key is None:
        raise ConfigError(
            "the sites' weights need TLS: give --ca, --certificate and --key",
            "For a test on one machine: --insecure --address 127.0.0.1:8443.",
        )
    else:
        certificates = Certificates(ca, certificate, key)
    load_tensorflow()
    file = open_model(model)
    built = file.build()
    out.mkdir(parents=True, exist_ok=True)
    progress = Progress.start_or_resume(out, settings, file.sha256, built.get_weights())
    kind = kind_of(built)
    screen.print(f"waiting for {sites} sites on {address}; {progress.done} of {rounds} rounds are done")
    serve(progress, secret, address, certificates, lambda event: screen.print(_said(event, kind, rounds)))
    write_result(out, built, progress)
    screen.print(federation_view(report(progress, kind), None, lang))


@federate.command(cls=Command)
def site(
    address: Annotated[str, typer.Argument(metavar="HOST:PORT", help="The server of the federation.")],
    workspace: Annotated[Path, typer.Argument(metavar="DIR", help="Workspace of this owner, with its data.")],
    model: ModelArgument,
    secret_file: SecretOption,
    name: Annotated[
        str, typer.Option(metavar="NAME", help="Name of this owner, different from the others'.")
    ],
    ca: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="PEM: authority that signed the server's certificate; else the system's."
        ),
    ] = None,
    insecure: InsecureOption = False,
    max_rounds: Annotated[int, typer.Option(min=1, help="Most rounds that this owner takes part in.")] = 100,
    max_epochs: Annotated[int, typer.Option(min=1, help="Most passes over the data in one round.")] = 10,
    wait: WaitOption = 3600.0,
) -> None:
    """Take part in a federation with the data of a workspace: weights and scores leave, nothing else.

    It ends with the federation. After a loss of the connection it connects again; a round that was cut off is
    repeated with the same result.

    Example:

        yieldcast workspace federate site fed.example:8443 WORKSPACE model.keras --name north
        --secret-file secret --ca ca.pem
    """
    from yieldcast.workspace.federated.learner import Learner
    from yieldcast.workspace.federated.model import open_model
    from yieldcast.workspace.federated.settings import read_secret
    from yieldcast.workspace.federated.site import Limits, Site, connect
    from yieldcast.workspace.federated.site_data import open_site

    if insecure:
        _check_loopback(address)
    secret, data, screen = read_secret(secret_file), open_site(workspace), console()
    load_tensorflow()
    file = open_model(model)
    limits = Limits(max_rounds, max_epochs)

    def show(done: Round) -> None:
        score = "" if done.score is None else f", score on this holdout {done.score:.4f}"
        screen.print(f"round {done.number}: {done.step}{score}")

    mine = Site(name, Learner(file.build(), data.task.kind), file.sha256, data, secret, limits, show)
    screen.print(f"{name}: {data.training.count} training and {data.holdout.count} holdout examples")
    connect(mine, address, ca, insecure, wait)
    screen.print("the federation has ended")


@federate.command(cls=Command)
def simulate(
    model: ModelArgument,
    workspaces: Annotated[
        list[Path], typer.Argument(metavar="DIR...", help="Workspaces, one for each site; two at least.")
    ],
    rounds: RoundsOption = 10,
    local_epochs: EpochsOption = 1,
    batch: BatchOption = 32,
    learning_rate: RateOption = 1e-3,
    seed: SeedOption = 0,
    pooled: Annotated[
        bool, typer.Option("--pooled", help="Also train on all data at one place, with as many passes.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder for model.keras and federation.json.")
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Also write all numbers to this file.")
    ] = None,
    lang: ScreenLanguageOption = "en",
) -> None:
    """Run a whole federation on this machine, to see what it would give.

    Example:

        yieldcast workspace federate simulate model.keras NORTH SOUTH WEST --rounds 20 --pooled
    """
    from yieldcast.cli.views.federation import federation_view
    from yieldcast.data.files import atomic_text, check_writable
    from yieldcast.workspace.federated.learner import Learner
    from yieldcast.workspace.federated.model import open_model
    from yieldcast.workspace.federated.progress import Progress
    from yieldcast.workspace.federated.result import kind_of, report, shown, write_result
    from yieldcast.workspace.federated.simulation import simulate as run
    from yieldcast.workspace.federated.simulation import train_pooled
    from yieldcast.workspace.federated.site_data import open_site

    check_json_folder(json_file)
    if out is not None:
        check_writable(out)
    settings = _settings(len(workspaces), rounds, local_epochs, batch, learning_rate, seed, 600.0)
    data = {f"site-{k}": open_site(path) for k, path in enumerate(workspaces, start=1)}
    load_tensorflow()
    file, screen = open_model(model), console()
    built = file.build()
    start, kind = built.get_weights(), kind_of(built)
    progress = Progress(settings, file.sha256, start)
    learner = Learner(built, kind)
    run(progress, learner, data, _round_printer(screen.print, kind, rounds))
    content, reference = report(progress, kind), None
    if pooled:
        reference = shown(train_pooled(learner, list(data.values()), settings, start).score, kind)
        content["pooled"] = reference
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        write_result(out, built, progress)
    if json_file is not None:
        atomic_text(json_file, json.dumps(content, indent=2, allow_nan=False) + "\n")
    screen.print(federation_view(content, reference, lang))


def _settings(
    sites: int, rounds: int, epochs: int, batch: int, rate: float, seed: int, wait: float
) -> FederationSettings:
    from pydantic import ValidationError

    from yieldcast.workspace.federated.settings import FederationSettings

    try:
        return FederationSettings(
            sites=sites, rounds=rounds, local_epochs=epochs, batch_size=batch, learning_rate=rate, seed=seed,
            wait_s=wait,
        )  # fmt: skip
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigError(f"{first['loc'][0]}: {first['msg']}", "See --help.") from None


def _check_loopback(address: str) -> None:
    """Without TLS weights must not leave the machine."""
    host = address.rpartition(":")[0].strip("[]")
    try:
        local = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = False
    if not local:
        raise ConfigError(
            f"--insecure works only on this machine, {address} can be reached from others",
            "Leave --insecure out and give certificates, or take 127.0.0.1.",
        )


def _round_printer(show: Callable[[str], None], kind: str, rounds: int) -> Callable[[Event], None]:
    def on_event(event: Event) -> None:
        if event.what == "round":
            show(_said(event, kind, rounds))

    return on_event


def _said(event: Event, kind: str, rounds: int) -> str:
    if event.what == "round" and event.score is not None:
        score = f"accuracy {event.score:.4f}" if kind == "classes" else f"RMSE {event.score**0.5:.1f} kg/ha"
        return f"round {event.round} of {rounds}: {score}"
    return f"{event.site or 'a stranger'}: {event.what}" + (f", {event.reason}" if event.reason else "")
