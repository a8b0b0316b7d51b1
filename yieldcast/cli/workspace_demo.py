"""`yieldcast demo --workspace`: three models on synthetic private tiles, and the leaderboard."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from yieldcast.cli.progress import counting_progress
from yieldcast.cli.terminal import load_tensorflow
from yieldcast.cli.workspace import require_packages
from yieldcast.errors import RunError

if TYPE_CHECKING:
    from rich.console import Console

    from yieldcast.cli.views.workspace_report import Report
    from yieldcast.workspace.client import Submission


def run_workspace_demo(out: Path, screen: Console) -> tuple[Report, list[Submission]]:
    """Make models and a workspace, serve it, submit, publish, and print the leaderboard.

    Args:
        out: folder of all files; what an earlier run has made in it is kept.
        screen: where to print.

    Returns:
        what the owner's report shows, and the submissions in the order of `demo.CONTRIBUTORS`.

    Raises:
        RunError: a submission ended without results.
    """
    require_packages()
    load_tensorflow()
    from yieldcast import language
    from yieldcast.cli.views.workspace_report import report_view
    from yieldcast.cli.workspace_report import read_report
    from yieldcast.workspace import demo

    started = time.monotonic()
    screen.print("yieldcast demo: a workspace of synthetic tiles; no real field is shown", style="bold")
    with counting_progress("contributors' models, trained on tiles of another region", screen) as progress:
        models = demo.write_models(out / "models", progress)
    with screen.status("making the owner's tiles and the workspace (synthetic)"):
        path = demo.create_workspace(out)
    screen.print(f"workspace (synthetic): {path}, {demo.TILES} training and {demo.HOLDOUT} holdout tiles")
    with demo.serving(path, out / "server.log") as url, screen.status("submitting") as shown:
        screen.print(f"served at {url}; what the server says: {out / 'server.log'}")

        def moved(now: Mapping[str, str]) -> None:
            shown.update("; ".join(f"{who}: {what}" for who, what in now.items()))

        ended = demo.submit_all(url, out, models, moved)
    if lost := demo.not_done(ended):
        raise RunError(
            f"submissions without results: {', '.join(lost)}",
            f"The server's log says why: {out / 'server.log'}",
        )
    demo.publish(path)
    report = read_report(path, None)
    screen.print(report_view(report, language.of("en")))
    screen.print(f"all of it took {time.monotonic() - started:.0f} s")
    screen.print(
        f"See the pages: yieldcast workspace serve {path}; sign in with a token of {out / 'tokens'}",
        soft_wrap=True,
    )
    return report, ended
