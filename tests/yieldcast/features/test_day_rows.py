"""Rows of places and seasons: what was known on the day, and nothing of any later day."""

from __future__ import annotations

import copy
import dataclasses
import datetime as dt
import itertools
from typing import get_args

import numpy as np
import pytest

from tests.yieldcast.features import field_store
from yieldcast.config import FORECAST_SETTINGS, RiskSettings
from yieldcast.data.store import Store
from yieldcast.data.vegetation import season_vegetation_table
from yieldcast.errors import LeakageError, MissingDataError
from yieldcast.features.day_rows import rows_for
from yieldcast.features.feature_catalogue import catalogue

DATE, SEASON = dt.date(2016, 1, 20), 2016
TABLES = ("daily", "vegetation", "field_seasons", "yields", "weather")
CONTENTS = ("values", "municipality", "harvest_year", "state", "cutoff", "latitude_deg", "longitude_deg")


def rows_of(store, calendar, years=field_store.YEARS, as_of=DATE, settings=FORECAST_SETTINGS, **chosen):
    return rows_for(store, calendar, "soybean", years, settings, as_of=as_of, season=SEASON, **chosen)


def with_risk(**chosen):
    return FORECAST_SETTINGS.model_copy(update={"risk": RiskSettings(**chosen)})


def column(rows, name):
    return rows.values[:, rows.names.index(name)]


@pytest.fixture(scope="module")
def fields(tmp_path_factory):
    return field_store.store(tmp_path_factory.mktemp("fields"))


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """As `fields`, without the dates of fields: sowing is that of the calendar."""
    return field_store.store(tmp_path_factory.mktemp("places"), without=("field_seasons",))


@pytest.fixture(scope="module")
def months(tmp_path_factory):
    """As `places`, with monthly weather only."""
    path = tmp_path_factory.mktemp("months")
    return field_store.store(path, without=("daily", "field_seasons", "vegetation"))


def changed_later(store, as_of):
    """The store, in memory, with every value changed that was not public on a day, and every later date."""
    changed = {name: getattr(store, name).copy(deep=True) for name in TABLES if name in store}
    today = np.datetime64(as_of)
    rng = np.random.default_rng(9)
    for name, low in (("tmax_degC", 35), ("tmin_degC", 25), ("precipitation_mm", 30)):
        if "daily" in changed:
            days = changed["daily"]["time"].values.astype("datetime64[D]")
            changed["daily"][name].values[:, days > today - 6] += low  # public after five days
    if "vegetation" in changed:
        seen = changed["vegetation"]
        late = seen["date"].values.astype("datetime64[D]") >= today
        for name in ("ndvi", "evi"):
            seen[name].values[late] = rng.uniform(-1, 1, int(late.sum()))
        seen["clear"].values[late] = 0
    for name, shift in (("sowing_date", 3), ("harvest_date", 5)):
        if "field_seasons" in changed:
            dates = changed["field_seasons"][name].values
            dates[dates > np.datetime64(as_of, "ns")] += np.timedelta64(shift, "D")
    yields, weather = changed["yields"], changed["weather"]
    newest = FORECAST_SETTINGS.data.publication().last_public_harvest_year(as_of)
    yields["yield_kg_ha"].values[..., yields["harvest_year"].values > newest] *= 1.7
    publication = FORECAST_SETTINGS.data.publication()
    months = weather["time"].values.astype("datetime64[D]").astype(object)
    late = np.array([publication.weather_public(month) > as_of for month in months])
    weather["precipitation_mm"].values[:, late] *= 3
    other = copy.copy(store)
    other.__dict__.update(changed)
    return other


@pytest.mark.parametrize("as_of", [dt.date(2015, 10, 20), DATE, dt.date(2016, 5, 2)])
@pytest.mark.parametrize("kind", ["fields", "places", "months"])
def test_nothing_later_moves_a_digit(request, kind, calendar, as_of):
    store = request.getfixturevalue(kind)
    other = changed_later(store, as_of)
    for cutoff in get_args(RiskSettings.model_fields["cutoff"].annotation) if kind == "fields" else [None]:
        settings = with_risk(cutoff=cutoff) if cutoff else FORECAST_SETTINGS
        before, after = (rows_of(one, calendar, as_of=as_of, settings=settings) for one in (store, other))
        assert before.names == after.names
        for name in CONTENTS:
            here, there = getattr(before, name), getattr(after, name)
            assert np.array_equal(here, there, equal_nan=here.dtype.kind == "f"), name
        assert before.left_out == after.left_out


@pytest.mark.parametrize("kind", ["fields", "places", "months"])
def test_earlier_values_do_move_them(request, kind, calendar):
    store = request.getfixturevalue(kind)
    before, after = (rows_of(one, calendar) for one in (store, changed_later(store, dt.date(2015, 11, 30))))
    assert not np.array_equal(after.values, before.values, equal_nan=True)


def test_municipalities_are_cut_on_the_same_day_of_each_season(places, calendar):
    rows = rows_of(places, calendar)
    assert len(rows) == 4 * 5
    expected = [np.datetime64(f"{year}-01-20") for year in rows.harvest_year]
    assert rows.cutoff.tolist() == np.array(expected).tolist()
    # 30 days to the last day that was public, 14 January
    daily = places.daily
    place, year = rows.municipality[7], int(rows.harvest_year[7])
    unit = int(daily["municipality_unit"].sel(municipality=place))
    days = daily["precipitation_mm"].isel(unit=unit).sel(time=slice(f"{year - 1}-12-16", f"{year}-01-14"))
    assert days.sizes["time"] == 30
    assert column(rows, "precipitation_30d_mm")[7] == pytest.approx(float(days.sum()), abs=1e-3)


def test_past_yields_are_those_public_on_the_cutoff(places, calendar):
    rows = rows_of(places, calendar)
    yields = places.yields["yield_kg_ha"].sel(crop="soybean")
    checked = 0
    for place, year, value in zip(
        rows.municipality, rows.harvest_year, column(rows, "last_public_kg_ha"), strict=True
    ):
        own = float(yields.sel(municipality=place).reindex(harvest_year=[year - 2])[0])
        if np.isfinite(own):  # the yields of the year before come out in September
            assert value == pytest.approx(own)
            checked += 1
    assert checked > 8


def test_fields_are_cut_before_harvest_once_it_is_known(fields, calendar):
    late = dt.date(2016, 6, 1)
    rows = rows_of(fields, calendar, as_of=late, settings=with_risk(cutoff="before_harvest"))
    table = fields.field_seasons
    harvest = table["harvest_date"].values.astype("datetime64[D]")
    assert (rows.cutoff == harvest - 30).all()
    before = with_risk(cutoff="before_harvest", days_before_harvest=45)
    earlier = rows_of(fields, calendar, as_of=late, settings=before)
    assert (earlier.cutoff == harvest - 45).all()
    sowing = table["sowing_date"].values.astype("datetime64[D]")
    after_sowing = with_risk(cutoff="after_sowing", days_after_sowing=80)
    fixed = rows_of(fields, calendar, as_of=late, settings=after_sowing)
    assert (fixed.cutoff == sowing + 80).all()


def test_fields_are_cut_before_the_harvest_to_expect(fields, calendar):
    rows = rows_of(fields, calendar, as_of=dt.date(2016, 6, 1))
    table = fields.field_seasons
    sowing, harvest = (table[f"{n}_date"].values.astype("datetime64[D]") for n in ("sowing", "harvest"))
    length = int(np.median((harvest - sowing).astype(int)))
    assert (rows.cutoff == sowing + length - 30).all()
    # a shorter season is cut on the day before its harvest
    late = rows_of(fields, calendar, as_of=dt.date(2016, 6, 1), settings=with_risk(days_before_harvest=0))
    assert (late.cutoff == np.minimum(sowing + length, harvest - 1)).all()
    other = rows_of(
        fields,
        calendar,
        as_of=dt.date(2016, 6, 1),
        years=[2014],
        municipalities=[table["municipality"].values[0]],
    )
    assert other.cutoff.tolist() == [rows.cutoff[2]]


def test_during_the_season_earlier_ones_are_cut_at_the_same_age(fields, calendar):
    rows = rows_of(fields, calendar)
    sowing = fields.field_seasons["sowing_date"].values.astype("datetime64[D]")
    harvest = fields.field_seasons["harvest_date"].values.astype("datetime64[D]")
    now = rows.harvest_year == SEASON
    age = int(np.median((np.datetime64(DATE) - sowing[now]).astype(int)))
    length = int(np.median((harvest - sowing)[~now].astype(int)))
    expected = np.minimum(sowing + age, sowing + length - 30)
    assert (rows.cutoff[~now] == expected[~now]).all()
    assert (rows.cutoff[now] == np.minimum(np.datetime64(DATE), sowing + length - 30)[now]).all()


def test_a_field_that_is_not_sown_yet_has_no_season(fields, calendar):
    rows = rows_of(fields, calendar, as_of=dt.date(2015, 10, 1))
    now = rows.harvest_year == SEASON
    assert np.isfinite(column(rows, "precipitation_30d_mm")[now]).all()
    assert not any("since_sowing" in name or name.startswith("ndvi") for name in rows.names)


def test_months_stand_in_for_days(months, calendar):
    rows = rows_of(months, calendar)
    names = [name for name in rows.names if "_month_" in name]
    assert {"precipitation_month_1_mm", "tmax_anomaly_month_2_degC"} <= set(names)
    place, year = rows.municipality[3], int(rows.harvest_year[3])
    start = calendar.starts("soybean", [rows.state[3]], np.array([year]))[0]
    known = int((np.datetime64(f"{year}-01", "M") - start).astype(int))  # December was public on 6 January
    rain = months.weather["precipitation_mm"].sel(municipality=place, time=str(start)).values[0]
    assert column(rows, "precipitation_month_1_mm")[3] == pytest.approx(rain)
    unknown = f"precipitation_month_{known + 1}_mm"
    assert unknown not in rows.names or np.isnan(column(rows, unknown)[3])
    anomaly = column(rows, "precipitation_anomaly_month_1_mm")
    assert abs(np.mean(anomaly)) < np.std(anomaly)


def test_summaries_of_seasons_count_once_they_are_public(places, calendar, tmp_path):
    made, optional = field_store.tables()
    codes = made.static["municipality"].values
    years = np.array(field_store.YEARS, dtype=np.int16)
    values = np.random.default_rng(2).uniform(0.3, 0.9, (len(codes), len(years)))
    public = {
        "ndvi_sowing": np.array([f"{year}-01-10" for year in years], dtype="datetime64[D]"),
        "ndvi_max": np.array([f"{year}-05-10" for year in years], dtype="datetime64[D]"),
    }
    table = season_vegetation_table({"ndvi_sowing": values, "ndvi_max": values / 2}, public, codes, years)
    store = Store.write(
        tmp_path / "s", made, {}, optional={"daily": optional["daily"], "season_vegetation": table}
    )
    rows = rows_of(store, calendar)
    assert "ndvi_sowing_this_season" in rows.names
    assert "ndvi_max_this_season" not in rows.names
    np.testing.assert_allclose(column(rows, "ndvi_sowing_this_season"), values.ravel(), rtol=1e-6)
    last = column(rows, "ndvi_max_last_season").reshape(len(codes), len(years))
    np.testing.assert_allclose(last[:, 1:], values[:, :-1] / 2, rtol=1e-6)
    assert np.isnan(last[:, 0]).all()


def test_every_feature_is_in_the_catalogue(fields, places, calendar):
    known = {one.name: one for one in catalogue()}
    assert len(known) == len(catalogue())
    for store in (fields, places):
        rows = rows_of(store, calendar)
        for one in rows.features:
            same = dataclasses.replace(one, name=one.name) if one.group != "soil" else None
            assert same is None or known[one.name] == one


def test_constant_and_unknown_features_are_left_out(fields, calendar):
    rows = rows_of(fields, calendar)
    assert rows.left_out["features unknown in all rows"] > 0  # ripening on 20 January
    assert not any("ripening" in name for name in rows.names)
    for values in rows.values.T:
        assert len(set(values[np.isfinite(values)])) > 1


def test_chosen_places_and_refusals(fields, places, calendar):
    code = int(places.static["municipality"].values[1])
    for store in (fields, places):
        rows = rows_of(store, calendar, years=[2014, 2016], municipalities=[code])
        assert rows.municipality.tolist() == [code, code]
        assert rows.harvest_year.tolist() == [2014, 2016]
        with pytest.raises(LeakageError, match="up to 2016"):
            rows_of(store, calendar, years=[2016, 2017])
        with pytest.raises(MissingDataError, match="no place has a season"):
            rows_of(store, calendar, municipalities=[])


def test_rows_do_not_depend_on_the_others(fields, calendar):
    whole = rows_of(fields, calendar)
    part = rows_of(fields, calendar, years=[2015])
    mine = whole.harvest_year == 2015
    for name, values in zip(part.names, part.values.T, strict=True):
        assert np.array_equal(values, column(whole, name)[mine], equal_nan=True), name
    assert list(itertools.pairwise(zip(whole.municipality, whole.harvest_year, strict=True))) == sorted(
        itertools.pairwise(zip(whole.municipality, whole.harvest_year, strict=True))
    )
