"""The local servers of the tests, each in a process of its own."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
import urllib.request
from pathlib import Path

SERVERS = Path(__file__).parents[1] / "servers"


class Served:
    """A running test server: `url`, `faults([...])`, `log()`, `set(...)`, `reset()`."""

    def __init__(self, name: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(SERVERS / f"{name}.py")], stdout=subprocess.PIPE, text=True
        )
        self.moment: dt.datetime | None = None
        assert self.process.stdout is not None
        first = self.process.stdout.readline().split()
        assert first[:1] == ["ready"], f"server {name} did not start: {first}"
        self.url = first[1]

    def _control(self, what: str, value: object = None) -> object:
        body = None if what == "log" else json.dumps(value).encode()
        with urllib.request.urlopen(f"{self.url}/_control/{what}", data=body, timeout=30) as reply:
            return json.load(reply)

    def faults(self, *faults: dict) -> None:
        self._control("faults", list(faults))

    def log(self) -> list[dict]:
        return self._control("log")  # type: ignore[return-value]

    def set(self, **settings: object) -> None:
        self._control("set", settings)

    def set_time(self, moment: dt.datetime) -> None:
        """Set the time in the server's answers, also after a reset."""
        self.moment = moment
        self.set(now=moment.replace(tzinfo=None).isoformat())

    def reset(self) -> None:
        self._control("reset")
        if self.moment is not None:
            self.set_time(self.moment)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
