"""The demo of a workspace: what fine-tuning inside it is worth to three models, and how long all of it takes.

    python experiments/workspace_demo.py --write experiments/results

Writes workspace-demo.json and workspace-demo.md. The same as `yieldcast demo --workspace`, on two cores.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from results_file import heading, markdown_table, write
from yieldcast.cli.workspace_demo import run_workspace_demo
from yieldcast.data.files import atomic_text
from yieldcast.workspace import demo
from yieldcast.workspace.disclosure import to_json
from yieldcast.workspace.scoring.measures import MACRO_F1, RARE_RECALL

if TYPE_CHECKING:
    from yieldcast.cli.views.workspace_report import Report
    from yieldcast.workspace.client import Submission
    from yieldcast.workspace.scoring.history import Score

BAR_s = 300


def document(report: Report, submissions: Sequence[Submission], seconds: float) -> list[str]:
    """The parts of workspace-demo.md."""
    board = report.board
    before = {
        who.name: told(one.detail, RARE_RECALL)
        for who, one in zip(demo.CONTRIBUTORS, submissions, strict=True)
    }
    parts = heading("Demo of the workspace")
    parts.append(
        "Synthetic tiles of nine classes with the class shares of a published use case, "
        f"{demo.TILES:,} to train on and {demo.HOLDOUT:,} in the holdout; the models learned "
        f"{demo.OWN_TILES:,} tiles of another region. Scores as they leave the workspace, with 95 % "
        "intervals; costs with the paper's areas and prices."
    )
    parts.append(markdown_table(
        ["model", "baseline", "after fine-tuning", "rare recall before", "rare recall after", "macro-F1",
         "price per km2", "total annual cost", "standing"],
        [[f"{one.model} ({one.contributor})", shown(one.baseline), shown(one.tuned),
          before[one.contributor], shown(one.scores[RARE_RECALL]), shown(one.scores[MACRO_F1]),
          f"{one.price_per_km2:.2f}", f"{one.cost.cost.total:,.0f}" if one.cost else "", one.place]
         for one in board.entries],
    ))  # fmt: skip
    parts.append(
        f"All of it, from the models to the leaderboard: {seconds:.0f} s (bar: {BAR_s} s on two cores)."
    )
    return parts


def shown(score: Score | None) -> str:
    """A score with its interval."""
    return "" if score is None else f"{score.value:.3f} ({score.low:.3f} to {score.high:.3f})"


def told(detail: Mapping[str, Any], measure: str) -> str:
    """What the contributor knows of a score of the model as submitted."""
    lines = next(one["lines"] for one in detail["phases"] if one["phase"] == 1)
    return str(next(one["score"]["value"] for one in lines if one["measure"] == measure))


def main() -> None:
    """Write both files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--write", type=Path, default=Path("experiments/results"))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        started = time.monotonic()
        report, submissions = run_workspace_demo(Path(folder), Console())
        seconds = time.monotonic() - started
    content: dict[str, Any] = {"seconds": round(seconds, 1), "leaderboard": to_json(report.leaderboard)}
    atomic_text(given.write / "workspace-demo.json", json.dumps(content, indent=1) + "\n")
    print(f"written: {write(given.write / 'workspace-demo.md', document(report, submissions, seconds))}")


if __name__ == "__main__":
    main()
