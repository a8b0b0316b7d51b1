"""The experiment of Cunha & Silva (2020) for one crop, with and without the noise layer.

Trains both runs (finished ones are only scored), prints the paper's Tables 3, 4 and 5 with our numbers,
scores the baselines that the paper does not give, and draws Figure 2 as PNG.

    python experiments/reproduce_paper.py --store STORE --crop soybean --seeds 30 --out RUNS \\
        --note experiments/results/brazil-2018-data.txt
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

import numpy as np
from rich.console import Console

from paper_tables import paper_tables
from results_file import heading, markdown_table, write
from yieldcast import Settings, Store, evaluate_run, train_run
from yieldcast.cli.arguments import parse_years
from yieldcast.cli.progress import training_progress
from yieldcast.cli.terminal import console, load_tensorflow, short_errors
from yieldcast.cli.views.scores import evaluation_table, markdown
from yieldcast.config import read_settings
from yieldcast.data.files import make_folder
from yieldcast.evaluation.evaluate import EvaluationResult, write_scores
from yieldcast.reporting.figures import scatter_png
from yieldcast.training.run_directory import Run

COSTS = (
    "run", "members", "device, threads x members", "epochs, median (range)", "s per member",
    "s per member and epoch", "minutes in all",
)  # fmt: skip


def trained_and_scored(
    given: argparse.Namespace, store: Store, settings: Settings, name: str
) -> tuple[Run, EvaluationResult]:
    """Train or continue one of the two runs, and score it."""
    screen, out = console(), given.out / f"{given.crop}-{name}"
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
    """Position of the member with the highest r, which the paper's Figure 2 shows."""
    return int(np.nanargmax([member.r for member in result.scores.members]))


def paper_text(noise: EvaluationResult, quiet: EvaluationResult) -> str:
    """Tables 3 to 5 as plain text of 80 columns."""
    text = io.StringIO()
    Console(file=text, width=80, color_system=None).print(
        paper_tables(noise.scores, quiet.scores, noise.synthetic)
    )
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines())


def cost(name: str, run: Run) -> list[str]:
    """Cells of one run in the table of training costs, see `COSTS`.

    The seconds in a member's record are its share of the time of the thread that trained it. Divided by the
    number of threads ("lanes" in the record) and summed over members they give the time on the clock.
    """
    records = run.records()
    epochs = np.array([record["epochs"] for record in records])
    clock = np.array([record["seconds"] / record.get("lanes", 1) for record in records])
    plans = {f"{r.get('device', '?')} {r.get('lanes', 1)} x {r.get('block', 1)}" for r in records}
    return [
        name, str(len(epochs)), ", ".join(sorted(plans)),
        f"{np.median(epochs):.0f} ({epochs.min()}-{epochs.max()})", f"{clock.mean():.0f}",
        f"{clock.sum() / epochs.sum():.3f}", f"{clock.sum() / 60:.0f}",
    ]  # fmt: skip


def write_results(
    given: argparse.Namespace, runs: tuple[Run, Run], results: tuple[EvaluationResult, EvaluationResult]
) -> Path:
    """Write the results file and its figure."""
    noise, quiet = results
    years, identity = "-".join(map(str, noise.scores.test_years)), runs[0].identity
    path: Path = given.write / f"paper-{given.crop}-{years}.md"
    make_folder(given.write)
    label = "Synthetic " if noise.synthetic else ""
    figure = scatter_png(
        path.with_suffix(".png"), noise.members[best_member(noise)], noise.rows.target_kg_ha,
        f"{label}{given.crop} {years}, best of {len(noise.members)} members",
    )  # fmt: skip
    parts = [
        *heading(
            f"The paper's experiment on {given.crop}: trained {given.train_years}, tested {given.test_years}",
            remark=" (a finished run is scored, not trained again)",
        ),
        f"Data: {', '.join(f'{k} `{v[:12]}`' for k, v in identity.data.items())}.",
        f"Input: {len(identity.static_names)} static features (the paper has 65) and, per month, "
        f"{', '.join(identity.dynamic_names)}.",
        given.note.read_text(encoding="utf-8").strip(),
        markdown(noise.scores, noise.synthetic).replace("### ", "## With the noise layer: ", 1),
        markdown(quiet.scores, quiet.synthetic).replace("### ", "## Without the noise layer: ", 1),
        "\n".join(f"- {note}" for note in dict.fromkeys((*noise.notes, *quiet.notes))),
        "## The paper's Tables 3, 4 and 5 and our numbers",
        f"```text\n{paper_text(noise, quiet)}\n```",
        f"## Figure 2\n\n![predicted against observed]({figure.name})",
        "## Cost of training",
        markdown_table(COSTS, [cost("noise", runs[0]), cost("no noise", runs[1])]),
    ]
    return write(path, parts)


def main() -> None:
    """Both runs, then the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    add = parser.add_argument
    add("--store", type=Path, required=True)
    add("--crop", required=True)
    add("--train-years", default="2011:2017")
    add("--test-years", default="2018")
    add("--seeds", type=int, default=30)
    add("--out", type=Path, required=True, help="folder of the two runs")
    add("--config", type=Path, help="settings file, TOML; its keys have precedence over the paper's")
    add("--write", type=Path, default=Path("experiments/results"), help="folder of the results file")
    add("--note", type=Path, required=True, help="text file: what a reader must know of the data")
    given = parser.parse_args()
    with short_errors():
        load_tensorflow()
        store, settings = Store.open(given.store), read_settings(given.config, "paper")
        without = settings.network.model_copy(update={"noise": 0.0})
        noise = trained_and_scored(given, store, settings, "noise")
        quiet = trained_and_scored(given, store, settings.model_copy(update={"network": without}), "no-noise")
        console().print(paper_tables(noise[1].scores, quiet[1].scores, noise[1].synthetic))
        print(f"written: {write_results(given, (noise[0], quiet[0]), (noise[1], quiet[1]))}")


if __name__ == "__main__":
    main()
