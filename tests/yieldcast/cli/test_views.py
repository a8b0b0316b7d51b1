from __future__ import annotations

import io
import re
import resource
import sys
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from paper_tables import TABLE_1_TEST, TABLE_3, TABLE_4, TABLE_5, paper_tables
from yieldcast.cli.views.scores import (
    evaluation_table,
    markdown,
    years_table,
)
from yieldcast.errors import ConfigError, MissingDataError, SchemaError
from yieldcast.evaluation.metrics import Score
from yieldcast.evaluation.scores import Evaluation, Reference
from yieldcast.reporting.figures import scatter_png

PAPER = Path(__file__).parents[3] / ".." / "shared" / "seeds" / "cunha-silva-2020-yield-forecast.txt"


def evaluation(seeds: int = 30, crop: str = "soybean", scale: float = 1.0) -> Evaluation:
    """Round numbers; `scale` makes RMSE and bias as long as those of sugarcane."""

    def one(r: float, mape: float, rmse: float, bias: float) -> Score:
        return Score(2315, r, mape, rmse * scale, bias * scale)

    members = tuple(one(0.30 + 0.01 * i, 16 - 0.1 * i, 615, 20) for i in range(seeds))
    histories = {
        "last_year": (one(0.635, 9.6, 450, -60), "hindsight", 104),
        "ridge": (one(0.41, 15.0, 560, 12), "none", 0),
        "boosted_history": (one(0.64, 11.1, 423, 30), "hindsight", 0),
        "last_public": (one(0.49, 17.1, 653, -301), "public", 211),
        "boosted_history_public": (one(float("nan"), 12.0, 521, 8), "public", 0),
    }
    return Evaluation(
        crop, tuple(range(2011, 2018)), (2018,), tuple(range(1, seeds + 1)), members,
        one(0.45, 14.9, 600, 19), {name: Reference(*values) for name, values in histories.items()},
    )  # fmt: skip


def shown(renderable: object, width: int = 80) -> str:
    screen = Console(width=width, file=io.StringIO(), color_system=None)
    screen.print(renderable)
    return screen.file.getvalue()


def row(text: str, name: str) -> list[str]:
    """The cells of the line that starts with `name`."""
    (line,) = [line for line in text.splitlines() if line.strip().startswith(name + " ")]
    return line.strip().removeprefix(name).split()


def test_table_shows_every_number_in_its_section():
    text = shown(evaluation_table(evaluation(), synthetic=False))
    assert row(text, "dual_path, mean of 30 seeds") == ["0.445", "14.6", "615", "20"]
    # members 0.30 .. 0.59 in steps of 0.01: sd 0.01 sqrt(30 * 31 / 12) = 0.0880; MAPE ten times as much
    assert row(text, "sd between seeds") == ["±", "0.088", "±", "0.9"]
    assert row(text, "best seed") == ["0.590", "13.1"]
    assert row(text, "ensemble_mean") == ["0.450", "14.9", "600", "19"]
    assert row(text, "last_year") == ["0.635", "9.6*", "450", "-60", "104"]
    assert row(text, "boosted_history") == ["0.640*", "11.1", "423*", "30", "0"]
    # no correlation where the line is constant; the smallest bias counts without its sign
    assert row(text, "boosted_history_public") == ["-", "12.0", "521", "8*", "0"]
    order = [text.index(f"\n {name}") for name in ("Network", "No yield", "Hindsight", "Public")]
    assert order == sorted(order)
    assert order[1] < text.index("ridge  ") < order[2] < text.index("last_year ") < order[3]
    assert order[3] < text.index("last_public ")


def test_table_says_which_line_is_which():
    text = " ".join(
        shown(evaluation_table(evaluation(), synthetic=False, notes=["12 rows [left] out"])).split()
    )
    assert "PAM publishes it only in September or October of Y, so no forecaster has it before" in text
    assert "Public lines use only what was out on the date of the forecast" in text
    assert "state or nation stands in" in text
    assert "12 rows [left] out" in text  # brackets are not read as markup
    assert "soybean 2018, trained on 2011-2017 (2315 rows)" in text
    assert "synthetic" not in text


def test_year_by_year_has_a_column_per_year():
    text = shown(years_table({2017: evaluation(), 2018: evaluation(scale=2.0)}, synthetic=False))
    assert row(text, "last_year") == ["450", "(0.64)", "900", "(0.64)"]
    assert row(text, "boosted_history_public") == ["521", "(-)", "1042", "(-)"]
    assert "2017" in text
    assert "synthetic" not in text
    assert "synthetic" in shown(years_table({2017: evaluation()}, synthetic=True))


def test_synthetic_scores_are_called_synthetic_everywhere():
    both = evaluation()
    assert "(synthetic data, 2315 rows)" in shown(evaluation_table(both, synthetic=True))
    assert "synthetic data" in shown(paper_tables(both, None, synthetic=True))
    assert "synthetic data" in markdown(both, synthetic=True)
    assert "synthetic" not in shown(paper_tables(both, None)) + markdown(both)


@pytest.mark.parametrize("scale", [1.0, 40.0, 300.0])
def test_eighty_columns_cut_no_number(scale):
    for seeds in (1, 30, 999):
        got = evaluation(seeds, "sugarcane", scale)
        narrow, wide = (shown(evaluation_table(got, synthetic=True), width) for width in (80, 300))
        assert max(map(len, narrow.splitlines())) <= 80
        assert "…" not in narrow
        numbers = [re.findall(r"-?\d+\.?\d*\*?", text) for text in (narrow, wide)]
        assert numbers[0] == numbers[1]
        assert "…" not in shown(paper_tables(got, got, synthetic=True))


def test_one_seed_has_no_spread_rows():
    text = shown(evaluation_table(evaluation(1), synthetic=False))
    assert row(text, "dual_path, mean of 1 seed") == ["0.300", "16.0", "615", "20"]
    assert "sd between" not in text


def test_best_is_green():
    screen = Console(width=80, file=io.StringIO(), force_terminal=True, color_system="standard")
    screen.print(evaluation_table(evaluation(), synthetic=False))
    green = re.findall(r"\x1b\[1;32m *(\S+)\x1b", screen.file.getvalue())
    assert green == ["9.6*", "0.640*", "423*", "8*"]


def test_paper_tables_stand_beside_ours():
    text = shown(paper_tables(evaluation(), evaluation(2)))
    tables = re.split(r"Table [345]: ", text)[1:]
    assert [row(t, "Cunha & Silva 2020") for t in tables] == [
        ["0.300", "0.047", "16.015", "0.969"], ["0.288", "0.025", "14.755", "0.565"], ["0.348", "13.704"],
    ]  # fmt: skip
    # two members: r 0.30 and 0.31, MAPE 16.0 and 15.9: sd = difference / sqrt(2)
    assert row(tables[1], "yieldcast") == ["0.305", "0.007", "15.950", "0.071"]
    assert row(tables[2], "yieldcast") == ["0.590", "13.100"]
    assert "2315 test rows of 2018" in text
    assert "30 seeds, 2315 rows of 2018" in " ".join(text.split())


def test_paper_tables_without_noise_run_and_for_a_crop_the_paper_has_not():
    text = shown(paper_tables(evaluation(crop="wheat"), None))
    assert "Table 4" not in text
    assert row(text.split("Table 5")[0], "Cunha & Silva 2020") == ["-"] * 4
    assert "no wheat" in text
    with pytest.raises(ConfigError, match="soybean and corn"):
        paper_tables(evaluation(), evaluation(crop="corn"))


def test_constants_are_those_of_the_paper():
    if not PAPER.is_file():
        pytest.skip("needs the paper's text beside the checkout")
    text = PAPER.read_text(encoding="utf-8")

    def block(end: str) -> dict[str, tuple[float, ...]]:
        lines = text[: text.index(end)].rstrip().splitlines()[-5:]
        return {n.lower(): tuple(map(float, v)) for n, *v in (line.split("\t") for line in lines)}

    assert block("Table 3. Model performance with noise") == TABLE_3
    assert block("Table 4. Model performance without noise") == TABLE_4
    assert block("Table 5. Best performance") == TABLE_5
    assert {crop: v[1] for crop, v in block("Table 1. Dataset sizes").items()} == TABLE_1_TEST


def test_markdown_is_one_regular_table():
    lines = [line for line in markdown(evaluation()).splitlines() if line.startswith("|")]
    assert {line.count("|") for line in lines} == {8}
    assert "| last_year | hindsight | 0.635 | **9.6** | 450 | -60 | 104 |" in lines
    assert "| boosted_history | hindsight | **0.640** | 11.1 | **423** | 30 | 0 |" in lines
    assert "| dual_path, mean of 30 seeds | none | 0.445 | 14.6 | 615 | 20 |  |" in lines
    assert len(lines) == 2 + 4 + 5


@pytest.mark.parametrize("lang", ["en", "pt"])
def test_scatter_is_a_picture_and_repeats_exactly(tmp_path, lang):
    before, rng = set(sys.modules), np.random.default_rng(0)
    target = rng.uniform(500, 4000, 3000)
    prediction = target + rng.normal(0, 300, 3000)
    files = [tmp_path / "a.png", tmp_path / "b.png"]
    for file in files:
        scatter_png(file, prediction, target, "soja $2018$ [%]", lang)
    first, second = (file.read_bytes() for file in files)
    assert first == second
    assert first.startswith(b"\x89PNG")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png", "b.png"]
    assert "matplotlib.pyplot" not in set(sys.modules) - before


def test_scatter_has_equal_axes_dense_points_on_top_and_labels_in_the_language():
    from yieldcast.reporting.figures import LABELS, _scatter

    target = np.array([1000.0] * 5 + [3000.0])
    figure = _scatter(target, target + 100, "t", LABELS["pt"])
    axes = figure.axes[0]
    assert axes.get_aspect() == 1
    assert axes.get_xlim() == axes.get_ylim()
    assert (axes.get_xlabel(), axes.get_ylabel()) == (
        "Rendimento observado (kg/ha)", "Rendimento previsto (kg/ha)",
    )  # fmt: skip
    np.testing.assert_array_equal(axes.collections[0].get_array(), [1, 5, 5, 5, 5, 5])
    (diagonal,) = axes.lines
    np.testing.assert_array_equal(diagonal.get_xdata(), diagonal.get_ydata())


def test_a_single_point_can_be_drawn(tmp_path):
    assert scatter_png(tmp_path / "one.png", [2000.0], [2000.0], "one").stat().st_size > 1000


def test_scatter_refuses(tmp_path, monkeypatch):
    file = tmp_path / "a.png"
    with pytest.raises(ConfigError, match="en, pt"):
        scatter_png(file, [1.0], [1.0], "t", "de")
    for prediction, target in (([1.0, np.nan], [1.0, 2.0]), ([1.0], [1.0, 2.0]), ([], [])):
        with pytest.raises(SchemaError, match="finite predictions"):
            scatter_png(file, prediction, target, "t")
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ConfigError, match="matplotlib") as error:
        scatter_png(file, [1.0], [1.0], "t")
    assert "yieldcast[report]" in error.value.hint
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_refuses_leaves_the_earlier_figure(tmp_path):
    file = tmp_path / "a.png"
    scatter_png(file, [1.0, 2.0], [1.0, 2.0], "t")
    before = file.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(MissingDataError):
            scatter_png(file, [1.0, 3.0], [1.0, 2.0], "t")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert file.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]
    with pytest.raises(MissingDataError):
        scatter_png(tmp_path / "nowhere" / "a.png", [1.0], [1.0], "t")
