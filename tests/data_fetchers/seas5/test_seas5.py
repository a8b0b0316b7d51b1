"""SEAS5: what is asked, what is refused, and the table by hand-worked numbers.

The stand-in's formula is in servers/seas5_files.py: departures of a forecast from the hindcast's mean are
0.05 (year - 2004.5) + 0.1 (member - 12) for tmax, 0.03 (...) + 0.05 (...) for tmin, and the ratio of rain is
1 + 0.02 (member - 12); a drift by lead is added to both sides and has to vanish.
"""

import datetime as dt
import importlib
import io
import json
import pickle
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from data_fetchers.cds.client import Cds
from data_fetchers.engine.cache import RequestCache
from data_fetchers.engine.downloader import fetch_requests
from data_fetchers.engine.source import NotYetPublishedError, RequestTooLargeError, Retry
from data_fetchers.seas5.answers import published, system_of
from data_fetchers.seas5.source import Seas5, newest_start, read_seasonal
from yieldcast.data.files import read_netcdf, write_netcdf
from yieldcast.data.schema import check_seasonal
from yieldcast.errors import ConfigError, FetchError, MissingDataError

SERVERS = Path(__file__).parents[1] / "servers"
TODAY = dt.date(2026, 11, 21)
AREA = (-11.0, -58.0, -14.0, -54.0)  # holds the eight places of MT, not the sixteen of GO and PR
NOVEMBER = np.datetime64("2024-11", "M")


@pytest.fixture(scope="module")
def files():
    """The stand-in's module of files, for tests that need no server."""
    sys.path.insert(0, str(SERVERS))
    try:
        yield importlib.import_module("seas5_files")
    finally:
        sys.path.remove(str(SERVERS))


@pytest.fixture(scope="module")
def static(files):
    """The stand-in country's places."""
    rows = importlib.import_module("country").municipalities()
    return xr.Dataset(
        {
            "latitude_deg": ("municipality", np.array([r["lat"] for r in rows])),
            "longitude_deg": ("municipality", np.array([r["lon"] for r in rows])),
        },
        coords={"municipality": np.array([r["id"] for r in rows], np.int32)},
    )


class Store:
    """The Climate Data Store in process: answers by formula, faults once or always, edits of the contents."""

    made: dict = {}  # noqa: RUF012  answers are the same in all tests

    def __init__(self, files, faults=(), edit=None, limit=10**9, error=None):
        self.files, self.faults, self.edit, self.limit, self.error = files, list(faults), edit, limit, error
        self.asked: list[dict] = []

    def retrieve(self, dataset, request, target, job):
        self.asked.append(request)
        if self.error:
            raise self.error
        if len(request["variable"]) * len(request["year"]) > self.limit:
            raise RequestTooLargeError("cost limits exceeded")
        fault = self.faults.pop(0) if self.faults else None
        key = json.dumps([request, fault])
        if key not in self.made:
            self.made[key] = self.files.make(dataset, request, fault)
        members = [(name, self._edited(content)) for name, content in self.made[key]]
        if len(members) == 1:
            target.write_bytes(members[0][1])
        else:
            with zipfile.ZipFile(target, "w") as archive:
                for name, content in members:
                    archive.writestr(name, content)
        return {"job_id": "1"}

    def _edited(self, content):
        if self.edit is None:
            return content
        with xr.open_dataset(io.BytesIO(content), engine="h5netcdf") as ds:
            return bytes(self.edit(ds.load()).to_netcdf(engine="h5netcdf"))


def fetched(tmp_path, quick, store, starts, **settings):
    """Source and summary after a fetch of these starts."""
    source = Seas5(store, area=AREA, **settings)
    requests, _ = source.seasonal_requests(starts, TODAY)
    (summary,) = fetch_requests([(source, requests)], tmp_path, retry=quick, today=TODAY)
    return source, summary


def table_of(tmp_path, quick, store, static, starts, **settings):
    source, summary = fetched(tmp_path, quick, store, starts, **settings)
    assert not summary.missing
    return read_seasonal(RequestCache(tmp_path / "seas5"), source, starts, static)


def texts(notes):
    return {note.text: note.count for note in notes}


def test_the_request_and_the_hindcast_beside_it():
    requests, notes = Seas5(Cds()).seasonal_requests([np.datetime64("2026-11-01")], TODAY)
    forecast, hindcast = (request.parameters["inputs"] for request in requests)
    assert forecast == {
        "originating_centre": ["ecmwf"],
        "system": ["51"],
        "product_type": ["monthly_mean"],
        "variable": [
            "maximum_2m_temperature_in_the_last_24_hours",
            "minimum_2m_temperature_in_the_last_24_hours",
            "total_precipitation",
        ],
        "year": ["2026"],
        "month": ["11"],
        "leadtime_month": ["1", "2", "3", "4", "5", "6"],
        "area": [6.0, -74.0, -34.0, -32.0],
        "data_format": "netcdf",
        "download_format": "unarchived",
    }
    assert hindcast == {**forecast, "year": [str(year) for year in range(1993, 2017)]}
    assert requests[0].parameters["dataset"] == "seasonal-monthly-single-levels"
    assert [request.name for request in requests] == ["forecast-2026-11", "hindcast-51-m11"]
    assert not notes


def test_every_start_is_compared_with_its_own_system():
    months = [np.datetime64(m, "M") for m in ("2017-11", "2021-11", "2022-10", "2022-11", "2023-11")]
    assert [system_of(m) for m in months] == [5, 5, 5, 51, 51]
    requests, _ = Seas5(Cds()).seasonal_requests(months, TODAY)
    hindcasts = [p.name for p in requests if p.name.startswith("hindcast")]
    assert sorted(hindcasts) == ["hindcast-5-m10", "hindcast-5-m11", "hindcast-51-m11"]
    assert {p.parameters["inputs"]["system"][0] for p in requests if "-51-" in p.name} == {"51"}
    with pytest.raises(ConfigError, match="2017-10"):
        Seas5(Cds()).seasonal_requests([np.datetime64("2017-10")], TODAY)


def test_when_a_start_is_out():
    # The day after the release at 12 UTC: the 13th, later the 6th.
    assert published(np.datetime64("2021-05")) == dt.date(2021, 5, 14)
    assert published(np.datetime64("2026-11")) == dt.date(2026, 11, 7)
    assert newest_start(dt.date(2026, 11, 6)) == np.datetime64("2026-10")
    assert newest_start(dt.date(2026, 11, 7)) == np.datetime64("2026-11")
    assert newest_start(dt.date(2027, 1, 1)) == np.datetime64("2026-12")


def test_a_start_that_is_not_out_is_a_note_and_no_request():
    requests, notes = Seas5(Cds()).seasonal_requests([np.datetime64("2026-12")], TODAY)
    assert requests == []
    assert [(n.missing, "2026-12-07" in n.text) for n in notes] == [(True, True)]


def test_the_table_by_hand(tmp_path, quick, files, static):
    table, notes = table_of(tmp_path, quick, Store(files), static, [NOVEMBER])
    check_seasonal(table)
    # 2024: 0.05 * 19.5 = 0.975; member 0: 0.1 * -12 = -1.2; member 50: 0.1 * 38 = 3.8. No drift, any lead.
    tmax = table["tmax_anomaly_degC"].values
    np.testing.assert_allclose(tmax[:, :, 0], 0.975 - 1.2, atol=2e-4)
    np.testing.assert_allclose(tmax[:, :, 50], 0.975 + 3.8, atol=2e-4)
    # 0.03 * 19.5 = 0.585; 0.05 * -12 = -0.6; 0.05 * 38 = 1.9
    tmin = table["tmin_anomaly_degC"].values
    np.testing.assert_allclose(tmin[:, :, 0], 0.585 - 0.6, atol=2e-4)
    np.testing.assert_allclose(tmin[:, :, 50], 0.585 + 1.9, atol=2e-4)
    # 1 - 0.24 and 1 + 0.76; April, where a cell is dry, is left out. February (lead 4) has 28 days now, 28.25
    # on average in 1994-2017 (6 of 24 are leap years).
    days = np.array([1, 1, 1, 28 / 28.25, 1])[:, None]
    ratio = table["precipitation_ratio"].values[0, :5]
    for member, by_hand in ((0, 0.76), (50, 1.76)):
        wanted = np.broadcast_to(by_hand * days, ratio[:, member].shape)
        np.testing.assert_allclose(ratio[:, member], wanted, rtol=1e-4)
    assert table["published"].values.astype("datetime64[D]").astype(str).tolist() == ["2024-11-07"]
    assert table.attrs["hindcast_years"] == "1993-2016"
    assert texts(notes)["places outside the area of the forecast"] == 16
    assert not [note for note in notes if note.missing]


def test_places_take_the_nearest_cell_and_only_those_are_kept(tmp_path, quick, files, static):
    table, _ = table_of(tmp_path, quick, Store(files), static, [NOVEMBER])
    cell = table["municipality_cell"].sel(system=51).values
    inside = static["latitude_deg"].values > -13
    assert (cell[~inside] == -1).all()
    for axis in ("latitude", "longitude"):
        centre, place = table[f"cell_{axis}_deg"].values[cell[inside]], static[f"{axis}_deg"].values[inside]
        assert (np.abs(centre - place) <= 0.5).all()
        assert (centre % 1 == 0.5).all()
    assert sorted(set(cell[inside])) == list(range(table.sizes["cell"]))


def test_dry_months_keep_the_climatology(tmp_path, quick, files, static):
    # May to October: where the formula's rain times days times the drift (0.8 + 0.1 lead) is below 1 mm: 1.
    start = np.datetime64("2025-05", "M")
    table, notes = table_of(tmp_path, quick, Store(files), static, [start])
    lat, lon = table["cell_latitude_deg"].values, table["cell_longitude_deg"].values
    usual = np.array([[files.usual("tprate", m, [a], [b]).item() for a, b in zip(lat, lon, strict=True)]
                      for m in range(5, 11)])  # fmt: skip
    mean_mm = usual * np.array([31, 30, 31, 31, 30, 31])[:, None] * (0.8 + 0.1 * np.arange(1, 7))[:, None]
    dry = mean_mm < 1
    ratio = table["precipitation_ratio"].values[0]
    assert 0 < dry.sum() < dry.size
    assert (ratio.transpose(0, 2, 1)[dry] == 1).all()
    np.testing.assert_allclose(ratio[:, 0][~dry], 0.76, rtol=1e-4)
    assert texts(notes)["months of cells with a hindcast mean below 1 mm: rain ratio set to 1"] == dry.sum()


def test_two_systems_in_one_table_each_on_its_own_grid(tmp_path, quick, files, static):
    starts = [np.datetime64("2022-10", "M"), np.datetime64("2022-11", "M")]
    table, _ = table_of(tmp_path, quick, Store(files), static, starts)
    check_seasonal(table)
    assert table["start_system"].values.tolist() == [5, 51]
    for row, (system, offset) in enumerate(((5, 0.0), (51, 0.5))):
        cell = table["municipality_cell"].sel(system=system).values
        mine = np.isin(np.arange(table.sizes["cell"]), cell)
        tmax = table["tmax_anomaly_degC"].values[row]
        # 2022: 0.05 * 17.5 = 0.875; member 12 adds nothing
        np.testing.assert_allclose(tmax[:, 12][:, mine], 0.875, atol=2e-4)
        assert np.isnan(tmax[..., ~mine]).all()
        assert (table["cell_latitude_deg"].values[mine] % 1 == offset).all()


def test_the_table_survives_the_disk_and_the_source_travels(tmp_path, quick, files, static):
    table, _ = table_of(tmp_path, quick, Store(files), static, [NOVEMBER])
    write_netcdf(tmp_path / "seasonal.nc", table)
    back = check_seasonal(read_netcdf(tmp_path / "seasonal.nc"))
    assert back.identical(table) or back.equals(table)
    assert back.attrs == table.attrs
    source = Seas5(Cds())
    assert pickle.loads(pickle.dumps(source)) == source


@pytest.mark.parametrize("fault", ["members_missing", "leads_missing", "all_nan", "wrong_grid"])
def test_an_answer_that_is_not_whole_is_asked_for_again(tmp_path, quick, files, static, fault):
    store = Store(files, faults=[fault])
    table, _ = table_of(tmp_path, quick, store, static, [NOVEMBER])
    assert len(store.asked) == 3  # two parts, one of them twice
    np.testing.assert_allclose(table["tmax_anomaly_degC"].values[:, :, 12], 0.975, atol=2e-4)


@pytest.mark.parametrize("fault", ["members_missing", "leads_missing", "all_nan", "wrong_grid"])
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
        one_empty_member,
    ],
)
def test_contents_that_are_not_what_they_say_are_refused(tmp_path, files, edit):
    _, summary = fetched(tmp_path, Retry(tries=1), Store(files, edit=edit), [NOVEMBER])
    names = sorted(name for name, _ in summary.missing)
    assert names == ["forecast-2024-11", "hindcast-51-m11"]
    assert not list((tmp_path / "seas5").glob("*.nc"))


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


def rain_below_zero(ds):
    # 1e-12 m/s are 0.0026 mm in a month of 30 days
    return ds.assign(tprate=(ds["tprate"] - 1e-12).assign_attrs(ds["tprate"].attrs)) if "tprate" in ds else ds


def floods(ds):
    forecast = "tprate" in ds and ds.sizes["number"] == 51
    return ds.assign(tprate=(ds["tprate"] * 10).assign_attrs(ds["tprate"].attrs)) if forecast else ds


def a_hole(ds):
    hole = (ds["latitude"] == -12.5) & (ds["longitude"] == -56.5) & (ds["number"] == 7)
    return ds.where(~hole) if ds.sizes["number"] == 51 else ds


def test_odd_values_are_counted(tmp_path, quick, files, static):
    dry_start = [np.datetime64("2025-05", "M")]
    table, notes = table_of(tmp_path / "a", quick, Store(files, edit=rain_below_zero), static, dry_start)
    assert texts(notes)["rain values below 0 (packing) set to 0"] > 0
    assert table["precipitation_ratio"].values.min() >= 0
    # ten times the rain: member 0 at 7.6 times the usual and all others above, but for a dry cell in April
    table, notes = table_of(tmp_path / "b", quick, Store(files, edit=floods), static, [NOVEMBER])
    ratio = table["precipitation_ratio"].values
    assert (ratio[:, :5] == 5).all()
    assert texts(notes)["rain ratios above 5 set to 5"] == (ratio == 5).sum()
    # one cell of one member, three variables, six leads
    table, notes = table_of(tmp_path / "c", quick, Store(files, edit=a_hole), static, [NOVEMBER])
    assert texts(notes)["values missing in a forecast or its hindcast"] == 18
    assert np.isnan(table["tmax_anomaly_degC"].values).sum() == 6


def test_a_request_that_is_too_big_is_split_and_gives_the_same_table(tmp_path, quick, files, static):
    whole, _ = table_of(tmp_path / "whole", quick, Store(files), static, [NOVEMBER])
    store = Store(files, limit=12)  # one variable of 24 years is split into halves
    split, _ = table_of(tmp_path / "split", quick, store, static, [NOVEMBER])
    years = [len(r["year"]) for r in store.asked if len(r["variable"]) == 1]
    assert years.count(12) == 6
    assert split.equals(whole)


def test_a_split_part_that_lacks_a_piece_is_not_used(tmp_path, quick, files, static):
    source, _ = fetched(tmp_path, quick, Store(files, limit=12), [NOVEMBER])
    cache = tmp_path / "seas5"
    next(cache.glob("hindcast-51-m11-2-1-*.nc")).unlink()
    with pytest.raises(MissingDataError, match="hindcast-51-m11 is missing"):
        read_seasonal(RequestCache(cache), source, [NOVEMBER], static)


def test_the_smallest_part_cannot_be_split():
    (forecast, _), _ = Seas5(Cds()).seasonal_requests([NOVEMBER], TODAY)
    source, pieces = Seas5(Cds()), [forecast]
    pieces = source.split(forecast)
    assert [len(p.parameters["inputs"]["variable"]) for p in pieces] == [1, 1, 1]
    assert source.split(pieces[0]) == []


def test_one_start_missing_leaves_the_others(tmp_path, quick, files, static):
    source, _ = fetched(tmp_path, quick, Store(files), [NOVEMBER])
    starts = [NOVEMBER, np.datetime64("2025-11", "M")]
    table, notes = read_seasonal(RequestCache(tmp_path / "seas5"), source, starts, static)
    assert table.sizes["forecast_reference_time"] == 1
    assert [n.missing for n in notes if "2025-11" in n.text] == [True]


def test_a_start_that_is_not_out_is_told_once(tmp_path, quick, files, static):
    starts = [NOVEMBER, np.datetime64("2025-11", "M"), np.datetime64("2026-12", "M")]
    source, _ = fetched(tmp_path, quick, Store(files), [NOVEMBER])
    cache = RequestCache(tmp_path / "seas5")
    planned = source.seasonal_requests(starts, TODAY)[1]
    _, read = read_seasonal(cache, source, starts, static, TODAY)
    assert [n.missing for n in [*planned, *read] if "2026-12" in n.text] == [True]
    assert [n.missing for n in read if "2025-11" in n.text] == [True]  # out, and not here
    # Out by a later day, it should be here.
    _, read = read_seasonal(cache, source, starts, static, dt.date(2026, 12, 7))
    assert [n.missing for n in read if "2026-12" in n.text] == [True]
    with pytest.raises(MissingDataError, match="starts in 2026-12 is missing"):
        read_seasonal(cache, source, starts[2:], static, TODAY)


def test_no_place_in_the_area_is_an_error(tmp_path, quick, files, static):
    source, _ = fetched(tmp_path, quick, Store(files), [NOVEMBER])
    south = static.isel(municipality=static["latitude_deg"].values < -20)
    with pytest.raises(MissingDataError, match="area of the forecast"):
        read_seasonal(RequestCache(tmp_path / "seas5"), source, [NOVEMBER], south)


def test_what_is_there_is_not_asked_for_again(tmp_path, quick, files):
    fetched(tmp_path, quick, Store(files), [NOVEMBER])
    again = Store(files)
    _, summary = fetched(tmp_path, quick, again, [NOVEMBER])
    assert (summary.kept, again.asked) == (2, [])


@pytest.mark.parametrize("day", ["2026-12-01", "2026-12-15", "2026-12-27", "2028-02-27"])
def test_a_new_start_that_is_refused_is_not_published_yet(set_clock, tmp_path, files, day):
    """A release may be 20 days late: the one of the 7th until the 27th."""
    set_clock(dt.datetime.fromisoformat(f"{day}T23:59+00:00"))
    source, start = Seas5(Store(files, error=FetchError("invalid request"))), np.datetime64(day, "M")
    with pytest.raises(NotYetPublishedError, match="may not be published yet"):
        source.fetch(source.forecast(start), tmp_path / "x", None)
    for request in (source.forecast(NOVEMBER), source.hindcast(start)):
        with pytest.raises(FetchError) as caught:
            source.fetch(request, tmp_path / "x", None)
        assert not isinstance(caught.value, NotYetPublishedError)


@pytest.mark.parametrize("day", ["2026-12-28", "2026-12-31", "2027-01-01", "2028-02-29"])
def test_a_start_that_is_refused_long_after_its_release_is_an_error(set_clock, tmp_path, files, day):
    set_clock(dt.datetime.fromisoformat(f"{day}T00:00+00:00"))
    source = Seas5(Store(files, error=FetchError("invalid request")))
    start = np.datetime64("2028-02" if day > "2028" else "2026-12")
    with pytest.raises(FetchError) as caught:
        source.fetch(source.forecast(start), tmp_path / "x", None)
    assert not isinstance(caught.value, NotYetPublishedError)


@pytest.fixture
def cds(cds_server, monkeypatch):
    monkeypatch.setenv("CDSAPI_KEY", "secret-token-123")
    return Cds(f"{cds_server.url}/api", first_poll_s=0.01, longest_poll_s=0.05)


def test_the_whole_way_through_the_real_client(tmp_path, quick, cds_server, cds, files, static):
    # The forecast's first answer lacks a member, the hindcast's job fails once, and one download is cut off.
    cds_server.faults(
        {"match": "execution", "kind": "members_missing"},
        {"match": "execution", "kind": "fail_job"},
        {"match": "object-store", "kind": "cut"},
    )
    table, _ = table_of(tmp_path / "real", quick, cds, static, [NOVEMBER])
    plain, _ = table_of(tmp_path / "plain", quick, Store(files), static, [NOVEMBER])
    assert table.equals(plain)
    posts = [e for e in cds_server.log() if e["method"] == "POST" and "execution" in e["path"]]
    assert len(posts) == 4
    assert {e["path"].split("/")[-2] for e in posts} == {"seasonal-monthly-single-levels"}


def test_a_costly_request_is_split_at_the_real_client(tmp_path, quick, cds_server, cds, files, static):
    # 24 years, 6 leads, 1 variable cost 144; the hindcast of three variables 432
    cds_server.set(cost_limit=144)
    table, _ = table_of(tmp_path / "real", quick, cds, static, [NOVEMBER])
    plain, _ = table_of(tmp_path / "plain", quick, Store(files), static, [NOVEMBER])
    assert table.equals(plain)
    assert len(list((tmp_path / "real" / "seas5").glob("hindcast-51-m11-?-*.nc"))) == 3


def test_a_forecast_that_the_service_does_not_have_yet(tmp_path, quick, cds_server, cds, static):
    cds_server.set(latest="2024-11-05")
    source, summary = fetched(tmp_path, quick, cds, [NOVEMBER])
    assert [(name, type(error)) for name, error in summary.missing] == [
        ("forecast-2024-11", NotYetPublishedError)
    ]
    assert not list((tmp_path / "seas5").glob("forecast-*.nc"))
    with pytest.raises(MissingDataError, match="starts in 2024-11 is missing; it is published by 2024-11-07"):
        read_seasonal(RequestCache(tmp_path / "seas5"), source, [NOVEMBER], static)
