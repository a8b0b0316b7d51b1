"""Probes of the pipeline on a store: would a leak be noticed, and what does the skill rest on?

    python experiments/probe.py --store STORE --crop soybean --test-years 2018

Writes probe.json and probe.md. The same with `yieldcast probe --config FILE`; here the settings are the
preset forecast.
"""

from __future__ import annotations

import argparse
import datetime as dt
from pathlib import Path

from results_file import heading, markdown_table, write
from yieldcast import language
from yieldcast.cli.arguments import parse_date, parse_years
from yieldcast.cli.terminal import short_errors
from yieldcast.cli.views.probe import honest, number
from yieldcast.config import read_settings
from yieldcast.data.store import Store
from yieldcast.data.summary import number_spans
from yieldcast.probing.importance import share_by_variable
from yieldcast.probing.probe import ProbeReport, case_of_settings, probe, write_report


def document(report: ProbeReport) -> list[str]:
    """The parts of probe.md."""
    words, about = language.of("en"), report.about
    parts = heading(f"Probes: {about['crop']} {number_spans(about['test_years'])} as of {about['as_of']}")
    parts.append(
        f"Taught by {number_spans(about['train_years'])} ({about['train_rows']:,} rows), tested on "
        f"{about['test_rows']:,} rows, {about['features']} features of the preset forecast. Skill is 1 less "
        "the squared error over that of the mean of the rows that teach. What each probe does: "
        "[user guide](../../docs/user_guide/probe.md)."
    )
    parts.append(markdown_table(
        ["probe", "score", "honest", "verdict"],
        [[line.name, number(line.score, line, words), honest(line, words), line.verdict]
         for line in report.lines],
    ))  # fmt: skip
    parts += ["## Skill", markdown_table(
        ["model", "skill"], [[name, f"{value:.3f}"] for name, value in report.skills.items()]
    )]  # fmt: skip
    parts += ["## Without a group of features", markdown_table(
        ["group left out", "features", "skill", "change"],
        [["none" if one.group == "all" else one.group, str(one.features), f"{one.skill:.3f}",
          "" if one.group == "all" else f"{one.change:+.3f}"] for one in report.ablation],
    ), "Taught again without the group, boosted trees."]  # fmt: skip
    shares = share_by_variable(report.importance)
    parts += ["## Permutation importance by variable", markdown_table(
        ["variable", "share"], [[name, f"{100 * share:.0f} %"] for name, share in list(shares.items())[:12]]
    ), "Of the sum of all losses above 0. The twelve largest by variable and month:"]  # fmt: skip
    parts.append(markdown_table(
        ["variable", "month", "growth of the squared error"],
        [[one.variable, str(one.window) or "–", f"{100 * one.loss:.1f} %"] for one in report.importance[:12]],
    ))  # fmt: skip
    said = [f"- {text}" for text in report.warnings]
    parts += ["## Warnings", "\n".join(said) or "None."]
    return parts


def main() -> None:
    """Write both files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    add = parser.add_argument
    add("--store", type=Path, required=True)
    add("--crop", default="soybean")
    add("--test-years", default="2018")
    add("--as-of", help="YYYY-MM-DD; default: 30 days before the end of the season")
    add("--write", type=Path, default=Path("experiments/results"))
    given = parser.parse_args()
    store = Store.open(given.store)
    date: dt.date | None = parse_date(given.as_of, "--as-of")
    settings = read_settings().for_country(store.country)
    case = case_of_settings(store, given.crop, settings, parse_years(given.test_years, "--test-years"), date)
    report = probe(case)
    mark = "synthetic-" if report.about["synthetic"] else ""
    write_report(report, given.write / f"{mark}probe.json")
    print(f"written: {write(given.write / f'{mark}probe.md', document(report))}")


if __name__ == "__main__":
    with short_errors():
        main()
