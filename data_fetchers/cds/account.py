"""The account at the Climate Data Store: its client, the client's errors in our words, its licences.

Read for this: cdsapi 0.7.7, ecmwf-datastores-client 0.5.3, multiurl 0.3.9, and the open server code
(github.com/ecmwf-projects: cads-processing-api-service, cads-catalogue-api-service, cads-adaptors).
Nothing here has met the live service yet.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import cdsapi
import requests

from data_fetchers.cds.session import HOW, KeySession, settings
from data_fetchers.engine.http import TIMEOUT_s, retry_after, shown
from data_fetchers.engine.source import (
    CancelledError,
    NotYetPublishedError,
    RequestTooLargeError,
    RetryableError,
)
from yieldcast.errors import CredentialsError, FetchError, YieldcastError

if TYPE_CHECKING:
    from data_fetchers.cds.client import Cds


_BUSY_HINT = "The service is busy or down, or there is no connection."
_ANSWER_LIMIT = 600  # characters of the operator's text that a message shows
# Texts of data that come later (cads_adaptors: tools/date_tools.py, adaptors/mars.py).
NOT_YET = re.compile(r"requested is available yet|MARS returned no data|latest date available", re.I)

# The client writes to stderr through a handler of its own whenever its logger has none.
logging.getLogger("ecmwf.datastores.legacy_client").addHandler(logging.NullHandler())


class JobExpiredError(RetryableError):
    """A job, or its results, that the account no longer has; a new job can bring them."""


class Licence(NamedTuple):
    """A licence that an account has to accept before it may fetch a dataset."""

    id: str
    revision: int
    title: str
    dataset: str


class Account:
    """A connection to the CDS with the key of this process. For one thread; never pickled, never stored.

    Args:
        url: the API's root; empty for CDSAPI_URL, then the configuration file, then the CDS.

    Raises:
        CredentialsError: no key, a key in the old form, or an address that would show it to others.
    """

    def __init__(self, url: str = "") -> None:
        self.url, self._key, self.key_from = settings(url)
        # Called once per retrieval: cheap, for it asks nothing of the server (see `KeySession`).
        # retry_max=1 because the client repeats the POST of a submission too, which makes a second job.
        # Without callbacks its debug line holds the key.
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
        """Lend the client (`ecmwf.datastores.Client`); whatever it raises leaves as one of our errors.

        Args:
            dataset: that it is about, for messages.

        Raises:
            AgainError, NotYetError, TooBigError, CredentialsError, FetchError: as `refusal`.
        """
        # `from None`: the client's exceptions hold the request, and with it the key.
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
                "REQUESTS_CA_BUNDLE. A `verify: 0` in ~/.cdsapirc is not followed: it would show the key.",
            ) from None
        except (requests.ConnectionError, requests.Timeout) as error:
            raise RetryableError(
                f"no connection to {shown(self.url)} ({type(error).__name__})", _BUSY_HINT
            ) from None
        except Exception as error:
            # Links that are not there, keys, types, assertions: the client raises whatever comes up.
            text = self.redact(f"{type(error).__name__}: {error}")[:_ANSWER_LIMIT]
            raise RetryableError(
                f"{shown(self.url)} sent something else than its client expects ({text})",
                "A service under repair does this. If it stays: `pip install -U cdsapi`.",
            ) from None

    def refusal(self, answer: requests.Response, dataset: str = "") -> FetchError:
        """The error for an answer with a status of 400 or more (table: data-sources.md, section 1.8)."""
        title, said = self.problem(answer)
        status, path = answer.status_code, urlsplit(str(answer.url)).path
        text = f"the CDS answered {status}: {said or shown(str(answer.url))}"
        if dataset:
            text = f"{dataset}: {text}"
        if status in (408, 429) or status >= 500:
            return RetryableError(text, _BUSY_HINT, after_s=retry_after(answer))
        if status == 401:
            return CredentialsError(f"the CDS does not know the key from {self.key_from}", HOW)
        if status == 403 and "licence" in title:
            return CredentialsError(
                f"the licence of {dataset or 'the dataset'} is not accepted yet",
                f"Read it on {self.site}/datasets/{dataset}?tab=download#manage-licences and accept it "
                "there, or with `yieldcast doctor --accept-licences`.",
            )
        if status == 403 and "cost" in title:
            return RequestTooLargeError(text, "Ask for less at once.")
        if status in (403, 404) and "/jobs/" in path:  # dismissed, expired, or of another account's key
            late = "not ready" in title
            return RetryableError(text) if late else JobExpiredError(text, "A new job is made the next time.")
        if status == 404:
            return FetchError(
                text, f"Is {shown(self.url)} the root of a CDS, and {dataset!r} one of its datasets?"
            )
        if status == 400 and NOT_YET.search(said):
            return NotYetPublishedError(text, "Ask again when the data are out.")
        return FetchError(text, "The request was refused; trying again will not help.")

    def problem(self, answer: requests.Response) -> tuple[str, str]:
        """Title (lower case) and full text of an answer that says why not; both may be empty."""
        try:
            said = answer.json()
        except ValueError:
            return "", ""
        if not isinstance(said, dict):
            return "", ""
        texts = [str(said[key]) for key in ("title", "traceback", "detail") if said.get(key)]
        text = " ".join(": ".join(texts).split())
        return str(said.get("title", "")).lower(), self.redact(text)[:_ANSWER_LIMIT]

    def redact(self, text: str) -> str:
        """The text without the key."""
        return text.replace(self._key, "[key]")

    @property
    def site(self) -> str:
        """The website that belongs to the API."""
        return self.url.removesuffix("/api")


def credentials(url: str = "") -> tuple[str, str]:
    """The address of the CDS and where its key comes from, never the key.

    Raises:
        CredentialsError: as `Account`.
    """
    address, _, key_from = settings(url)
    return address, key_from


def check_key(cds: Cds) -> dict[str, Any]:
    """Ask the CDS whether it knows the key; returns what it says of the account.

    Raises:
        CredentialsError: it does not, or there is none.
        AgainError: it does not answer.
    """
    with Account(cds.url) as account, account.asking() as api:
        return dict(api.check_authentication())


def missing_licences(cds: Cds, datasets: Sequence[str]) -> list[Licence]:
    """The licences of some datasets that the account has not accepted, each once.

    A dataset's catalogue entry links to its licences, the list of all licences has the same addresses with
    id and latest revision (cads-catalogue-api-service: client.py, vocabularies.py). Not seen live: whether
    a dataset can still ask for an earlier revision, which that list would not show.

    Raises:
        CredentialsError, AgainError, FetchError: as `Account.asking`; also a licence that is on no list.
    """
    with Account(cds.url) as account:
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


def accept(cds: Cds, licences: Sequence[Licence]) -> None:
    """Accept licences in the account's name; only ever on the user's word.

    Raises:
        CredentialsError, AgainError, FetchError: as `Account.asking`.
    """
    with Account(cds.url) as account:
        for licence in licences:
            with account.asking(licence.dataset) as api:
                api.accept_licence(licence.id, licence.revision)


def available(cds: Cds, dataset: str, request: dict[str, Any]) -> dict[str, list[str]]:
    """The values that a dataset still offers for each key, given those of a request.

    Raises:
        CredentialsError, AgainError, FetchError: as `Account.asking`; a request it does not understand.
    """
    with Account(cds.url) as account, account.asking(dataset) as api:
        offered: dict[str, list[str]] = api.apply_constraints(dataset, request)
        return {str(key): list(values) for key, values in offered.items()}


def _ignore(*_: Any, **__: Any) -> None:
    pass


def _looked_up(link: dict[str, str], known: list[dict[str, Any]], dataset: str, site: str) -> Licence:
    for row in known:
        file, title = urlsplit(row.get("attachment_url", "")).path, row.get("label")
        if (file and file == urlsplit(link.get("href", "")).path) or (title and title == link.get("title")):
            return Licence(str(row["id"]), int(row["revision"]), str(row.get("label", row["id"])), dataset)
    raise FetchError(
        f"{dataset} asks for the licence {link.get('title')!r}, which is not on the CDS's list",
        f"See {site}/datasets/{dataset}?tab=download#manage-licences.",
    )
