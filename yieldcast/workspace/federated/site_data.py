"""The prepared data of one owner's workspace, read batch by batch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yieldcast.errors import SchemaError
from yieldcast.workspace.federated.settings import LEAST_EXAMPLES
from yieldcast.workspace.tasks.task import Part, Task, read_inputs, read_target


@dataclass(frozen=True)
class Examples:
    """Training or holdout part.

    Args:
        inputs: by name, dims (example, ...).
        target: dims (example,): class positions, or kg/ha.
    """

    inputs: Mapping[str, NDArray[Any]]
    target: NDArray[Any]

    @property
    def count(self) -> int:
        """Number of examples."""
        return len(self.target)

    def rows(self, positions: NDArray[np.intp]) -> tuple[Any, NDArray[Any]]:
        """Inputs and targets at these positions; a single input comes without its name."""
        inputs = {name: np.asarray(array[positions]) for name, array in self.inputs.items()}
        only = next(iter(inputs.values())) if len(inputs) == 1 else inputs
        return only, np.asarray(self.target[positions])


@dataclass(frozen=True)
class SiteData:
    """What a site trains on and is scored on.

    Args:
        task: what models get and give.
        training: never leaves.
        holdout: never leaves.
    """

    task: Task
    training: Examples
    holdout: Examples

    @property
    def contract(self) -> str:
        """SHA-256 of kind, outputs, shapes and names of inputs: equal at all sites of a federation."""
        task = self.task
        names = [task.kind, task.outputs, sorted(task.inputs.items()), sorted(task.input_names.items())]
        return hashlib.sha256(json.dumps(names).encode()).hexdigest()


def open_site(workspace: Path) -> SiteData:
    """The data of a workspace directory.

    Raises:
        MissingDataError: no prepared data there.
        SchemaError: files that do not fit each other, or fewer than `LEAST_EXAMPLES` training examples.
    """
    task = Task.read(workspace)
    if task.training < LEAST_EXAMPLES:
        raise SchemaError(
            f"{workspace}: a site needs at least {LEAST_EXAMPLES} training examples, it has {task.training}",
            "Weights trained on fewer say too much about each of them; join the data of two owners first.",
        )
    return SiteData(task, _examples(workspace, task, "training"), _examples(workspace, task, "holdout"))


def _examples(workspace: Path, task: Task, part: Part) -> Examples:
    return Examples(read_inputs(workspace, task, part), read_target(workspace, task, part))
