"""Who takes part in a federation: the list of sites that Flower's server works with."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from yieldcast.errors import RunError
from yieldcast.workspace.federated.flower import flower
from yieldcast.workspace.federated.proof import Credentials, nonce

if TYPE_CHECKING:
    from yieldcast.workspace.federated.progress import Progress

ANSWER_S = 30.0  # seconds for a site to say who it is


@dataclass(frozen=True)
class Event:
    """What has happened: "joined", "left", "refused" (site and why) or "round" (number and score)."""

    what: str
    site: str = ""
    reason: str = ""
    round: int = 0
    score: float | None = None


class Roster:
    """The sites of a federation; in the place of Flower's `ClientManager`, which takes whoever connects.

    Args:
        progress: of the federation: its settings and model.
        secret: shared by all owners.
        on_event: called when a site joins, leaves or is refused.
        while_waiting: called again and again until all sites are there; may raise.
    """

    def __init__(
        self,
        progress: Progress,
        secret: bytes,
        on_event: Callable[[Event], None],
        while_waiting: Callable[[], None] = lambda: None,
    ) -> None:
        self._settings, self._model = progress.settings, progress.model_sha256
        self._secret, self._on_event, self._while_waiting = secret, on_event, while_waiting
        self._contract: str | None = None
        self._connected: dict[str, Any] = {}
        self._names: dict[str, str] = {}
        self._changed = threading.Condition()

    def name(self, client: Any) -> str:
        """Name of a site that was admitted."""
        return self._names.get(client.cid, "")

    def num_available(self) -> int:
        """Number of admitted sites that are connected."""
        return len(self._names)

    def all(self) -> dict[str, Any]:
        """Connections, by Flower's identifier."""
        return dict(self._connected)

    def register(self, client: Any) -> bool:
        """Take a connection; strangers cannot fill the server with them."""
        with self._changed:
            if len(self._connected) >= 4 * self._settings.sites:
                return False
            self._connected[client.cid] = client
            self._changed.notify_all()
        return True

    def unregister(self, client: Any) -> None:
        """A connection has ended."""
        with self._changed:
            self._connected.pop(client.cid, None)
            name = self._names.pop(client.cid, None)
            self._changed.notify_all()
        if name is not None:
            self._on_event(Event("left", name))

    def sample(
        self, num_clients: int, min_num_clients: int | None = None, criterion: Any = None
    ) -> list[Any]:
        """All sites in the order of their names, whatever number Flower asks for; waits for them.

        Raises:
            RunError: they do not come in time.
        """
        until = time.monotonic() + self._settings.wait_s
        while True:
            self._while_waiting()
            for client in self._strangers():
                self._admit(client)
            with self._changed:
                here = sorted((name, cid) for cid, name in self._names.items())
                if len(here) == self._settings.sites:
                    return [self._connected[cid] for _, cid in here]
                if time.monotonic() > until:
                    raise RunError(
                        f"waited {self._settings.wait_s:.0f} s for {self._settings.sites} sites; here: "
                        f"{', '.join(name for name, _ in here) or 'none'}",
                        "Start the same command again: finished rounds are kept.",
                    )
                self._changed.wait(0.2)

    def _strangers(self) -> list[Any]:
        with self._changed:
            return [client for cid, client in self._connected.items() if cid not in self._names]

    def _admit(self, client: Any) -> None:
        number = nonce()
        said = self._asked(client, {"nonce": number})
        if said is None:  # whatever it sent or did not send
            self.unregister(client)
            return
        try:
            name = self._checked(said, number)
        except ValueError as error:
            self._on_event(Event("refused", str(said.get("site", ""))[:63], str(error)))
            self._asked(client, {"refused": str(error)})
            self.unregister(client)
            return
        with self._changed:
            if client.cid not in self._connected:
                return
            self._names[client.cid] = name
        self._on_event(Event("joined", name))

    def _asked(self, client: Any, config: dict[str, str]) -> Mapping[str, Any] | None:
        """The answer of a connection; None if it sends none."""
        instruction = flower("flwr.common").GetPropertiesIns(config)
        with suppress(Exception):  # a stranger may send anything; what it sent is not used then
            answer: Mapping[str, Any] = client.get_properties(instruction, ANSWER_S, None).properties
            return answer
        return None

    def _checked(self, said: Mapping[str, Any], number: str) -> str:
        """Name of a site that may take part; raises ValueError with the reason why it may not."""
        credentials = Credentials.verified(said, self._secret, number)
        if credentials.model != self._model:
            raise ValueError("another model file than the server's")
        if self._contract not in (None, credentials.contract):
            raise ValueError("data of another form: classes, or shapes and names of inputs")
        if credentials.site in self._names.values():
            raise ValueError(f"a site {credentials.site} takes part already")
        if len(self._names) == self._settings.sites:
            raise ValueError("all sites are there")
        self._contract = credentials.contract
        return credentials.site
