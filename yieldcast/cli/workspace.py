"""`yieldcast workspace`: the commands of a workspace.

Each module ``workspace_*`` of this package adds its commands to the group.
"""

from __future__ import annotations

import typer

workspace = typer.Typer(name="workspace", no_args_is_help=True)


@workspace.callback()
def root() -> None:
    """A workspace: others train and score their models on your data, and the data never leave.

    The owner creates and serves it, invites contributors and publishes the leaderboard. Contributors submit
    models and see their own results.
    """
