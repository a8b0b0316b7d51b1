"""The synthetic country: contract, determinism, known response, and yields that depend on weather."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import HistGradientBoostingRegressor
from threadpoolctl import threadpool_limits

import calendars
from yieldcast.data import schema, synthetic
from yieldcast.data.store import Tables
from yieldcast.errors import ConfigError, MissingDataError
from yieldcast.variables import resolve

Array = npt.NDArray[np.float64]
TABLES = synthetic.country()
TRUTH = synthetic.true_response(TABLES)


def yields_of(tables: Tables) -> Array:
    return np.asarray(tables.yields["yield_kg_ha"].values[0], dtype=np.float64)


def total_of(truth: xr.Dataset) -> Array:
    total: Array = np.sum([table.values for table in truth.data_vars.values()], axis=0)
    return total


def rmse(a: Array, b: Array) -> float:
    return float(np.sqrt(np.mean((a - b) ** 2)))


@settings(max_examples=10, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    municipalities=st.integers(1, 40),
    first=st.integers(1950, 2030),
    years=st.integers(1, 5),
    crops=st.lists(st.sampled_from(calendars.brazil().crops), min_size=1, unique=True),
)
def test_every_country_keeps_the_contract(
    seed: int, municipalities: int, first: int, years: int, crops: list[str]
) -> None:
    tables = synthetic.country(seed, municipalities, first, years, crops=crops)
    schema.check_static(tables.static)
    schema.check_weather(tables.weather)
    schema.check_yields(tables.yields)
    assert all(table.attrs["synthetic"] == 1 for table in tables)
    assert tables.yields["crop"].values.tolist() == sorted(crops)
    assert (tables.weather["tmin_degC"] < tables.weather["tmax_degC"]).all()
    assert (tables.weather["precipitation_mm"] >= 0).all()
    texture = np.sum([tables.static[f"{part}_pct"].values for part in ("clay", "silt", "sand")], axis=0)
    np.testing.assert_allclose(texture[np.isfinite(texture)], 100, atol=1e-3)


def test_ranges_of_the_default_country_are_those_of_brazil() -> None:
    static, weather, _ = TABLES
    latitude = static["latitude_deg"]
    assert -33 <= latitude.min() < -31
    assert 2 < latitude.max() <= 4
    assert set(static["state"].values) <= {state for _, state in calendars.brazil().rows}
    # the two-digit prefix of IBGE comes first; no real code has a 9 after it
    assert {str(c)[2] for c in static["municipality"].values} == {"9"}
    assert str(static["municipality"].values[static["state"].values == "MT"][0]).startswith("51")
    assert float(weather["tmax_degC"].max()) < 42
    assert float(weather["tmin_degC"].min()) > 0
    # mean annual rain between those of a dry and a wet Brazilian farming region
    annual = weather["precipitation_mm"].groupby("time.year").sum().mean("year")
    assert 700 < annual.min() < annual.max() < 2400
    swing = weather["tmax_degC"].groupby("time.month").mean()
    swing = swing.max("month") - swing.min("month")
    in_south = (latitude < -28).values
    assert swing.values[in_south].min() > swing.values[(latitude > -12).values].max()


def test_gaps_are_of_the_stated_size() -> None:
    tables = synthetic.country(municipalities=3000)
    no_soil = np.isnan(tables.static["clay_pct"].values).all(axis=1)
    # binomial: 5 % of 3000, standard deviation 0.4 %
    assert 0.035 < no_soil.mean() < 0.065
    missing = np.isnan(yields_of(tables))
    # late municipalities: 5 % begin 1..7 years late, uniformly, 4 years of 12 on average: 8 % + 0.92 * 1.7 %
    assert 0.085 < missing.mean() < 0.105
    late = missing[:, :3].all(axis=1).mean()
    # begins in year 3 or later: 5 % * 5/7 = 3.6 %, and 0.08**3 by chance
    assert 0.02 < late < 0.05
    for name in tables.yields.data_vars:
        np.testing.assert_array_equal(np.isnan(tables.yields[name].values[0]), missing)


def test_the_seed_fixes_every_number_and_another_changes_them() -> None:
    for one, two in zip(TABLES, synthetic.country(), strict=True):
        xr.testing.assert_identical(one, two)
    other = synthetic.country(seed=2)
    assert (other.weather["tmax_degC"] != TABLES.weather["tmax_degC"]).mean() > 0.99
    assert (other.static["clay_pct"] == TABLES.static["clay_pct"]).mean() < 0.01


def test_another_crop_does_not_change_the_first() -> None:
    both = synthetic.country(crops=("corn", "soybean"))
    xr.testing.assert_equal(both.static, TABLES.static)
    xr.testing.assert_equal(both.weather, TABLES.weather)
    xr.testing.assert_equal(both.yields.sel(crop="soybean"), TABLES.yields.sel(crop="soybean"))


def test_more_years_do_not_change_the_weather_of_the_first() -> None:
    longer = synthetic.country(harvest_years=14)
    xr.testing.assert_equal(longer.weather.sel(time=TABLES.weather["time"]), TABLES.weather)


def test_area_yield_and_production_agree() -> None:
    table = TABLES.yields
    np.testing.assert_allclose(
        table["production_t"], table["yield_kg_ha"] * table["area_harvested_ha"] / 1000, rtol=1e-6
    )
    known = np.isfinite(table["yield_kg_ha"].values)
    assert (table["area_harvested_ha"] <= table["area_planted_ha"]).values[known].all()
    assert (table["area_harvested_ha"].values[known] > 0).all()


def test_response_by_hand() -> None:
    # one step, so w = 1. Rain 75 mm is half of the need: W = 0.5. 31 degC: H = 2. Clay 35, pH 5.5, 2007:
    # 3600 (1 - 0.85 * 0.5) (1 - 0.05 * 2) = 3600 * 0.575 * 0.9 = 1863
    one = (np.array([[75.0]]), np.array([[31.0]]))
    assert synthetic.response(*one, np.array([35.0]), np.array([5.5]), np.array([2007])) == pytest.approx(
        1863
    )
    # two steps: centre 0.45, width 0.26: exponents 0.2025/0.1352 and 0.3025/0.1352, so the weights are in
    # the ratio exp(0.1/0.1352) : 1 = 2.0952 : 1, that is 0.67692 and 0.32308. Clay 40 keeps 0.3 of the
    # last month: supply 30 and 51 + 0.3 * 30 = 60; deficits 0.8 and 0.6, W = 0.73538. No heat at 29 degC.
    # 2017, clay 40, pH 6: level 1 + 0.12 + 0.02 + 0.04 = 1.18. 6500 * 1.18 * (1 - 0.85 * 0.73538) = 2875.6
    two = (np.array([[30.0, 51.0]]), np.array([[29.0, 20.0]]))
    found = synthetic.response(*two, np.array([40.0]), np.array([6.0]), np.array([2017]), "corn")
    assert found == pytest.approx(2875.6, abs=0.2)


def test_yields_are_response_times_level_plus_shock_and_noise() -> None:
    total = total_of(TRUTH)[0]
    known = np.isfinite(yields_of(TABLES))
    np.testing.assert_allclose(yields_of(TABLES)[known], np.maximum(total, 50)[known], atol=0.5001)
    # the parts have the sizes that the docstring states, in shares of 3600 kg/ha (sd 4 % and 7 %)
    assert TRUTH["noise_kg_ha"].std() == pytest.approx(0.07 * 3600, rel=0.05)
    assert len(np.unique(TRUTH["shock_kg_ha"].values[0, :, 0])) == len(np.unique(TABLES.static["region"]))


def test_only_weather_inside_the_window_counts() -> None:
    windows = {
        state: np.concatenate([calendars.brazil().window("soybean", state, y) for y in range(2007, 2019)])
        for state in np.unique(TABLES.static["state"])
    }
    months = TABLES.weather["time"].values.astype("datetime64[M]")
    inside = np.stack([np.isin(months, windows[state]) for state in TABLES.static["state"].values])
    keep = xr.DataArray(inside, dims=("municipality", "time"))
    assert 0.6 < inside.mean() < 0.8  # nine months of twelve, in 12 of 13 years
    changed = TABLES._replace(weather=TABLES.weather.where(keep, 0.0))
    xr.testing.assert_equal(synthetic.true_response(changed), TRUTH)


def test_weather_explains_most_of_the_change_from_year_to_year() -> None:
    seen = np.where(np.isfinite(yields_of(TABLES)), TRUTH["expected_yield_kg_ha"].values[0], np.nan)
    parts = [np.nanvar(v - np.nanmean(v, axis=1, keepdims=True)) for v in (seen, yields_of(TABLES))]
    assert 0.5 < parts[0] / parts[1] < 0.85


@pytest.mark.parametrize("seed", [1, 2])
def test_boosted_trees_with_weather_beat_last_year(seed: int) -> None:
    tables = synthetic.country(seed)
    target, count = yields_of(tables), tables.static.sizes["municipality"]
    years = tables.yields["harvest_year"].values
    starts = calendars.brazil().starts(
        "soybean", np.repeat(tables.static["state"].values, len(years)), np.tile(years, count)
    )
    first = tables.weather["time"].values[0].astype("datetime64[M]")
    steps = (starts - first).astype(int).reshape(count, -1, 1) + np.arange(9)
    rows = np.arange(count)[:, None, None]
    weather = [tables.weather[name].values[rows, steps] for name in tables.weather.data_vars]
    soil = [tables.static[f"{name}"].values[:, :1] for name in ("clay_pct", "ph_h2o")]
    place = [tables.static[f"{name}_deg"].values[:, None] for name in ("latitude", "longitude")]
    fixed = np.concatenate([*soil, *place], axis=1)[:, None, :].repeat(len(years), axis=1)
    features = np.concatenate([*weather, fixed], axis=-1)
    known = np.isfinite(target)
    train, test = known.copy(), known.copy()
    train[:, 9:] = False
    test[:, :9] = False
    test[:, 1:] &= known[:, :-1]
    model = HistGradientBoostingRegressor(max_iter=150, learning_rate=0.08, random_state=0)
    with threadpool_limits(1):  # its threads wait for each other on a busy machine
        predicted = model.fit(features[train], target[train]).predict(features[test])
    last_year = np.roll(target, 1, axis=1)[test]
    best = synthetic.true_response(tables)["expected_yield_kg_ha"].values[0][test]
    assert rmse(predicted, target[test]) < 0.85 * rmse(last_year, target[test])
    assert rmse(best, target[test]) < rmse(predicted, target[test])


def test_dry_years_are_shared_by_a_region() -> None:
    rain = TABLES.weather["precipitation_mm"]
    ratio = (rain.groupby("time.month") / rain.groupby("time.month").mean()).transpose("municipality", "time")
    relation = np.corrcoef(ratio.values)
    state, region = TABLES.static["state"].values, TABLES.static["region"].values
    same_state = state[:, None] == state
    neighbours = (region[:, None] == region) & ~same_state
    far = region[:, None] != region
    off_diagonal = ~np.eye(len(state), dtype=bool)
    assert relation[same_state & off_diagonal].mean() > relation[neighbours].mean() + 0.2
    assert relation[neighbours].mean() > relation[far].mean() + 0.05


def test_files_have_the_columns_that_the_import_reads(tmp_path: Path) -> None:
    tables = synthetic.country(municipalities=60, harvest_years=3)
    synthetic.write_files(tmp_path / "new" / "folder", tables)
    folder = tmp_path / "new" / "folder"
    places, soil, yields = (pd.read_csv(folder / f"{name}.csv") for name in ("places", "soil", "yields"))
    assert ",".join(places) == "municipality_code,name,state,region,latitude_deg,longitude_deg"
    assert ",".join(yields) == (
        "municipality_code,crop,harvest_year,yield_kg_ha,area_harvested_ha,area_planted_ha,production_t"
    )
    columns = [resolve(name) for name in soil.columns[1:]]
    assert {(c.quantity.name, c.layer, c.factor) for c in columns if c} == {
        (name, layer, 1.0) for name in SOILS for layer in synthetic.LAYERS
    }
    assert len(soil) == np.isfinite(tables.static["clay_pct"].values[:, 0]).sum()
    assert len(yields) == np.isfinite(tables.yields["yield_kg_ha"].values).sum()
    with xr.open_dataset(folder / "weather.nc", engine="h5netcdf") as weather:
        assert weather.attrs["synthetic"] == 1
        assert weather["municipality"].values.astype(str).tolist() == tables.static["code"].values.tolist()
        np.testing.assert_array_equal(weather["tmax_degC"], tables.weather["tmax_degC"])
    assert places["name"][0].startswith("Sintético 001")
    assert sorted(p.name for p in folder.iterdir()) == ["places.csv", "soil.csv", "weather.nc", "yields.csv"]


SOILS = tuple(str(name) for name in TABLES.static.data_vars if "soil_layer" in TABLES.static[name].dims)


def test_soil_is_the_nine_properties_of_2017() -> None:
    assert len(SOILS) == 9
    assert "nitrogen_g_kg" not in SOILS
    assert TABLES.static["soil_layer"].values.tolist() == [
        "0cm",
        "5cm",
        "15cm",
        "30cm",
        "60cm",
        "100cm",
        "200cm",
    ]


def test_a_disk_that_refuses_is_a_clear_error(tmp_path: Path) -> None:
    tables = synthetic.country(municipalities=2, harvest_years=1)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(MissingDataError, match="expected a folder") as refusal:
        synthetic.write_files(tmp_path / "file", tables)
    assert refusal.value.hint


def test_foreign_country_and_its_calendar_belong_together(tmp_path: Path) -> None:
    tables, text = synthetic.foreign(municipalities=12, harvest_years=4)
    schema.check_static(tables.static)
    schema.check_weather(tables.weather)
    schema.check_yields(tables.yields)
    assert tables.static["code"].values[1] == "AR-0612"
    path = tmp_path / "calendar.csv"
    path.write_text(text)
    calendar = calendars.read(path)
    assert set(tables.yields["crop"].values) == set(calendar.crops)
    truth = synthetic.true_response(tables, calendar)
    total = total_of(truth)
    known = np.isfinite(tables.yields["yield_kg_ha"].values)
    np.testing.assert_allclose(tables.yields["yield_kg_ha"].values[known], total[known], atol=0.5001)
    # planting 15/10 is later in the year than harvest 20/03: the window starts in October before
    assert calendar.starts("soybean", ["AR-B"], np.array([2012]))[0] == np.datetime64("2011-10")


@pytest.mark.parametrize(
    "arguments",
    [{"crop": "coffee"}, {"crop": "sunflower"}, {"municipalities": 0}, {"harvest_years": 0}],
)
def test_nothing_to_make_is_refused(arguments: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="expected crops of corn") as refusal:
        synthetic.country(**arguments)  # type: ignore[arg-type]
    assert refusal.value.hint


def test_all_of_brazil_takes_less_than_five_seconds() -> None:
    began = time.process_time()
    assert synthetic.country(municipalities=5570).static.sizes["municipality"] == 5570
    assert time.process_time() - began < 5
