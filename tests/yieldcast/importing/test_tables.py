"""Tables made from a user's files: values by hand, codes, units, days to months, the log."""

from __future__ import annotations

import gzip
import time
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from yieldcast.data import degree_days, synthetic
from yieldcast.data.files import fingerprint
from yieldcast.data.store import Store, Tables
from yieldcast.errors import SchemaError
from yieldcast.importing.columns import ImportLog
from yieldcast.importing.files import read_tables

BRAZIL = Path(__file__).parents[3] / ".." / "shared" / "brazil"

PLACES = """municipality_code,name,lat,lon,state,region,altitude_m
20,Boa Vista,-15.5,-50.25,MT,Centro-Oeste,300
9,São José,-20,-48,SP,Sudeste,500
100,Açu,-10,-45,BA,Nordeste,10
"""
YIELDS = """municipality_code,crop,year,yield_kg_ha,area_harvested_ha,note
20,soybean,2018,3000,10,a
9,soybean,2017,2500,,b
9,corn,2018,5000,7,
100,corn,2018,0,0,
100,soybean,2018,,5,
100,soybean,2017,NA,5,
"""
SOIL = """municipality_code,clay_pct_30_100cm,clay_g_kg_0_30cm,cec_mmolc_kg_0_30cm,ph_h2o_5cm
100,30,250,82,
20,,410,,5.5
"""


def weather_months(codes: object = (9, 20, 100), months: int = 24, start: str = "2016-01") -> xr.Dataset:
    time = (np.datetime64(start, "M") + np.arange(months)).astype("datetime64[ns]")
    count = len(np.asarray(codes))
    base = np.arange(count)[:, None] + np.arange(months)[None, :] / 10
    return xr.Dataset(
        {
            "tmax_degC": (("municipality", "time"), 25 + base, {"units": "degC"}),
            "tmin_degC": (("municipality", "time"), 12 + base, {"units": "degC"}),
            "precipitation_mm": (("municipality", "time"), 80 + base, {"units": "mm"}),
        },
        coords={"municipality": np.asarray(codes), "time": time},
    )


class Files:
    """The four files of a user; change one, read all."""

    def __init__(self, folder: Path) -> None:
        self.places, self.yields = folder / "places.csv", folder / "yields.csv"
        self.weather, self.soil = folder / "weather.nc", folder / "soil.csv"
        self.places.write_text(PLACES)
        self.yields.write_text(YIELDS)
        self.soil.write_text(SOIL)
        self.put_weather(weather_months())

    def put_weather(self, ds: xr.Dataset) -> None:
        ds.to_netcdf(self.weather, engine="h5netcdf")

    def read(self, soil: bool = True) -> tuple[Tables, ImportLog]:
        return read_tables(self.places, self.yields, self.weather, self.soil if soil else None)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def cell(tables: Tables, crop: str, code: int, year: int, name: str = "yield_kg_ha") -> float:
    return float(tables.yields[name].sel(crop=crop, municipality=code, harvest_year=year))


def test_places_and_yields_by_hand(files: Files) -> None:
    tables, report = files.read()
    assert tables.static.municipality.values.tolist() == [9, 20, 100]
    assert tables.static.code.values.tolist() == ["9", "20", "100"]
    assert tables.static.name.values.tolist() == ["São José", "Boa Vista", "Açu"]
    assert tables.static.state.values.tolist() == ["SP", "MT", "BA"]
    assert tables.static.longitude_deg.values.tolist() == [-48, -50.25, -45]
    assert tables.yields.crop.values.tolist() == ["corn", "soybean"]
    assert tables.yields.harvest_year.values.tolist() == [2017, 2018]
    assert cell(tables, "soybean", 20, 2018) == 3000
    assert cell(tables, "soybean", 9, 2017) == 2500
    assert np.isnan(cell(tables, "soybean", 9, 2017, "area_harvested_ha"))
    assert int(tables.yields.yield_kg_ha.notnull().sum()) == 3
    assert report.dropped == [
        ("yields", "soybean: no yield", 2),
        ("yields", "corn: a yield of zero", 1),
    ]
    assert ("places", "columns not used: altitude_m", 1) in report.read
    assert ("yields", "columns not used: note", 1) in report.read


def test_soil_units_and_layers_by_hand(files: Files) -> None:
    tables, report = files.read()
    assert tables.static.soil_layer.values.tolist() == ["0_30cm", "5cm", "30_100cm"]
    clay = tables.static.clay_pct.sel(municipality=[100, 20])
    np.testing.assert_allclose(clay.sel(soil_layer="0_30cm"), [25, 41], rtol=1e-6)  # g/kg x 0.1
    np.testing.assert_array_equal(clay.sel(soil_layer="30_100cm"), [30, np.nan])
    cec = tables.static.cec_cmolc_kg.sel(municipality=100, soil_layer="0_30cm")
    assert float(cec) == pytest.approx(8.2)  # mmol(c)/kg x 0.1
    assert tables.static.clay_pct.sel(municipality=9).isnull().all()
    assert ("soil", "places without soil: 9", 1) in report.warnings


def test_without_soil(files: Files) -> None:
    tables, report = files.read(soil=False)
    assert "soil_layer" not in tables.static.dims
    assert ("soil", "places without soil: no soil file was given", 3) in report.warnings
    assert sorted(report.sources) == ["places", "weather", "yields"]


def test_other_column_names_units_separator_and_gzip(files: Files) -> None:
    """The same tables with other names, units, separators and compression."""
    expected = [fingerprint(t) for t in files.read()[0]]
    files.places.write_bytes(
        "\ufeffuf;NOME;longitude;latitude;codigo_ibge;region\r\n"
        "MT;Boa Vista;-50.25;-15.5;20;Centro-Oeste\r\n"
        "SP;São José;-48;-20;9;Sudeste\r\n\r\n"
        'BA;"Açu";-45;-10;100;Nordeste\r\n'.encode()
    )
    files.yields.write_bytes(
        gzip.compress(
            b"harvest_year,area_harvested_km2,code,yield_t_ha,crop\n"
            b"2018,0.1,20,3,soybean\n2017,,9,2.5, Soybean\n2018,0.07,9,5,corn\n"
        )
    )
    files.put_weather(weather_months().transpose("time", "municipality").isel(municipality=[2, 0, 1]))
    assert [fingerprint(t) for t in files.read()[0]] == expected


def test_yield_from_production_and_area(files: Files) -> None:
    files.yields.write_text(
        "code,crop,year,production_t,area_harvested_ha\n"
        "20,soybean,2018,33,11\n9,soybean,2018,5,0\n100,soybean,2018,,5\n"
    )
    tables, report = files.read()
    assert cell(tables, "soybean", 20, 2018) == pytest.approx(3000)  # 33 t x 1000 / 11 ha
    assert report.dropped == [("yields", "soybean: no yield", 2)]
    assert ("yields", "yields computed as production / harvested area", 3) in report.read


@pytest.mark.parametrize(
    ("values", "unit"), [((3.1, 2.9), "t/ha"), ((51, 57.5), "sacks of 60 kg per hectare")]
)
def test_other_units_in_a_column_of_kg_are_refused(
    files: Files, values: tuple[float, float], unit: str
) -> None:
    first, second = values
    files.yields.write_text(f"code,crop,year,yield_kg_ha\n20,soybean,2018,{first}\n9,soybean,2018,{second}\n")
    with pytest.raises(SchemaError, match=f"soybean: a median yield of .*{unit}") as caught:
        files.read()
    assert "yield_sc_ha" in caught.value.hint


@pytest.mark.parametrize(
    "codes",
    [
        ["AR-0624", "AR-0600", "AR-0612"],
        ["007", "010", "200"],
        ["3000000000", "20", "9"],  # too large for int32
    ],
)
def test_text_codes_become_one_to_n(files: Files, codes: list[str]) -> None:
    for path in (files.places, files.yields, files.soil):
        lines = [line.split(",", 1) for line in path.read_text().splitlines()]
        ids = dict(zip(["20", "9", "100"], codes, strict=True))
        path.write_text("".join(f"{ids.get(code, code)},{rest}\n" for code, rest in lines))
    files.put_weather(weather_months(np.array([codes[1], codes[0], codes[2]])))
    tables, _ = files.read()
    assert tables.static.municipality.values.tolist() == [1, 2, 3]
    assert tables.static.code.values.tolist() == sorted(codes)
    place = 1 + sorted(codes).index(codes[0])  # what was 20
    assert cell(tables, "soybean", place, 2018) == 3000
    assert float(tables.weather.tmax_degC.sel(municipality=place)[0]) == 26
    assert float(tables.static.clay_pct.sel(municipality=place, soil_layer="0_30cm")) == pytest.approx(41)


@pytest.mark.parametrize("shift", ["MS", "ME", "15"])
def test_months_may_have_the_date_of_their_first_middle_or_last_day(files: Files, shift: str) -> None:
    plain = files.read()[0].weather
    ds = weather_months()
    month = ds.time.values.astype("datetime64[M]")
    late = (month + 1).astype("datetime64[D]") - 1
    days = {"MS": month.astype("datetime64[D]"), "ME": late, "15": month.astype("datetime64[D]") + 14}[shift]
    files.put_weather(ds.assign_coords(time=days.astype("datetime64[ns]")))
    assert fingerprint(files.read()[0].weather) == fingerprint(plain)


def test_missing_months_places_and_cells_are_counted(files: Files) -> None:
    ds = weather_months(codes=(9, 20)).isel(time=[i for i in range(24) if i not in (3, 4)])
    ds["tmax_degC"].values[0, 0] = np.nan
    files.put_weather(ds.assign(wind_m_s=ds.tmax_degC))
    tables, report = files.read()
    assert tables.weather.sizes == {"municipality": 3, "time": 24}
    assert tables.weather.tmin_degC.sel(municipality=100).isnull().all()
    assert tables.weather.tmin_degC[0, 3:5].isnull().all()
    assert ("weather", "months not in the file, set to missing, first 2016-04", 2) in report.warnings
    assert ("weather", "places without weather: 100", 1) in report.warnings
    assert ("weather", "missing months of places in tmax_degC", 5) in report.warnings  # 2 x 2 and one cell
    assert ("weather", "columns not used: wind_m_s", 1) in report.read


def test_old_and_new_names_of_degree_days(files: Files) -> None:
    ds = weather_months()
    files.put_weather(ds.assign(gdd10_degC_day=ds.tmax_degC * 0 + 250))
    weather = files.read()[0].weather
    assert weather.gdd_10_degC_day.attrs["units"] == "degC day"
    assert (weather.gdd_10_degC_day == 250).all()


def daily() -> xr.Dataset:
    """2016-01-01 to 2017-12-31; February 2016 has 29 days; rain 2 mm a day; two kinds of days in turn."""
    time = np.arange("2016-01-01", "2018-01-01", dtype="datetime64[D]").astype("datetime64[ns]")
    turn = np.arange(len(time)) % 2
    shape = (3, len(time))
    dims = ("municipality", "time")
    return xr.Dataset(
        {
            "tmax_degC": (dims, np.broadcast_to(np.where(turn == 0, 24.0, 40.0), shape).copy()),
            "tmin_degC": (dims, np.broadcast_to(np.where(turn == 0, 2.0, 20.0), shape).copy()),
            "precipitation_mm": (dims, np.full(shape, 2.0), {"units": "mm/day"}),
        },
        coords={"municipality": [9, 20, 100], "time": time},
    )


def test_days_to_months_by_hand(files: Files) -> None:
    files.put_weather(daily())
    weather, report = files.read()[0].weather, files.read()[1]
    january = weather.sel(municipality=9, time="2016-01-01")
    # 31 days: 16 of 24/2 degC and 15 of 40/20 degC
    assert float(january.tmax_degC) == pytest.approx((16 * 24 + 15 * 40) / 31)
    assert float(january.precipitation_mm) == 62
    assert float(weather.precipitation_mm.sel(municipality=9, time="2016-02-01")) == 58
    # corn, 8 to 30: (24 + 8) / 2 - 8 = 8 and (30 + 20) / 2 - 8 = 17; 16 x 8 + 15 x 17 = 383
    assert float(january.gdd_8_30_degC_day) == 383
    # wheat, 0 to 26: (24 + 2) / 2 = 13 and (26 + 20) / 2 = 23; 16 x 13 + 15 x 23 = 553
    assert float(january.gdd_0_26_degC_day) == 553
    assert set(degree_days.quantities()) <= set(map(str, weather.data_vars))
    assert ("weather", "days turned into months", 731) in report.read


def test_daily_against_xarray_resample(files: Files) -> None:
    rng = np.random.default_rng(5)
    ds = daily()
    ds["tmin_degC"] = ds.tmin_degC + rng.normal(0, 5, ds.tmin_degC.shape)
    ds["tmax_degC"] = ds.tmin_degC + rng.uniform(0, 20, ds.tmin_degC.shape)
    files.put_weather(ds.isel(time=rng.permutation(ds.sizes["time"])))
    weather = files.read()[0].weather
    mean = ds.tmin_degC.resample(time="MS").mean()
    np.testing.assert_allclose(weather.tmin_degC, mean, rtol=1e-5, atol=1e-5)
    days = degree_days.daily(ds.tmax_degC, ds.tmin_degC, 5, 30).resample(time="MS").sum()
    np.testing.assert_allclose(weather.gdd_5_30_degC_day, days, rtol=1e-5, atol=1e-4)


def test_a_month_with_a_missing_day_is_missing(files: Files) -> None:
    ds = daily()
    ds["tmax_degC"].values[1, 40] = np.nan  # 10 February 2016 at 20
    keep = np.delete(np.arange(ds.sizes["time"]), [100])  # no 10 April 2016 anywhere
    files.put_weather(ds.isel(time=keep).isel(time=slice(0, -5)))  # ends on 26 December 2017
    weather, report = files.read()[0].weather, files.read()[1]
    assert np.isnan(weather.tmax_degC.sel(municipality=20, time="2016-02-01"))
    assert np.isnan(weather.gdd_5_30_degC_day.sel(municipality=20, time="2016-02-01"))
    assert float(weather.precipitation_mm.sel(municipality=20, time="2016-02-01")) == 58
    assert float(weather.tmax_degC.sel(municipality=9, time="2016-02-01")) > 0
    for month in ("2016-04-01", "2017-12-01"):
        assert weather.sel(time=month).to_dataarray().isnull().all()
    text = "months with a missing day somewhere, set to missing there, first 2016-02"
    assert ("weather", text, 3) in report.warnings


def test_rain_just_below_zero_is_zero(files: Files) -> None:
    ds = weather_months()
    ds["precipitation_mm"].values[0, :2] = [-1e-6, -0.009]
    files.put_weather(ds)
    tables, report = files.read()
    assert tables.weather.precipitation_mm[0, :2].values.tolist() == [0, 0]
    assert ("weather", "precipitation_mm between -0.01 and 0 set to 0", 2) in report.warnings


@pytest.mark.parametrize("foreign", [False, True])
def test_synthetic_files_are_read_as_the_tables_that_were_written(tmp_path: Path, foreign: bool) -> None:
    made = synthetic.foreign()[0] if foreign else synthetic.country(municipalities=20, harvest_years=3)
    synthetic.write_files(tmp_path, made)
    names = ("places.csv", "yields.csv", "weather.nc", "soil.csv")
    tables, _ = read_tables(*(tmp_path / name for name in names))
    assert [fingerprint(t) for t in tables] == [fingerprint(t) for t in made]
    assert tables.weather.attrs["synthetic"] == 1


def test_imported_twice_the_fingerprints_are_the_same(files: Files, tmp_path: Path) -> None:
    marks = []
    for _ in range(2):
        tables, report = files.read()
        marks.append(Store.write(tmp_path / "store", tables, report.sources).fingerprints)
    assert marks[0] == marks[1]
    assert Store.open(tmp_path / "store").status()["sources"]["places"]["file"] == str(files.places)


def test_the_real_files(tmp_path: Path) -> None:
    if not BRAZIL.is_dir():
        pytest.skip("the real data is not beside this checkout")
    began = time.process_time()
    tables, report = read_tables(
        BRAZIL / "municipalities.csv",
        BRAZIL / "pam_yields.csv.gz",
        BRAZIL / "weather_monthly.nc",
        BRAZIL / "soil.csv.gz",
    )
    status = Store.write(tmp_path / "store", tables, report.sources).status()["tables"]
    assert time.process_time() - began < 20
    assert status["static"]["municipalities"] == 5570
    assert status["static"]["municipalities_without_soil"] == 5570 - 2679
    assert (status["weather"]["months"], status["weather"]["missing_cells"]) == (120, 0)
    assert sum(crop["rows"] for crop in status["yields"]["crops"].values()) == 122_329
    assert "gdd_10_degC_day" in status["weather"]["variables"]
    # the first data line of pam_yields: 1700251,corn,2000,1400; soil of 1100015: CEC 82.167 mmol(c)/kg
    assert cell(tables, "corn", 1700251, 2000) == 1400
    cec = tables.static.cec_cmolc_kg.sel(municipality=1100015, soil_layer="0_30cm")
    assert float(cec) == pytest.approx(8.2167)


def test_a_place_in_no_other_table_is_kept(files: Files) -> None:
    files.places.write_text(PLACES + "101,Far,-1,-60,AM,Norte,5\n")
    tables, report = files.read()
    assert tables.yields.municipality.values.tolist() == [9, 20, 100, 101]
    assert ("weather", "places without weather: 101", 1) in report.warnings
    assert ("soil", "places without soil: 9, 101", 2) in report.warnings


def test_two_code_columns_need_a_choice(files: Files) -> None:
    files.places.write_text(PLACES.replace("municipality_code", "code").replace("name", "municipality"))
    with pytest.raises(SchemaError, match=r"received .'code', 'municipality'.") as caught:
        files.read()
    assert caught.value.hint == "Name the right one municipality_code."
    files.places.write_text(PLACES.replace("altitude_m", "code"))
    assert files.read()[0].static.municipality.values.tolist() == [9, 20, 100]


@pytest.mark.parametrize(
    ("column", "value", "kg_ha"),
    [
        ("yield_sc_ha", "50", 3000),  # sacks of 60 kg
        ("Produtividade (sacas/ha)", "50,5", 3030),
        ("yield_bu_ac", "40", 2690.04),  # 40 x 60 lb / 0.40468564 ha
        ("Rendimento médio da produção (Quilogramas por Hectare)", "3.000,5", 3000.5),
        ("yield_t_ha", "2.686", 2686),  # thousands would be beyond any yield
        ("Yield_kg_ha", '=""3000""', 3000),
    ],
)
def test_units_of_yields(files: Files, column: str, value: str, kg_ha: float) -> None:
    files.yields.write_text(f'codigo_ibge,Cultura,Ano,"{column}"\n20,Soja (em grão),2018,"{value}"\n')
    assert cell(files.read()[0], "soybean", 20, 2018) == pytest.approx(kg_ha, rel=1e-5)


@pytest.mark.parametrize(
    ("header", "row", "message"),
    [
        ("yield_sc_ha", "rice,2018,50", "sacks of rice hold different weights"),
        ("yield_bu_ac", "beans,2018,20", "the weight of a bushel depends on the crop"),
        ("yield_kg_ha", "soybean,2018,48.5", "sacks of 60 kg per hectare or bushels"),
        ("yield_sc_ha", "soybean,2018,2686", "a median yield of 1.612e.05 kg/ha, expected 300 to 9000"),
        (
            "yield_kg_ha",
            "quinoa,2018,2.2",
            "a median yield of 2.2 kg/ha, expected 50 or more: are these t/ha",
        ),
        ("yield_kg_ha", "soybean,2018,2.686", "2.686 .decimal point. or 2686 .decimal comma."),
        ("yield_kg_ha", "soybean,2011-12,2686", "expected a number, received '2011-12'"),
        ("yield_kg_ha", "soybean,2017/19,2686", "expected a number, received '2017/19'"),
        ("rendimento_medio_producao", "soybean,2018,2686", "expected a unit in its name"),
        ("yield_ton_ha", "soybean,2018,2.6", "a ton is 907, 1000 or 1016 kg"),
    ],
)
def test_refused_yields(files: Files, header: str, row: str, message: str) -> None:
    files.yields.write_text(f"code,crop,year,{header}\n20,{row}\n")
    with pytest.raises(SchemaError, match=message) as caught:
        files.read()
    assert caught.value.hint


@pytest.mark.parametrize("season", ["2017/18", "2017/2018", "2017-18", "2018-01-01", "2018.0"])
def test_seasons_are_the_year_of_their_harvest(files: Files, season: str) -> None:
    files.yields.write_text(f"code,crop,safra,yield_kg_ha\n20,soybean,{season},3000\n")
    tables, report = files.read()
    assert cell(tables, "soybean", 20, 2018) == 3000
    noted = ("yields", f"seasons read as the year of their harvest, {season} as 2018", 1) in report.warnings
    assert noted == (season[4] in "/-" and len(season) < 10)
    files.places.write_text(PLACES.replace("-15.5", "15.5").replace("-20,", "20,"))
    if noted:  # north of the equator it can be the harvest of 2017
        with pytest.raises(SchemaError, match="is a season; north of the equator"):
            files.read()


def test_symbols_of_statistics_offices(files: Files) -> None:
    files.yields.write_text(
        "code,crop,year,yield_kg_ha,area_planted_ha\n20,soja,2018,3000,-\n9,soja,2018,-,..\n100,soja,2018,X,...\n"
    )
    tables, report = files.read()
    assert cell(tables, "soybean", 20, 2018, "area_planted_ha") == 0
    assert report.dropped == [("yields", "soybean: no yield", 2)]
    assert ("yields", "'-' in area_planted_ha read as 0", 1) in report.read
    assert ("yields", "'-' in yield_kg_ha read as missing", 1) in report.read
    assert ("yields", "crop 'soja' read as soybean", 3) in report.read


def test_a_yield_that_contradicts_production_and_area(files: Files) -> None:
    files.yields.write_text(
        "code,crop,year,yield_kg_ha,production_t,area_harvested_ha\n20,soja,2018,3000,30000,10\n"
    )
    text = "yield is 0.001 times production / harvested area (median): is one in another unit?"
    assert ("yields", text, 1) in files.read()[1].warnings


def test_strange_soil_is_noted(files: Files) -> None:
    files.soil.write_text(
        "CD_MUN,Clay_pct_0-30cm,sand_pct_0_30cm,silt_pct_0_30cm,soc_g_kg_0_30cm,bulk_density_cg_cm3_0_30cm\n"
        "20,60,60,20,150,130\n9,33.3,33.3,33.3,150,130\n"
    )
    tables, report = files.read()
    assert float(tables.static.bulk_density_kg_dm3.sel(municipality=20)[0]) == pytest.approx(1.3)
    text = "clay, silt and sand add up to 140 % in 0_30cm of 20, expected 100 %"
    assert ("soil", text, 1) in report.warnings
    text = "soc_g_kg: a median of 150 is unusual, expected 0.5 to 120: another unit?"
    assert ("soil", text, 2) in report.warnings
