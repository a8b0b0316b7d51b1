"""Numbers as readers see them: digits of the step, units that read well."""

from decimal import Decimal

import pytest

from yieldcast import language
from yieldcast.workspace.server import wording

ENGLISH, PORTUGUESE = language.of("en"), language.of("pt-BR")


@pytest.mark.parametrize(
    ("value", "measure", "english", "portuguese"),
    [
        ("0.945", "accuracy", "94.5%", "94,5%"),
        ("0.90", "recall:rye", "90%", "90%"),
        ("1.000", "macro_f1", "100.0%", "100,0%"),
        ("-0.015", "skill_mean", "-1.5%", "-1,5%"),
        ("1300.0", "rmse_kg_ha", "1,300", "1.300"),
        ("12.5", "crps_kg_ha", "12.5", "12,5"),
    ],
)
def test_a_score_has_the_digits_of_its_step(value, measure, english, portuguese):
    assert wording.score_text(Decimal(value), measure, ENGLISH) == english
    assert wording.score_text(Decimal(value), measure, PORTUGUESE) == portuguese
    assert wording.score_text(None, measure, ENGLISH) == "–"


def test_differences_have_a_sign_and_are_in_percentage_points_or_kg_ha():
    assert wording.difference_text(Decimal("0.124"), "accuracy", ENGLISH) == "+12.4"
    assert wording.difference_text(Decimal("-0.004"), "accuracy", PORTUGUESE) == "-0,4"
    assert wording.difference_text(Decimal("120"), "rmse_kg_ha", ENGLISH) == "+120"


@pytest.mark.parametrize(
    ("pflop", "text"),
    [
        (100.0, "100 PFLOP"), (0.104, "0.104 PFLOP"), (0.002, "2 TFLOP"), (7.66e-7, "0.766 GFLOP"),
        (0.0, "0 PFLOP"),
    ],
)  # fmt: skip
def test_compute_is_in_a_unit_that_reads_well(pflop, text):
    assert wording.compute_text(pflop, ENGLISH) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.03124, "0.0312"), (1234.0, "1,230"), (0.0, "0"), (float("nan"), "–"), (5e-9, "0.000000005")],
)
def test_three_digits(value, text):
    assert wording.three_digits(value, ENGLISH) == text


def test_names_of_measures():
    assert wording.measure_name("recall:rye", PORTUGUESE) == "sensibilidade de rye"
    assert wording.measure_name("skill_mean", ENGLISH) == "skill against mean"
