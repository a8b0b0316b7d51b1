"""Tests whether two runs of the same training differ by more than their seeds do.

Scores every member of both runs on the same rows and compares r, MAPE and RMSE with the two-sided
Mann-Whitney U test: does a member of one run tend to score higher than a member of the other? Used to compare
the stacked trainer with the loop over seeds that it replaced:

    git worktree add ../loop ac6bd0b     # the last commit with the loop; train 5 seeds there
    python experiments/studies/compare_runs.py RUN LOOP_RUN --store STORE --test-years 2018
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from scipy import stats

from yieldcast import Store, evaluate_run
from yieldcast.cli.arguments import parse_years
from yieldcast.cli.terminal import load_tensorflow, short_errors
from yieldcast.errors import ConfigError
from yieldcast.evaluation.metrics import Score
from yieldcast.training.run_directory import Run

MEASURES = ("r", "mape_pct", "rmse_kg_ha")


def table(ours: list[Score], theirs: list[Score], names: tuple[str, str]) -> list[str]:
    """Rows of a Markdown table: mean and standard deviation over the members of both runs, and the p value.

    Args:
        ours, theirs: scores of the members of each run.
        names: of the two runs.
    """
    heads = " | ".join(f"{n} ({len(s)} seeds)" for n, s in zip(names, (ours, theirs), strict=True))
    lines = [
        f"| measure | {heads} | difference / sd | p |",
        "|---|--:|--:|--:|--:|",
    ]
    for measure in MEASURES:
        a, b = (np.array([getattr(score, measure) for score in scores]) for scores in (ours, theirs))
        sd = np.sqrt((a.var(ddof=1) + b.var(ddof=1)) / 2)
        p = stats.mannwhitneyu(a, b, alternative="two-sided").pvalue
        lines.append(
            f"| {measure} | {a.mean():.3f} +- {a.std(ddof=1):.3f} | {b.mean():.3f} +- {b.std(ddof=1):.3f} "
            f"| {(a.mean() - b.mean()) / sd:+.2f} | {p:.2f} |"
        )
    return lines


def main() -> None:
    """Score both runs and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("runs", type=Path, nargs=2, metavar="RUN", help="run directories")
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--test-years", default="2018", help="harvest years, e.g. 2017:2018")
    parser.add_argument("--names", nargs=2, default=("first", "second"), help="names in the table")
    given = parser.parse_args()
    with short_errors():
        load_tensorflow()
        store, scores = Store.open(given.store), list[list[Score]]()
        for path in given.runs:
            result = evaluate_run(Run.open(path), store, parse_years(given.test_years, "--test-years"))
            scores.append(list(result.scores.members))
        if min(map(len, scores)) < 3:
            raise ConfigError(
                f"expected at least 3 members in each run, found {[len(s) for s in scores]}",
                "Train more seeds of both runs.",
            )
    print("\n".join(table(scores[0], scores[1], tuple(given.names))))


if __name__ == "__main__":
    main()
