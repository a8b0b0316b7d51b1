"""Dew point of days from their relative humidity, against worked numbers of FAO-56."""

from __future__ import annotations

import numpy as np
import pytest

from yieldcast.errors import SchemaError
from yieldcast.importing.humidity import dewpoint, saturation_pressure


def test_saturation_as_in_fao_56():
    # FAO-56, example 3: e(24.5) = 3.075 kPa, e(15) = 1.705 kPa
    assert saturation_pressure(np.array([24.5, 15.0])) == pytest.approx([3.075, 1.705], abs=6e-4)


def test_dew_point_by_hand():
    # ea = 0.7 x (3.0749 + 1.7053) / 2 = 1.6731 kPa; Tdew = 237.3 ln(ea/0.6108) / (17.27 - ln(ea/0.6108))
    found = dewpoint(np.array([70.0, np.nan]), np.array([24.5, 20.0]), np.array([15.0, 10.0]), "file")
    assert found == pytest.approx([14.70, np.nan], abs=0.01, nan_ok=True)


def test_saturated_air_of_one_temperature_has_it_as_dew_point():
    same = np.array([18.0])
    assert dewpoint(np.array([100.0]), same, same, "file") == pytest.approx([18.0], abs=1e-4)
    assert dewpoint(np.array([104.0]), same, same, "file") == pytest.approx([18.0], abs=1e-4)


@pytest.mark.parametrize(
    ("humidity", "expected"), [([0.7, 0.9], "share of 1"), ([70.0, 0.0], "received 0 %")]
)
def test_refused(humidity, expected):
    warm = np.array([20.0, 20.0])
    with pytest.raises(SchemaError) as caught:
        dewpoint(np.array(humidity), warm, warm - 8, "file")
    assert expected in f"{caught.value} {caught.value.hint}"
