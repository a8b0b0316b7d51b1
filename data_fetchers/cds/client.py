"""Retrievals from the Climate Data Store (CDS): no job is lost or repeated after a crash or a lost reply.

The official client (`cdsapi.Client`) makes the calls. Added here: the job's id is on disk before the first
poll; a submission is repeated only after a search for its job; waiting can be interrupted and has a limit;
the file is downloaded without the key, resumed after a broken transfer, and checked against size and
checksum.
"""

from __future__ import annotations

import datetime as dt
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

from data_fetchers.cds.account import CROWDED_HINT, NOT_YET, Account, JobExpiredError, crowded
from data_fetchers.engine.cache import PendingJob, Record, timestamp
from data_fetchers.engine.http import RefusedError, SafeSession, download
from data_fetchers.engine.source import (
    CrowdedError,
    NotYetPublishedError,
    RequestTooLargeError,
    RetryableError,
    pause,
)
from yieldcast import clock
from yieldcast.errors import FetchError

# States of a job (ecmwf-datastores-client 0.5.3, client.py and processing.py)
_ALIVE = ("accepted", "running", "successful")
_ENDED = ("failed", "rejected", "dismissed", "deleted")
_FAILED_POLLS = 5  # consecutive polls that may fail: one bad answer must not end a wait of hours
_PAGE, _PAGES = 50, 4  # jobs per page, and pages, searched for a job whose reply was lost
# Largest difference between our clock and the server's, whose times have no time zone; also how long a lost
# submission is searched for.
_CLOCK_ERROR = dt.timedelta(days=1)
_FILE_GONE = (403, 404, 410)  # HTTP status for a file that the CDS has deleted
_ORDERED = ("area", "grid")  # lists whose order matters
_FORMATS = ("data_format", "download_format")  # the server fills these in when absent


@dataclass(frozen=True)
class Cds:
    """The Climate Data Store. Holds no key: each worker process reads CDSAPI_KEY or ~/.cdsapirc.

    Args:
        url: root of the API; if empty CDSAPI_URL, else ~/.cdsapirc, else the public CDS.
        patience_s: longest wait for one job (s); after that the job is left to the next run.
        longest_poll_s, first_poll_s: longest and first pause between polls (s); each is 1.5 times the last.
        limit_bytes: largest file to accept.
    """

    url: str = ""
    patience_s: float = 6 * 3600.0
    longest_poll_s: float = 60.0
    first_poll_s: float = 1.0
    limit_bytes: int = 3 * 10**9

    def retrieve(self, dataset: str, request: Mapping[str, Any], target: Path, job: PendingJob) -> Record:
        """Download the answer to a request into a file, continuing the job of an earlier run if there is one.

        Args:
            dataset: id in the catalogue.
            request: as the dataset's web page shows it, lists of strings.
            target: file to write.
            job: saved state: ``job_id`` while a job exists, ``submitting`` while a submission has no reply,
                ``failed`` after a job that failed.

        Returns:
            job_id, dataset and, if the CDS states them, created (ISO time, UTC) and md5. The creation of the
            job decides what the answer contains; a continued job may be old.

        Raises:
            CrowdedError: too many jobs of the account are queued.
            RetryableError: CDS busy or down, transfer broken, wrong checksum, job failed once or gone.
            NotYetPublishedError: data that are not published yet.
            RequestTooLargeError: more than the CDS allows per request.
            CredentialsError: no key, an unknown key, or a licence that is not accepted.
            FetchError: refused, failed twice, or not ready within `patience_s`.
        """
        with Account(self.url) as account:
            remote = _resumed(account, job) or _submitted(account, dataset, dict(request), job)
            try:
                created = self._wait(account, remote, dataset, job)
                asset = _results(account, remote, dataset)
                facts = self._download(account, asset, target, job)
            except JobExpiredError:
                job.save(job_id=None)
                raise
        # The job is forgotten here, before the file is checked: if the check fails, the same job would only
        # deliver the same file again. If the process dies before the file is stored, an equal request is
        # cheap, because the CDS caches its answers for some time.
        job.save(job_id=None, failed=None)
        return {"job_id": remote.request_id, "dataset": dataset, **created, **facts}

    def _wait(self, account: Account, remote: Any, dataset: str, job: PendingJob) -> Record:
        """Poll until the results are ready; return when the job was created, if known."""
        began, wait_s, failed_polls = time.monotonic(), self.first_poll_s, 0
        while True:
            asked_s = 0.0
            try:
                with account.asking(dataset):
                    # One GET. The client's own waiting cannot be interrupted and reports no progress.
                    state = dict(remote.json)
                    status = str(state["status"])
            except JobExpiredError:
                raise
            except RetryableError as error:
                # A service that states how long to wait works; `patience_s` limits how often.
                failed_polls += not error.after_s
                if failed_polls > _FAILED_POLLS:
                    raise
                asked_s = error.after_s or 0.0
            else:
                if status == "successful":
                    return _created(state)
                if status in _ENDED:
                    raise _ended(account, remote, status, dataset, job)
                failed_polls = 0
                job.set_state(_in_words(status, state))
            left_s = began + self.patience_s - time.monotonic()
            if left_s <= 0:
                raise FetchError(
                    f"{dataset}: not ready after {self.patience_s / 3600:.1f} hours at the CDS",
                    f"Job {remote.request_id} stays on the account; the next run continues to wait for it.",
                )
            pause(min(max(wait_s, asked_s), left_s))
            wait_s = min(wait_s * 1.5, self.longest_poll_s)

    def _download(self, account: Account, asset: Mapping[str, Any], target: Path, job: PendingJob) -> Record:
        href, size = str(asset["href"]), asset.get("file:size")
        if account.url.startswith("https:") and not href.startswith("https:"):
            raise FetchError(
                f"the CDS offers its file at {urlsplit(href).hostname} unencrypted: refused",
                "A proxy may stand between you and it.",
            )
        # An MD5 according to the server's code (cacholote); not verified against the live service.
        checksum = str(asset.get("file:checksum", "")).lower()
        md5 = checksum if re.fullmatch(r"[0-9a-f]{32}", checksum) else None
        job.set_state("downloading from the CDS")
        try:
            with SafeSession() as session:  # without the key, which the file server must not receive
                download(session, href, target, limit=self.limit_bytes, size=_whole(size), md5=md5)
        except RefusedError as error:
            if error.status in _FILE_GONE:
                raise JobExpiredError(f"{error} (the file of a finished job is gone)", error.hint) from error
            raise
        return {"md5": md5} if md5 else {}


def _resumed(account: Account, job: PendingJob) -> Any:
    """The job of an earlier run, unless it has ended; None without one."""
    known = job.load().get("job_id")
    if not known:
        return None
    with suppress(JobExpiredError), account.asking() as api:
        remote = api.get_remote(str(known))
        if remote.json["status"] not in _ENDED:
            return remote
    job.save(job_id=None)
    return None


def _submitted(account: Account, dataset: str, request: Record, job: PendingJob) -> Any:
    """A new job with its id saved; or the job of an earlier submission whose reply was lost."""
    begun = _open_since(job)
    # Searched only after an unanswered submission: the search costs two calls per job of the account, and
    # otherwise no unknown job can exist.
    remote = _found(account, dataset, request, begun) if begun else None
    if remote is None:
        with account.asking(dataset) as api:
            process = api.get_process(dataset)
        _refuse_costly(account, process, dataset, request)
        job.save(submitting=timestamp())
        try:
            with account.asking(dataset):
                remote = process.submit(request)
        except RetryableError:
            raise  # the job may exist nevertheless
        except FetchError:
            job.save(submitting=None)
            raise
    job.save(job_id=remote.request_id, submitting=None)
    return remote


def _refuse_costly(account: Account, process: Any, dataset: str, request: Record) -> None:
    """RequestTooLargeError before submission, if the CDS states a cost above its limit."""
    try:
        with account.asking(dataset):
            estimate = process.estimate_costs(request)
            cost, limit = float(estimate["cost"]), float(estimate["limit"])
    except FetchError:
        return
    if cost > limit:
        raise RequestTooLargeError(
            f"{dataset}: costs {cost:.0f}, the CDS allows {limit:.0f} per request", "Request less at a time."
        )


def _open_since(job: PendingJob) -> dt.datetime | None:
    """Start of a submission that got no reply; None without one, or when it is older than a day.

    After a day the job's data are outdated, and an unreadable list of jobs would block the request for ever.
    """
    with suppress(KeyError, TypeError, ValueError):
        begun = dt.datetime.fromisoformat(job.load()["submitting"])
        if clock.now() - begun < _CLOCK_ERROR:
            return begun
    return None


def _found(account: Account, dataset: str, request: Record, begun: dt.datetime) -> Any:
    """A job of the account with an equal request that is not ended and was created after `begun`, or None.

    An older job is not used: it may lack data that were published since.
    """
    oldest = (begun - _CLOCK_ERROR).replace(tzinfo=None)
    with account.asking(dataset) as api:
        page = api.get_jobs(limit=_PAGE, sortby="-created", status=list(_ALIVE))
        for _ in range(_PAGES):
            for row in page.json["jobs"]:
                if dt.datetime.fromisoformat(row["created"]).replace(tzinfo=None) < oldest:
                    return None
                # The list does not contain the requests (cads-processing-api-service: clients.py, get_jobs).
                if row["processID"] == dataset and equal(_asked(account, row["jobID"]), request):
                    return api.get_remote(row["jobID"])
            page = page.next
            if page is None:
                break
    return None


def _asked(account: Account, job_id: str) -> Record:
    """The request of a job; empty when the job was deleted since it was listed."""
    with suppress(JobExpiredError), account.asking() as api:
        asked = (api.get_remote(job_id).json.get("metadata") or {}).get("request") or {}
        return dict(asked.get("ids") or {})
    return {}


def equal(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two requests ask for the same data, in whatever form their values are written.

    The server stores a request as lists of texts, adds keys that begin with ``_``, and fills in formats
    (cads_adaptors: adaptors/cds.py, normalise_request; mars.py).
    """
    a, b = _plain(one), _plain(other)
    return all(a.get(key) == b.get(key) for key in a.keys() | b.keys() if not _filled_in(key, a, b))


def _filled_in(key: str, a: Record, b: Record) -> bool:
    return key.startswith("_") or (key in _FORMATS and (key not in a or key not in b))


def _plain(request: Mapping[str, Any]) -> Record:
    lists = {str(k): list(v) if isinstance(v, list | tuple) else [v] for k, v in request.items()}
    texts = {k: [_text(value) for value in values] for k, values in lists.items()}
    return {k: values if k in _ORDERED else sorted(values) for k, values in texts.items()}


def _text(value: Any) -> str:
    try:
        return f"{float(value):.10g}"  # "01", "1", 1 and 1.0 are equal
    except (TypeError, ValueError):
        return str(value)


def _created(state: Mapping[str, Any]) -> Record:
    """Creation time of a job, if its state has one; the server's times are UTC without a time zone."""
    with suppress(KeyError, TypeError, ValueError):
        created = dt.datetime.fromisoformat(state["created"])
        created = created if created.tzinfo else created.replace(tzinfo=dt.UTC)
        return {"created": created.astimezone(dt.UTC).isoformat(timespec="seconds")}
    return {}


def _in_words(status: str, state: Mapping[str, Any]) -> str:
    what, key = ("queued", "created") if status == "accepted" else ("running", "started")
    since = str(state.get(key) or "")[:16].replace("T", " ")
    return f"{what} at the CDS since {since} UTC" if since else f"{what} at the CDS"


def _ended(account: Account, remote: Any, status: str, dataset: str, job: PendingJob) -> FetchError:
    """The error for a job that ended without results; the saved job id is removed."""
    text = status
    try:
        remote.get_results()
    except requests.HTTPError as error:  # status 400 with the operator's text
        text = account.problem(error.response)[1] or status
    except Exception as error:  # ProcessingFailedError for `dismissed`; the job is lost in any case
        text = account.redact(str(error)) or status
    late = NOT_YET.search(text) is not None
    again = status == "failed" and not late and not job.load().get("failed")
    job.save(job_id=None, failed=1 if again else None)
    text = f"{dataset}: job {remote.request_id} {status} at the CDS: {text}"
    if crowded(text):
        return CrowdedError(text, CROWDED_HINT)
    if late:
        return NotYetPublishedError(text, "Fetch again when the data are published.")
    if status == "rejected":
        return FetchError(text, "The operator refused the job; see the text above.")
    if again or status != "failed":
        return RetryableError(text, "The next try submits a new job.")
    return FetchError(text, "It failed twice: see https://status.ecmwf.int, or change the request.")


def _results(account: Account, remote: Any, dataset: str) -> Record:
    """The CDS's description of the file, with its full address."""
    with account.asking(dataset):
        results = remote.get_results()
        return {**results.asset, "href": str(results.location)}


def _whole(value: Any) -> int | None:
    return int(value) if str(value).isdigit() else None
