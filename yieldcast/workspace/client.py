"""A contributor's side of a workspace: submit a model, follow it, read its results.

    from yieldcast.workspace import submit

    submission = submit("https://owner.example:8800", "model.keras", name="Model B", price_per_km2="0.22")
    print(submission.wait().results())

The token comes from the argument, or from the environment variable YIELDCAST_TOKEN.
"""

from __future__ import annotations

import ipaddress
import json
import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests
import tenacity
from requests.auth import AuthBase

from yieldcast.errors import (
    ConfigError,
    CredentialsError,
    FetchError,
    MissingDataError,
    SchemaError,
    YieldcastError,
)

if TYPE_CHECKING:
    from yieldcast.workspace.settings import TrainingOptions

TOKEN = "YIELDCAST_TOKEN"
ENDS = ("done", "refused", "failed", "stopped")  # states after which nothing changes
_TIMEOUT_s = (15.0, 300.0)  # to connect; between two reads: the server checks a model before it answers
_BUSY = (408, 429, 502, 503, 504)
_LOST = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)
_PATH = "/api/v1"
_MOST_PAUSE_s = 60.0

Uploaded = Callable[[int, int], None]  # bytes sent, bytes in all
Moved = Callable[[Mapping[str, Any]], None]  # progress of a submission, as the server says it


class _AgainError(Exception):
    """A try that may be repeated.

    Args:
        error: what is raised after the last try.
        after_s: pause that the server asks for.
    """

    def __init__(self, error: YieldcastError, after_s: float | None = None) -> None:
        super().__init__(str(error))
        self.error, self.after_s = error, after_s


class _Bearer(AuthBase):
    """The token as a header. As `auth` it cannot be replaced by a password of ~/.netrc."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, r: requests.PreparedRequest) -> requests.PreparedRequest:
        r.headers["Authorization"] = f"Bearer {self._token}"
        return r


@dataclass(frozen=True)
class Connection:
    """A workspace that answers at an address.

    Args:
        url: address of the server, such as ``https://owner.example:8800``.
        token: of the invitation; never shown in `repr`.
        ca: certificates (PEM) of a private authority; None takes those of the system.
        insecure: send the token over http to another machine than this one.
        tries: of each request while the server cannot be reached or is busy.
        pause_s: before the second try; it doubles with each further one, up to a minute.

    Raises:
        ConfigError: not an address of a server, or http to another machine.
        MissingDataError: no such file of certificates.
    """

    url: str
    token: str = field(repr=False)
    ca: Path | None = None
    insecure: bool = False
    tries: int = 6
    pause_s: float = 1.0

    def __post_init__(self) -> None:
        check_address(self.url, self.insecure)
        if self.ca is not None and not self.ca.is_file():
            raise MissingDataError(f"no file of certificates {self.ca}", "Give the path of a PEM file.")

    def get(self, path: str) -> Any:
        """The answer of a route below ``/api/v1``.

        Raises:
            CredentialsError: the token is not known, or may not do this.
            MissingDataError: there is no such thing, or it is another contributor's.
            FetchError: the server cannot be reached, or refuses.
        """
        return self._ask("GET", path, dict)

    def post(self, path: str, body: Callable[[], tuple[Any, str]]) -> Any:
        """Send something; `body` makes it anew for each try and says its content type."""

        def request() -> dict[str, Any]:
            data, kind = body()
            return {"data": data, "headers": {"Content-Type": kind}}

        return self._ask("POST", path, request)

    def _ask(self, method: str, path: str, request: Callable[[], dict[str, Any]]) -> Any:
        tries = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(self.tries), retry=tenacity.retry_if_exception_type(_AgainError),
            wait=self._pause, reraise=True,
        )  # fmt: skip
        try:
            with self._session() as session:
                return tries(self._once, session, method, path, request)
        except _AgainError as last:
            raise last.error from None

    def _pause(self, state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked = error.after_s if isinstance(error, _AgainError) else None
        return min(_MOST_PAUSE_s, self.pause_s * 2 ** (state.attempt_number - 1) if asked is None else asked)

    def _session(self) -> requests.Session:
        session = requests.Session()
        session.auth = _Bearer(self.token)
        session.headers["Accept"] = "application/json"
        session.trust_env = not is_loopback(urlsplit(self.url).hostname or "")  # no proxy to this machine
        if self.ca is not None:
            session.verify = str(self.ca)
        return session

    def _once(
        self, session: requests.Session, method: str, path: str, request: Callable[[], dict[str, Any]]
    ) -> Any:
        address = f"{self.url.rstrip('/')}{_PATH}{path}"
        try:
            # A redirect could take the token to another host.
            answer = session.request(method, address, timeout=_TIMEOUT_s, allow_redirects=False, **request())
        except requests.exceptions.SSLError as error:
            raise FetchError(
                f"the certificate of {self.url} is not trusted: {error}",
                "Give the certificate of the owner's authority: --ca FILE.",
            ) from None
        except _LOST as error:
            raise _AgainError(
                FetchError(
                    f"no answer from {self.url}: {_reason(error)}",
                    "Is the server running? The same command is safe to repeat: nothing counts twice.",
                )
            ) from None
        return _content(answer)


def check_address(url: str, insecure: bool = False) -> None:
    """Refuse an address that is none, or to which a token must not be sent.

    Args:
        url: what was typed.
        insecure: allow http to another machine.

    Raises:
        ConfigError: not http or https, without host, with a password, or http to another machine.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query:
        raise ConfigError(
            f"expected the address of a workspace, received {url!r}",
            "For example https://owner.example:8800.",
        )
    if parts.scheme == "http" and not insecure and not is_loopback(parts.hostname):
        raise ConfigError(
            f"{url} is not encrypted: everybody on the way could read your token and your model",
            "Give an address with https, or --insecure in a network that you trust.",
        )


def is_loopback(host: str) -> bool:
    """Whether a host is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def read_token(file: Path | None = None) -> str:
    """The token of a file, else of the environment variable YIELDCAST_TOKEN.

    Raises:
        CredentialsError: neither holds one line of text.
        MissingDataError: no such file.
    """
    if file is not None and not file.is_file():
        raise MissingDataError(f"no token file {file}", "Write the token of your invitation into it.")
    text = (file.read_text(encoding="utf-8") if file else os.environ.get(TOKEN, "")).strip()
    if not text or not text.isascii() or len(text.split()) != 1:
        raise CredentialsError(
            f"expected a token in {file or TOKEN}, received {'nothing' if not text else 'something else'}",
            "Give --token-file FILE, or set YIELDCAST_TOKEN to the token of your invitation.",
        )
    return text


@dataclass(frozen=True)
class Submission:
    """A model that a workspace has taken.

    Args:
        connection: how to ask for it.
        id: name of the submission in the workspace.
        detail: what the server last said about it.
    """

    connection: Connection = field(repr=False)
    id: str
    detail: Mapping[str, Any] = field(repr=False)

    @property
    def state(self) -> str:
        """As the server last said it: received, queued, running, done, refused, failed or stopped."""
        return str(self.detail.get("row", self.detail)["state"])

    def progress(self) -> dict[str, Any]:
        """Where it stands: state, place in the queue, phase, epoch, losses, compute used."""
        return dict(self.connection.get(f"/submissions/{self.id}/progress"))

    def refreshed(self) -> Submission:
        """The same submission as the server knows it now."""
        return Submission(self.connection, self.id, self.connection.get(f"/submissions/{self.id}"))

    def wait(self, every_s: float = 2.0, progress: Moved | None = None) -> Submission:
        """The submission when it has ended.

        Args:
            every_s: seconds between two questions, > 0.
            progress: called with each answer.
        """
        while True:
            now = self.progress()
            if progress is not None:
                progress(now)
            if now["state"] in ENDS:
                return self.refreshed()
            time.sleep(every_s)

    def results(self) -> dict[str, Any]:
        """Scores by phase, classes, confusion, curve and holdout looks, as JSON.

        Raises:
            MissingDataError: it has not ended yet.
        """
        now = self.refreshed()
        if now.state not in ENDS:
            raise MissingDataError(
                f"submission {self.id} has no results yet: it is {now.state}",
                f"Follow it: yieldcast workspace status {self.connection.url} {self.id} --watch",
            )
        return dict(now.detail)


def submit(
    url: str,
    path: str | os.PathLike[str],
    *,
    name: str,
    price_per_km2: Decimal | str | float | None = None,
    outputs: Sequence[str] | None = None,
    options: TrainingOptions | None = None,
    token: str | None = None,
    ca: Path | None = None,
    insecure: bool = False,
    progress: Uploaded | None = None,
) -> Submission:
    """Check a model here, then send it to a workspace; repeated, it is the same submission.

    Args:
        url: address of the workspace.
        path: ``.keras`` file.
        name: of the model, as the leaderboard shows it.
        price_per_km2: yearly price of a licence, in the currency of the workspace.
        outputs: names of the model's outputs in their order; None takes the task's.
        options: of the fine-tuning; None takes the usual ones.
        token: of the invitation; None takes that of YIELDCAST_TOKEN.
        ca, insecure: see `Connection`.
        progress: called with (bytes sent, bytes in all).

    Raises:
        SchemaError: the file is refused, here or by the workspace; the message names the rule.
        CredentialsError, FetchError: see `Connection.get`.
    """
    connection = Connection(url, token or read_token(), ca, insecure)
    return send(connection, Path(path), about(name, price_per_km2, outputs, options), progress)


def about(
    name: str,
    price_per_km2: Decimal | str | float | None = None,
    outputs: Sequence[str] | None = None,
    options: TrainingOptions | None = None,
) -> dict[str, Any]:
    """What is declared with a model, as the route ``POST /submissions`` takes it."""
    declared: dict[str, Any] = {"name": name, "options": options.model_dump(mode="json") if options else {}}
    if price_per_km2 is not None:
        declared["price_per_km2"] = float(price_per_km2)
    if outputs is not None:
        declared["outputs"] = list(outputs)
    return declared


def send(
    connection: Connection, path: Path, declared: Mapping[str, Any], progress: Uploaded | None = None
) -> Submission:
    """Check a model here, then send it with what is declared about it, see `submit`."""
    from yieldcast.model_files import check
    from yieldcast.workspace.tasks.fit import check_inputs

    if not path.is_file():
        raise MissingDataError(f"no file {path}", "Give the path of a .keras file.")
    found, task = check(path), connection.get("/task")
    check_inputs(task["inputs"], found.inputs)
    limit = task["limits"]["model_mb"] * 1e6
    if path.stat().st_size > limit:
        raise SchemaError(
            f"{path} has {path.stat().st_size:,} bytes; the workspace takes {limit:,.0f}",
            "Save it without the state of the optimizer, or submit a smaller model.",
        )
    with path.open("rb") as file:
        answer = connection.post("/submissions", lambda: _form(file, declared, progress))
    return Submission(connection, str(answer["id"]), answer)


def _form(file: IO[bytes], declared: Mapping[str, Any], progress: Uploaded | None) -> tuple[_Body, str]:
    file.seek(0)
    boundary = secrets.token_hex(16)
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="about"\r\n'
        f"Content-Type: application/json\r\n\r\n{json.dumps(dict(declared))}\r\n"
        f'--{boundary}\r\nContent-Disposition: form-data; name="model"; filename="model.keras"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    tail = f"\r\n--{boundary}--\r\n"
    return _Body(head.encode(), file, tail.encode(), progress), f"multipart/form-data; boundary={boundary}"


class _Body:
    """The body of an upload, read from the file as it is sent, never whole in memory.

    Args:
        head, tail: around the file.
        file: opened at its start.
        progress: called with (bytes sent, bytes in all).
    """

    def __init__(self, head: bytes, file: IO[bytes], tail: bytes, progress: Uploaded | None) -> None:
        self._pieces = self._read(head, file, tail)
        self._length = len(head) + os.fstat(file.fileno()).st_size + len(tail)
        self._progress = progress

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[bytes]:
        sent = 0
        for piece in self._pieces:
            yield piece
            sent += len(piece)
            if self._progress is not None:
                self._progress(sent, self._length)

    @staticmethod
    def _read(head: bytes, file: IO[bytes], tail: bytes) -> Iterator[bytes]:
        yield head
        while piece := file.read(1 << 18):
            yield piece
        yield tail


def _content(answer: requests.Response) -> Any:
    """The JSON of an answer; an error for a status that refuses."""
    try:
        content = answer.json()
    except requests.exceptions.JSONDecodeError:
        content = None
    if answer.ok and not answer.is_redirect and content is not None:
        return content
    said = content if isinstance(content, dict) else {}
    message = str(said.get("error") or f"{answer.url} answered {answer.status_code} {answer.reason}")
    hint = str(said.get("hint") or "Is this the address of a workspace?")
    if answer.status_code in _BUSY:
        raise _AgainError(FetchError(message, hint), _retry_after(answer))
    rule = said.get("rule")
    raise _error(answer.status_code, f"{message} (rule {rule})" if rule else message, hint)


def _error(status: int, message: str, hint: str) -> YieldcastError:
    if status in (401, 403):
        return CredentialsError(message, hint)
    if status == 404:
        return MissingDataError(message, hint)
    return (SchemaError if status in (413, 415, 422) else FetchError)(message, hint)


def _retry_after(answer: requests.Response) -> float | None:
    text = answer.headers.get("Retry-After", "")
    return float(text) if text.isdecimal() else None


def _reason(error: Exception) -> str:
    """The last part of a chain of causes, e.g. "Connection refused"."""
    text = str(error.args[0]) if error.args else type(error).__name__
    return text.rpartition(": ")[2].strip("'\") ") or type(error).__name__
