"""A source of small files on the plain test server."""

import datetime as dt
import json
from dataclasses import dataclass
from pathlib import Path

from data_fetchers.engine.cache import PendingJob, Record, Request, fetched_on
from data_fetchers.engine.http import SafeSession, get
from data_fetchers.engine.source import RequestTooLargeError, RetryableError
from yieldcast.errors import CredentialsError, FetchError


@dataclass(frozen=True)
class Files:
    """Asks for files of some kilobytes; too big ones are split in halves."""

    url: str
    name: str = "files"
    licence: str = "none"
    attribution: str = "nobody"
    workers: int = 3
    seconds_between: float = 0.0
    old_after_days: int = 10**6

    def requests(self, *sizes: int) -> list[Request]:
        return [Request(self.name, f"file-{n}", {"kilobytes": n}) for n in sizes]

    def fetch(self, request: Request, target: Path, job: PendingJob) -> Record:
        number = request.parameters["kilobytes"]
        job.save(job_id=f"job-{number}")
        try:
            body = get(SafeSession(), f"{self.url}/big/{number}", limit=10**7)
        except RetryableError:
            raise
        except FetchError as error:
            if "too many" in str(error):
                raise RequestTooLargeError(str(error)) from error
            if "401" in str(error):
                raise CredentialsError("the key is refused", "Get another.") from error
            raise
        target.write_bytes(body)
        return {"job_id": f"job-{number}"}

    def check(self, request: Request, file: Path) -> Record:
        try:
            content = json.loads(file.read_bytes())
        except ValueError as error:
            raise RetryableError("not JSON") from error
        if content["kilobytes"] != request.parameters["kilobytes"]:
            raise RetryableError("another file")
        return {"kilobytes": content["kilobytes"]}

    def split(self, request: Request) -> list[Request]:
        number = request.parameters["kilobytes"]
        return self.requests(number // 2, number - number // 2) if number > 1 else []

    def stale(self, request: Request, record: Record, today: dt.date) -> bool:
        return (today - fetched_on(record)).days >= self.old_after_days
