"""`yieldcast workspace kubernetes`: submissions as Jobs of a cluster."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from yieldcast.cli.panels import Command
from yieldcast.cli.terminal import console
from yieldcast.cli.workspace import require_packages
from yieldcast.errors import ConfigError

if TYPE_CHECKING:
    from yieldcast.errors import FetchError
    from yieldcast.workspace.database.session import Database
    from yieldcast.workspace.kubernetes.reconciler import Pass

kubernetes = typer.Typer(name="kubernetes", no_args_is_help=True)

ConfigOption = Annotated[
    Path,
    typer.Option(
        "--config",
        metavar="FILE",
        help="TOML: image, namespace, database_cidr or database_labels, limits; see the guide on scale.",
    ),
]


@kubernetes.callback()
def root() -> None:
    """Run the submissions of a workspace as Jobs of a Kubernetes cluster, one Job for each."""


@kubernetes.command(cls=Command)
def manifest(
    config: ConfigOption,
    submission: Annotated[str, typer.Option(metavar="ID", help="Submission whose Job is shown.")] = "example",
) -> None:
    """Print what would be sent to the cluster, as YAML, for review; nothing is sent.

    The rights of the dispatcher (ServiceAccount, Role, RoleBinding), the NetworkPolicy of the worker pods,
    and the Job of one submission.

    Example:

        yieldcast workspace kubernetes manifest --config cluster.toml
    """
    from yieldcast.workspace.kubernetes.manifests import all_manifests, as_yaml
    from yieldcast.workspace.kubernetes.settings import KubernetesSettings

    text = as_yaml(all_manifests(KubernetesSettings.read(config), submission))
    console().print(text, end="", soft_wrap=True)


@kubernetes.command(cls=Command)
def run(
    config: ConfigOption,
    database: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="PostgreSQL of the workspace, with a role that may also read submissions and end leases; "
            "better by the environment variable YIELDCAST_DATABASE, which no list of processes shows.",
        ),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Look once at queue and Jobs, act, and end.")] = False,
) -> None:
    """Make a Job for each submission that waits, and take leases back from Jobs that are gone.

    It goes on until it is stopped. A second one at the same time, and one that is killed at any moment, do no
    harm: Jobs are named by their submission, and all that is known lies in the database and the cluster.

    Example:

        YIELDCAST_DATABASE=postgresql://... yieldcast workspace kubernetes run --config cluster.toml
    """
    require_packages()
    from yieldcast.workspace.kubernetes.cluster import Cluster, connect
    from yieldcast.workspace.kubernetes.queue import DatabaseQueue
    from yieldcast.workspace.kubernetes.reconciler import Reconciler
    from yieldcast.workspace.kubernetes.settings import KubernetesSettings

    settings, screen = KubernetesSettings.read(config), console()
    opened = _database(database)
    try:
        cluster = Cluster(connect(settings), settings)
        reconciler = Reconciler(cluster, DatabaseQueue(opened))

        def show(found: Pass) -> None:
            for line in _lines(found):
                screen.print(line)

        def trouble(error: FetchError, seconds: float) -> None:
            screen.print(f"{error}; the next look is in {seconds:.0f} s")

        if once:
            cluster.apply_policy()
            show(reconciler.reconcile())
        else:
            reconciler.run(show, trouble)
    finally:
        opened.close()


def _database(url: str | None) -> Database:
    from yieldcast.workspace.database import versions
    from yieldcast.workspace.database.session import VARIABLE, Database

    url = url or os.environ.get(VARIABLE)
    if not url:
        raise ConfigError(
            f"no database: neither --database nor the variable {VARIABLE} is set",
            "Give the URL that the workspace was created with: postgresql://USER:PASSWORD@HOST/NAME.",
        )
    opened = Database(url)
    if opened.is_sqlite:
        raise ConfigError(
            "expected PostgreSQL, received a file of SQLite: pods on other machines cannot share it",
            "Create the workspace with --database postgresql://USER:PASSWORD@HOST/NAME.",
        )
    versions.prepare(opened)
    return opened


def _lines(found: Pass) -> list[str]:
    """What has changed; nothing when nothing has."""
    acts = {
        "Job made": found.created,
        "lease given back, its Job is gone": found.given_back,
        "failed Job removed": found.removed,
    }
    lines = [f"{submission}: {act}" for act, those in acts.items() for submission in those]
    lines += [
        f"{one}: its Job failed: {found.failures[one]}" for one in found.removed if found.failures.get(one)
    ]
    if lines:
        lines.append(f"{len(found.active) + len(found.created)} with a Job, {len(found.waiting)} waiting")
    return lines
