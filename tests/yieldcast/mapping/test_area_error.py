"""Corrected areas: the example of Olofsson et al. (2014), section 5, and properties of the estimate."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yieldcast.errors import SchemaError
from yieldcast.mapping.area_error import Z_95, crop_shares, estimate, too_few

# Their table 8: deforestation, forest gain, stable forest, stable non-forest; pixels of 30 m.
COUNTS = np.array([[66, 0, 5, 4], [0, 55, 8, 12], [1, 0, 153, 11], [2, 1, 9, 313]])
MAPPED_ha = np.array([200_000, 150_000, 3_200_000, 6_450_000]) * 0.09


def test_the_example_of_the_paper():
    found = estimate(COUNTS, MAPPED_ha)
    # by hand: W = .02 .015 .32 .645; deforestation .02*66/75 + .32*1/165 + .645*2/325 = .0235087
    assert found.area_ha[0] / 900_000 == pytest.approx(0.0235087, abs=1e-6)
    pixels = found.area_ha / 0.09
    assert pixels[0] == pytest.approx(235_086, abs=1)
    assert Z_95 * found.area_error_ha[0] / 0.09 == pytest.approx(68_418, rel=0.001)
    assert found.users == pytest.approx([0.88, 0.73, 0.93, 0.96], abs=0.005)
    assert Z_95 * found.users_error == pytest.approx([0.07, 0.10, 0.04, 0.02], abs=0.005)
    assert found.producers == pytest.approx([0.75, 0.85, 0.93, 0.96], abs=0.005)
    assert Z_95 * found.producers_error[0] == pytest.approx(0.21, abs=0.005)
    assert found.overall == pytest.approx(0.95, abs=0.005)
    assert Z_95 * found.overall_error == pytest.approx(0.02, abs=0.005)
    assert found.points == 640


def test_standard_errors_against_repeated_sampling():
    rng = np.random.default_rng(3)
    true = np.array([[0.9, 0.1], [0.2, 0.8]])
    mapped = np.array([300.0, 700.0])
    made = [estimate(np.array([rng.multinomial(60, row) for row in true]), mapped) for _ in range(2000)]
    spread = np.std([one.area_ha[0] for one in made])
    assert np.mean([one.area_error_ha[0] for one in made]) == pytest.approx(spread, rel=0.05)
    spread = np.std([one.producers[0] for one in made])
    assert np.mean([one.producers_error[0] for one in made]) == pytest.approx(spread, rel=0.06)


@given(st.lists(st.lists(st.integers(0, 40), min_size=4, max_size=4), min_size=4, max_size=4))
def test_areas_sum_to_the_map_and_two_strata_say_the_same(rows):
    counts = np.array(rows) + 2 * np.eye(4, dtype=int)
    whole = estimate(counts, MAPPED_ha)
    assert whole.area_ha.sum() == pytest.approx(MAPPED_ha.sum())
    two = crop_shares(counts, MAPPED_ha, [True, False, False, False])
    rest = MAPPED_ha[1:].sum()
    assert MAPPED_ha[0] * two.crop + rest * two.other == pytest.approx(whole.area_ha[0])
    variance = MAPPED_ha[0] ** 2 * two.crop_variance + rest**2 * two.other_variance
    assert np.sqrt(variance) == pytest.approx(whole.area_error_ha[0], abs=1e-6)
    both = crop_shares(counts, MAPPED_ha, [True, True, False, False])
    area = MAPPED_ha[:2].sum() * both.crop + MAPPED_ha[2:].sum() * both.other
    assert area == pytest.approx(whole.area_ha[:2].sum())


def test_a_class_without_points_has_no_error():
    counts = COUNTS.copy()
    counts[1] = [0, 1, 0, 0]
    assert too_few(counts, MAPPED_ha) == [1]
    with pytest.raises(SchemaError, match="fewer in: gain"):
        estimate(counts, MAPPED_ha, ["loss", "gain", "forest", "other"])
    without = MAPPED_ha * [1, 0, 1, 1]
    found = estimate(counts, without)  # not in the map, so that nothing is missing
    assert np.isnan(found.users[1])
    assert np.isfinite(found.area_error_ha).all()
