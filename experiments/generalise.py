"""Does a model hold in years and places that it has not seen, and how many local rows does it need?

Runs the protocols of `yieldcast generalise` for several crops on the same test years and writes
generalise.json (the documents of all studies), generalise.md (their tables) and generalise.png: random
against geographic against temporal splits, and the label-efficiency curves, in one figure.

    python experiments/generalise.py --store STORE --crops soybean,corn --test-years 2014:2018 \\
        --folder WORK --note experiments/results/generalise-data.txt

`--folder` keeps every fit: the same command continues. `--networks soybean` also trains the network, for
random folds, regions and forward years.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from results_file import heading, markdown_table, write
from yieldcast import language
from yieldcast.cli.arguments import parse_dates, parse_years
from yieldcast.cli.terminal import load_tensorflow, short_errors
from yieldcast.cli.views.generalise import F1, GAP, OOD, SKILL
from yieldcast.data.files import atomic_text, make_folder
from yieldcast.data.store import Store
from yieldcast.reporting.generalise_plot import write_figure
from yieldcast.transfer.generalise import Protocol, Study
from yieldcast.transfer.places import HoldOut
from yieldcast.transfer.results import TransferResult, run_study
from yieldcast.transfer.rows import transfer_rows, years_to_test
from yieldcast.transfer.settings import learners, settings_of
from yieldcast.transfer.tables import transfer_tables

# Protocol, what is held out, whether on --date; in the order of the figure.
STUDIES: tuple[tuple[Protocol, HoldOut, bool], ...] = (
    ("random", "state", False),
    ("geographic", "block", False),
    ("geographic", "state", False),
    ("geographic", "region", False),
    ("geographic", "climate-zone", False),
    ("temporal", "state", False),
    ("temporal", "state", True),
    ("few-shot", "region", False),
)
# The network is trained for these only: one per state, or per draw of local rows, would take hours.
WITH_NETWORK = (("random", "state", False), ("geographic", "region", False), ("temporal", "state", False))


def results(given: argparse.Namespace) -> Iterator[TransferResult]:
    """All studies, crop by crop."""
    store, dates = Store.open(given.store), parse_dates(given.date, "--date")
    settings = settings_of(None, store.country)
    for crop in given.crops.split(","):
        for protocol, hold_out, dated in STUDIES:
            day = dates[0] if dates and dated else None
            rows = transfer_rows(store, crop, settings, as_of=day, hold_out=hold_out)
            costly = crop in given.networks.split(",") and (protocol, hold_out, dated) in WITH_NETWORK
            names = [*(["network"] if costly else []), "trees", "baselines"]
            models = learners(names, rows, settings, range(1, given.seeds + 1), given.folder)
            years = tuple(years_to_test(rows, parse_years(given.test_years, "--test-years")))
            result = run_study(Study(rows, protocol, hold_out, models, years), given.folder, progress)
            print(f"{result.name}: {len(result.found)} fits", flush=True)
            yield result


def progress(done: int, total: int) -> None:
    """Say how far a study is, now and then."""
    if done % 50 == 0:
        print(f"  {done} of {total} fits", flush=True)


def document(given: argparse.Namespace, found: Sequence[TransferResult]) -> list[str]:
    """The parts of generalise.md."""
    parts = heading("Transfer: places and years that a model has not seen", *given.command)
    parts += [given.note.read_text(encoding="utf-8").strip(), "![RMSE by protocol](generalise.png)"]
    parts.append("\n".join(f"- {text}" for text in (SKILL, F1, GAP, OOD)))
    english, said = language.of("en"), set[str]()
    for result in found:
        for one in transfer_tables(result, english):
            heads = [" ".join(head.split()) for head in one.heads]
            day = f", known on {result.study.rows.day}" if result.study.rows.day else ""
            parts += [f"## {one.title}{day}", markdown_table(heads, one.lines)]
        new = [note for note in result.notes if note not in said]
        said |= set(new)
        parts += ["\n".join(f"- {note}" for note in new)] if new else []
    return parts


def main() -> None:
    """Write the three files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    add = parser.add_argument
    add("--store", type=Path, required=True)
    add("--crops", default="soybean,corn", help="names, separated by commas")
    add("--test-years", default="2014:2018", help="harvest years to score")
    add("--date", default="03-15", help="MM-DD of the dated forward years")
    add("--networks", default="", help="crops for which the network is trained too, separated by commas")
    add("--seeds", type=int, default=1, help="members of each network")
    add("--folder", type=Path, required=True, help="keeps every fit")
    add("--command", action="append", default=[], help="a command that was run before; several times")
    add("--note", type=Path, required=True, help="text file: what a reader must know of the data")
    add("--write", type=Path, default=Path("experiments/results"))
    given = parser.parse_args()
    if given.networks:
        load_tensorflow()
    found = list(results(given))
    documents: list[dict[str, Any]] = [result.to_json() for result in found]
    make_folder(given.write)
    # of few local rows the means over draws are in "curve"
    short = [{**one, "scores": []} if one["curve"] else one for one in documents]
    lines = ",\n".join(json.dumps(one, allow_nan=False, ensure_ascii=False) for one in short)
    atomic_text(given.write / "generalise.json", f"[\n{lines}\n]\n")
    write_figure(given.write / "generalise.png", documents)
    print(f"written: {write(given.write / 'generalise.md', document(given, found))}")


if __name__ == "__main__":
    with short_errors():
        main()
