"""One owner's side of a federation: answers the server with weights and scores, never with data."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from numpy.typing import NDArray
from pydantic import ValidationError

from yieldcast.errors import ConfigError, FetchError, YieldcastError
from yieldcast.workspace.federated.flower import flower
from yieldcast.workspace.federated.learner import Learner, Weights, check_output
from yieldcast.workspace.federated.proof import Credentials, check_name
from yieldcast.workspace.federated.settings import FederationSettings

if TYPE_CHECKING:
    from yieldcast.workspace.federated.site_data import SiteData

Kept = TypeVar("Kept")
_ONE_AT_A_TIME = threading.Lock()


@dataclass(frozen=True)
class Limits:
    """What an owner allows the server to ask for.

    Args:
        rounds: most rounds of training in all.
        local_epochs: most passes over the data in one round.
    """

    rounds: int = 100
    local_epochs: int = 10


@dataclass(frozen=True)
class Round:
    """One finished step at a site: "train", or "score" with its score (accuracy, or RMSE in kg/ha)."""

    step: str
    number: int
    score: float | None = None


class Site:
    """What a site does when the server asks; knows nothing of how messages travel.

    Args:
        name: of the site, shown to the other owners.
        learner: of the model that was built from the checked file; sites of a simulation share one.
        sha256: of the model file.
        data: of the owner's workspace.
        secret: shared by all owners.
        limits: what the owner allows.
        on_round: called after every step.

    Raises:
        ConfigError: a name with other signs.
        SchemaError: a model that does not fit the data.
    """

    def __init__(
        self,
        name: str,
        learner: Learner,
        sha256: str,
        data: SiteData,
        secret: bytes,
        limits: Limits = Limits(),
        on_round: Callable[[Round], None] = lambda _: None,
    ) -> None:
        try:
            self.credentials = Credentials(check_name(name), sha256, data.contract)
        except ValueError as error:
            raise ConfigError(str(error)) from None
        check_output(learner.model, data.task)
        self.data, self.limits = data, limits
        self._learner, self._secret, self._on_round = learner, secret, on_round
        self._rounds: set[int] = set()

    def answer(self, config: Mapping[str, Any]) -> dict[str, str]:
        """Answer to a nonce.

        Raises:
            ConfigError: the server says that it does not admit this site, and why.
        """
        if "refused" in config:
            raise ConfigError(
                f"the server does not admit this site: {str(config['refused'])[:300]}",
                "All owners need the same secret, the same model file, data of the same form, and different "
                "names.",
            )
        return self.credentials.answer(self._secret, str(config["nonce"]))

    def train(self, weights: Sequence[NDArray[Any]], config: Mapping[str, Any]) -> Weights:
        """Weights after one round here.

        Raises:
            ConfigError: more rounds or epochs than the owner allows, or settings that are none.
            SchemaError: weights that do not fit.
        """
        settings, number = _settings(config), int(config["round"])
        self._rounds.add(number)
        if len(self._rounds) > self.limits.rounds or settings.local_epochs > self.limits.local_epochs:
            raise ConfigError(
                f"the server asks for round {number} with {settings.local_epochs} epochs; this site allows "
                f"{self.limits.rounds} rounds and {self.limits.local_epochs} epochs in each",
                "Agree with the other owners, or raise --max-rounds or --max-epochs.",
            )
        stream = f"{self.credentials.site}, round {number}"
        first = (number - 1) * settings.local_epochs
        passes = range(first, first + settings.local_epochs)
        trained = self._learner.fit(weights, self.data.training, settings, passes, stream)
        self._on_round(Round("train", number))
        return trained

    def score(self, weights: Sequence[NDArray[Any]], config: Mapping[str, Any]) -> float:
        """Accuracy, or mean squared error in (kg/ha)^2, on the holdout of this site."""
        found = self._learner.score(weights, self.data.holdout)
        shown = found if self.data.task.kind == "classes" else found**0.5
        self._on_round(Round("score", int(config["round"]), shown))
        return found


def _settings(config: Mapping[str, Any]) -> FederationSettings:
    try:
        return FederationSettings(**{key: value for key, value in config.items() if key != "round"})
    except ValidationError as error:
        raise ConfigError(
            f"the server sent settings that this version does not know: {error.errors()[0]['msg']}",
            "All owners need the same version of yieldcast.",
        ) from None


def connect(
    site: Site,
    address: str,
    root_certificate: Path | None,
    insecure: bool,
    wait_s: float = 3600.0,
    stop: threading.Event | None = None,
) -> None:
    """Take part in a federation until the server ends it.

    Args:
        site: this owner's side.
        address: HOST:PORT of the server.
        root_certificate: PEM file of the authority that signed the server's certificate; None: those of the
            system.
        insecure: no TLS; only for tests on one machine.
        wait_s: seconds to try again while the server cannot be reached, before the first round or between
            two.
        stop: when it is set, the server is not tried again.

    Raises:
        ConfigError: Flower is not installed, or the server does not admit this site.
        SchemaError: weights that do not fit the model.
        FetchError: no such server, or the connection is lost for good.
    """
    import tenacity

    grpc, stop = flower("grpc"), stop or threading.Event()
    attempts = tenacity.Retrying(
        retry=tenacity.retry_if_exception(lambda error: _unreachable(error, grpc)),
        wait=tenacity.wait_exponential(multiplier=0.2, max=15) + tenacity.wait_random(0, 0.2),
        stop=tenacity.stop_after_delay(wait_s) | tenacity.stop_when_event_set(stop),
        sleep=tenacity.sleep_using_event(stop),
        reraise=True,
    )
    root = _certificate(root_certificate)
    messages = _Messages(site)
    try:
        attempts(messages.exchange, address, root, insecure)
    except grpc.RpcError as error:
        raise FetchError(
            f"{address}: {_details(error)}",
            "Is the server running, and do --ca and the name in its certificate fit? Start the same "
            "command again: a round that was cut off is repeated.",
        ) from error


def _certificate(path: Path | None) -> bytes | None:
    try:
        return None if path is None else path.read_bytes()
    except OSError as error:
        raise ConfigError(f"--ca: {path} cannot be read ({error.strerror})", "Give a PEM file.") from error


def _unreachable(error: BaseException, grpc: Any) -> bool:
    """Whether the server is not there (yet, or any more)."""
    return isinstance(error, grpc.RpcError) and _code(error) in ("UNAVAILABLE", "CANCELLED", "")


class _Messages:
    """Turns Flower's messages into calls of a `Site`, and keeps the error that ended them."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.error: YieldcastError | None = None

    def exchange(self, address: str, root: bytes | None, insecure: bool) -> None:
        """Answer the server's messages until it ends the federation or the connection."""
        library = flower("flwr.client")
        try:
            library.start_client(
                server_address=address,
                client=self._client(library),
                root_certificates=root,
                insecure=insecure,
            )
        except Exception:
            if self.error is not None:
                raise self.error from None
            raise

    def _client(self, library: Any) -> Any:
        messages, common = self, flower("flwr.common")
        fine = common.Status(common.Code.OK, "")

        class Client(library.Client):  # type: ignore[misc]  # Flower is not there for mypy
            def get_properties(self, ins: Any) -> Any:
                said = messages.kept(lambda: dict(messages.site.answer(ins.config)))
                return common.GetPropertiesRes(fine, said)

            def fit(self, ins: Any) -> Any:
                site = messages.site

                def act() -> Any:
                    trained = site.train(common.parameters_to_ndarrays(ins.parameters), ins.config)
                    return common.ndarrays_to_parameters(trained)

                return common.FitRes(fine, messages.kept(act), site.data.training.count, {})

            def evaluate(self, ins: Any) -> Any:
                site = messages.site

                def act() -> float:
                    return site.score(common.parameters_to_ndarrays(ins.parameters), ins.config)

                score = messages.kept(act)
                return common.EvaluateRes(fine, score, site.data.holdout.count, {"score": score})

        return Client()

    def kept(self, act: Callable[[], Kept]) -> Kept:
        """What `act` returns; an error that is raised on purpose is remembered.

        One site of a process after the other: they share a model, and Python 3.11 cannot read the heads of
        arrays in several threads at once (CPython issue 106905).
        """
        try:
            with _ONE_AT_A_TIME:
                return act()
        except YieldcastError as error:
            self.error = error
            raise


def _code(error: Any) -> str:
    code = getattr(error, "code", lambda: None)()
    return str(getattr(code, "name", ""))


def _details(error: Any) -> str:
    text = getattr(error, "details", lambda: "")() or str(error)
    return f"{_code(error) or 'the connection is lost'}: {text}"
