"""Areas from maps in a forecast: beside the official ones, never from a map that came later."""

import datetime as dt
import json

import numpy as np
import pytest
from factories import synthetic_crop_weights, synthetic_forecast

from yieldcast.data.crop_area import crop_area_table
from yieldcast.data.store import Store
from yieldcast.forecasting.forecast import forecast
from yieldcast.forecasting.mapped_area import crop_area_fingerprint, mapped_columns, weather_cells
from yieldcast.forecasting.table import Forecast, check_forecast
from yieldcast.reporting import html, notices
from yieldcast.reporting.forecast_json import write_json
from yieldcast.reporting.tables import aggregate_table, municipality_table

DATE = dt.date(2014, 11, 20)
SHARES = (0.9, 0.01, 0.0004, 0.000025)


def with_maps(folder, store, years):
    """The store with maps of the first two municipalities: 300 and 100 ha in 2013, other areas later."""
    codes = store.static["municipality"].values
    first, second = codes[:2].tolist()
    areas = {2013: (300.0, 100.0), 2014: (250.0, 80.0), 2015: (1.0, 2.0)}
    cells = {year: {first: {(1, 1): areas[year][0]}, second: {(1, 1): areas[year][1]}} for year in years}
    weights = synthetic_crop_weights(cells, codes.tolist(), shares=SHARES)
    return Store.write(folder, store.tables, {}, optional={"crop_area": crop_area_table([weights], codes)})


@pytest.mark.slow  # forecasts with hindcasts
def test_a_forecast_shows_the_newest_public_map(tmp_path, forecast_store, forecast_run):
    found = forecast(forecast_run, with_maps(tmp_path / "a", forecast_store, (2013, 2014, 2015)), 2015, DATE)
    assert found.attrs["area_map_year"] == 2014
    codes = forecast_store.static["municipality"].values
    row = found["municipality"].values.tolist().index(codes[0])
    assert found["area_mapped_ha"].values[row] == pytest.approx(0.9 * 250 + 0.01 * 100)
    count, crop = found.sizes["municipality"], [250, 80]
    in_rows = sum(ha for ha, code in zip(crop, codes[:2], strict=True) if code in found["municipality"])
    assert found["aggregate_area_mapped_ha"].values[0] == pytest.approx(0.9 * in_rows + count)
    error = np.sqrt(0.0004 * in_rows**2 + 0.000025 * (100 * count) ** 2)
    assert found["aggregate_area_mapped_error_ha"].values[0] == pytest.approx(error)
    later = forecast(forecast_run, with_maps(tmp_path / "b", forecast_store, (2013, 2014)), 2015, DATE)
    assert later.identical(found)  # the map of 2015 moves no digit and no attribute


def test_later_maps_change_nothing(tmp_path, forecast_store):
    stores = [with_maps(tmp_path / str(last), forecast_store, range(2013, last + 1)) for last in (2014, 2015)]
    static = forecast_store.static
    rows = static["municipality"].values, static["state"].values
    names = ["all", *sorted(set(rows[1].tolist()))]
    (one, about), (other, theirs) = (mapped_columns(store, "soybean", DATE, *rows, names) for store in stores)
    assert about == theirs == {"area_map_year": 2014}
    for name, values in one.items():
        np.testing.assert_array_equal(values, other[name])
    assert one["area_mapped_ha"][0] == pytest.approx(0.9 * 250 + 0.01 * 100)
    assert len({crop_area_fingerprint(store, "soybean", DATE)["crop_area"] for store in stores}) == 1


def test_every_output_has_the_area(tmp_path):
    plain = synthetic_forecast(np.array([1, 2]), ["A", "B"], ["PR", "MT"])
    assert "map_area_ha" not in municipality_table(plain)
    whole = plain.sizes["aggregate"]
    found = Forecast.of(
        plain.assign(
            area_mapped_ha=("municipality", np.array([226.4, np.nan], np.float32), {"units": "ha"}),
            area_mapped_error_ha=("municipality", np.array([5.2, np.nan], np.float32), {"units": "ha"}),
            aggregate_area_mapped_ha=("aggregate", np.full(whole, 226.4), {"units": "ha"}),
            aggregate_area_mapped_error_ha=("aggregate", np.full(whole, np.nan), {"units": "ha"}),
        ).assign_attrs(area_map_year=2014)
    )
    assert municipality_table(check_forecast(found))["map_area_ha"].tolist()[0] == 226
    assert np.isnan(aggregate_table(found)["map_area_se_ha"]).all()
    page = html.contents(found)
    assert page["places"]["map_area"] == [226, None]
    assert page["places"]["map_error"] == [5, None]
    assert page["aggregates"]["map_error"] == [None] * whole
    text = "Área no mapa: do ano de colheita 2014, o mapa mais novo que era público."
    assert text in page["notices"]["pt-BR"]
    written = json.loads(write_json(tmp_path / "forecast.json", found).read_text())
    assert [one["map_area_ha"] for one in written["municipalities"]] == [226, None]


def test_a_map_that_is_not_public_is_not_there(tmp_path, forecast_store):
    store = with_maps(tmp_path, forecast_store, (2015,))
    codes = store.static["municipality"].values
    assert mapped_columns(store, "soybean", DATE, codes, store.static["state"].values, ["all"]) == ({}, {})
    assert crop_area_fingerprint(store, "soybean", DATE) == {"crop_area": ""}
    assert crop_area_fingerprint(store, "soybean", dt.date(2015, 9, 1))["crop_area"]
    assert crop_area_fingerprint(forecast_store, "soybean", DATE) == {}


def test_weather_of_cropped_cells_is_said(forecast_store):
    weather = forecast_store.weather
    assert weather_cells(weather) == {}
    marked = weather.assign_attrs(crop_area="cells with soybean", later_map_before="2016-09-01")
    attrs = weather_cells(marked)
    texts = notices.notices({**attrs, "as_of": "2015-01-15"}, "en")
    assert texts[0] == "Weather is averaged over cropped cells of municipalities."
    assert "a map that was not known then" in texts[1]
