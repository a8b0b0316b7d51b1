"""Yearly costs: the two published tables from their inputs, and the laws of the cost model."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yieldcast.errors import SchemaError
from yieldcast.workspace.scoring.costs import (
    CostModel,
    annual_cost,
    choice_by_price,
    cost_row,
    internal_cost,
)

D = Decimal
# Inputs of the published table: 1.5 million km2, 18 euro per misclassified km2, 280,000 euro a year
PAPER = CostModel(D(1_500_000), D(18), D("0.845"), D(280_000))
MODELS = {"A": (D("0.908"), D("0.25")), "B": (D("0.945"), D("0.22")), "C": (D("0.932"), D("0.10"))}
TABLE = {  # accuracy, error rate, misclassified km2, misclassification cost, licence, total
    "internal": ("0.845", "0.155", 232_500, 4_185_000, 280_000, 4_465_000),
    "A": ("0.908", "0.092", 138_000, 2_484_000, 375_000, 2_859_000),
    "B": ("0.945", "0.055", 82_500, 1_485_000, 330_000, 1_815_000),
    "C": ("0.932", "0.068", 102_000, 1_836_000, 150_000, 1_986_000),
}


def shown(cost):
    return (cost.accuracy, cost.error_rate, cost.misclassified_km2, cost.misclassification_cost,
            cost.licence_cost, cost.total)  # fmt: skip


def test_the_published_cost_table_follows_from_its_inputs():
    found = {name: annual_cost(PAPER, *inputs) for name, inputs in MODELS.items()}
    found["internal"] = internal_cost(PAPER)
    for name, row in TABLE.items():
        assert shown(found[name]) == tuple(map(D, row)), name
    assert cost_row(PAPER, D("0.945"), (D("0.945"), D("0.945")), D("0.22")).difference == -2_650_000


def test_choosing_the_cheapest_licence_costs_171_000_more():
    choice = choice_by_price({name: annual_cost(PAPER, *inputs) for name, inputs in MODELS.items()})
    assert (choice.cheapest, choice.best) == ("C", "B")
    assert choice.licence_saving == 180_000
    assert choice.more_misclassified_km2 == 19_500
    assert choice.more_misclassification_cost == 351_000
    assert choice.extra_cost == 171_000


def test_the_range_of_the_cost_turns_the_interval_of_the_accuracy_round():
    row = cost_row(PAPER, D("0.945"), (D("0.938"), D("0.951")), D("0.22"))
    # 0.049 x 1.5 million x 18 + 330,000 and 0.062 x 1.5 million x 18 + 330,000
    assert (row.low, row.high) == (D(1_653_000), D(2_004_000))
    assert (row.difference_low, row.difference_high) == (D(-2_812_000), D(-2_461_000))


def test_equal_licences_are_chosen_by_total_and_none_by_nothing():
    cost = {"a": annual_cost(PAPER, D("0.9"), D(1)), "b": annual_cost(PAPER, D("0.95"), D(1))}
    assert choice_by_price(cost).extra_cost == 0
    assert choice_by_price({}) is None


@settings(max_examples=40)
@given(
    accuracy=st.decimals(0, 1, places=4),
    other=st.decimals(0, 1, places=4),
    price=st.decimals(0, 100, places=3),
    area=st.decimals("0.01", 10**8, places=2),
    cost=st.decimals(0, 10**5, places=2),
)
def test_a_better_accuracy_saves_exactly_the_cost_of_its_area(accuracy, other, price, area, cost):
    model = CostModel(area, cost, D("0.5"), D(0))
    one, two = annual_cost(model, accuracy, price), annual_cost(model, other, price)
    assert two.total - one.total == (accuracy - other) * area * cost
    assert one.accuracy + one.error_rate == 1


@pytest.mark.parametrize("accuracy", ["1.01", "-0.1", "NaN", "Infinity"])
def test_an_accuracy_outside_of_0_to_1_is_refused(accuracy):
    with pytest.raises(SchemaError, match="accuracy: expected a share"):
        annual_cost(PAPER, D(accuracy), D(0))


def test_other_wrong_inputs_are_refused():
    with pytest.raises(SchemaError, match="price_per_km2"):
        annual_cost(PAPER, D("0.9"), D(-1))
    with pytest.raises(SchemaError, match="above 0 km2"):
        CostModel(D(0), D(18), D("0.8"), D(1))
    with pytest.raises(SchemaError, match="holds the accuracy"):
        cost_row(PAPER, D("0.9"), (D("0.91"), D("0.92")), D(0))
