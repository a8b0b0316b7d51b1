"""SEAS5's answers: systems, publication dates, and what is refused."""

import datetime as dt

import numpy as np
import pytest
from seas5_store import AREA, NOVEMBER, TODAY, Store, fetched, table_of

from data_fetchers.cds.client import Cds
from data_fetchers.engine.cache import RequestCache
from data_fetchers.engine.source import Retry
from data_fetchers.seas5.answers import published, system_of
from data_fetchers.seas5.source import Seas5, newest_start, read_seasonal
from yieldcast.errors import ConfigError, FetchError, MissingDataError


def test_every_start_is_compared_with_its_own_system():
    months = [np.datetime64(m, "M") for m in ("2017-11", "2021-11", "2022-10", "2022-11", "2023-11")]
    assert [system_of(m) for m in months] == [5, 5, 5, 51, 51]
    requests, _ = Seas5(Cds(), AREA).seasonal_requests(months, TODAY)
    hindcasts = [p.name for p in requests if p.name.startswith("hindcast")]
    assert sorted(hindcasts) == ["hindcast-5-m10", "hindcast-5-m11", "hindcast-51-m11"]
    assert {p.parameters["inputs"]["system"][0] for p in requests if "-51-" in p.name} == {"51"}
    with pytest.raises(ConfigError, match="2017-10"):
        Seas5(Cds(), AREA).seasonal_requests([np.datetime64("2017-10")], TODAY)


def test_when_a_start_is_published():
    # The day after the release at 12 UTC: the 13th, later the 6th.
    assert published(np.datetime64("2021-05")) == dt.date(2021, 5, 14)
    assert published(np.datetime64("2026-11")) == dt.date(2026, 11, 7)
    assert newest_start(dt.date(2026, 11, 6)) == np.datetime64("2026-10")
    assert newest_start(dt.date(2026, 11, 7)) == np.datetime64("2026-11")
    assert newest_start(dt.date(2027, 1, 1)) == np.datetime64("2026-12")


@pytest.mark.parametrize("fault", ["members_missing", "leads_missing", "all_nan"])
def test_an_incomplete_answer_is_fetched_again(tmp_path, quick, files, static, fault):
    store = Store(files, faults=[fault])
    table, _ = table_of(tmp_path, quick, store, static, [NOVEMBER])
    assert len(store.asked) == 3  # two requests, one of them twice
    np.testing.assert_allclose(table["tmax_anomaly_degC"].values[:, :, 12], 0.975, atol=2e-4)


@pytest.mark.parametrize("fault", ["members_missing", "leads_missing", "all_nan"])
def test_an_answer_that_stays_broken_is_missing_and_leaves_no_file(tmp_path, files, static, fault):
    store = Store(files, faults=[fault] * 4)
    source, summary = fetched(tmp_path, Retry(tries=2, first_s=0.01), store, [NOVEMBER])
    assert sorted(name for name, _ in summary.missing) == ["forecast-2024-11", "hindcast-51-m11"]
    assert all("expected" in str(error) and "received" in str(error) for _, error in summary.missing)
    assert not list((tmp_path / "seas5").glob("*.nc"))
    with pytest.raises(MissingDataError, match="2024-11"):
        read_seasonal(RequestCache(tmp_path / "seas5"), source, [NOVEMBER], static)


def no_year(ds):
    return ds.isel(forecast_reference_time=slice(0, -1))


def another_year(ds):
    return ds.assign_coords(forecast_reference_time=ds["forecast_reference_time"] + np.timedelta64(366, "D"))


def twice_the_member(ds):
    return ds.assign_coords(number=np.r_[ds["number"].values[:-1], 0])


def celsius(ds):
    return ds.map(lambda a: a - 273.15 if a.attrs["units"] == "K" else a, keep_attrs=True)


def other_units(ds):
    for array in ds.data_vars.values():
        array.attrs["units"] = "degC" if array.attrs["units"] == "K" else "mm"
    return ds


def half_the_area(ds):
    return ds.isel(latitude=slice(0, 1))


def other_names(ds):
    return ds.rename({name: f"{name}_x" for name in ds.data_vars})


def unequal_steps(ds):
    return ds.assign_coords(latitude=ds["latitude"] + 0.3 * (ds["latitude"] > ds["latitude"].mean()))


def one_empty_member(ds):
    return ds.where(ds["number"] != 3)


@pytest.mark.parametrize(
    "edit",
    [
        no_year,
        another_year,
        twice_the_member,
        celsius,
        other_units,
        half_the_area,
        other_names,
        unequal_steps,
        one_empty_member,
    ],
)
def test_contents_that_are_not_what_they_say_are_refused(tmp_path, files, edit):
    _, summary = fetched(tmp_path, Retry(tries=1), Store(files, edit=edit), [NOVEMBER])
    names = sorted(name for name, _ in summary.missing)
    assert names == ["forecast-2024-11", "hindcast-51-m11"]
    assert not list((tmp_path / "seas5").glob("*.nc"))


def half_degree(ds):
    axes = {name: np.arange(ds[name].min(), ds[name].max() + 0.1, 0.5) for name in ("latitude", "longitude")}
    return ds.interp(axes).assign_attrs(ds.attrs).map(lambda a: a.assign_attrs(ds[a.name].attrs))


def whole_degrees(ds):
    return ds.assign_coords(latitude=ds["latitude"] - 0.5, longitude=ds["longitude"] + 0.5)


@pytest.mark.parametrize("edit", [half_degree, whole_degrees])
def test_any_grid_that_all_answers_share_is_accepted(tmp_path, quick, files, static, edit):
    table, _ = table_of(tmp_path, quick, Store(files, edit=edit), static, [NOVEMBER])
    np.testing.assert_allclose(table["tmax_anomaly_degC"].values[:, :, 12], 0.975, atol=2e-4)
    held = table["municipality_cell"].values[0]
    near = abs(table["cell_latitude_deg"].values[held[held >= 0]] - static["latitude_deg"].values[held >= 0])
    assert near.max() <= (0.25 if edit is half_degree else 0.5)


def test_answers_on_two_grids_are_discarded_and_requested_again(tmp_path, quick, files, static):
    fetched(tmp_path, quick, Store(files), [NOVEMBER])
    other = np.datetime64("2025-11")
    source, _ = fetched(tmp_path, quick, Store(files, edit=half_degree), [other])
    cache = RequestCache(tmp_path / "seas5")
    with pytest.raises(FetchError, match="expected the grid of the other answers of system 51"):
        read_seasonal(cache, source, [NOVEMBER, other], static)
    table, _ = table_of(tmp_path, quick, Store(files, edit=half_degree), static, [NOVEMBER, other])
    assert table.sizes["forecast_reference_time"] == 2


def test_a_system_can_be_chosen_for_a_start(tmp_path, quick, files, static):
    store = Store(files)
    table, _ = table_of(tmp_path, quick, store, static, [NOVEMBER], systems=(("2024-11", 52),))
    assert {request["system"][0] for request in store.asked} == {"52"}
    assert (table["start_system"].values.tolist(), table["system"].values.tolist()) == ([52], [52])


def east_of_greenwich(ds):
    return ds.assign_coords(longitude=ds["longitude"] % 360)


def one_start_as_a_number(ds):
    return ds.squeeze("forecast_reference_time") if ds.sizes["forecast_reference_time"] == 1 else ds


def upside_down(ds):
    return ds.isel(latitude=slice(None, None, -1)).transpose("latitude", ...)


@pytest.mark.parametrize("edit", [east_of_greenwich, one_start_as_a_number, upside_down])
def test_other_layouts_of_the_same_give_the_same_table(tmp_path, quick, files, static, edit):
    table, _ = table_of(tmp_path / "plain", quick, Store(files), static, [NOVEMBER])
    other, _ = table_of(tmp_path / "other", quick, Store(files, edit=edit), static, [NOVEMBER])
    assert other.equals(table)
