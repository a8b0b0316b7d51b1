"""The job of Cunha & Silva 2020 for one crop: with and without the noise layer, beside their numbers.

Trains what is missing of both runs (or scores finished ones), prints their Tables 3, 4 and 5 with ours
under them and the reference lines that the paper does not give, and writes Figure 2 as PNG.

    python experiments/reproduce_paper.py --store STORE --crop soybean --seeds 30 --out RUNS \\
        --note experiments/results/brazil-2018-data.txt
"""

from __future__ import annotations

import argparse
import datetime as dt
import io
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from rich.console import Console

from calendars import CalendarError
from paper_tables import paper_tables
from yieldcast import Settings, Store, evaluate_run, train_run
from yieldcast.cli.arguments import parse_years
from yieldcast.cli.progress import training_progress
from yieldcast.cli.views.scores import evaluation_table, markdown
from yieldcast.config import read_settings
from yieldcast.data.files import atomic_text
from yieldcast.errors import YieldcastError
from yieldcast.evaluation.evaluate import EvaluationResult, write_scores
from yieldcast.reporting.figures import scatter_png
from yieldcast.training.run_directory import Run, versions


def job(
    given: argparse.Namespace, store: Store, settings: Settings, name: str
) -> tuple[Run, EvaluationResult]:
    """Train one of the two runs, or continue it, and score it."""
    screen, out = Console(markup=False), given.out / f"{given.crop}-{name}"
    screen.print(f"{given.crop}, {name}: {out}", style="bold")
    with training_progress(settings.training.max_epochs, screen) as progress:
        run = train_run(
            store, given.crop, parse_years(given.train_years, "--train-years"), range(1, given.seeds + 1),
            out, settings, progress=progress, notice=screen.print,
        )  # fmt: skip
    result = evaluate_run(run, store, parse_years(given.test_years, "--test-years"))
    write_scores(result, run)
    screen.print(evaluation_table(result.scores, synthetic=result.synthetic, notes=result.notes))
    return run, result


def best_member(result: EvaluationResult) -> int:
    """Position of the member with the highest r: the one the paper's Figure 2 shows."""
    return int(np.nanargmax([member.r for member in result.scores.members]))


def paper_text(noise: EvaluationResult, quiet: EvaluationResult) -> str:
    """Tables 3 to 5 as plain text of 80 columns."""
    text = io.StringIO()
    Console(file=text, width=80, color_system=None).print(
        paper_tables(noise.scores, quiet.scores, noise.synthetic)
    )
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines())


def cost(name: str, run: Run) -> str:
    """One row of the table of training costs.

    A lane's time is shared by the members that it trains side by side, so that the sum over members,
    divided by the lanes, is what the clock showed.
    """
    records = run.records()
    epochs = np.array([record["epochs"] for record in records])
    clock = np.array([record["seconds"] / record.get("lanes", 1) for record in records])
    plans = {f"{r.get('device', '?')} {r.get('lanes', 1)} x {r.get('block', 1)}" for r in records}
    return (
        f"| {name} | {len(epochs)} | {', '.join(sorted(plans))} "
        f"| {np.median(epochs):.0f} ({epochs.min()}-{epochs.max()}) "
        f"| {clock.mean():.0f} | {clock.sum() / epochs.sum():.3f} | {clock.sum() / 60:.0f} |"
    )


def write_results(
    given: argparse.Namespace, runs: tuple[Run, Run], results: tuple[EvaluationResult, EvaluationResult]
) -> Path:
    """The results file: date, command, data, tables, cost, figure."""
    noise, quiet = results
    years = "-".join(map(str, noise.scores.test_years))
    stem = f"paper-{given.crop}-{years}"
    folder: Path = given.write
    folder.mkdir(parents=True, exist_ok=True)
    label = "Synthetic " if noise.synthetic else ""
    figure = scatter_png(
        folder / f"{stem}.png", noise.members[best_member(noise)], noise.rows.target_kg_ha,
        f"{label}{given.crop} {years}, best of {len(noise.members)} members",
    )  # fmt: skip
    fingerprints = ", ".join(f"{k} `{v[:12]}`" for k, v in runs[0].identity.data.items())
    parts = [
        f"# The paper's job on {given.crop}: trained {given.train_years}, tested {given.test_years}",
        f"Date: {dt.date.today()}. Command (a finished run is scored, not trained again):",
        f"```\npython {' '.join(sys.argv)}\n```",
        f"Data: {fingerprints}. Made with {', '.join(f'{k} {v}' for k, v in versions().items())}.",
        f"Input: {len(runs[0].identity.static_names)} static features (the paper has 65) and, per month, "
        f"{', '.join(runs[0].identity.dynamic_names)}.",
        given.note.read_text(encoding="utf-8").strip(),
        markdown(noise.scores, noise.synthetic).replace("### ", "## With the noise layer: ", 1),
        markdown(quiet.scores, quiet.synthetic).replace("### ", "## Without the noise layer: ", 1),
        "\n".join(f"- {note}" for note in dict.fromkeys((*noise.notes, *quiet.notes))),
        "## Beside the paper's Tables 3, 4 and 5",
        f"```text\n{paper_text(noise, quiet)}\n```",
        f"## Figure 2\n\n![predicted against observed]({figure.name})",
        "## Cost of training\n\n| run | members | device, lanes x members | epochs, median (range) "
        "| s per member | s per member and epoch | minutes in all |\n|---|--:|---|--:|--:|--:|--:|\n"
        + "\n".join(cost(name, run) for name, run in zip(("noise", "no noise"), runs, strict=True)),
    ]
    path = folder / f"{stem}.md"
    atomic_text(path, "\n\n".join(parts) + "\n")
    return path


def main() -> int:
    """Both runs, then the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--crop", required=True)
    parser.add_argument("--train-years", default="2011:2017")
    parser.add_argument("--test-years", default="2018")
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--out", type=Path, required=True, help="folder of the two runs")
    parser.add_argument("--config", type=Path, help="settings, TOML; the paper's if none")
    parser.add_argument("--write", type=Path, default=Path("experiments/results"))
    parser.add_argument(
        "--note",
        type=Path,
        required=True,
        help="text file: what a reader of the results must know of the data",
    )
    given = parser.parse_args()
    try:
        store, settings = Store.open(given.store), read_settings(given.config)
        without = settings.network.model_copy(update={"noise": 0.0})
        noise = job(given, store, settings, "noise")
        quiet = job(given, store, settings.model_copy(update={"network": without}), "no-noise")
        Console().print(paper_tables(noise[1].scores, quiet[1].scores, noise[1].synthetic))
        print(f"written: {write_results(given, (noise[0], quiet[0]), (noise[1], quiet[1]))}")
    except (YieldcastError, CalendarError) as error:
        print(f"Error: {error}\nHint: {error.hint}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
