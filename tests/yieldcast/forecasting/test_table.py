"""The contract of a forecast: what is refused, and that it survives the disk."""

from __future__ import annotations

import re

import numpy as np
import pytest
import xarray as xr
from factories import synthetic_forecast

from yieldcast.data.files import fingerprint, read_netcdf
from yieldcast.errors import MissingDataError, SchemaError
from yieldcast.forecasting import table
from yieldcast.forecasting.table import ARRAYS, ATTRIBUTES, QUANTILES, Forecast, check_forecast, production_t


@pytest.fixture
def forecast():
    return synthetic_forecast()


def test_the_synthetic_forecast_keeps_the_contract_and_says_what_it_is(forecast):
    assert check_forecast(forecast) is forecast
    assert set(forecast.data_vars) == set(ARRAYS)
    assert list(forecast.attrs) == list(ATTRIBUTES)
    assert forecast.attrs["synthetic"] == 1
    assert forecast["aggregate"].values.tolist() == ["all", "MT", "PR", "RS"]
    own = synthetic_forecast(np.array([5, 9]), ["A", "B"], ["MT", "RS"], shift_kg_ha=200.0)
    assert check_forecast(own).sizes == {"municipality": 2, "quantile": 7, "aggregate": 3}
    earlier = synthetic_forecast(np.array([5, 9]), ["A", "B"], ["MT", "RS"])
    np.testing.assert_allclose(own["yield_kg_ha"] - earlier["yield_kg_ha"], 200, atol=0.01)


def changed(ds: xr.Dataset, name: str, at: tuple, value: float) -> xr.Dataset:
    values = ds[name].values.copy()
    values[at] = value
    return ds.assign({name: (ds[name].dims, values, ds[name].attrs)})


def units(ds: xr.Dataset, name: str, text: str) -> xr.Dataset:
    return ds.assign({name: ds[name].assign_attrs(units=text)})


FAULTS = {
    "quantiles of another kind": (
        lambda ds: ds.assign_coords(quantile=[0.01, *QUANTILES[1:]]),
        "expected the quantiles (0.05",
    ),
    "quantiles without levels": (lambda ds: ds.drop_vars("quantile"), "received None"),
    "a quantile too few": (lambda ds: ds.isel(quantile=slice(6)), "expected the quantiles"),
    "no country first": (
        lambda ds: ds.isel(aggregate=[1, 0, 2, 3]),
        "expected the aggregates 'all', then states",
    ),
    "no aggregate": (lambda ds: ds.isel(aggregate=[]), "received []"),
    "aggregates without names": (lambda ds: ds.drop_vars("aggregate"), "received None"),
    "no municipality": (lambda ds: ds.isel(municipality=[]), "coordinate 'municipality' with at least one"),
    "municipalities unsorted": (lambda ds: ds.isel(municipality=[1, 0]), "'municipality' sorted"),
    "municipality twice": (lambda ds: ds.isel(municipality=[0, 0, 1]), "each value once"),
    "codes as text": (
        lambda ds: ds.assign_coords(municipality=ds["municipality"].astype(str)),
        "of type int32",
    ),
    "a variable lost": (lambda ds: ds.drop_vars("probability_low"), "expected ['probability_low']"),
    "a variable too many": (lambda ds: ds.assign(x=("municipality", np.zeros(60))), "received ['x'] too"),
    "dims swapped": (
        lambda ds: ds.assign(yield_kg_ha=ds["yield_kg_ha"].transpose()),
        "expected yield_kg_ha with dims",
    ),
    "another type": (
        lambda ds: ds.assign(own_history=ds["own_history"].astype("int64")),
        "own_history of type int8",
    ),
    "another unit": (
        lambda ds: units(ds, "yield_mean_kg_ha", "t/ha"),
        "yield_mean_kg_ha in 'kg/ha', received 't/ha'",
    ),
    "no unit": (lambda ds: ds.assign(area_planted_ha=ds["area_planted_ha"].drop_attrs()), "received None"),
    "a yield below zero": (
        lambda ds: changed(ds, "yield_kg_ha", (3, 0), -1),
        "0 to 500000 kg/ha, received -1.0 at municipality 4190004",
    ),
    "a yield beyond belief": (lambda ds: changed(ds, "yield_mean_kg_ha", (0,), 1e6), "(1 such values)"),
    "a yield that is no number": (lambda ds: changed(ds, "yield_kg_ha", (0, 3), np.nan), "received nan at"),
    "infinite": (lambda ds: changed(ds, "last_public_kg_ha", (0,), np.inf), "received inf"),
    "a probability above one": (
        lambda ds: changed(ds, "probability_low", (0,), 1.01),
        "probability_low of 0 to 1",
    ),
    "an aggregate without its mean": (
        lambda ds: changed(ds, "aggregate_yield_mean_kg_ha", (0,), np.nan),
        "at aggregate all",
    ),
    "quantiles that fall": (
        lambda ds: changed(ds, "yield_kg_ha", (2, 4), float(ds["yield_kg_ha"][2, 3]) - 1),
        "yield_kg_ha of rising quantiles",
    ),
    "an aggregate's quantiles that fall": (
        lambda ds: changed(ds, "aggregate_yield_kg_ha", (1, 0), 9e4),
        "aggregate_yield_kg_ha of rising quantiles",
    ),
    "a name lost": (lambda ds: ds.drop_vars(["name", "region"]), "received none of ['name', 'region']"),
    "a window lost": (lambda ds: ds.drop_vars("window_end"), "received none of ['window_end']"),
    "an attribute lost": (
        lambda ds: ds.drop_attrs(deep=False).assign_attrs(
            {k: v for k, v in ds.attrs.items() if k != "synthetic"}
        ),
        "received none of ['synthetic']",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_is_refused_with_its_reason(forecast, fault):
    change, reason = FAULTS[fault]
    broken = change(forecast)
    with pytest.raises(SchemaError, match=re.escape(reason)) as error:
        check_forecast(broken)
    assert str(error.value).startswith("forecast: expected")
    check_forecast(forecast)  # the change was the only fault


def test_what_may_be_missing_may(forecast):
    optional = [name for name, (_, _, _, _, gaps) in ARRAYS.items() if gaps]
    assert "area_planted_ha" in optional
    for name in optional:
        assert np.isnan(check_forecast(changed(forecast, name, (0,), np.nan))[name].values[0]), name


def test_equal_quantiles_are_no_fall(forecast):
    flat = forecast.copy(deep=True)
    flat["yield_kg_ha"].values[:] = 3000
    assert check_forecast(flat)["yield_kg_ha"].equals(flat["yield_kg_ha"])


def test_production_by_hand(forecast):
    # 3000 kg/ha on 2500 ha: 7500 t; no area, no production
    some = changed(changed(forecast, "area_planted_ha", (0,), 2500), "area_planted_ha", (1,), np.nan)
    some["yield_kg_ha"].values[0] = 3000
    made = production_t(some)
    assert made.values[0].tolist() == [7500] * 7
    assert np.isnan(made.values[1]).all()
    assert made.dims == ("municipality", "quantile")
    assert made.attrs["units"] == "t"
    some["aggregate_yield_kg_ha"].values[1] = 2000
    whole = production_t(changed(some, "aggregate_area_planted_ha", (1,), 1e6), aggregate=True)
    assert whole.dims == ("aggregate", "quantile")
    assert whole.values[1].tolist() == [2e6] * 7


def test_it_survives_the_disk(forecast, tmp_path):
    table.write_forecast(tmp_path / "f.nc", forecast)
    read = table.read_forecast(tmp_path / "f.nc")
    xr.testing.assert_identical(read.load(), forecast)
    assert {name: read[name].dtype for name in ARRAYS} == {name: forecast[name].dtype for name in ARRAYS}
    assert [p.name for p in tmp_path.iterdir()] == ["f.nc"]


def test_files_that_are_no_forecast_are_refused(small_store, tmp_path):
    with pytest.raises(MissingDataError, match="no forecast") as error:
        table.read_forecast(tmp_path / "none.nc")
    assert "yieldcast forecast" in error.value.hint
    (tmp_path / "text.nc").write_text("not netCDF")
    with pytest.raises(SchemaError, match="cannot be read"):
        table.read_forecast(tmp_path / "text.nc")
    table.write_forecast(tmp_path / "cut.nc", synthetic_forecast())
    whole = (tmp_path / "cut.nc").read_bytes()
    (tmp_path / "cut.nc").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SchemaError, match="cannot be read"):
        table.read_forecast(tmp_path / "cut.nc")
    table.write_forecast(tmp_path / "weather.nc", small_store.tables.weather.load())
    with pytest.raises(SchemaError, match="expected the quantiles"):
        table.read_forecast(tmp_path / "weather.nc")


# --- what a person sees -----------------------------------------------------------------------------------


def test_a_forecast_shows_itself_at_a_glance(forecast, tmp_path):
    table.write_forecast(tmp_path / "f.nc", forecast)
    low, median, high = forecast["aggregate_yield_kg_ha"].values[0, [0, 3, 6]]
    for shown in (forecast, table.read_forecast(tmp_path / "f.nc")):
        assert type(shown) is Forecast
        title, *rows = repr(shown).split("\n")
        assert title == "Synthetic forecast: soybean 2018 as of 2017-11-15"
        assert dict(re.split(r"\s{2,}", row.strip(), maxsplit=1) for row in rows) == {
            "crop": "soybean",
            "harvest year": "2018",
            "as of": "2017-11-15",
            "lead time": "6 months before the end of harvest",
            "median of Brazil": f"{median:.0f} kg/ha, 90 % interval {low:.0f} to {high:.0f} kg/ha",
            "municipalities": "60",
            "aggregates": "all, MT, PR, RS",
            "quantiles": "0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95",
            "yields": "yield_kg_ha, aggregate_yield_kg_ha (kg/ha); other variables: .data_vars",
            "members": "30",
            "scenarios": "climatology: 2010-2017",
            "weather known to": "2017-10",
            "yields known to": "harvest year 2016",
            "run": "RUN (0123456789ab), trained on 2010-2016",
            "licence": "CC BY 4.0",
        }
        assert shown._repr_html_().count("<tr") == len(rows)


def test_some_municipalities_of_a_forecast_are_a_forecast_other_parts_are_a_dataset(forecast):
    some = forecast.sel(municipality=forecast["state"] == "MT")
    assert type(some) is Forecast
    assert "municipalities    20" in repr(some)
    assert "median of all municipalities" in repr(forecast.assign_attrs(country=""))
    for part in (
        forecast.isel(municipality=0), forecast.isel(quantile=3), forecast.isel(aggregate=0),
        forecast.isel(municipality=[]), forecast.drop_vars("probability_low"), forecast.drop_attrs(),
        forecast.rename(municipality="place"), forecast.assign_coords(quantile=list("abcdefg")),
        forecast[["yield_kg_ha"]], forecast.mean("municipality"),
    ):  # fmt: skip
        assert repr(part).startswith("<xarray.")
        assert "xarray" in part._repr_html_()


def test_names_are_escaped_in_html(forecast):
    shown = forecast.assign_attrs(run="<script>alert(1)</script>", title="a < b & c")._repr_html_()
    assert "<script" not in shown
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in shown
    assert "a &lt; b &amp; c" in shown


def test_a_forecast_holds_what_the_dataset_holds(forecast, tmp_path):
    table.write_forecast(tmp_path / "f.nc", forecast)
    read, plain = table.read_forecast(tmp_path / "f.nc"), read_netcdf(tmp_path / "f.nc")
    assert type(plain) is xr.Dataset
    assert read.identical(plain)
    assert list(read.variables) == list(plain.variables)  # the order decides how it is written
    assert read.encoding == plain.encoding
    assert fingerprint(read) == fingerprint(plain) == fingerprint(forecast)
