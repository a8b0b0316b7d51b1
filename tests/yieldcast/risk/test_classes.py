"""Classes of yields: hand-worked terciles, the training years only, errors."""

from __future__ import annotations

import numpy as np
import pytest

from yieldcast.errors import ConfigError, SchemaError
from yieldcast.risk.classes import HIGH, LOW, MEDIUM, UNKNOWN, class_rule

# Two places, years 2001 to 2007: 7 yields each. All 14 sorted are 1000, 1100, ..., 2300.
YEARS = np.tile(np.arange(2001, 2008), 2)
PLACES = np.repeat([11, 22], 7)
YIELDS = np.concatenate([np.arange(1000.0, 1700, 100), np.arange(1700.0, 2400, 100)])


def test_terciles_by_hand() -> None:
    rule = class_rule(YIELDS, PLACES, YEARS)
    # positions 13/3 = 4.333 and 26/3 = 8.667 of 0..13: 1433.3 and 1866.7
    np.testing.assert_allclose(rule.borders_kg_ha, [1433.3333, 1866.6667], rtol=1e-6)
    assert np.bincount(rule.classes(YIELDS, PLACES)).tolist() == [5, 4, 5]
    assert rule.names == ("low", "medium", "high")
    assert rule.train_years == tuple(range(2001, 2008))


def test_own_terciles_by_hand() -> None:
    rule = class_rule(YIELDS, PLACES, YEARS, "municipality")
    np.testing.assert_allclose(rule.borders(np.array([22, 11])), [[1900, 2100], [1200, 1400]])
    found = rule.classes(np.array([1199.0, 1200, 1399, 1400, 1400]), np.array([11, 11, 11, 11, 22]))
    assert found.tolist() == [LOW, MEDIUM, MEDIUM, HIGH, LOW]


def test_own_terciles_need_five_years() -> None:
    short = np.append(YIELDS, [1500.0, 1501, 1502, 1503])
    rule = class_rule(short, np.append(PLACES, [33] * 4), np.append(YEARS, range(2001, 2005)), "municipality")
    assert rule.classes(np.array([1500.0, 1500.0]), np.array([33, 44])).tolist() == [UNKNOWN, UNKNOWN]


def test_threshold_has_two_classes_and_the_border_is_not_low() -> None:
    rule = class_rule(YIELDS, PLACES, YEARS, "threshold", threshold_kg_ha=1500.0)
    assert rule.classes(np.array([1499.9, 1500.0, np.nan]), np.zeros(3)).tolist() == [0, 1, UNKNOWN]
    assert rule.names == ("low", "not_low")


def test_unknown_yields_do_not_count() -> None:
    with_gaps = class_rule(np.append(YIELDS, np.nan), np.append(PLACES, 33), np.append(YEARS, 2099))
    np.testing.assert_array_equal(with_gaps.borders_kg_ha, class_rule(YIELDS, PLACES, YEARS).borders_kg_ha)
    assert 2099 not in with_gaps.train_years


@pytest.mark.parametrize(
    ("rule", "options", "said"),
    [
        ("terciles", {}, "expected yields of two harvest years or more, received 2001"),
        ("threshold", {"threshold_kg_ha": 1500.0}, "received 2001"),
    ],
)
def test_one_season_is_refused(rule: str, options: dict[str, float], said: str) -> None:
    one = YEARS == 2001
    with pytest.raises(SchemaError, match=said) as error:
        class_rule(YIELDS[one], PLACES[one], YEARS[one], rule, **options)
    assert error.value.exit_code == 5


def test_class_without_rows_is_refused() -> None:
    with pytest.raises(SchemaError, match=r"received none in: low \(the 14 yields are 1000 to 2300"):
        class_rule(YIELDS, PLACES, YEARS, "threshold", threshold_kg_ha=1.5)
    with pytest.raises(SchemaError, match="received none in: low, medium"):
        class_rule(np.full(14, 1500.0), PLACES, YEARS)
    with pytest.raises(SchemaError, match="places with 5 yields or more"):
        class_rule(YIELDS[:4], PLACES[:4], YEARS[:4], "municipality")


@pytest.mark.parametrize(
    ("rule", "threshold"),
    [("quartiles", None), ("terciles", 10.0), ("threshold", None), ("threshold", -1.0),
     ("threshold", float("nan"))],
)  # fmt: skip
def test_wrong_options(rule: str, threshold: float | None) -> None:
    with pytest.raises(ConfigError):
        class_rule(YIELDS, PLACES, YEARS, rule, threshold_kg_ha=threshold)  # type: ignore[arg-type]
