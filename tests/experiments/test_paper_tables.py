"""The tables of Cunha & Silva (2020) with our numbers under theirs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from factories import printed, synthetic_evaluation

from paper_tables import TABLE_1_TEST, TABLE_3, TABLE_4, TABLE_5, paper_tables
from yieldcast.errors import ConfigError

PAPER = Path(__file__).parents[2] / ".." / "shared" / "seeds" / "cunha-silva-2020-yield-forecast.txt"


def row(text: str, name: str) -> list[str]:
    """The cells of the line that starts with `name`."""
    (line,) = [line for line in text.splitlines() if line.strip().startswith(name + " ")]
    return line.strip().removeprefix(name).split()


def test_paper_tables_stand_beside_ours():
    text = printed(paper_tables(synthetic_evaluation(), synthetic_evaluation(2)))
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
    text = printed(paper_tables(synthetic_evaluation(crop="wheat"), None))
    assert "Table 4" not in text
    assert row(text.split("Table 5")[0], "Cunha & Silva 2020") == ["-"] * 4
    assert "no wheat" in text
    with pytest.raises(ConfigError, match="soybean and corn"):
        paper_tables(synthetic_evaluation(), synthetic_evaluation(crop="corn"))


def test_synthetic_scores_are_called_synthetic():
    assert "synthetic data" in printed(paper_tables(synthetic_evaluation(), None, synthetic=True))
    assert "synthetic" not in printed(paper_tables(synthetic_evaluation(), None))


@pytest.mark.parametrize("scale", [1.0, 40.0, 300.0])
@pytest.mark.parametrize("seeds", [1, 30, 999])
def test_eighty_columns_cut_no_number(seeds, scale):
    got = synthetic_evaluation(seeds, "sugarcane", scale)
    assert "…" not in printed(paper_tables(got, got, synthetic=True))


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
