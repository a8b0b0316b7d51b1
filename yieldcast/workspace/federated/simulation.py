"""All sites of a federation on one machine, over Flower's real transport, beside training on pooled data."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from yieldcast.workspace.federated.flower import flower
from yieldcast.workspace.federated.learner import Learner, Weights
from yieldcast.workspace.federated.progress import Progress
from yieldcast.workspace.federated.roster import Event
from yieldcast.workspace.federated.server import serve
from yieldcast.workspace.federated.site import Limits, Site, connect
from yieldcast.workspace.federated.site_data import Examples, SiteData

if TYPE_CHECKING:
    from yieldcast.workspace.federated.settings import FederationSettings


def simulate(
    progress: Progress,
    learner: Learner,
    sites: Mapping[str, SiteData],
    on_event: Callable[[Event], None] = lambda _: None,
) -> None:
    """Run a federation whose sites are threads of this process; weights travel over loopback.

    Args:
        progress: state; holds the result afterwards.
        learner: trains at all sites, at one after the other.
        sites: data by name of the site, as many as the settings say.
        on_event: as in `serve`.

    Raises:
        as `serve`; the first error of a site.
    """
    secret, address = b"simulation on one machine", f"127.0.0.1:{_free_port()}"
    limits = Limits(progress.settings.rounds, progress.settings.local_epochs)
    made = [Site(name, learner, progress.model_sha256, data, secret, limits) for name, data in sites.items()]
    errors: list[BaseException] = []
    stop = threading.Event()
    for module in ("flwr.server", "flwr.client"):  # threads that import them at the same time can deadlock
        flower(module)
    threads = [
        threading.Thread(target=_run, args=(site, address, stop, errors), daemon=True) for site in made
    ]
    for thread in threads:
        thread.start()
    try:
        serve(progress, secret, address, None, on_event, lambda: _raise_first(errors))
    finally:
        stop.set()
        for thread in threads:
            thread.join(10)


def _run(site: Site, address: str, stop: threading.Event, errors: list[BaseException]) -> None:
    try:
        connect(site, address, None, insecure=True, wait_s=60.0, stop=stop)
    except Exception as error:  # the thread that waits for the server reports it
        errors.append(error)


def _raise_first(errors: Sequence[BaseException]) -> None:
    if errors:
        raise errors[0]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Pooled:
    """Training on all data at one place: accuracy, or mean squared error in (kg/ha)^2, on all holdouts."""

    score: float
    weights: Weights


def train_pooled(
    learner: Learner, sites: Sequence[SiteData], settings: FederationSettings, weights: Weights
) -> Pooled:
    """Train on the joined data of all sites with as many passes over them as the federation takes.

    Adam keeps its moments over all passes, as a trainer who has all data would.

    Args:
        learner: of the same model.
        sites: whose data are joined.
        settings: with as many passes, batches and learning rates.
        weights: to start from.
    """
    training, holdout = (joined([getattr(s, part) for s in sites]) for part in ("training", "holdout"))
    weights = learner.fit(weights, training, settings, range(settings.passes), "pooled")
    return Pooled(learner.score(weights, holdout), weights)


def joined(parts: Sequence[Examples]) -> Examples:
    """Examples of several sites at one place."""
    inputs = {name: np.concatenate([part.inputs[name] for part in parts]) for name in parts[0].inputs}
    return Examples(inputs, np.concatenate([part.target for part in parts]))
