"""Tables of pixel series (Parquet, CSV) to the labelled Dataset of `pixel_series`.

Wide tables have one row for each series, and columns ``BAND_00 .. BAND_nn`` for the steps of each band of
`series_bands.SERIES_BANDS`. Dated tables have one row for each observation: ``sample_id``, ``date`` and a
column for each band.

=======================  ============================  ================================================
column                   also                          meaning
=======================  ============================  ================================================
sample_id                sample, id                    one series
lat, lon                 latitude, longitude (_deg)    degrees, WGS 84
location_id              location                      the same place, in whatever season
geo_group                group, tile, region, country  for folds; `TableSettings.group` names another
harvest_year             year                          the season; `TableSettings.season` names another
start_month              -                             1 to 12, month of the first step
start_date, end_date     -                             first day of the first and (near) the last step
elevation, slope         -                             m, degrees
cloud, SCL, reliability  with _00 .. where wide        flags of clouds, see `cloudy`
=======================  ============================  ================================================

Values -9999, -32768, 65535 (and nothing) are missing. Units: `series_units`.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from yieldcast.errors import ConfigError, MissingDataError, SchemaError
from yieldcast.pixels.compositing import TENS, of_dates, to_months
from yieldcast.pixels.pixel_series import STEPS, check_series, create, first
from yieldcast.pixels.series_bands import BAND_OF, STATIC_BANDS, Floats, band_name
from yieldcast.pixels.series_units import in_series_units

NO_DATA = (-9999.0, -32768.0, 65535.0)
_STEP = re.compile(r"(?P<band>.+)_(?P<step>\d{2,3})")
_FLAGS = {"cloud": "cloud", "scl": "SCL", "reliability": "reliability"}
# Classes of flags that keep an observation. SCL of Sentinel-2: vegetation, bare soil, water, unclassified,
# snow; reliability of MOD13: good, marginal.
CLEAR = {"cloud": (0,), "SCL": (4, 5, 6, 7, 11), "reliability": (0, 1)}
_KNOWN = {"cloud": (0, 1), "SCL": tuple(range(12)), "reliability": (-1, 0, 1, 2, 3)}
_ROLES = {
    "sample": ("sample_id", "sample", "id"),
    "latitude": ("lat", "latitude", "latitude_deg"),
    "longitude": ("lon", "longitude", "longitude_deg"),
    "location": ("location_id", "location"),
    "group": ("geo_group", "group", "tile", "region", "country"),
    "season": ("harvest_year", "year"),
}
_MODIS_DAYS = 16
_MODIS_STEPS = 23  # of a year; the first starts on 1 January


@dataclass(frozen=True)
class TableSettings:
    """How a table is read; None finds it in the columns.

    Args:
        label, group, season: columns.
        step: one of `pixel_series.STEPS`; of dated tables the step to make.
        start: day of the first step in all series, YYYY-MM-DD or MM-DD.
        units: band -> unit of `series_bands.UNITS`.
        months: make months of shorter steps.
    """

    label: str | None = None
    group: str | None = None
    season: str | None = None
    step: str | None = None
    start: str | None = None
    units: Mapping[str, str] = field(default_factory=dict)
    months: bool = False


@dataclass(frozen=True)
class PixelTable:
    """A table that was read.

    Args:
        series: see `pixel_series`.
        frame: all other columns, one row for each sample.
        units: that each band was read in.
        faults: bands with impossible single values, and how many became gaps.
        cloudy: observations that a flag took away.
        ignored: bands or columns of steps that are not known.
    """

    series: xr.Dataset
    frame: pd.DataFrame
    units: dict[str, str]
    faults: list[tuple[str, int]]
    cloudy: int
    ignored: list[str]


def read_table(path: Path) -> pd.DataFrame:
    """The rows of a Parquet or CSV file (comma or semicolon).

    Raises:
        MissingDataError: no such file.
        ConfigError: the package pyarrow is not installed.
        SchemaError: neither of the two, or no rows.
    """
    if not path.is_file():
        raise MissingDataError(f"no table {path}", "Give a Parquet or CSV file.")
    try:
        if path.suffix.lower() in (".parquet", ".pq"):
            frame = pd.read_parquet(path)
        else:
            with open(path, encoding="utf-8-sig") as file:
                semicolon = file.readline().count(";") > 1
            frame = pd.read_csv(path, sep=";" if semicolon else ",", encoding="utf-8-sig")
    except ImportError:
        raise ConfigError(
            "Parquet tables need the package pyarrow",
            "Install it: pip install 'yieldcast[maps]', or give CSV.",
        ) from None
    except (ValueError, OSError, UnicodeError) as error:
        raise SchemaError(f"{path}: not a table: {error}", "Give a Parquet or CSV file.") from None
    if frame.empty:
        raise SchemaError(f"{path}: expected rows, received none")
    return frame


def read_series(path: Path, settings: TableSettings = TableSettings()) -> PixelTable:
    """A file as pixel series.

    Raises:
        MissingDataError, ConfigError: as `read_table`.
        SchemaError: as `series_of`.
    """
    return series_of(read_table(path), settings, str(path))


def series_of(
    frame: pd.DataFrame, settings: TableSettings = TableSettings(), where: str = "table"
) -> PixelTable:
    """A table as pixel series.

    Args:
        frame: wide or dated, see the module.
        settings: how it is read.
        where: the file, for errors.

    Raises:
        SchemaError: a column is missing, steps with gaps, units that are not clear, unknown flags, mixed
            seasons, or as `pixel_series.check_series`.
    """
    frame = frame.reset_index(drop=True)
    steps, ignored = _step_columns(frame, where)
    read: _Wide | _Dated
    if steps:
        read = _Wide(frame, steps, settings, where)
    elif "date" in frame.columns:
        read = _Dated(frame, settings, where)
    else:
        raise SchemaError(
            f"{where}: expected columns BAND_00, BAND_01, ... or a column date, received neither",
            f"Bands are {', '.join(BAND_OF)}; for example NDVI_00, NDVI_01.",
        )
    latitude, longitude = (_numbers(read.frame, role, where) for role in ("latitude", "longitude"))
    columns = {
        "label": settings.label, "location": _find(frame, "location"),
        "group": settings.group or _find(frame, "group"), "season": settings.season or _find(frame, "season"),
    }  # fmt: skip
    texts = {name: _texts(read.frame, column, where) for name, column in columns.items()}
    ids = read.frame[_column(read.frame, "sample", where)].to_numpy()
    series = create(read.bands, read.month, latitude, longitude, ids, read.step, read.static, **texts)
    if settings.months and series.attrs["step"] != "month":
        series = to_months(series)
    used = {column for columns in steps.values() for column in columns}
    rest = read.frame[[name for name in read.frame.columns if name not in used]]
    series = check_series(series, where).assign_attrs(group_column=columns["group"] or "")
    return PixelTable(series, rest, read.units, read.faults, read.cloudy, ignored)


class _Wide:
    """A row for each series."""

    def __init__(
        self, frame: pd.DataFrame, columns: dict[str, list[str]], settings: TableSettings, where: str
    ) -> None:
        self.frame, self.where = frame, where
        flags = {name: columns[name] for name in columns if name in _KNOWN}
        names = [name for name in columns if name not in flags]
        counts = {name: len(columns[name]) for name in columns}
        if len(set(counts.values())) > 1:
            listed = ", ".join(f"{name}: {count}" for name, count in counts.items())
            raise SchemaError(
                f"{where}: expected the same number of steps in all bands, received {listed}",
                "Leave out bands with other steps.",
            )
        count = counts[names[0]] if names else 0
        self.step, self.month = _axis(frame, settings, count, where)
        tables = {name: _values(frame, columns[name], where) for name in names}
        self.cloudy = 0
        for name, of_flag in flags.items():
            hidden = cloudy(frame[of_flag].to_numpy(np.float64), name, where)
            optical = [band for band in names if BAND_OF[band].optical]
            self.cloudy += int(hidden.sum()) if optical else 0
            tables |= {band: np.where(hidden, np.float32(np.nan), tables[band]) for band in optical}
        made, self.units, self.faults = in_series_units(
            tables | _static_values(frame, where), settings.units, STEPS[self.step], where
        )
        self.bands = {name: made[name] for name in names}
        self.static = {name: values[:, 0] for name, values in made.items() if name not in names}


class _Dated:
    """A row for each observation."""

    def __init__(self, frame: pd.DataFrame, settings: TableSettings, where: str) -> None:
        dates = pd.to_datetime(frame["date"], errors="coerce")
        if dates.isna().any():
            row = int(np.argmax(dates.isna()))
            raise SchemaError(
                f"{where}: expected dates YYYY-MM-DD, received {frame['date'][row]!r} in row {row + 1}"
            )
        ids = frame[_column(frame, "sample", where)].astype(str)
        columns = {str(c): band_name(str(c)) for c in frame.columns}
        static = {band.name for band in STATIC_BANDS}
        bands = {band: [c] for c, band in columns.items() if band is not None and band not in static}
        if not bands:
            raise SchemaError(
                f"{where}: expected columns of bands, received none", f"Bands: {', '.join(BAND_OF)}."
            )
        tables = {name: _values(frame, column, where) for name, column in bands.items()}
        self.cloudy = 0
        for column in frame.columns:
            if (flag := _FLAGS.get(str(column).lower())) is not None:
                hidden = cloudy(frame[[column]].to_numpy(np.float64), flag, where)
                self.cloudy += int(hidden.sum())
                for name in tables:
                    if BAND_OF[name].optical:
                        tables[name] = np.where(hidden, np.float32(np.nan), tables[name])
        firsts = ~ids.duplicated().to_numpy()
        self.frame = frame[firsts].reset_index(drop=True)
        _refuse_changing(frame, ids, where)
        self.step = settings.step or "month"
        # rain of one observation is that of a day
        made, self.units, self.faults = in_series_units(
            tables | _static_values(frame, where), settings.units, 365.0, where
        )
        rows = pd.DataFrame({name: made[name][:, 0] for name in bands})
        self.bands, self.month, _ = of_dates(rows, ids, dates, self.step, where)
        self.static = {name: made[name][firsts, 0] for name in made if name not in bands}


def cloudy(flags: NDArray[np.float64], kind: str, where: str) -> NDArray[np.bool_]:
    """True where a flag says that a cloud, its shadow or nothing was seen.

    Args:
        flags: ``cloud``: 0 clear, 1 cloudy; ``SCL``: scene classes 0 to 11 of Sentinel-2; ``reliability``:
            -1 to 3 of MOD13. NaN counts as not seen.
        kind: one of the three.
        where: the table, for errors.

    Raises:
        SchemaError: any other flag.
    """
    known = np.isfinite(flags)
    if not np.isin(flags[known], _KNOWN[kind]).all():
        wrong = flags[known][~np.isin(flags[known], _KNOWN[kind])][0]
        raise SchemaError(
            f"{where}: flag {kind}: expected {', '.join(map(str, _KNOWN[kind]))}, received {wrong:g}"
        )
    return ~np.isin(flags, CLEAR[kind])


def _step_columns(frame: pd.DataFrame, where: str) -> tuple[dict[str, list[str]], list[str]]:
    """Columns of each band or flag in the order of their steps, and the columns of other bands."""
    found: dict[str, dict[int, str]] = {}
    ignored: list[str] = []
    for column in map(str, frame.columns):
        if match := _STEP.fullmatch(column):
            name = band_name(match["band"]) or _FLAGS.get(match["band"].lower())
            if name is None:
                ignored.append(column)
                continue
            if int(match["step"]) in found.setdefault(name, {}):
                raise SchemaError(
                    f"{where}: expected one column for a step of {name}, received two: {column}"
                )
            found[name][int(match["step"])] = column
    for name, columns in found.items():
        if sorted(columns) != list(range(len(columns))):
            lost = sorted(set(range(max(columns) + 1)) - set(columns))
            raise SchemaError(
                f"{where}: expected {name}_00, {name}_01, ... without a gap, received none for the steps "
                f"{', '.join(f'{one:02d}' for one in lost[:5])}",
                "Give every step a column; leave its cells empty where nothing was seen.",
            )
    made = {name: [columns[k] for k in range(len(columns))] for name, columns in found.items()}
    return made if any(name in BAND_OF for name in made) else {}, ignored


def _values(frame: pd.DataFrame, columns: list[str], where: str) -> Floats:
    table = frame[columns]
    if wrong := [c for c in columns if not pd.api.types.is_numeric_dtype(table[c])]:
        raise SchemaError(f"{where}: expected numbers in column {wrong[0]}, received texts")
    values = table.to_numpy(np.float64, na_value=np.nan, copy=True)
    values[~np.isfinite(values) | np.isin(values, NO_DATA)] = np.nan
    made: Floats = values.astype(np.float32)
    return made


def _static_values(frame: pd.DataFrame, where: str) -> dict[str, Floats]:
    names = [(str(c), str(c).lower()) for c in frame.columns]
    static = {band.name for band in STATIC_BANDS}
    return {name: _values(frame, [column], where) for column, name in names if name in static}


def _axis(
    frame: pd.DataFrame, settings: TableSettings, count: int, where: str
) -> tuple[str, NDArray[np.int64]]:
    """The kind of step and the month of each."""
    starts = _starts(frame, settings, where)
    step = settings.step or _spacing(frame, starts, count, where)
    if step not in STEPS:
        raise ConfigError(f"expected a step of {', '.join(STEPS)}, received {step}")
    steps = np.arange(count)
    months, days = (getattr(starts.dt, name).to_numpy(np.int64) for name in ("month", "day"))
    if step == "month":
        return step, (months[:, None] - 1 + steps) % 12
    if step == "ten-days":
        tens = (months - 1) * TENS + np.minimum((days - 1) // 10, TENS - 1)
        return step, (tens[:, None] + steps) // TENS % 12
    position, rest = np.divmod(starts.dt.day_of_year.to_numpy(np.int64) - 1, _MODIS_DAYS)
    if rest.any():
        raise SchemaError(
            f"{where}: expected 16-day steps that start on the days 1, 17, ..., 353 of a year, received "
            f"{starts[int(np.argmax(rest != 0))]:%Y-%m-%d}",
            "Composites of MODIS start anew on 1 January.",
        )
    day = (position[:, None] + steps) % _MODIS_STEPS * _MODIS_DAYS
    month = (np.datetime64("2001-01-01") + day).astype("datetime64[M]").astype(np.int64) % 12
    return step, month


def _starts(frame: pd.DataFrame, settings: TableSettings, where: str) -> pd.Series:
    """First day of each series; the year counts only where it is in a column."""
    if settings.start is not None:
        try:
            text = settings.start if len(settings.start) > 5 else f"2001-{settings.start}"
            day = pd.Timestamp(dt.date.fromisoformat(text))
        except ValueError:
            raise ConfigError(
                f"expected a start of YYYY-MM-DD or MM-DD, received {settings.start}", "For example 09-14."
            ) from None
        return pd.Series([day] * len(frame))
    if "start_date" in frame:
        found = pd.to_datetime(frame["start_date"], errors="coerce")
    elif "start_month" in frame:
        month = pd.to_numeric(frame["start_month"], errors="coerce")
        whole = month.where(month.isin(range(1, 13)))
        found = pd.to_datetime({"year": 2001, "month": whole, "day": 1}, errors="coerce")
    else:
        raise SchemaError(
            f"{where}: expected a column start_month or start_date, received neither",
            "Or say the day of the first step and the step: --start 2022-12-01 --step month.",
        )
    if found.isna().any():
        row = int(np.argmax(found.isna()))
        raise SchemaError(
            f"{where}: expected start_date YYYY-MM-DD or start_month 1 to 12, received others: row {row + 1}"
        )
    return found


def _spacing(frame: pd.DataFrame, starts: pd.Series, count: int, where: str) -> str:
    """The step between start_date and end_date; months where only the first month is told."""
    if "end_date" in frame and "start_date" in frame and count > 1:
        ends = pd.to_datetime(frame["end_date"], errors="coerce")
        days = (ends - starts).dt.days.to_numpy(np.float64) / (count - 1)
        for step, low, high in (("ten-days", 9.5, 10.6), ("16-days", 15.0, 16.2), ("month", 29.5, 31.0)):
            if ((days >= low) & (days <= high)).all():
                return step
        raise SchemaError(
            f"{where}: expected steps of ten days, 16 days or a month, received "
            f"{np.nanmin(days):.1f} to {np.nanmax(days):.1f} days for {count} steps",
            "Seasons of different lengths cannot be mixed; or say the step with --step.",
        )
    if "start_month" in frame:
        return "month"
    raise SchemaError(
        f"{where}: expected start_date and end_date, or start_month, received neither: how long is a step?",
        f"Say it: --step {' | '.join(STEPS)}.",
    )


def _refuse_changing(frame: pd.DataFrame, ids: pd.Series, where: str) -> None:
    """In dated tables each sample is one place."""
    for role in ("latitude", "longitude"):
        column = _column(frame, role, where)
        moving = frame.groupby(ids)[column].nunique() > 1
        if moving.any():
            raise SchemaError(
                f"{where}: expected one {column} for each sample, received several for "
                f"{first(moving.index[moving].to_numpy())}"
            )


def _find(frame: pd.DataFrame, role: str) -> str | None:
    by_lower = {str(c).lower(): str(c) for c in frame.columns}
    return next((by_lower[name] for name in _ROLES[role] if name in by_lower), None)


def _column(frame: pd.DataFrame, role: str, where: str) -> str:
    found = _find(frame, role)
    if found is None:
        raise SchemaError(f"{where}: expected a column {' or '.join(_ROLES[role])}, received none of them")
    return found


def _numbers(frame: pd.DataFrame, role: str, where: str) -> Any:
    return pd.to_numeric(frame[_column(frame, role, where)], errors="coerce").to_numpy(np.float64)


def _texts(frame: pd.DataFrame, column: str | None, where: str) -> NDArray[np.str_] | None:
    """A column as texts, empty where missing."""
    if column is None:
        return None
    if column not in frame:
        raise SchemaError(
            f"{where}: no column {column}", f"Columns: {', '.join(map(str, frame.columns[:30]))}."
        )
    texts = frame[column].astype("string").fillna("").str.strip()
    made: NDArray[np.str_] = texts.to_numpy(dtype=object).astype(str)
    return made
