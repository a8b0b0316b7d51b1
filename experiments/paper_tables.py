"""Tables 3, 4 and 5 of Cunha & Silva (2020) with our numbers under theirs."""

from __future__ import annotations

import math
from collections.abc import Mapping

from rich.console import Group
from rich.table import Table
from rich.text import Text

from yieldcast.cli.views.scores import number_text, scores_table, seeds_text
from yieldcast.data.summary import number_spans
from yieldcast.errors import ConfigError
from yieldcast.evaluation.scores import Evaluation

PAPER = "Cunha & Silva 2020"
# Cunha & Silva (2020), ISPRS Annals IV-3/W2-2020, doi 10.5194/isprs-annals-IV-3-W2-2020-59-2020; thirty
# executions, harvest year 2018. Tables 3 and 4: mean and sd of the correlation, mean and sd of MAPE (%).
TABLE_3: Mapping[str, tuple[float, float, float, float]] = {
    "corn": (0.881, 0.003, 47.855, 4.197),
    "cotton": (0.924, 0.003, 29.238, 1.516),
    "rice": (0.874, 0.004, 31.484, 1.194),
    "soybean": (0.300, 0.047, 16.015, 0.969),
    "sugarcane": (0.710, 0.012, 40.877, 1.656),
}
TABLE_4: Mapping[str, tuple[float, float, float, float]] = {
    "corn": (0.865, 0.005, 51.716, 6.114),
    "cotton": (0.920, 0.004, 30.502, 1.586),
    "rice": (0.864, 0.005, 32.826, 1.220),
    "soybean": (0.288, 0.025, 14.755, 0.565),
    "sugarcane": (0.708, 0.012, 42.081, 2.092),
}
# Table 5: highest correlation and lowest MAPE (%) over the executions. Table 1: rows in the test set.
TABLE_5: Mapping[str, tuple[float, float]] = {
    "corn": (0.886, 41.596),
    "cotton": (0.929, 26.648),
    "rice": (0.881, 29.624),
    "soybean": (0.348, 13.704),
    "sugarcane": (0.739, 37.304),
}
TABLE_1_TEST: Mapping[str, int] = {
    "corn": 5054, "cotton": 223, "rice": 1914, "soybean": 2315, "sugarcane": 3339,
}  # fmt: skip


def paper_tables(with_noise: Evaluation, without_noise: Evaluation | None, synthetic: bool = False) -> Group:
    """Tables 3, 4 and 5 of Cunha & Silva (2020) with our numbers under theirs.

    Args:
        with_noise: a run with the noise layer (Table 3, and the best members for Table 5).
        without_noise: the same without noise (Table 4), or None to leave Table 4 out.
        synthetic: whether the rows come from `yieldcast.data.synthetic`; the titles then say so.

    Raises:
        ConfigError: the two runs are of different crops.
    """
    crop = with_noise.crop
    if without_noise is not None and without_noise.crop != crop:
        raise ConfigError(f"expected two runs of one crop, received {crop} and {without_noise.crop}")
    ours = "yieldcast, synthetic data" if synthetic else "yieldcast"
    tables = [_spread_table("Table 3: with noise layer", ours, crop, TABLE_3, with_noise)]
    if without_noise is not None:
        tables.append(_spread_table("Table 4: without noise layer", ours, crop, TABLE_4, without_noise))
    best = scores_table(f"Table 5: best of the executions, {crop}", "", "max r", "min MAPE %")
    r, mape = TABLE_5.get(crop, (math.nan, math.nan))
    best.add_row(PAPER, number_text(r, 3), number_text(mape, 3))
    network = with_noise.network
    best.add_row(ours, number_text(network.r_max, 3), number_text(network.mape_min, 3))
    rows = TABLE_1_TEST.get(crop)
    theirs = f"{rows} test rows of 2018 (Table 1)" if rows else f"no {crop}"
    years = number_spans(with_noise.test_years)
    note = (
        f"Paper: thirty executions, {theirs}. "
        f"Here: {seeds_text(with_noise)}, {network.score.n} rows of {years}."
    )
    return Group(*tables, best, Text(note, style="dim"))


def _spread_table(
    title: str, ours: str, crop: str, paper: Mapping[str, tuple[float, ...]], evaluation: Evaluation
) -> Table:
    """Mean and standard deviation of correlation and MAPE, the paper's and ours."""
    network = evaluation.network
    own = (network.score.r, network.r_sd, network.score.mape_pct, network.mape_sd)
    table = scores_table(f"{title}, {crop}", "", "mean r", "sd r", "mean MAPE %", "sd MAPE %")
    for name, values in ((PAPER, paper.get(crop, (None,) * 4)), (ours, own)):
        table.add_row(name, *(number_text(value, 3) for value in values))
    return table
