"""Scores of paired rows by hand, against scikit-learn and against the other scores of the package."""

from __future__ import annotations

import numpy as np
import pytest
from factories import score_rows
from sklearn.metrics import f1_score

from yieldcast.comparison.paired import (
    CRPS,
    MACRO_F1,
    MAE,
    RMSE,
    identical_share,
    labels_of,
    metrics_of,
)
from yieldcast.comparison.pairs import pair_rows
from yieldcast.evaluation.metrics import crps


@pytest.fixture
def pair():
    return pair_rows(score_rows("ours", seed=1, classes=True), score_rows("line", seed=2, classes=True))


def test_scores_of_all_rows_and_of_a_block(pair):
    metrics = {one.name: one for one in metrics_of(pair)}
    assert list(metrics) == [RMSE, MAE, CRPS, MACRO_F1]
    truth = pair.a["yield_kg_ha"].to_numpy()
    errors = [one["forecast_kg_ha"].to_numpy() - truth for one in (pair.a, pair.b)]
    assert metrics[RMSE].whole() == pytest.approx([np.sqrt((e**2).mean()) for e in errors])
    assert metrics[MAE].whole() == pytest.approx([np.abs(e).mean() for e in errors])
    spread = pair.a.filter(regex=r"^q\d\d$").to_numpy()
    assert metrics[CRPS].whole()[0] == pytest.approx(crps(spread, truth).mean())
    year = labels_of(pair, "year")
    sums = metrics[RMSE].blocks(year)
    mine = year == int(sums.names[1])
    assert sums.by_block()[0][1] == pytest.approx(np.sqrt((errors[0][mine] ** 2).mean()))


def test_macro_f1_is_that_of_scikit_learn(pair):
    metric = metrics_of(pair)[-1]
    for one, found in zip((pair.a, pair.b), metric.whole(), strict=True):
        assert found == pytest.approx(f1_score(one["class"], one["predicted_class"], average="macro"))
    # in a block where a class neither occurs nor is predicted it counts in no mean
    few = pair.a["class"].ne("high") & pair.a["predicted_class"].ne("high")
    block = metric.blocks(few.to_numpy().astype(int))
    some = pair.a[few]
    expected = f1_score(some["class"], some["predicted_class"], average="macro")
    assert block.by_block()[0][1] == pytest.approx(expected)


def test_a_model_without_quantiles_or_classes_has_fewer_scores(pair):
    for column in pair.b.filter(regex=r"^q\d\d$"):
        pair.b[column] = np.nan
    pair.b["predicted_class"] = ""
    pair.b.loc[0, "forecast_kg_ha"] = np.nan
    metrics = metrics_of(pair)
    assert [one.name for one in metrics] == [RMSE, MAE]
    assert len(metrics[0].rows) == len(pair.a) - 1


def test_rows_that_are_the_same_and_regions_that_are_not_known(pair):
    assert identical_share(pair) < 0.05
    same = pair_rows(pair.a, pair.a.assign(model="copy"))
    assert identical_share(same) == 1.0
    assert labels_of(pair, "region").tolist() == pair.a["state"].tolist()
    for one in (pair.a, pair.b):
        one.loc[3, "state"] = ""
    assert labels_of(pair, "region") is None
