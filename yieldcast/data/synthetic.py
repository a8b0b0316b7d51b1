"""Tables of a synthetic country, for tests, docs and the demo; all have the attribute `synthetic`.

`country` fills every table of the contract with plausible numbers. Its yields follow a known formula
(`response`), so that the best possible score is known (`true_response`). Only the approximate boxes of the
states and their calendars are real.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from numpy.typing import NDArray

from calendars import Calendar, DayMonth, Row, brazil
from calendars.country import skeleton
from yieldcast.data.files import atomic_write, netcdf_content
from yieldcast.data.schema import set_units
from yieldcast.data.store import Tables
from yieldcast.errors import ConfigError, MissingDataError
from yieldcast.variables import WEATHER, YIELDS

Array = npt.NDArray[np.float64]
Months = npt.NDArray[np.datetime64]
Years = npt.NDArray[np.int16]
State = tuple[int, str, float, float, float, float, int]

LAYERS = ("0cm", "5cm", "15cm", "30cm", "60cm", "100cm", "200cm")  # Hengl et al. 2017, PLoS ONE 12:e0169748
# kg/ha without stress on average soil in 2007: round numbers above the national means of PAM.
POTENTIAL_KG_HA = {
    "soybean": 3600.0, "corn": 6500.0, "cotton": 4500.0, "rice": 7000.0, "sugarcane": 90_000.0,
    "sunflower": 2400.0}  # fmt: skip
_CELLS = ("crop", "municipality", "harvest_year")
_PLACE = ("name", "state", "region", "latitude_deg", "longitude_deg")
# IBGE's prefix, calendar key, box in degrees (S, N, W, E) of the part that grows grain, share of places
_BRAZIL = (
    (11, "RO", -13.3, -8.8, -63.5, -60.3, 3), (14, "RR", 0.8, 4.0, -61.3, -60.2, 3),
    (15, "PA", -8.5, -2.5, -52.0, -47.5, 4), (17, "TO", -12.7, -6.0, -49.5, -46.8, 5),
    (21, "MA", -9.3, -3.0, -47.0, -44.0, 5), (29, "BA", -14.5, -10.5, -46.0, -44.0, 5),
    (31, "MG", -21.5, -15.5, -50.0, -43.0, 12), (35, "SP", -24.0, -20.2, -52.5, -46.5, 13),
    (41, "PR", -26.0, -23.0, -54.0, -49.8, 16), (42, "SC", -28.0, -26.3, -53.3, -49.5, 9),
    (43, "RS", -33.0, -27.6, -56.5, -51.0, 18), (50, "MS", -23.5, -18.0, -56.5, -52.0, 7),
    (51, "MT", -16.5, -10.0, -59.5, -52.0, 11), (52, "GO", -19.0, -13.5, -52.5, -47.5, 9))  # fmt: skip
_FOREIGN = ((61, "AR-B", -38.0, -34.5, -63.0, -58.5, 1), (71, "AR-X", -34.5, -30.5, -65.0, -62.5, 1))
_EDGE_DEG = 0.5  # width of the margin beyond the outermost places, in the mesh
_NORTHERN = ((81, "NO", 42.0, 47.0, -97.0, -90.0, 6), (91, "SO", 37.0, 42.0, -95.0, -86.0, 5))
_REGION = ("", "Norte", "Nordeste", "Sudeste", "Sul", "Centro-Oeste", "Pampa", "Sierras",
           "Plains", "Hills")  # by first digit  # fmt: skip
_FOREIGN_CALENDAR = """region,crop,planting_start,planting_end,harvest_start,harvest_end,months
AR-B,soybean,15/10,31/12,20/03,31/05,8
AR-X,soybean,20/10,31/12,25/03,31/05,8
AR-B,sunflower,15/10,15/12,15/02,31/03,7
AR-X,sunflower,15/09,15/11,25/01,15/03,7
"""


def country(
    seed: int = 1, municipalities: int = 200, first_harvest_year: int = 2007, harvest_years: int = 12,
    crop: str = "soybean", crops: Sequence[str] = (),
) -> Tables:  # fmt: skip
    """The three tables of a synthetic Brazil; the same arguments give the same numbers.

    About 5 % of the places have no soil, the yields of 5 % begin late, 8 % of the other yields are missing.
    Weather covers whole years, from the one before the first harvest year to the end of the last window.

    Args:
        seed: of all random numbers.
        municipalities: how many, 1 or more, distributed over 14 states from 33 S to 4 N.
        first_harvest_year, harvest_years: first year with yields, and number of years, 1 or more.
        crop, crops: one crop of `POTENTIAL_KG_HA` that the Brazilian calendar has, or several instead.

    Raises:
        ConfigError: an unknown crop, or a number below 1.
    """
    years = np.arange(first_harvest_year, first_harvest_year + harvest_years, dtype=np.int16)
    return _simulate(seed, municipalities, years, crops or (crop,), _BRAZIL, brazil())


def foreign(seed: int = 1, municipalities: int = 30, harvest_years: int = 8) -> tuple[Tables, str]:
    """A second synthetic country, harvest years from 2011; arguments and errors as for `country`.

    Returns:
        tables (codes such as "AR-0612", states "AR-B" and "AR-X", soybean and sunflower); its calendar, the
        text of a file for `calendars.read`.
    """
    years, crops = np.arange(2011, 2011 + harvest_years, dtype=np.int16), ("soybean", "sunflower")
    tables = _simulate(seed, municipalities, years, crops, _FOREIGN, _calendar(_FOREIGN_CALENDAR))
    codes = np.array([f"AR-{600 + 12 * i:04d}" for i in range(municipalities)])
    row = np.arange(1, municipalities + 1, dtype=np.int32)
    static, weather, yields = (table.assign_coords(municipality=row) for table in tables)
    return Tables(static.assign(code=("municipality", codes)), weather, yields), _FOREIGN_CALENDAR


def northern(seed: int = 1, municipalities: int = 30, harvest_years: int = 10) -> Tables:
    """A synthetic country of counties in the northern hemisphere, harvest years from 2010.

    It is the country of `calendars.country.skeleton`: codes of five digits, states NO and SO, corn and
    soybean from May to October.

    Args:
        seed, municipalities, harvest_years: as for `country`.
    """
    years, crops = np.arange(2010, 2010 + harvest_years, dtype=np.int16), ("corn", "soybean")
    calendar = _calendar(skeleton().files["calendar.csv"])
    tables = _simulate(seed, municipalities, years, crops, _NORTHERN, calendar)
    # 8190001 becomes 81001, as counties are numbered
    code = tables.static["municipality"].values
    county = (code // 100_000 * 1000 + code % 10_000).astype(np.int32)
    static, weather, yields = (table.assign_coords(municipality=county) for table in tables)
    names = ("municipality", np.array([f"Synthetic county {number}" for number in county]))
    static = static.assign(code=("municipality", county.astype(str)), name=names)
    return Tables(static, weather, yields)


def response(
    precipitation_mm: Array, tmax_degC: Array, clay_pct: Array, ph_h2o: Array,
    harvest_year: Years, crop: str = "soybean",
) -> Array:  # fmt: skip
    """The known yield (kg/ha) of a season, before the level of the municipality, shocks and noise.

    ::

        yield    = P (1 + 0.012 (year - 2007) + 0.004 (clay - 35) + 0.08 (pH - 5.5)) (1 - 0.85 W) (1 - 0.05 H)
        W        = sum over steps s of w_s max(0, 1 - supply_s / 150)        water stress, 0..1
        supply_s = rain_s + (0.1 + 0.005 clay) rain_(s-1)                    mm; rain_(-1) = 0
        H        = sum over steps s of w_s max(0, tmax_s - 29)               degrees of heat, at most 12
        w_s      ~ exp(-(s - 0.45 (n - 1))^2 / (2 (0.13 n)^2)), sum 1        flowering in a window of n steps

    P is `POTENTIAL_KG_HA`. The effect of water is that of Doorenbos & Kassam (1979), FAO Irrigation and
    Drainage Paper 33: relative loss = ky x relative deficit, with ky = 0.85 of soybean. All other constants
    are our choice, so that yields vary about as much as those of PAM. Only months of the window count.

    Args:
        precipitation_mm, tmax_degC: dims (..., step), the months of the calendar window.
        clay_pct, ph_h2o, harvest_year: dims (...) or broadcastable to it; soil at 0 cm.
        crop: a crop of `POTENTIAL_KG_HA`.
    """
    n = precipitation_mm.shape[-1]
    w = np.exp(-0.5 * ((np.arange(n) - 0.45 * (n - 1)) / (0.13 * n)) ** 2)
    w /= w.sum()
    before = np.concatenate([np.zeros_like(precipitation_mm[..., :1]), precipitation_mm[..., :-1]], axis=-1)
    supply = precipitation_mm + (0.1 + 0.005 * clay_pct[..., None]) * before
    water = np.maximum(0.0, 1.0 - supply / 150.0) @ w
    heat = np.minimum(np.maximum(0.0, tmax_degC - 29.0) @ w, 12.0)
    level = 1.0 + 0.012 * (harvest_year - 2007.0) + 0.004 * (clay_pct - 35.0) + 0.08 * (ph_h2o - 5.5)
    return np.asarray(POTENTIAL_KG_HA[crop] * level * (1.0 - 0.85 * water) * (1.0 - 0.05 * heat))


def true_response(tables: Tables, calendar: Calendar | None = None) -> xr.Dataset:
    """The parts of the yields of `country` (or of `foreign`, with its calendar), without gaps.

    Returns:
        dims (crop, municipality, harvest_year), kg/ha: `expected_yield_kg_ha` (`response` times a constant
        level of the municipality, sd 4 %), `shock_kg_ha` (shared by a region in a year, sd 4 % of the
        potential) and `noise_kg_ha` (sd 7 %). Their sum, rounded, at least 50, is `yield_kg_ha`. Shock and
        noise cannot be forecast, so that the score of the expected yields is that of a perfect model.
    """
    static, weather, seed = tables.static, tables.weather, int(tables.static.attrs["seed"])
    crops, years = tables.yields["crop"].values.tolist(), tables.yields["harvest_year"].values
    count, soil = static.sizes["municipality"], _soil(seed, static)
    clay, ph = (soil[name].values[:, :1].astype(np.float64) for name in ("clay_pct", "ph_h2o"))
    place, region = np.arange(count)[:, None, None], np.unique(static["region"], return_inverse=True)[1]
    rain, tmax = (weather[name].values.astype(np.float64) for name in ("precipitation_mm", "tmax_degC"))
    names = ("expected_yield_kg_ha", "shock_kg_ha", "noise_kg_ha")
    values = np.empty((3, len(crops), count, len(years)))
    for c, (crop, months) in enumerate(_windows(static, crops, years, calendar or brazil()).items()):
        t = (months - weather["time"].values[0].astype("datetime64[M]")).astype(np.int64)
        level = _stream(seed, f"level {crop}").normal(1.0, 0.04, (count, 1))
        shock = _stream(seed, f"shock {crop}").normal(0.0, 0.04, (len(years), count))[:, region].T
        noise = _stream(seed, f"noise {crop}").normal(0.0, 0.07, (len(years), count)).T
        values[0, c] = level * response(rain[place, t], tmax[place, t], clay, ph, years, crop)
        values[1:, c] = np.stack([shock, noise]) * POTENTIAL_KG_HA[crop]
    parts = zip(names, values, strict=True)
    return xr.Dataset({name: (_CELLS, part) for name, part in parts}, coords=tables.yields.coords)


def write_files(folder: Path, tables: Tables) -> None:
    """Write tables as files for `yieldcast import`: places.csv, yields.csv, soil.csv, weather.nc.

    Args:
        folder: made if it does not exist; files of these names are replaced. Places without soil are not in
            soil.csv.
        tables: from `country` or `foreign`.

    Raises:
        MissingDataError: the disk refuses.
    """
    code = tables.static["code"].to_series().rename("municipality_code")
    layers = tables.static.drop_vars(("code", *_PLACE)).to_dataframe().unstack().dropna()
    layers.columns = [f"{name}_{layer}" for name, layer in layers.columns]
    yields = tables.yields.to_dataframe().dropna(subset=["yield_kg_ha"]).reset_index(["crop", "harvest_year"])
    frames = {"places": tables.static[list(_PLACE)].to_dataframe(), "soil": layers, "yields": yields}
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MissingDataError(f"expected a folder, received {folder}: {error}", "Choose another.") from error
    for name, frame in frames.items():
        atomic_write(folder / f"{name}.csv", frame.set_index(frame.index.map(code).rename(code.name)).to_csv)
    weather = tables.weather.assign_coords(municipality=code.values)
    atomic_write(folder / "weather.nc", lambda part: part.write_bytes(netcdf_content(weather)))


def _stream(seed: int, name: str) -> np.random.Generator:
    """Random numbers of one component, which do not change when other components are added."""
    return np.random.default_rng([seed, zlib.crc32(name.encode())])


def _calendar(text: str) -> Calendar:
    rows = {}
    for region, crop, *dates, months in (line.split(",") for line in text.splitlines()[1:]):
        a, b, c, d = (DayMonth(int(date[:2]), int(date[3:])) for date in dates)
        rows[crop, region] = Row(region, crop, a, b, c, d, int(months))
    return Calendar(rows)


def _windows(static: xr.Dataset, crops: Sequence[str], years: Years, calendar: Calendar) -> dict[str, Months]:
    """Months of each crop's windows, (municipality, harvest year, step)."""
    state, year = np.repeat(static["state"].values, len(years)), np.tile(years, static.sizes["municipality"])
    first = {crop: calendar.starts(crop, state, year).reshape(-1, len(years), 1) for crop in crops}
    return {crop: start + np.arange(calendar.steps(crop)) for crop, start in first.items()}


def _simulate(
    seed: int, count: int, years: Years, crops: Sequence[str], states: Sequence[State], calendar: Calendar
) -> Tables:
    """All tables of a country; each component has its own stream of random numbers."""
    known = sorted(POTENTIAL_KG_HA.keys() & set(calendar.crops))
    if count < 1 or not len(years) or not set(crops) <= set(known):
        raise ConfigError(
            f"expected crops of {', '.join(known)} and at least 1 municipality and harvest year; "
            f"received {', '.join(crops)}, {count} and {len(years)}",
            "Choose crops of the list, and numbers of 1 or more.",
        )
    static = _places(seed, count, states)
    windows = _windows(static, crops, years, calendar)
    last = max(int(years[-1]), *(int(window.max().astype(int)) // 12 + 1970 for window in windows.values()))
    time = np.arange(f"{years[0] - 1}-01", f"{last + 1}-01", dtype="datetime64[M]")
    has_soil = xr.DataArray(_stream(seed, "soil gaps").random(count) >= 0.05, dims="municipality")
    cells = {"crop": sorted(set(crops)), "municipality": static["municipality"], "harvest_year": years}
    static = static.merge(_soil(seed, static).where(has_soil))
    tables = Tables(static, _weather(seed, static, time), xr.Dataset(coords=cells))
    for what, table in tables._asdict().items():
        table.attrs = {"title": f"synthetic {what}, seed {seed}", "synthetic": 1, "seed": seed}
    tables.yields.update(_published(seed, true_response(tables, calendar)))
    return Tables(*map(set_units, tables))


def _places(seed: int, count: int, states: Sequence[State]) -> xr.Dataset:
    """Municipalities in the boxes of the states, by ascending code."""
    prefix, state, south, north, west, east, share = map(np.array, zip(*states, strict=True))
    k = np.searchsorted(np.cumsum(share) / share.sum(), (np.arange(count) + 0.5) / count)
    number = np.arange(count) - np.searchsorted(k, k) + 1
    code = (prefix[k] * 100_000 + 90_000 + number).astype(np.int32)  # real IBGE codes stay below 90000
    u, v = _stream(seed, "places").random((2, count))
    boxes = ((south[k], u, north[k]), (west[k], v, east[k]))
    names = np.array([f"Sintético {n:03d} ({state[i]})" for n, i in zip(number, k, strict=True)])
    latitude, longitude = (np.round((low + x * (high - low)), 4) for low, x, high in boxes)
    columns = (names, state[k], np.array(_REGION)[prefix[k] // 10], latitude, longitude, code.astype(str))
    values = {name: ("municipality", c) for name, c in zip((*_PLACE, "code"), columns, strict=True)}
    return xr.Dataset(values, coords={"municipality": code})


def _soil(seed: int, static: xr.Dataset) -> xr.Dataset:
    """Nine properties x seven layers: more clay and less carbon with depth; texture sums to 100 %."""
    rng, column = _stream(seed, "soil"), (static.sizes["municipality"], 1)
    depth = np.array([float(layer[:-2]) for layer in LAYERS]) / 200.0
    clay = np.clip(rng.normal(35.0, 13.0, column), 6.0, 75.0) + 8.0 * depth
    silt = rng.uniform(0.15, 0.45, column) * (100.0 - clay)
    soc = rng.uniform(10.0, 30.0, column) * np.exp(-2.5 * depth)
    ph = np.clip(rng.normal(5.5, 0.4, column), 4.5, 7.0) + 0.2 * depth
    values = {
        "clay_pct": clay, "silt_pct": silt, "sand_pct": 100.0 - clay - silt, "soc_g_kg": soc,
        "bulk_density_kg_dm3": 1.45 - 0.003 * clay + 0.1 * depth, "cec_cmolc_kg": 0.15 * clay + 0.4 * soc,
        "ph_h2o": ph, "ph_kcl": ph - 0.8, "coarse_fragments_pct": rng.uniform(0.0, 8.0, column) + depth,
    }  # fmt: skip
    tables = {k: (("municipality", "soil_layer"), v.astype(np.float32)) for k, v in values.items()}
    return xr.Dataset(tables, coords={"municipality": static["municipality"], "soil_layer": list(LAYERS)})


def _persistent(rng: np.random.Generator, months: int, series: int) -> Array:
    """Standard normal series (series, month) with an autocorrelation of 0.5 from month to month."""
    z = rng.standard_normal((months, series))
    for t in range(1, months):
        z[t] = 0.5 * z[t - 1] + 0.75**0.5 * z[t]
    return z.T


def _weather(seed: int, static: xr.Dataset, time: Months) -> xr.Dataset:
    """A climate by latitude, with anomalies of states and places, and dry years shared by a region.

    A dry year (July to June, one in six) lowers the rain of each month by 1.2 sd. Dry months are warmer and
    have a larger daily range of temperature. Rain has a gamma distribution of shape 6, by the approximation
    of Wilson & Hilferty (1931), PNAS 17:684. The constants are our choice, close to ERA5.
    """
    latitude, count = static["latitude_deg"].values[:, None], static.sizes["municipality"]
    state, region = (np.unique(static[k].values, return_inverse=True)[1] for k in ("state", "region"))
    month, south = time.astype(np.int64), np.clip(-latitude / 33.0, 0.0, 1.2) ** 2
    streams = ("rain state", "rain place", "warmth state", "warmth place")
    anomalies = [_persistent(_stream(seed, name), len(time), count) for name in streams]
    rain_z, warm_z = (0.75 * anomalies[i][state] + 0.66 * anomalies[i + 1] for i in (0, 2))
    season = (month + 6) // 12 - month[0] // 12
    rain_z -= 1.2 * (_stream(seed, "dry years").random((season[-1] + 1, count)) < 1 / 6)[season][:, region].T
    # the rainy season: around January in the centre, later at the equator, none in the far south
    peak = 2.0 * np.clip(2.0 + 0.25 * latitude, 0.0, 1.0) + np.clip(latitude, 0.0, 3.0)
    climate = 125.0 * (1.0 + np.clip(1.25 - 1.1 * south, 0.1, 0.95) * np.cos((month - peak) * np.pi / 6))
    rain = climate * np.maximum(0.0, 1.0 - 1.0 / 54.0 + rain_z / 54.0**0.5) ** 3
    warmth = 27.0 - 8.0 * south + (0.6 + 5.0 * south) * np.cos(month * np.pi / 6)
    north = np.where(latitude > 5.0, np.clip(latitude / 33.0, 0.0, 1.2) ** 2, 0.0)
    warmth -= north * (8.0 + 5.0 * np.cos(month * np.pi / 6))
    mean = warmth + 0.9 * warm_z - 0.5 * rain_z
    span = np.clip(7.5 + 5.0 * np.clip(1.0 - climate / 125.0, 0.0, 1.0) - 0.8 * rain_z, 3.0, 18.0)
    values = zip(WEATHER, (mean + span / 2, mean - span / 2, rain), strict=True)
    tables = {name: (("municipality", "time"), v.astype(np.float32)) for name, v in values}
    return xr.Dataset(tables, coords={"municipality": static["municipality"], "time": time.astype("<M8[ns]")})


def _published(seed: int, truth: xr.Dataset) -> xr.Dataset:
    """The yields as published: whole kg/ha and ha, with gaps and with municipalities that begin late."""
    rng, (_, count, years) = _stream(seed, "yields"), truth["noise_kg_ha"].shape
    kg_ha = np.round(np.maximum(np.sum([truth[name].values for name in truth.data_vars], axis=0), 50.0))
    planted = np.ceil(rng.lognormal(8.3, 1.1, (count, 1)) * (1.0 + 0.03 * np.arange(years)))
    harvested = np.ceil(planted * rng.uniform(0.97, 1.0, (count, 1)))
    late = np.where(rng.random(count) < 0.05, rng.integers(1, years // 2 + 2, count), 0).clip(0, years - 1)
    gap = (np.arange(years) < late[:, None]) | (rng.random((count, years)) < 0.08)
    columns = zip(YIELDS, (kg_ha, harvested, planted, kg_ha * harvested / 1000.0), strict=True)
    values = {
        k: np.broadcast_to(np.where(gap, np.nan, v), kg_ha.shape).astype(np.float32) for k, v in columns
    }
    return xr.Dataset({k: (_CELLS, v) for k, v in values.items()}, coords=truth.coords)


def synthetic_mesh(
    codes: Sequence[int],
    names: Sequence[str],
    states: Sequence[str],
    latitude_deg: Sequence[float],
    longitude_deg: Sequence[float],
    detail: int = 1,
) -> dict[str, Any]:
    """A mesh (`yieldcast.data.boundaries`) of polygons around places; neighbours share their borders.

    Args:
        codes, names, states, latitude_deg, longitude_deg: one per municipality; all positions different.
        detail: pieces of each side; with more than 1 the sides are curved, and a polygon has about 6 x detail
            corners.
    """
    from scipy.spatial import Voronoi

    places = np.column_stack([longitude_deg, latitude_deg]).astype(np.float64)
    low, high = places.min(axis=0) - _EDGE_DEG, places.max(axis=0) + _EDGE_DEG
    # With the mirror images of the places in the four sides of the box, the cells end at the box.
    mirrored = [places]
    for axis in (0, 1):
        for side in (low, high):
            image = places.copy()
            image[:, axis] = 2 * side[axis] - image[:, axis]
            mirrored.append(image)
    cells = Voronoi(np.concatenate(mirrored))
    features = []
    for k, (code, name, state) in enumerate(zip(codes, names, states, strict=True)):
        corners = cells.regions[cells.point_region[k]]
        ring = [
            point
            for a, b in zip(corners, [*corners[1:], corners[0]], strict=True)
            for point in _side(cells.vertices, a, b, detail)
        ]
        geometry = {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}
        properties = {"code": str(code), "name": name, "state": state}
        features.append({"type": "Feature", "properties": properties, "geometry": geometry})
    return {"type": "FeatureCollection", "features": features}


def _side(corners: NDArray[np.float64], a: int, b: int, detail: int) -> list[list[float]]:
    """Points from corner a to before corner b; those from b to a are the same in reverse order."""
    first, last = min(a, b), max(a, b)
    along = corners[last] - corners[first]
    pieces = np.arange(detail)
    share = (pieces if a < b else detail - pieces) / detail
    # Any curve that is 0 at both ends is suitable if it depends only on the two corners.
    bend = 0.08 * np.sin(np.pi * share) * np.sin(first + 2.0 * last + 17.0 * share)
    line = corners[first] + share[:, None] * along + bend[:, None] * np.array([-along[1], along[0]])
    return [[round(float(x), 4), round(float(y), 4)] for x, y in line]
