"""Retrievals from the Climate Data Store that a crash, a queue or a lost reply cannot double or lose.

The official client does the talking (`cdsapi.Client`); what it leaves out is here: the job's id is on disk
before the first poll, a submission is never repeated blindly, waiting can be interrupted and ends, and the
file comes without the key, in pieces that are taken up again, checked against size and checksum.
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

from data_fetchers.cds.account import NOT_YET, Account, JobExpiredError
from data_fetchers.engine import clock
from data_fetchers.engine.cache import PendingJob, Record, timestamp
from data_fetchers.engine.http import SafeSession, download
from data_fetchers.engine.source import NotYetPublishedError, RequestTooLargeError, RetryableError, pause
from yieldcast.errors import FetchError

_ORDERED = ("area", "grid")  # lists whose order means something
_FORMATS = ("data_format", "download_format")  # the server fills these in


def equal(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two requests ask for the same, however their values are written.

    The server keeps a request as lists of texts, adds keys of its own that begin with ``_``, and fills in
    formats (cads_adaptors: adaptors/cds.py, normalise_request; mars.py).
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
        return f"{float(value):.10g}"  # "01", "1", 1 and 1.0 are one
    except (TypeError, ValueError):
        return str(value)


# ecmwf-datastores-client 0.5.3, client.py and processing.py
_ALIVE = ("accepted", "running", "successful")
_ENDED = ("failed", "rejected", "dismissed", "deleted")
_SILENCES = 5  # polls in a row that may fail: a wait of hours must not end with one bad answer
_PAGE, _PAGES = 50, 4  # jobs of an account that are looked through for one whose reply was lost
_CLOCKS = dt.timedelta(days=1)  # between our clock and the server's, whose times carry no zone
_GONE = re.compile(r"answered (403|404|410)\b")


@dataclass(frozen=True)
class Cds:
    """The Climate Data Store. Holds no key: the process that works reads CDSAPI_KEY or ~/.cdsapirc.

    Args:
        url: root of the API; empty for CDSAPI_URL, then ~/.cdsapirc, then the CDS.
        patience_s: longest wait for one job (s); a longer one is left to the next run.
        longest_poll_s, first_poll_s: pauses between polls (s); they grow by half from first to longest.
        limit_bytes: largest file to take.
    """

    url: str = ""
    patience_s: float = 6 * 3600.0
    longest_poll_s: float = 60.0
    first_poll_s: float = 1.0
    limit_bytes: int = 3 * 10**9

    def retrieve(self, dataset: str, request: Mapping[str, Any], target: Path, job: PendingJob) -> Record:
        """Bring the answer to a request into a file; a job that `job` remembers is taken up again.

        Args:
            dataset: id in the catalogue.
            request: as the dataset's page shows it, lists of strings.
            target: file to write.
            job: the part's note: ``job_id`` while a job exists, ``submitting`` while a submission is open,
                ``failed`` after a job that failed.

        Returns:
            job_id, dataset, and where the CDS told it: created, when the job was made (ISO, UTC), and md5.
            What an answer holds was decided then, and a job that is taken up again may be old.

        Raises:
            AgainError: busy, down, cut off, another checksum; a job that failed once or is gone.
            NotYetError: data that are not out yet.
            TooBigError: more than the CDS gives at once.
            CredentialsError: no key, a key it does not know, a licence that was not accepted.
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
        # Forgotten here and not at the commit: should the check refuse the file, or find data missing that
        # were not out when the job ran, this job would only ever bring the same file. If the process dies
        # before the commit, an equal request costs next to nothing: the CDS keeps its answers for a while.
        job.save(job_id=None, failed=None)
        return {"job_id": remote.request_id, "dataset": dataset, **created, **facts}

    def _wait(self, account: Account, remote: Any, dataset: str, job: PendingJob) -> Record:
        """Poll until the results are there; returns when the job was made."""
        began, wait_s, silences = time.monotonic(), self.first_poll_s, 0
        while True:
            asked_s = 0.0
            try:
                with account.asking(dataset):
                    # one GET; the client's own waiting can neither be interrupted nor told to a progress line
                    state = dict(remote.json)
                    status = str(state["status"])
            except JobExpiredError:
                raise
            except RetryableError as error:
                silences += 1
                if silences > _SILENCES:
                    raise
                asked_s = error.after_s or 0.0
            else:
                if status == "successful":
                    return _created(state)
                if status in _ENDED:
                    raise _ended(account, remote, status, dataset, job)
                silences = 0
                job.say(_in_words(status, state))
            left_s = began + self.patience_s - time.monotonic()
            if left_s <= 0:
                raise FetchError(
                    f"{dataset}: not ready after {self.patience_s / 3600:.1f} hours at the CDS",
                    f"Its job {remote.request_id} stays on the account; the next run takes it up again.",
                )
            pause(min(max(wait_s, asked_s), left_s))  # whatever the service asks for
            wait_s = min(wait_s * 1.5, self.longest_poll_s)

    def _download(self, account: Account, asset: Mapping[str, Any], target: Path, job: PendingJob) -> Record:
        href, size = str(asset["href"]), asset.get("file:size")
        if account.url.startswith("https:") and not href.startswith("https:"):
            raise FetchError(
                f"the CDS offers its file at {urlsplit(href).hostname} unencrypted: refused",
                "A proxy may stand between you and it.",
            )
        # That it is an MD5 is our reading of the server's code (cacholote); not seen live.
        told = str(asset.get("file:checksum", "")).lower()
        md5 = told if re.fullmatch(r"[0-9a-f]{32}", told) else None
        job.say("downloading from the CDS")
        try:
            with SafeSession() as session:  # another one: the store of files never gets the key
                download(session, href, target, limit=self.limit_bytes, size=_whole(size), md5=md5)
        except FetchError as error:
            if _GONE.search(str(error)):
                raise JobExpiredError(f"{error} (the file of a finished job is gone)", error.hint) from error
            raise
        return {"md5": md5} if md5 else {}


def _resumed(account: Account, job: PendingJob) -> Any:
    """The job that an earlier run left behind, while it is alive; None when there is none."""
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
    """A new job, its id on disk; or the one that an earlier submission made whose reply was lost."""
    begun = _open_since(job)
    # Only then: looking costs two calls for each of the account's jobs, and without an open submission
    # there can be no job that we do not know of.
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
            raise  # the job may exist all the same
        except FetchError:
            job.save(submitting=None)
            raise
    job.save(job_id=remote.request_id, submitting=None)
    return remote


def _refuse_costly(account: Account, process: Any, dataset: str, request: Record) -> None:
    """TooBigError before anything is queued; a server that cannot tell the cost is not asked twice."""
    try:
        with account.asking(dataset):
            told = process.estimate_costs(request)
            cost, limit = float(told["cost"]), float(told["limit"])
    except FetchError:
        return
    if cost > limit:
        raise RequestTooLargeError(
            f"{dataset}: costs {cost:.0f}, the CDS gives {limit:.0f} at once", "Ask for less."
        )


def _open_since(job: PendingJob) -> dt.datetime | None:
    """When a submission began whose reply never came; None when there is none, or none worth looking for.

    After a day it is not: what such a job holds is old, and a list of jobs that cannot be read would
    otherwise hold up its part for ever.
    """
    with suppress(KeyError, TypeError, ValueError):
        begun = dt.datetime.fromisoformat(job.load()["submitting"])
        if clock.now() - begun < _CLOCKS:
            return begun
    return None


def _found(account: Account, dataset: str, request: Record, begun: dt.datetime) -> Any:
    """A living job on the account with an equal request, made since `begun`; None when there is none.

    An older one is another's: it may hold what was out at its time only.
    """
    oldest = (begun - _CLOCKS).replace(tzinfo=None)
    with account.asking(dataset) as api:
        page = api.get_jobs(limit=_PAGE, sortby="-created", status=list(_ALIVE))
        for _ in range(_PAGES):
            for row in page.json["jobs"]:
                if dt.datetime.fromisoformat(row["created"]).replace(tzinfo=None) < oldest:
                    return None
                # The list does not carry the requests (cads-processing-api-service: clients.py, get_jobs).
                if row["processID"] == dataset and equal(_asked(account, row["jobID"]), request):
                    return api.get_remote(row["jobID"])
            page = page.next
            if page is None:
                break
    return None


def _asked(account: Account, job_id: str) -> Record:
    """What a job was asked for; nothing when it was deleted since the list was made."""
    with suppress(JobExpiredError), account.asking() as api:
        asked = (api.get_remote(job_id).json.get("metadata") or {}).get("request") or {}
        return dict(asked.get("ids") or {})
    return {}


def _created(state: Mapping[str, Any]) -> Record:
    """When a job was made, if its state says so: the server's times are UTC and carry no zone."""
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
    """The error for a job that ended without results; it is forgotten."""
    text = status
    try:
        remote.get_results()
    except requests.HTTPError as error:  # 400 with the operator's text, and not ProcessingFailedError
        text = account.problem(error.response)[1] or status
    except Exception as error:  # ProcessingFailedError for `dismissed`; the job is lost in any case
        text = account.redact(str(error)) or status
    late = NOT_YET.search(text) is not None
    again = status == "failed" and not late and not job.load().get("failed")
    job.save(job_id=None, failed=1 if again else None)
    text = f"{dataset}: job {remote.request_id} {status} at the CDS: {text}"
    if late:
        return NotYetPublishedError(text, "Ask again when the data are out.")
    if status == "rejected":
        return FetchError(text, "The operator refused it; the text says why.")
    if again or status != "failed":
        return RetryableError(text, "A new job is made the next time.")
    return FetchError(text, "It failed twice: see https://status.ecmwf.int, or change the request.")


def _results(account: Account, remote: Any, dataset: str) -> Record:
    """What the CDS says of the file, with its whole address."""
    with account.asking(dataset):
        results = remote.get_results()
        return {**results.asset, "href": str(results.location)}


def _whole(value: Any) -> int | None:
    return int(value) if str(value).isdigit() else None
