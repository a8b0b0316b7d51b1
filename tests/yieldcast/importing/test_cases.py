"""Files as people bring them: the right value, a warning that names the fault, or a refusal that says why.

The files lie beside the checkout; the tests of each reader make small ones of the same kinds themselves.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from yieldcast.errors import SchemaError
from yieldcast.importing.check import Reader
from yieldcast.importing.files import UserFiles, read_files

CASES = Path(__file__).parents[3] / ".." / "shared" / "cases"
BASE = CASES / "base"
pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason="the cases are not beside this checkout")

# Codes of a file's places are right if this place has its value: the yield of its first year in kg/ha, the
# rain of January 2010 in mm, the number of polygons, clay in percent, the state.
PLACE, YIELD, RAIN, POLYGONS, CLAY, STATE = 1100015, 2686.0, 210.22, 12, 18.8, "RO"


def refused(text):
    """An expectation: exit code 5, and this text in the message or the hint."""
    return ("refused", text)


def warned(text, value=None):
    """An expectation: read, with this text in a warning (and with the value)."""
    return ("warned", text, value)


# file -> what is right; with several, any of them
RIGHT = {
    "01/yields.csv": [2686.5],
    "02/yields_b.csv": [YIELD, refused("'2.686' is 2.686 .* or 2686")],
    "02/yields_c.csv": [YIELD, refused("'1.215' is 1.215 .* or 1215")],
    "02/yields_sorriso.csv": [refused("'600.000' is 600 .* or 600000")],
    "02/yields_sorriso_right.csv": [YIELD],
    "03/yields.csv": [YIELD],
    **{f"04/yields_{name}.csv": [YIELD] for name in ("footer", "labelrow", "sep", "title")},
    "04/yields.csv": [3176.0],
    "05/yields.csv": [YIELD],
    "06/yields.csv": [YIELD],
    "06/all_yields.csv": [YIELD],
    "06/yields_excel_text.csv": [YIELD],
    "06/yields_quote.csv": [YIELD],
    "06/yields_sci.csv": [refused("lost digits")],
    "06/places.csv": [STATE],
    "06/all_places.csv": [STATE],
    **{f"07/places_{name}.csv": [STATE] for name in (
        "bom", "cp1252_ascii_head", "cr", "latin1", "mojibake", "utf16",
    )},
    "08/places_fullstate.csv": [STATE],
    "08/places_lower.csv": [STATE],
    "08/places_ufcode.csv": [STATE],
    "08/yields_soja.csv": [YIELD],
    "08/yields_pt.csv": [YIELD],
    "08/yields_basedosdados.csv": [refused("expected a unit in its name")],
    "09/places.csv": [refused("12 of 12 outside: 1100015.*exchanged")],
    "09/places_nosign.csv": [refused("12 of 12 outside: 1100015.*wrong sign")],
    "09/places_zero.csv": [warned("outside their polygons: 1100015")],
    "09/places_state_conflict.csv": [refused("begin with 51 are of MT.*4 such places")],
    "10/yields_sc.csv": [2688.0],
    "10/yields_bu.csv": [2683.32],
    "10/yields_nounit.csv": [refused("expected a unit in its name")],
    "10/yields_rend.csv": [refused("expected a unit in its name")],
    "10/yields_sc_as_kg.csv": [refused("sacks of 60 kg")],
    "11/yields.csv": [warned("2004/05 as 2005", YIELD), refused("2018 for the season 2017/18")],
    "11/yields_both_years.csv": [YIELD],
    "11/yields_date.csv": [YIELD],
    "11/yields_float.csv": [YIELD],
    "12/yields.csv": [refused("received -9999")],
    "12/yields_e.csv": [YIELD],
    "12/yields_nbsp.csv": [YIELD],
    "12/yields_nd.csv": [YIELD],
    "13/yields.csv": [refused("once, received code 1100015, crop soybean, year 2005")],
    "14/yields.csv": [YIELD],
    "16/yields.csv": [refused("received 1 others: '51'")],
    "20/weather.nc": [RAIN],
    "20/weather_end.nc": [RAIN],
    "20/weather_end_utc.nc": [refused("03:00.*time zone")],
    **{f"21/weather_{name}.nc": [RAIN] for name in (
        "kgm2", "kgm2s", "kgm2s_star", "mm_month", "in", "mday", "mmhr", "cmmonth",
        "mmday", "mmday1", "mmday_star", "mmday_caret", "mmday_pt",
    )},
    "21/weather_mmday_none.nc": [refused("a year of 150 to 6000 mm")],
    **{f"22/weather_{name}.nc": [RAIN] for name in (
        "C", "F", "F_degrees", "K", "celsius", "degK", "degKelvin",
    )},
    "22/weather_kelvinvals_nounit.nc": [refused("kelvin")],
    "22/weather_degC_k_wrong.nc": [refused("'K'")],
    "23/weather_noleap.nc": [refused("calendar noleap")],
    "23/weather_noleap_daily.nc": [refused("calendar noleap")],
    "23/weather_360.nc": [refused("calendar 360_day")],
    **{f"23/weather_{name}.nc": [RAIN] for name in ("monthssince", "strings", "yyyymm")},
    **{f"24/weather_{name}.nc": [RAIN] for name in ("valid_time", "number", "station")},
    "24/weather_expver_dim.nc": [warned("preliminary", RAIN)],
    "24/weather_expver_coord.nc": [warned("preliminary", RAIN)],
    "24/weather_dup.nc": [refused("2 values on 2018-11-01")],
    "25/download.grib": [refused("received GRIB.*cfgrib")],
    "25/download.nc": [refused("t2m is a mean temperature")],
    "25/era5.nc": [refused("t2m is a mean temperature")],
    "25/era5_named.nc": [refused("--weather-grid")],
    "25/weather_nc3.nc": [RAIN],
    "26/weather_1e20.nc": [refused("1e.20 looks like a mark of missing")],
    "26/weather_9999.nc": [refused("-9999 looks like a mark of missing")],
    "26/weather_neg.nc": [refused("received -0.3")],
    "26/weather_packed.nc": [RAIN],
    **{f"27/weather_{name}.nc": [RAIN] for name in ("cmip", "nounit", "power", "reversed", "upper")},
    "28/daily_mmhr.nc": [RAIN],
    "28/daily_mmhr1.nc": [RAIN],
    "28/daily_utc3.nc": [refused("21:00.*time zone")],
    "28/anomalies.nc": [warned("never above 10 degC")],
    "28/tenths.nc": [warned("never above 10 degC")],
    "28/tmin_equals_tmax.nc": [warned("tmin and tmax are equal everywhere")],
    "24/weather_6.nc": [RAIN],
    "24/weather_CD_MUN.nc": [RAIN],
    "24/weather_code_muni.nc": [RAIN],
    "24/weather_float.nc": [RAIN],
    "24/weather_str.nc": [RAIN],
    "28/daily_ok.nc": [RAIN],
    "28/one_place_nan.nc": [warned("places without weather: 1100015")],
    "28/one_place_late_nan.nc": [warned("without weather in some of the months: 5107925", RAIN)],
    **{f"30/{name}.geojson": [POLYGONS] for name in (
        "id", "CD_GEOCMU", "CD_GEOCODM", "CD_MUN_num", "cd_mun_lower", "codarea", "code_is_rownumber",
        "feature_id", "six", "str_point0",
    )},
    "31/metres.geojson": [refused(r"feature 1 \(1100015\): expected degrees.*EPSG:4326")],
    "31/sirgas.geojson": [POLYGONS],
    "31/swapped.geojson": [refused("12 of 12 outside: 1100015.*exchanged")],
    "32/bom.geojson": [POLYGONS],
    "32/latin1.geojson": [POLYGONS],
    "32/mesh.geojson.gz": [POLYGONS, refused("received gzip.*Unpack")],
    "32/fake.gpkg": [refused("GeoPackage.*ogr2ogr")],
    "32/fake.zip": [refused("zip archive.*ogr2ogr")],
    "32/seq.geojsonl": [POLYGONS, refused("one feature a line")],
    "32/topo.json": [refused("received Topology.*ogr2ogr")],
    "33/bowtie.geojson": [warned("mended: 5107925", POLYGONS)],
    "33/empty.geojson": [warned("places without boundaries: 5107925", POLYGONS - 1)],
    "33/nullgeom.geojson": [warned("places without boundaries: 5107925", POLYGONS - 1)],
    "33/far_corner.geojson": [refused(r"feature 2 \(5107925\): expected degrees")],
    "33/nan.geojson": [refused(r"feature 2 \(5107925\): expected degrees, received the corner \(nan")],
    "33/unclosed.geojson": [warned("rings closed: 5107925", POLYGONS)],
    **{f"33/{name}.geojson": [POLYGONS] for name in ("gc", "hole", "island", "twoparts", "z")},
    "34/codes_swapped.geojson": [warned("outside their polygons: 1100015, 5107925", POLYGONS)],
    "34/east.geojson": [refused("12 of 12 outside: 1100015.*wrong sign")],
    **{f"40/{name}.csv": [CLAY] for name in ("CLAY", "clay_gkg", "layer_dash")},
    "40/half.csv": [warned("places without soil: 4105508", CLAY)],
    "40/sumover.csv": [warned("add up to 140 %", 60.0)],
    "40/mapped_clay.csv": [refused("0 to 100 %, received 188")],
    "40/nodata.csv": [refused("received -32768")],
    "40/nodata255.csv": [refused("received 255")],
    "40/mapped_ph.csv": [refused("received 57")],
    "40/nitrogen_cg.csv": [refused("received 130")],
    "40/dup.csv": [refused("received code 1100015")],
    "40/isric_names.csv": [refused("expected soil columns")],
    "40/sl1.csv": [refused("expected soil columns")],
}  # fmt: skip


def given(case):
    """The files of a country of 12 places, with one replaced; only what the case needs is read."""
    file, folder = CASES / case, case[:2]
    if file.name.startswith(("places", "all_places")):
        return UserFiles(places=file, mesh=BASE / "mesh.geojson" if folder == "09" else None)
    options = {".nc": "weather", ".grib": "weather", ".csv": "soil" if folder == "40" else "yields"}
    return UserFiles(places=BASE / "places.csv", **{options.get(file.suffix, "mesh"): file})


def value_of(made, case):
    """The number or text by which the case is judged."""
    if made.mesh is not None and case[:2] != "09":
        return made.mesh.count('"Feature"')
    if made.weather is not None:
        return float(made.weather["precipitation_mm"].sel(municipality=PLACE, time="2010-01").values[0])
    if made.yields is not None:
        yields = made.yields["yield_kg_ha"].sel(municipality=PLACE, crop="soybean").values
        return float(yields[np.isfinite(yields)][0])
    if "clay_pct" in made.static:
        return float(made.static["clay_pct"].sel(municipality=PLACE).values[0])
    return made.static["state"].sel(municipality=PLACE).item()


def fits(expected, outcome, warnings):
    """Whether an outcome, a value or a SchemaError, is what is expected."""
    if isinstance(outcome, SchemaError):
        said = f"{outcome} {outcome.hint}".replace("\n", " ")
        return (
            bool(outcome.hint)
            and isinstance(expected, tuple)
            and expected[0] == "refused"
            and bool(re.search(expected[1], said))
        )
    if isinstance(expected, tuple):
        kind, text, value = (*expected, None)[:3]
        found = any(re.search(text, line) for _, line, _ in warnings)
        return kind == "warned" and found and (value is None or fits(value, outcome, ()))
    return outcome == (expected if isinstance(expected, str) else pytest.approx(expected, rel=1e-4))


@pytest.mark.parametrize("case", RIGHT)
def test_a_file_as_people_bring_it(case):
    reader = Reader()
    try:
        outcome = value_of(read_files(given(case), reader), case)
    except SchemaError as error:
        outcome = error
    assert any(fits(one, outcome, reader.log.warnings) for one in RIGHT[case]), (outcome, reader.log.warnings)
