"""The server of a federation: Flower's server over its gRPC transport, for sites that show who they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from yieldcast.errors import ConfigError, RunError
from yieldcast.workspace.federated.flower import flower
from yieldcast.workspace.federated.roster import ANSWER_S, Event, Roster
from yieldcast.workspace.federated.strategy import Averaging

if TYPE_CHECKING:
    from yieldcast.workspace.federated.progress import Progress

_TRIES = 5  # of one round, each with a site that left and came back


@dataclass(frozen=True)
class Certificates:
    """PEM files of the server, as Flower takes them.

    Args:
        authority: certificate of the authority that signed `certificate`.
        certificate: of the server, with its host name.
        key: private key of the server.
    """

    authority: Path
    certificate: Path
    key: Path

    def contents(self) -> tuple[bytes, bytes, bytes]:
        """The three files.

        Raises:
            ConfigError: one cannot be read.
        """
        try:
            return self.authority.read_bytes(), self.certificate.read_bytes(), self.key.read_bytes()
        except OSError as error:
            raise ConfigError(
                f"certificate of the server: {error.filename} cannot be read ({error.strerror})",
                "Give --ca, --certificate and --key, or --insecure for a test on one machine.",
            ) from error


def serve(
    progress: Progress,
    secret: bytes,
    address: str,
    certificates: Certificates | None,
    on_event: Callable[[Event], None] = lambda _: None,
    while_waiting: Callable[[], None] = lambda: None,
) -> None:
    """Run all rounds that are left, and keep the state after each one.

    Args:
        progress: state of the federation: settings, weights and scores so far.
        secret: shared by all owners.
        address: HOST:PORT to listen on.
        certificates: TLS; None: none.
        on_event: called for all that happens.
        while_waiting: called again and again until all sites are there; may raise.

    Raises:
        ConfigError: Flower is not installed; a certificate or the address does not work.
        RunError: sites do not come or do not come back in time.
        SchemaError: a site sent weights that do not fit or are not finite.
    """
    settings, tls = progress.settings, None if certificates is None else certificates.contents()
    roster = Roster(progress, secret, on_event, while_waiting)
    server = flower().Server(client_manager=roster, strategy=Averaging(progress, roster, on_event))
    server.fit_round = _repeated(server.fit_round)
    server.evaluate_round = _repeated(server.evaluate_round)
    listening = _listen(roster, address, tls)
    try:
        server.fit(settings.rounds - progress.done, settings.wait_s)
        server.disconnect_all_clients(ANSWER_S)
    finally:
        listening.stop(grace=1).wait()


def _listen(roster: Roster, address: str, tls: tuple[bytes, bytes, bytes] | None) -> Any:
    """Flower's gRPC server. Its `start_server` would take over the signals of the process."""
    try:
        library = flower("flwr.server.superlink.fleet.grpc_bidi.grpc_server")
        return library.start_grpc_server(roster, address, certificates=tls)
    except (RuntimeError, OSError) as error:
        raise ConfigError(f"{address}: {error}", "Give a free port: --address HOST:PORT.") from error


def _repeated(step: Callable[..., Any]) -> Callable[..., Any]:
    """A step of a round that is done again with all sites when one of them left in it."""

    def patient(server_round: int, timeout: float | None) -> Any:
        for _ in range(_TRIES):
            outcome = step(server_round=server_round, timeout=timeout)
            if outcome is not None and not outcome[2][1]:  # results and failures
                return outcome
        raise RunError(
            f"round {server_round}: {_TRIES} tries in a row failed at a site",
            "Look at the messages of the sites; then start the same command again: finished rounds are kept.",
        )

    return patient
