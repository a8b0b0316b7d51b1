"""Runs each job of the training benchmark in a separate process, so that memory and compiling are its own."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

from messages import Job, Results, Size, cores
from rich.console import Console

from yieldcast import Settings
from yieldcast.errors import ConfigError, YieldcastError

SCRIPTS = {
    "torch": "torch_loop.py",
    "torch-cores": "torch_loop.py",
    "gemm": "flops.py",
}
PER_CORE = ("keras-cores", "torch-cores")  # one process per core, all at the same time


def settings_of(units: int, epochs: int) -> Settings:
    """The default settings with one width for all layers and a fixed number of epochs."""
    return Settings.model_validate(
        {
            "network": {"lstm_units": [units] * 2, "static_units": [units] * 2, "head_units": [units]},
            "training": {"max_epochs": epochs, "patience": epochs},
        }
    )


class Processes:
    """Runs jobs in processes, one at a time, and keeps their answers.

    Args:
        size: of the rows, also of synthetic ones.
        data: file with real rows, or "".
        torch_python: interpreter of the process with torch.
        screen: where to print progress.
    """

    def __init__(self, size: Size, data: str, torch_python: str, screen: Console) -> None:
        self.shared: dict[str, Any] = {"size": list(size), "data": data, "device": "CPU"}
        self.torch_python, self.screen = torch_python, screen
        self.results: Results = {}
        self.failed: dict[Job, str] = {}

    def run(self, schedule: Sequence[Job]) -> None:
        """Run jobs in order; a job that failed is not run again."""
        for position, job in enumerate(schedule, 1):
            if job in self.failed:
                continue
            began = time.monotonic()
            self._run(job)
            outcome = f"failed: {self.failed[job]}" if job in self.failed else "done"
            self.screen.print(
                f"{position} of {len(schedule)}: {job}: {outcome}, {time.monotonic() - began:.0f} s",
                soft_wrap=True,
            )

    def _run(self, job: Job) -> None:
        settings = settings_of(max(job.units, 1), max(job.epochs, 1)).model_dump(mode="json")
        task = {**asdict(job), **self.shared, "settings": settings}
        pinned = cores() if job.contestant in PER_CORE else [None]
        script = Path(__file__).with_name(SCRIPTS.get(job.contestant, "contestants.py"))
        python = self.torch_python if script.name == "torch_loop.py" else sys.executable
        commands = [[python, str(script), json.dumps({**task, "core": core})] for core in pinned]
        with ThreadPoolExecutor(len(commands)) as pool:
            children = list(pool.map(_finished, commands))
        failed = [child for child in children if child.returncode]
        if failed:
            lines = failed[0].stderr.strip().splitlines() or ["no error message"]
            self.failed[job] = f"exit code {failed[0].returncode}: {lines[-1][:200]}"
        else:
            answers = [json.loads(child.stdout.splitlines()[-1]) for child in children]
            self.results.setdefault(job, []).append(together(answers))

    def machine(self) -> dict[str, Any]:
        """The device that Keras finds, versions, and the load of the machine before the start."""
        job, load = Job("machine"), os.getloadavg()[0]
        self.run([job])
        if job in self.failed:
            raise YieldcastError(f"Keras does not start: {self.failed[job]}", "See the script's first lines.")
        found = self.results[job][0]
        self.shared["device"] = found["kind"]
        return {**found, "load": load}


def _finished(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)


def together(answers: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One answer for processes that ran at the same time: seconds divided by their number, memory added."""
    if len(answers) == 1:
        return answers[0]
    seconds, startup = (statistics.median(each[key] for each in answers) for key in ("seconds", "startup"))
    return {
        **answers[0],
        "seconds": seconds / len(answers),
        "startup": startup,
        "peak_mib": sum(each["peak_mib"] for each in answers),
    }


def torch_version(python: str) -> str | None:
    """Version of torch in an interpreter; None if it cannot be imported there."""
    try:
        child = _finished([python, "-c", "import numpy, torch; print(torch.__version__)"])
    except OSError as error:
        raise ConfigError(
            f"--torch-python: cannot run {python}: {error.strerror}", "Give the path of a Python with torch."
        ) from None
    return child.stdout.strip() if child.returncode == 0 else None
