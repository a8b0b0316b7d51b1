"""Rows and splits of labelled series: whole places, whole groups, earlier seasons, few labels."""

import numpy as np
import pytest

from yieldcast.errors import ConfigError, SchemaError
from yieldcast.pixels import pixel_series
from yieldcast.transfer.crop_types.rows import held_out, rows_of, season_order, sets_of
from yieldcast.transfer.crop_types.splits import (
    FewLabels,
    check_classes,
    few_label_splits,
    place_folds,
)
from yieldcast.transfer.splits import Split

CLASSES = ("maize", "pasture", "soybean")


def series_of(each=24, groups=3, seed=0, column="region"):
    """NDVI of three crops in groups two degrees apart; each place in two seasons."""
    rng, count = np.random.default_rng(seed), 3 * each
    kind, place = np.arange(count) % 3, np.arange(count) // 6 * 3 + np.arange(count) % 3
    ndvi = 0.3 + 0.4 * np.exp(-((np.arange(6) - 1 - 1.5 * kind[:, None]) ** 2) / 2)
    made = pixel_series.create(
        {"NDVI": ndvi + rng.normal(0, 0.12, ndvi.shape)}, np.tile(np.arange(6), (count, 1)),
        -12.0 - place % groups * 2, -55 - place / 50, np.arange(count), "month",
        label=np.array(CLASSES)[kind], group=[f"g{p % groups}" for p in place],
        season=2015 + np.arange(count) // 3 % 2,
    )  # fmt: skip
    return made.assign_attrs(group_column=column)


@pytest.fixture(scope="module")
def rows():
    # kind and place have the same remainder: shift the groups so that each has every class
    series = series_of()
    group = np.array([f"g{k}" for k in np.arange(72) // 6 % 3])
    return rows_of(series.assign(group=("sample", group)))


def test_folds_are_of_whole_places_and_test_every_row_once(rows):
    folds = place_folds(rows, seed=1)
    np.testing.assert_array_equal(np.sort(np.concatenate([one.test for one in folds])), np.arange(72))
    for one in folds:
        assert not set(rows.location[one.train]) & set(rows.location[one.test])
        assert len(one.train) + len(one.test) == 72


def test_few_labels_are_nested_local_and_of_each_class(rows):
    domain = held_out(rows, "group", 1.0)
    found = few_label_splits(rows, domain, domain, FewLabels((0, 2, 4), 2, "class"))
    assert {(one.domain, one.k, one.draw) for one in found} == {
        (f"g{g}", k, draw) for g in range(3) for k, draw in ((0, 0), (2, 1), (2, 2), (4, 1), (4, 2))
    }
    by = {(one.domain, one.k, one.draw): one for one in found}
    for one in found:
        assert set(domain[one.test]) == {one.domain}
        assert one.domain not in domain[one.train]
        np.testing.assert_array_equal(one.test, by[one.domain, 0, 0].test)
        taught = set(rows.location[np.concatenate([one.train, one.local])])
        assert not taught & set(rows.location[one.test])
        if one.k:
            assert np.bincount(rows.truth[one.local]).tolist() == [one.k] * 3
            assert set(domain[one.local]) == {one.domain}
    assert set(by["g1", 2, 2].local) < set(by["g1", 4, 2].local)
    assert set(by["g1", 4, 1].local) != set(by["g1", 4, 2].local)


def test_k_of_all_classes_together(rows):
    domain = held_out(rows, "none", 1.0)
    found = few_label_splits(rows, domain, domain, FewLabels((0, 7), 3, "all"))
    assert [(one.k, one.draw, len(one.local), len(one.train)) for one in found] == [
        (7, draw, 7, 0) for draw in (1, 2, 3)
    ]
    with pytest.raises(SchemaError, match="places or more and 900 labels"):
        few_label_splits(rows, domain, domain, FewLabels((0, 900), 3, "all"))


def test_seasons_are_ordered_by_their_numbers():
    assert season_order(np.array(["2016", "2014", "2015"])).tolist() == [2, 0, 1]
    assert season_order(np.array(["2016-2", "2016-1", "2015/16"])).tolist() == [2, 1, 0]
    with pytest.raises(SchemaError, match=r"seasons with a year, received \(none\)"):
        season_order(np.array(["", "2015"]))
    with pytest.raises(SchemaError, match="two seasons or more, received 2015 only"):
        season_order(np.array(["2015", "2015"]))


def test_many_groups_are_dealt_into_five_sets():
    rng = np.random.default_rng(0)
    domain = np.array([f"cell{k:02d}" for k in rng.integers(0, 30, 400)])
    sets = sets_of(domain, rng.integers(0, 3, 400), seed=1)
    assert sorted(set(sets)) == ["S1", "S2", "S3", "S4", "S5"]
    assert all(len(set(sets[domain == name])) == 1 for name in np.unique(domain))


def test_what_cannot_be_held_out_is_refused(rows):
    assert set(held_out(rows, "region", 1.0)) == {"g0", "g1", "g2"}
    with pytest.raises(ConfigError, match="groups of this run are of the column region"):
        held_out(rows, "country", 1.0)
    one = rows_of(rows.series.assign(group=("sample", np.full(72, "FRA"))))
    with pytest.raises(SchemaError, match="two groups or more to hold out, received one: FRA"):
        held_out(one, "group", 1.0)
    none = rows_of(rows.series.assign(group=("sample", np.full(72, ""))))
    with pytest.raises(SchemaError, match="received 72 without one"):
        held_out(none, "group", 1.0)
    with pytest.raises(ConfigError, match=r"no series of rye"):
        rows_of(rows.series, ["maize", "rye"])
    with pytest.raises(SchemaError, match="two classes or more, received maize"):
        rows_of(rows.series, ["maize"])


def test_a_class_that_is_not_trained_on_is_named_with_a_way_out(rows):
    maize = np.flatnonzero(rows.truth == 0)
    others = np.flatnonzero(rows.truth != 0)
    split = Split("g1", others[:20], np.append(others[20:], maize), np.empty(0, dtype=np.intp))
    with pytest.raises(SchemaError, match=r"maize \(not trained for g1\)") as caught:
        check_classes(rows, [split], "geographic")
    assert "--classes pasture,soybean" in str(caught.value.hint)
