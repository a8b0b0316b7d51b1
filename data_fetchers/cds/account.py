"""An account at the Climate Data Store: the official client, its errors as yieldcast errors, licences.

Written from the sources of cdsapi 0.7.7, ecmwf-datastores-client 0.5.3, multiurl 0.3.9 and the open server
code (github.com/ecmwf-projects: cads-processing-api-service, cads-catalogue-api-service, cads-adaptors).
Not yet tested against the live service.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import cdsapi
import requests

from data_fetchers.cds.session import HOW, KeySession, settings
from data_fetchers.engine.http import TIMEOUT_s, retry_after, shown
from data_fetchers.engine.source import (
    CancelledError,
    CrowdedError,
    NotYetPublishedError,
    RequestTooLargeError,
    RetryableError,
)
from yieldcast.errors import CredentialsError, FetchError, YieldcastError

CROWDED_HINT = "Too many requests of this account wait in the queue of the CDS: they are sent one at a time."
_BUSY_HINT = "The service is busy or down, or there is no connection."
_ANSWER_LIMIT = 600  # characters of the server's text that a message shows
# Texts for data that are not published yet (cads_adaptors: tools/date_tools.py, adaptors/mars.py).
NOT_YET = re.compile(r"requested is available yet|MARS returned no data|latest date available", re.I)

# Text for more queued jobs of one user than the operator allows at the moment, as users report it: "Number
# queued requests for this dataset is temporarily limited. Please configure your scripts accordingly", also
# "... limited to N".
_CROWDED = re.compile(r"queued requests\b.*?\blimited", re.I | re.S)
_WAIT = re.compile(r"wait (?:for )?(\d+(?:\.\d+)?) ?s", re.I)  # "Please wait 12 seconds"

# Without a handler on its logger the client adds one that writes to stderr.
logging.getLogger("ecmwf.datastores.legacy_client").addHandler(logging.NullHandler())


class JobExpiredError(RetryableError):
    """The account no longer has the job or its results; a new job is needed."""


class InvalidRequestError(FetchError):
    """A request that the CDS calls invalid, such as one for a start that it does not list."""


class Licence(NamedTuple):
    """A licence that an account must accept before it may fetch a dataset."""

    id: str
    revision: int
    title: str
    dataset: str


class Account:
    """A connection to the CDS with the key of this process. For one thread; never pickled, never stored.

    Args:
        url: root of the API; if empty CDSAPI_URL, else the configuration file, else the public CDS.

    Raises:
        CredentialsError: no key, a key in the old form, or an address that would expose the key.
    """

    def __init__(self, url: str = "") -> None:
        self.url, self._key, self.key_from = settings(url)
        # Created once per retrieval: this sends nothing to the server (see `KeySession`).
        # retry_max=1 because the client would also repeat the POST of a submission, creating a second job.
        # Callbacks because the client's own debug output contains the key.
        self._session = KeySession(self.url)
        client = cdsapi.Client(
            self.url, self._key, quiet=True, progress=False, retry_max=1, timeout=TIMEOUT_s,
            session=self._session, debug_callback=_ignore, info_callback=_ignore,
            warning_callback=_ignore, error_callback=_ignore,
        )  # fmt: skip
        self._api = client.client

    def __enter__(self) -> Account:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    @contextmanager
    def asking(self, dataset: str = "") -> Iterator[Any]:
        """Context with the client (`ecmwf.datastores.Client`); its errors become yieldcast errors.

        Args:
            dataset: name of the dataset, for messages.

        Raises:
            FetchError: or a subclass, see `refusal`.
        """
        # `from None`: the client's exceptions hold the request with its key.
        try:
            yield self._api
        except (YieldcastError, CancelledError):
            raise
        except requests.HTTPError as error:
            raise self.refusal(error.response, dataset) from None
        except requests.exceptions.SSLError:
            raise FetchError(
                f"no trusted connection to {shown(self.url)}",
                "Update certifi (`pip install -U certifi`), or name your proxy's certificate in "
                "REQUESTS_CA_BUNDLE. A `verify: 0` in ~/.cdsapirc is ignored: it would expose the key.",
            ) from None
        except (requests.ConnectionError, requests.Timeout) as error:
            raise RetryableError(
                f"no connection to {shown(self.url)} ({type(error).__name__})", _BUSY_HINT
            ) from None
        except Exception as error:
            # The client raises any kind of error on an unexpected answer (missing links, keys, types).
            text = self.redact(f"{type(error).__name__}: {error}")[:_ANSWER_LIMIT]
            raise RetryableError(
                f"{shown(self.url)} sent an answer that its client does not expect ({text})",
                "A service under repair does this. If it persists: `pip install -U cdsapi`.",
            ) from None

    def refusal(self, answer: requests.Response, dataset: str = "") -> FetchError:
        """The error for an answer with a status of 400 or more.

        Args:
            answer: of the server.
            dataset: name of the dataset, for messages.

        Returns:
            CrowdedError (full queue), RetryableError (busy or down), CredentialsError (key, licence),
            RequestTooLargeError, JobExpiredError, NotYetPublishedError, InvalidRequestError, or FetchError
            for any other refusal.
        """
        title, reason = self.problem(answer)
        status, path = answer.status_code, urlsplit(str(answer.url)).path
        text = f"the CDS answered {status}: {reason or shown(str(answer.url))}"
        if dataset:
            text = f"{dataset}: {text}"
        if crowded(reason):
            return CrowdedError(text, CROWDED_HINT, after_s=retry_after(answer))
        if status in (408, 429) or status >= 500:
            return RetryableError(text, _BUSY_HINT, after_s=retry_after(answer) or _asked_wait(reason))
        if status == 401:
            return CredentialsError(f"the CDS does not know the key from {self.key_from}", HOW)
        if status == 403 and "licence" in title:
            return CredentialsError(
                f"the licence of {dataset or 'the dataset'} is not accepted yet",
                f"Read it on {self.site}/datasets/{dataset}?tab=download#manage-licences and accept it "
                "there, or with `yieldcast doctor --accept-licences`.",
            )
        if status == 403 and "cost" in title:
            return RequestTooLargeError(text, "Request less at a time.")
        if status in (403, 404) and "/jobs/" in path:  # dismissed, expired, or another account's
            late = "not ready" in title
            return RetryableError(text) if late else JobExpiredError(text, "The next try submits a new job.")
        if status == 404:
            return FetchError(
                text, f"Is {shown(self.url)} the root of a CDS, and {dataset!r} one of its datasets?"
            )
        if status == 400 and NOT_YET.search(reason):
            return NotYetPublishedError(text, "Fetch again when the data are published.")
        kind = InvalidRequestError if status in (400, 422) else FetchError
        return kind(text, "The request was refused; trying again will not help.")

    def problem(self, answer: requests.Response) -> tuple[str, str]:
        """Title (lower case) and full text of an error answer; both may be empty."""
        try:
            body = answer.json()
        except ValueError:
            return "", ""
        if not isinstance(body, dict):
            return "", ""
        texts = [str(body[key]) for key in ("title", "traceback", "detail") if body.get(key)]
        text = " ".join(": ".join(texts).split())
        return str(body.get("title", "")).lower(), self.redact(text)[:_ANSWER_LIMIT]

    def redact(self, text: str) -> str:
        """The text with the key replaced by ``[key]``."""
        return text.replace(self._key, "[key]")

    @property
    def site(self) -> str:
        """Address of the website of this CDS."""
        return self.url.removesuffix("/api")


def crowded(text: str) -> bool:
    """Whether the CDS refused a request because too many of the account wait in its queue."""
    return _CROWDED.search(text) is not None


def _asked_wait(text: str) -> float | None:
    """Seconds that a text asks to wait; None without them."""
    found = _WAIT.search(text)
    return float(found.group(1)) if found else None


def credentials(url: str = "") -> tuple[str, str]:
    """Address of the CDS and the origin of its key (environment or file), never the key itself.

    Raises:
        CredentialsError: as `Account`.
    """
    address, _, key_from = settings(url)
    return address, key_from


def check_key(url: str = "") -> dict[str, Any]:
    """Check that the CDS knows the key.

    Args:
        url: see `Account`.

    Returns:
        the CDS's description of the account.

    Raises:
        CredentialsError: unknown key, or none.
        RetryableError: the CDS does not answer.
    """
    with Account(url) as account, account.asking() as api:
        return dict(api.check_authentication())


def missing_licences(url: str, datasets: Sequence[str]) -> list[Licence]:
    """Licences of datasets that the account has not accepted, each once.

    A dataset's catalogue entry links to its licences; the list of all licences has the same addresses with
    id and latest revision (cads-catalogue-api-service: client.py, vocabularies.py). Unknown: whether a
    dataset can require an earlier revision, which that list would not show.

    Args:
        url: see `Account`.
        datasets: names in the catalogue.

    Raises:
        FetchError: or a subclass, see `Account.refusal`; also for a licence that the list lacks.
    """
    with Account(url) as account:
        with account.asking() as api:
            accepted = {(str(row["id"]), int(row["revision"])) for row in api.get_accepted_licences()}
            known = list(api.get_licences())
        missing: dict[str, Licence] = {}
        for dataset in datasets:
            with account.asking(dataset) as api:
                links = [x for x in api.get_collection(dataset).json["links"] if x.get("rel") == "license"]
                for link in links:
                    licence = _looked_up(link, known, dataset, account.site)
                    if (licence.id, licence.revision) not in accepted:
                        missing.setdefault(licence.id, licence)
    return list(missing.values())


def accept(url: str, licences: Sequence[Licence]) -> None:
    """Accept licences in the account's name; call only when the user asked for it.

    Args:
        url: see `Account`.
        licences: from `missing_licences`.

    Raises:
        FetchError: or a subclass, see `Account.refusal`.
    """
    with Account(url) as account:
        for licence in licences:
            with account.asking(licence.dataset) as api:
                api.accept_licence(licence.id, licence.revision)


def _ignore(*_: Any, **__: Any) -> None:
    pass


def _looked_up(link: dict[str, str], known: list[dict[str, Any]], dataset: str, site: str) -> Licence:
    for row in known:
        file, title = urlsplit(row.get("attachment_url", "")).path, row.get("label")
        if (file and file == urlsplit(link.get("href", "")).path) or (title and title == link.get("title")):
            return Licence(str(row["id"]), int(row["revision"]), str(row.get("label", row["id"])), dataset)
    raise FetchError(
        f"{dataset} requires the licence {link.get('title')!r}, which is not on the CDS's list",
        f"See {site}/datasets/{dataset}?tab=download#manage-licences.",
    )
