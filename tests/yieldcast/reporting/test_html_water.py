import numpy as np
from factories import synthetic_forecast

from yieldcast.forecasting.water_steps import WaterMonths
from yieldcast.reporting import html
from yieldcast.reporting.html_map import base64_text, varints, zigzag
from yieldcast.reporting.html_water import water_columns


def test_months_are_whole_kg_ha_that_add_up():
    forecast = synthetic_forecast()
    codes = forecast["municipality"].values
    more = np.concatenate([[1], codes]).astype(np.int32)  # a place that is not in the forecast
    kg_ha = np.tile([0.4, 0.4, -20.3], (len(more), 1))
    kg_ha[0] = 900.0
    found = water_columns(forecast, WaterMonths(("2017-10", "2017-11", "2017-12"), more, kg_ha))
    # Sums 0.4, 0.8, -19.5 are written as 0, 1, -20: steps 0, 1, -21.
    wanted = np.tile([0, 1, -21], len(codes))
    assert found == {
        "months": ["2017-10", "2017-11", "2017-12"], "places": base64_text(varints(zigzag(wanted))),
    }  # fmt: skip
    assert html.contents(forecast)["water"] is None
