"""README and docs: commands and Python run as shown, links lead somewhere, options exist, figures are real.

Every fenced block of ``bash`` or ``python`` on a page is run, top to bottom, in one temporary folder. HTML
comments, which readers do not see, steer this:

    <!-- prepared: STORE RUN -->   once on a page: what lies in the folder before the first block; there are
                                   STORE (a small synthetic country), RUN (trained on it), tables (its files)
    <!-- not run: REASON -->       above a block: shown only
    <!-- file: NAME -->            above a block: written to this file instead of being run
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import typer
import yaml

from yieldcast.cli.app import app
from yieldcast.config import parse_settings
from yieldcast.data import synthetic
from yieldcast.data.store import Store
from yieldcast.workspace.settings import parse_settings as workspace_settings

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(
    [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
    + [page for page in DOCS.rglob("*.md") if "_build" not in page.parts]
)
_MARK = re.compile(r"<!-- (?P<mark>prepared|not run|file): (?P<text>.+?) -->")
_FENCE = re.compile(r"(?P<ticks>`{3,}|:{3,})(?P<language>\{?[\w-]*\}?.*)")
_LINK = re.compile(r"\]\((?P<target>[^()\s]+)\)")
_OPTION = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*")
_SECONDS = 900
_POSITION = ("latitude_deg", "longitude_deg")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, first line in the file, text, and the marks above it."""

    language: str
    line: int
    text: str
    marks: dict[str, str]


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    found, marks, lines = [], {}, page.read_text(encoding="utf-8").splitlines()
    at = 0
    while at < len(lines):
        fence, mark = _FENCE.fullmatch(lines[at]), _MARK.fullmatch(lines[at].strip())
        if fence:
            end = at + 1 + lines[at + 1 :].index(fence["ticks"])
            found.append(Block(fence["language"], at + 2, "\n".join(lines[at + 1 : end]) + "\n", marks))
            at, marks = end, {}
        elif mark:
            marks = {**marks, mark["mark"]: mark["text"]}
        elif lines[at].strip():
            marks = {}
        at += 1
    return found


def prepared(page: Path) -> set[str]:
    """What a page wants in its folder before the first block."""
    mark = re.search(r"<!-- prepared: (.+?) -->", page.read_text(encoding="utf-8"))
    return set(mark[1].split()) if mark else set()


def to_run(page: Path) -> list[Block]:
    """The blocks of a page that are run, or written to a file."""
    shown = [block for block in blocks(page) if "not run" not in block.marks]
    return [block for block in shown if block.language in ("bash", "python") or "file" in block.marks]


def name(page: Path) -> str:
    """Of a page, as test reports show it."""
    return page.relative_to(ROOT).as_posix()


def run(command: list[str], folder: Path) -> str:
    """Output of a command that finds this environment's `yieldcast` first; its failure is the test's."""
    scripts = str(Path(sys.executable).parent)
    environment = {**os.environ, "PATH": os.pathsep.join([scripts, os.environ["PATH"]]), "COLUMNS": "120"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=_SECONDS, check=False
    )
    assert done.returncode == 0, f"{shlex.join(command)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="session")
def material(tmp_path_factory):
    """A folder with STORE, tables/ and, once a page asked for it, RUN."""
    folder = tmp_path_factory.mktemp("docs")
    tables = synthetic.country(municipalities=28, first_harvest_year=2007, harvest_years=12)
    places = (tables.static[n].values.tolist() for n in ("municipality", "name", "state", *_POSITION))
    mesh = json.dumps(synthetic.synthetic_mesh(*places))
    Store.write(folder / "STORE", tables, {}, mesh)
    synthetic.write_files(folder / "tables", tables)
    (folder / "tables" / "boundaries.geojson").write_text(mesh, encoding="utf-8")
    return folder


def provide(material: Path, folder: Path, wanted: set[str]) -> None:
    """Copy what a page wants into its folder; RUN is trained when the first page asks for it."""
    if "RUN" in wanted and not (material / "RUN").exists():
        train = "yieldcast train --store STORE --crop soybean --train-years 2010:2016 --seeds 7 --out RUN"
        run(shlex.split(train), material)
    for item in wanted:
        shutil.copytree(material / item, folder / item)


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if to_run(page)], ids=name)
def test_the_commands_and_the_python_of_a_page_run(page, material, tmp_path):
    provide(material, tmp_path, prepared(page))
    script = tmp_path / "the_page.py"
    script.write_text("import subprocess\n" + "".join(map(as_python, to_run(page))), encoding="utf-8")
    run([sys.executable, script.name], tmp_path)


def as_python(block: Block) -> str:
    """A block as statements of one script, in which a Python block sees the names of those before it."""
    if "file" in block.marks:
        return f"open({block.marks['file']!r}, 'w', encoding='utf-8').write({block.text!r})\n"
    if block.language == "bash":
        return f"subprocess.run(['bash', '-euo', 'pipefail', '-c', {block.text!r}], check=True)\n"
    return block.text


def test_pages_have_blocks_that_run_and_say_why_others_do_not():
    ran = {name(page): len(to_run(page)) for page in PAGES if to_run(page)}
    assert {"README.md", "docs/quickstart.md"} <= set(ran)
    assert sum(ran.values()) >= 20
    for page in PAGES:
        compile("\n".join(b.text for b in to_run(page) if b.language == "python"), name(page), "exec")
        for block in blocks(page):
            assert len(block.marks.get("not run", "a reason")) > 5, f"{name(page)}:{block.line}"


def test_the_readme_is_one_page():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.split()) < 900


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_within_the_repository_leads_somewhere(page):
    text = re.sub(r"`[^`\n]*`", "", without_fences(page))
    for target in _LINK.findall(text):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        found = (page.parent / file).resolve() if file else page
        assert found.exists(), f"{name(page)}: {target}"
        assert not anchor or anchor in anchors(found), f"{name(page)}: {target}"


def without_fences(page: Path) -> str:
    """The text of a page without its fenced blocks."""
    lines, fence = [], ""
    for line in page.read_text(encoding="utf-8").splitlines():
        opened = _FENCE.fullmatch(line)
        if fence:
            fence = "" if line == fence else fence
        elif opened:
            fence = opened["ticks"]
        else:
            lines.append(line)
    return "\n".join(lines)


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and MyST make them."""
    heads = re.findall(r"^#{1,4} (.+)$", without_fences(page), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).strip().replace(" ", "-") for head in heads}


def commands() -> dict[str, set[str]]:
    """The options of every command by its words, e.g. "job preseason"; "" is yieldcast itself."""

    def below(command, words):
        shown = [parameter for parameter in command.params if not getattr(parameter, "hidden", False)]
        texts = (option for one in shown for option in (*one.opts, *one.secondary_opts))  # also --no-daily
        own = {option for option in texts if option[:2] == "--"}
        yield " ".join(words), own | {"--help", "--debug"}
        for child, inner in getattr(command, "commands", {}).items():
            yield from below(inner, [*words, child])

    return dict(below(typer.main.get_command(app), []))


def test_every_command_and_option_in_the_docs_exists():
    known = commands()
    assert {"train", "forecast", "fetch"} <= set(known)
    seen = 0
    for page in PAGES:
        text = page.read_text(encoding="utf-8").replace("\\\n", " ")
        for call in re.findall(r"\byieldcast ((?:[a-z][a-z-]* ?){1,2}[^`\n|]*)", text):
            words = re.match(r"[a-z-]+(?: [a-z-]+){0,2}", call)[0].split()
            command = next((c for n in (3, 2, 1) if (c := " ".join(words[:n])) in known), None)
            if command is None:  # prose: "yieldcast fetches yields"
                assert not _OPTION.search(call), f"{name(page)}: yieldcast {call}"
                continue
            used = set(_OPTION.findall(call.split("#")[0]))
            assert used <= known[command], f"{name(page)}: yieldcast {call}"
            seen += len(used)
    assert seen >= 50


def test_every_option_named_alone_belongs_to_some_command():
    known = set().union(*commands().values())
    for page in PAGES:
        if page.parent.name in ("results", "reference") or page.name == "CHANGELOG.md":
            continue
        named = {o for o in re.findall(r"`(--[a-z][a-z0-9-]*)[^`]*`", without_fences(page)) if o not in known}
        assert not named, f"{name(page)}: {named}"


_FILE = r"`((?:yieldcast|data_fetchers|calendars|experiments|tests|docs)/[\w/.-]*\w\.\w+)`"
# The examples of the how-tos.
_TO_COME = {
    "data_fetchers/stations.py",
    "yieldcast/language/locale/LANGUAGE/LC_MESSAGES/yieldcast.po",
}


def test_every_file_named_in_the_docs_exists_and_holds_the_names_said_to_be_in_it():
    names = 0
    for page in PAGES:
        text = " ".join(without_fences(page).split())
        if page.name == "CHANGELOG.md":  # names files of earlier versions too
            continue
        for file in set(re.findall(_FILE, text)) - _TO_COME:
            assert (ROOT / file).is_file(), f"{name(page)}: {file}"
        for listed, file in re.findall(r"((?:`\w+`(?:, | and )?)+) (?:in|of) " + _FILE, text):
            source = (ROOT / file).read_text(encoding="utf-8")
            for word in re.findall(r"\w+", listed.replace(" and ", " ")):
                assert re.search(rf"\b{word}\b", source), f"{name(page)}: {word} in {file}"
                names += 1
    assert names >= 10


def test_every_setting_in_a_toml_block_is_known():
    read = 0
    for page in PAGES:
        for block in blocks(page):
            if block.language == "toml" and "not run" not in block.marks:
                parse = workspace_settings if page.stem.startswith("workspace") else parse_settings
                parse(tomllib.loads(block.text), f"{name(page)}:{block.line}")
                read += 1
    assert read >= 3


def table_rows(text: str) -> dict[str, list[str]]:
    """The rows of the Markdown tables of a text by their first cell; of equal first cells the first row."""
    found = {}
    for line in text.splitlines():
        if line.startswith("|"):
            first, *cells = [cell.strip(" `*") for cell in line.strip("|").split("|")]
            found.setdefault(first, cells)
    return found


def pooled_rmse(crop: str) -> dict[str, dict[str, str]]:
    """RMSE by lead and model, as the backtest's page has them."""
    page = (ROOT / "experiments" / "results" / f"backtest-{crop}.md").read_text(encoding="utf-8")
    section = page.split("## RMSE (kg/ha), pooled over harvest years")[1].split("\n## ")[0]
    rows = table_rows(section)
    models = rows.pop("months before the end of harvest")
    return {lead: dict(zip(models, cells, strict=True)) for lead, cells in rows.items()}


def test_the_scores_of_the_network_alone_are_those_of_its_backtests():
    soybean, corn = pooled_rmse("soybean"), pooled_rmse("corn")
    page = (DOCS / "results" / "index.md").read_text(encoding="utf-8")
    shown = table_rows(page.split("## The network alone")[1])
    names = {"yieldcast forecast": "forecast"}
    models = ["yieldcast forecast", "last_public", "mean_5y_public", "trend_10y_public"]
    for model in [*models, "boosted_history_public"]:
        expected = [
            by[lead][names.get(model, model)] for by in (soybean, corn) for lead in ("9", "6", "3", "0")
        ]
        assert shown[model] == expected, model


def test_the_scores_in_the_docs_are_those_of_accuracy_json():
    rows = json.loads((ROOT / "experiments" / "results" / "accuracy.json").read_text(encoding="utf-8"))

    def mean(crop, model, day, level="municipality", score="rmse"):
        about = (crop, "forward", level, model)
        found = [
            row[score] for row in rows
            if (row["crop"], row["protocol"], row["level"], row["model"]) == about
            and row["as_of"][5:] == day
        ]  # fmt: skip
        assert len(found) == 5
        return f"{np.mean(found):.0f}"

    days = ("10-15", "01-15", "02-15", "03-15", "04-15", "06-15")
    shown = table_rows((DOCS / "results" / "index.md").read_text(encoding="utf-8").split("## What a")[0])
    for model in ("forecast", "level_trend", "official", "mean_5y_public", "boosted_history_public"):
        expected = [mean(crop, model, day) for crop in ("soybean", "corn") for day in days]
        assert shown[model] == expected, model
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    models = ("forecast", "mean_5y_public", "official", "boosted_history_public")
    soybean, corn = ([mean(crop, model, "03-15") for model in models] for crop in ("soybean", "corn"))
    assert f"is {soybean[0]} kg/ha for soybean (five-year mean {soybean[1]}" in readme
    assert f"estimates {soybean[2]}, boosted trees {soybean[3]}" in readme
    assert f"and {corn[0]} for corn ({', '.join(corn[1:])})" in readme
    state = [
        mean("soybean", model, "03-15", "state", "rmse_area_weighted")
        for model in ("forecast", "official_estimate")
    ]
    assert f"it is {state[0]} kg/ha, where IBGE's own estimate of the day has {state[1]}" in readme


def test_the_scores_of_transfer_are_those_of_its_json():
    studies = json.loads((ROOT / "experiments" / "results" / "generalise.json").read_text(encoding="utf-8"))
    page = (DOCS / "results" / "index.md").read_text(encoding="utf-8")
    section = page.split("## Transfer")[1].split("\n## ")[0]
    shown = {line.replace("`", ""): cells for line, cells in table_rows(section).items()}
    columns = [
        ("random", None),
        *(("geographic", held) for held in ("block", "state", "region", "climate-zone")),
    ]
    columns.append(("temporal", None))
    for line, cells in shown.items():
        crop, _, model = line.partition(", ")
        if not model:
            continue
        gaps = {
            (one["protocol"], one["hold_out"]): gap
            for one in studies
            if one["crop"] == crop and one.get("as_of") is None
            for gap in one["gaps"]
            if (gap["domain"], gap["model"]) == ("all", model)
        }
        sides = ("out_of_domain_rmse_kg_ha", "in_domain_rmse_kg_ha")
        values = [next(gaps[c][side] for side in sides if gaps[c].get(side)) for c in columns]
        assert cells == [f"{value:.0f}" for value in values], line


def test_the_scores_against_the_paper_are_those_of_its_pages():
    section = (DOCS / "results" / "index.md").read_text(encoding="utf-8").split("## Against the paper")[1]
    shown = {line.split("`")[0]: cells for line, cells in table_rows(section).items()}
    network = "dual-path network, {} noise, mean of seeds"
    baselines = ("boosted_weather", "last_year", "boosted_history", "last_public", "mean_5y_public")
    for crop, place in (("soybean", slice(0, 3)), ("corn", slice(3, 6))):
        page = (ROOT / "experiments" / "results" / f"paper-{crop}-2018.md").read_text(encoding="utf-8")
        noise, without = (table_rows(part) for part in page.split("noise layer: ")[1:3])
        wanted = {name: noise[name] for name in (*baselines, "boosted_history_public")}
        for label, rows in (("with", noise), ("no", without)):
            (wanted[network.format(label)],) = (rows[n] for n in rows if n.startswith("dual_path"))
        for line, cells in wanted.items():
            assert shown[line][place] == [cell.strip("*") for cell in cells[1:4]], (crop, line)


def test_the_reference_has_every_module():
    named = {
        m for page in DOCS.glob("reference/*.md") for m in re.findall(r"automodule:: (\S+)", page.read_text())
    }
    files = [f for top in ("yieldcast", "data_fetchers", "calendars") for f in (ROOT / top).rglob("*.py")]
    modules = {".".join(f.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for f in files}
    assert modules - named <= {"yieldcast.__main__", "yieldcast.cli.views"}
    assert named <= modules


def test_the_results_have_a_page_each():
    pages = {page.stem for page in (DOCS / "results").glob("*.md")} - {"index"}
    assert pages == {page.stem for page in (ROOT / "experiments" / "results").glob("*.md")}


def test_the_container_files_use_commands_options_and_files_that_exist():
    compose, known = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8")), commands()
    for service in compose["services"].values():
        words = [str(word) for word in service["command"]]
        command = " ".join(words[:2]) if " ".join(words[:2]) in known else words[0]
        assert set(filter(_OPTION.fullmatch, words)) <= known[command]
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", dockerfile, flags=re.MULTILINE)
    allowed = (ROOT / ".dockerignore").read_text(encoding="utf-8")
    for item in " ".join(copied).split():
        assert (ROOT / item).exists()
        assert f"!{item}\n" in allowed
    assert re.search(r"^USER \d+$", dockerfile, flags=re.MULTILINE), "runs as root"


def test_workflows_call_targets_that_exist_and_may_write_nothing_by_default():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for file in (ROOT / ".github" / "workflows").glob("*.yml"):
        workflow = yaml.safe_load(file.read_text(encoding="utf-8"))
        assert workflow["permissions"] == {"contents": "read"}
        steps = [step.get("run", "") for job in workflow["jobs"].values() for step in job["steps"]]
        for target in re.findall(r"make ([a-z-]+)", " ".join(steps)):
            assert f"\n{target}: " in makefile, file.name
