"""`run_job`: a submission through the sandbox, seen from outside. What comes out is checked here."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
from numpy.typing import NDArray

from yieldcast.errors import MissingDataError
from yieldcast.workspace.sandbox.process import Ended, Sandbox
from yieldcast.workspace.sandbox.walls import Limits
from yieldcast.workspace.settings import TrainingOptions
from yieldcast.workspace.tasks.task import Task, data_folder, read_group, read_inputs

State = Literal["done", "refused", "failed", "stopped"]
Progress = dict[str, Any]
# Share of the training rows that only tell when to stop.
VALIDATION_SHARE = 0.15
_STATES = ("done", "refused", "failed", "stopped")
_LONGEST_REASON = 500
_MOST_FLOP = 2**63 - 1
_KILLED, _OUT_OF_TIME, _FAULTS = (-9, 137), (-24, 152), (134, 135, 139, -6, -7, -11)
_MEMORY_WORDS = (
    "bad_alloc", "out of memory", "cannot allocate", "memoryerror", "resource_exhausted", "pthread_create",
)  # fmt: skip
_PROGRESS = (
    "phase", "stage", "epoch", "epochs", "step", "steps", "loss", "validation_loss", "accuracy",
    "validation_accuracy", "share", "seconds",
)  # fmt: skip


@dataclass(frozen=True)
class SandboxJob:
    """A submission to be run.

    Args:
        model: its file.
        data: folder ``data`` of the workspace, or the workspace.
        task: of the workspace.
        outputs: declared names of the model's outputs; None for those of the task.
        options: as declared, within the limits of the workspace.
        budget_flop: what its contributor may still use.
        limits: of the job.
        seconds: of wall time.
        seed: of the split, the order of rows, augmentation and new weights.
        threads: that compute.
    """

    model: Path
    data: Path
    task: Task
    outputs: tuple[str, ...] | None = None
    options: TrainingOptions = field(default_factory=TrainingOptions)
    budget_flop: int = 100 * 10**15
    limits: Limits = field(default_factory=Limits)
    seconds: float = 3600.0
    seed: int = 0
    threads: int = 1

    @property
    def columns(self) -> int:
        """Numbers of a prediction."""
        return len(self.task.outputs if self.task.kind == "classes" else self.outputs or self.task.outputs)


@dataclass(frozen=True)
class Outcome:
    """How a job ended.

    Args:
        state: of the submission.
        reason: a sentence for the contributor, where there is something to say.
        predictions: phase -> (holdout row, output) probabilities of the task's classes, or values.
        curve: losses (and accuracies) of each epoch.
        flop: operations used.
        seconds: of wall time used.
        again: whether another attempt may end otherwise: the process was killed from outside.
        log: the last words of the process, for the owner.
    """

    state: State
    reason: str | None
    predictions: dict[int, NDArray[np.float32]]
    curve: tuple[Progress, ...]
    flop: int
    seconds: float
    again: bool = False
    log: str = ""


@dataclass
class _Heard:
    """What the process inside has said, as far as it can be believed."""

    on_progress: Callable[[Progress, int], bool | None]
    end: dict[str, Any] | None = None
    predicted: set[int] = field(default_factory=set)
    progress: Progress = field(default_factory=dict)
    flop: int = 0

    def __call__(self, line: dict[str, Any]) -> bool | None:
        if line.get("predicted") in (1, 2):
            self.predicted.add(line["predicted"])
        if isinstance(line.get("end"), dict) and line["end"].get("state") in _STATES:
            self.end = line["end"]
        if isinstance(line.get("progress"), dict):
            self.progress = _public(line["progress"])
            used = line.get("flop")
            if isinstance(used, int) and not isinstance(used, bool):
                self.flop = min(max(self.flop, used), _MOST_FLOP)
        return self.on_progress(self.progress, self.flop)

    @property
    def curve(self) -> tuple[Progress, ...]:
        return tuple(self.progress.get("curve", ()))


def run_job(
    sandbox: Sandbox, job: SandboxJob, on_progress: Callable[[Progress, int], bool | None]
) -> Outcome:
    """Run a submission: phase 1, fine-tuning, phase 2.

    Args:
        sandbox: where.
        job: what.
        on_progress: gets progress and the operations used, every half second at least; True stops the job.

    Raises:
        MissingDataError: the model file or the data cannot be read.
        RunError: the sandbox does not start.
    """
    heard = _Heard(on_progress)
    with ExitStack() as stack:
        files, mapped = _files(job, stack)
        written = {phase: stack.enter_context(tempfile.TemporaryFile(buffering=0)) for phase in (1, 2)}
        numbers = {name: file.fileno() for name, file in files.items()}
        numbers |= {f"prediction{phase}": file.fileno() for phase, file in written.items()}
        ended = sandbox.run(_message(job), numbers, job.limits, heard, job.seconds, mapped)
        predictions = {phase: _predictions(written[phase], job) for phase in sorted(heard.predicted)}
    whole = {phase: array for phase, array in predictions.items() if array is not None}
    state, reason, again = _verdict(heard, ended, len(whole) == len(predictions))
    return Outcome(state, reason, whole, heard.curve, heard.flop, ended.seconds, again, ended.errors)


def _message(job: SandboxJob) -> dict[str, Any]:
    return {
        "inputs": {name: list(shape) for name, shape in job.task.inputs.items()},
        "outputs": list(job.task.outputs), "kind": job.task.kind,
        "declared": None if job.outputs is None else list(job.outputs),
        "options": job.options.model_dump(mode="json"), "budget": job.budget_flop,
        "seed": job.seed % 2**32, "threads": job.threads,
    }  # fmt: skip


def _files(job: SandboxJob, stack: ExitStack) -> tuple[dict[str, IO[bytes]], int]:
    """What the job may read, opened, and the bytes of it that it maps: never the targets of the holdout."""
    folder = data_folder(job.data)
    paths = {"model": job.model, "target": folder / "training" / "target.npy"}
    for part in ("training", "holdout"):
        read_inputs(folder, job.task, part)  # raises where a file does not fit
        paths |= {f"{part}/{name}": folder / part / "inputs" / f"{name}.npy" for name in job.task.inputs}
    try:
        files: dict[str, IO[bytes]] = {
            name: stack.enter_context(path.open("rb")) for name, path in paths.items()
        }
    except OSError as error:
        raise MissingDataError(f"{error.filename}: {error.strerror}", "Is the folder whole?") from error
    files["validation"] = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
    np.save(files["validation"], validation_rows(job), allow_pickle=False)
    for file in files.values():
        file.flush()
        file.seek(0)
    return files, sum(os.fstat(file.fileno()).st_size for file in files.values())


def validation_rows(job: SandboxJob) -> NDArray[np.bool_]:
    """(training row,) True for rows that only tell when to stop: whole groups, drawn by the seed.

    Groups themselves (fields, farms) do not go into the sandbox.
    """
    group = read_group(job.data, job.task, "training")
    count = job.task.training
    names = np.arange(count).astype(str) if group is None else np.where(group == "", _own_names(count), group)
    unique, number = np.unique(names, return_inverse=True)
    order = np.random.default_rng(job.seed).permutation(len(unique))
    sizes = np.bincount(number)[order]
    # at least one group on each side
    wanted = min(
        max(1, int(np.searchsorted(np.cumsum(sizes), VALIDATION_SHARE * count)) + 1), len(unique) - 1
    )
    return np.asarray(np.isin(number, order[:wanted]) if wanted else np.ones(count, dtype=bool))


def _own_names(count: int) -> NDArray[np.str_]:
    return np.char.add("\0", np.arange(count).astype(str))


def _predictions(file: IO[bytes], job: SandboxJob) -> NDArray[np.float32] | None:
    """Predictions that were written, None if they are not what they should be."""
    shape = (job.task.holdout, job.columns)
    if os.fstat(file.fileno()).st_size != math.prod(shape) * 4:
        return None
    file.seek(0)
    found = np.fromfile(file, dtype="<f4").reshape(shape)
    return found.astype(np.float32) if np.isfinite(found).all() else None


def _verdict(heard: _Heard, ended: Ended, whole: bool) -> tuple[State, str | None, bool]:
    """State, reason, and whether to try again."""
    if ended.cut == "time" or ended.code in _OUT_OF_TIME:
        return "stopped", "the time of a submission is over", False
    if ended.cut == "stopped":
        return "stopped", "the job was stopped", False
    if heard.end is not None:
        if not whole or (heard.end["state"] == "done" and 2 not in heard.predicted):
            return "failed", "the predictions are not whole, or not finite", False
        return heard.end["state"], _reason(heard.end), False
    if any(word in ended.errors.lower() for word in _MEMORY_WORDS):
        return "stopped", "more memory was needed than allowed", False
    if ended.code in _KILLED:
        return "failed", "the process was killed from outside", True
    fault = ended.code in _FAULTS
    return "failed", "the process of the model crashed" if fault else "an error inside the sandbox", False


def _reason(end: Mapping[str, Any]) -> str | None:
    text = end.get("reason")
    if not isinstance(text, str):
        return None
    return "".join(letter if letter.isprintable() else " " for letter in text)[:_LONGEST_REASON]


def _public(progress: Mapping[str, Any]) -> Progress:
    """Known names with numbers or short words, and the curve of them."""
    found = {name: progress[name] for name in _PROGRESS if _is_plain(progress.get(name))}
    curve = progress.get("curve")
    if isinstance(curve, list):
        points = [point for point in curve[-2000:] if isinstance(point, dict)]
        found["curve"] = [
            {name: one[name] for name in _PROGRESS if _is_plain(one.get(name))} for one in points
        ]
    return found


def _is_plain(value: object) -> bool:
    if isinstance(value, str):
        return len(value) <= 20 and value.isalpha()
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
