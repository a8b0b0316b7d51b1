"""A workspace: models of others come to the owner's data, are trained and scored there, and data stay.

The commands are ``yieldcast workspace ...``. This package needs the extra ``workspace``; the rest of
yieldcast works without it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from yieldcast.workspace.client import Submission as Submission
    from yieldcast.workspace.client import submit as submit
    from yieldcast.workspace.settings import WorkspaceSettings
    from yieldcast.workspace.tasks.options import DataOptions
    from yieldcast.workspace.tasks.task import TaskName


def create(
    path: Path,
    task: TaskName,
    data: Path,
    holdout: Path | Sequence[int],
    settings: WorkspaceSettings | None = None,
    options: DataOptions | None = None,
    database: str | None = None,
    progress: Callable[[int, int], None] | None = None,
    notice: Callable[[str], None] | None = None,
) -> str:
    """Create a workspace from the owner's data, whole or not at all.

    Args:
        path: folder that does not exist.
        task: crop-tiles, crop-series, yield or risk.
        data, holdout: files of the training set and of the holdout, see `tasks.prepare.prepare`; of yield and
            risk also a store, with harvest years for the holdout.
        settings: rules, limits, prices; None for the defaults.
        options: what else is to know of the data. Rare classes and the smallest cell are those of the
            settings.
        database: URL of an empty PostgreSQL database; None for SQLite in the folder.
        progress: is called with rows done and of all.
        notice: is called with what the owner must know, one line each.

    Returns:
        the owner's token, which is stored nowhere.

    Raises:
        ConfigError, MissingDataError, SchemaError, LeakageError: as `tasks.prepare.prepare` and
            `directory.create`. Nothing is left then.
    """
    from yieldcast.workspace import directory
    from yieldcast.workspace.settings import WorkspaceSettings
    from yieldcast.workspace.tasks.options import DataOptions
    from yieldcast.workspace.tasks.prepare import prepare

    rules = (settings := settings or WorkspaceSettings()).rules
    rare = rules.rare_classes
    said = (options or DataOptions()).model_copy(
        update={
            "smallest_cell": rules.smallest_cell,
            **({"rare_classes": rare} if isinstance(rare, int) else {"rare": rare}),
        }
    )
    tell = {"progress": progress, "notice": notice}
    called = {name: one for name, one in tell.items() if one is not None}

    def fill(folder: Path) -> None:
        prepare(task, data, holdout, folder, said, **called)  # type: ignore[arg-type]

    return directory.create(path, settings, fill, database)


def __getattr__(name: str) -> object:
    """`submit` and `Submission` of `client`, imported when they are first asked for."""
    if name in ("submit", "Submission"):
        from yieldcast.workspace import client

        return getattr(client, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
