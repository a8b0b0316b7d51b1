"""Runs the benchmark's jobs, each in a process of its own: peak memory and compiling are its own too."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmark_job import Job, Results, Size
from yieldcast import Settings
from yieldcast.errors import ConfigError, YieldcastError

SCRIPTS = {"torch": "benchmark_torch.py", "gemm": "benchmark_floor.py"}


def settings_of(units: int, epochs: int) -> Settings:
    """The defaults, with one width for all layers and a fixed number of epochs."""
    return Settings.model_validate(
        {
            "network": {"lstm_units": [units] * 2, "static_units": [units] * 2, "head_units": [units]},
            "training": {"max_epochs": epochs, "patience": epochs},
        }
    )


class Processes:
    """Runs jobs in processes, one at a time, and keeps what they answer.

    Args:
        size: of the rows; synthetic ones are made so.
        data: file with real ones, "" when there is none.
        torch_python: interpreter of the torch child.
        screen: where progress is told.
    """

    def __init__(self, size: Size, data: str, torch_python: str, screen: Console) -> None:
        self.shared: dict[str, Any] = {"size": list(size), "data": data, "device": "CPU"}
        self.torch_python, self.screen = torch_python, screen
        self.results: Results = {}
        self.failed: dict[Job, str] = {}

    def run(self, schedule: Sequence[Job]) -> None:
        """Run jobs in order; one that failed is not tried again."""
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
        script = Path(__file__).with_name(SCRIPTS.get(job.contestant, "benchmark_contestants.py"))
        python = self.torch_python if job.contestant == "torch" else sys.executable
        child = subprocess.run(
            [python, str(script), json.dumps(task)],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if child.returncode:
            said = child.stderr.strip().splitlines() or ["nothing was said"]
            self.failed[job] = f"exit code {child.returncode}: {said[-1][:200]}"
        else:
            self.results.setdefault(job, []).append(json.loads(child.stdout.splitlines()[-1]))

    def machine(self) -> dict[str, Any]:
        """The device that Keras finds, and versions."""
        job, load = Job("machine"), os.getloadavg()[0]
        self.run([job])
        if job in self.failed:
            raise YieldcastError(f"Keras does not start: {self.failed[job]}", "See the script's first lines.")
        found = self.results[job][0]
        self.shared["device"] = found["kind"]
        return {**found, "load": load}


def torch_version(python: str) -> str | None:
    """Version of torch in that interpreter; None where it cannot be imported."""
    try:
        child = subprocess.run(
            [python, "-c", "import numpy, torch; print(torch.__version__)"],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        )  # fmt: skip
    except OSError as error:
        raise ConfigError(
            f"--torch-python: cannot run {python}: {error.strerror}", "Give the path of a Python with torch."
        ) from None
    return child.stdout.strip() if child.returncode == 0 else None
