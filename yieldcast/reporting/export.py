"""A forecast in the formats that people and programs read: CSV, XLSX, GeoPackage, GeoJSON, CF netCDF."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import xarray as xr

from yieldcast.data.files import make_folder
from yieldcast.errors import ConfigError
from yieldcast.forecasting.table import check_forecast
from yieldcast.reporting import geodata, labels, spreadsheets
from yieldcast.reporting.geodata import Shapes, read_shapes, without_shape, write_geojson, write_gpkg
from yieldcast.reporting.netcdf import write_cf
from yieldcast.reporting.spreadsheets import write_csv, write_xlsx

FORMATS = ("csv", "xlsx", "gpkg", "geojson", "nc")
_OF_PLACES = ("gpkg", "geojson")


def write_all(
    folder: Path,
    forecast: xr.Dataset,
    mesh: Path | None,
    lang: str = "en",
    formats: Sequence[str] | None = None,
    notice: Callable[[str], None] = lambda text: None,
) -> list[Path]:
    """Write a forecast in several formats, each file whole or not at all.

    Args:
        folder: made where it is not there; files of the same name are replaced.
        forecast: a table as `forecast_table.check_forecast` asks for.
        mesh: GeoJSON with the boundaries of the municipalities, or None where there are none.
        lang: en or pt: separators, headings and words. netCDF and the names of attributes are English.
        formats: of `FORMATS`; None for all that can be made here, the others being told to `notice`.
        notice: hears what the reader should know: formats left out, municipalities without a boundary.

    Returns:
        The files written, in the order of `FORMATS`; csv is two.

    Raises:
        ConfigError: an unknown language or format; a format asked for that needs a library or boundaries that
            are not there.
        SchemaError: the forecast or the mesh breaks its contract.
        MissingDataError: no such mesh, or the disk refuses.
    """
    labels.check(lang)
    check_forecast(forecast)
    wanted = FORMATS if formats is None else tuple(formats)
    if unknown := [name for name in wanted if name not in FORMATS]:
        raise ConfigError(f"expected formats of {', '.join(FORMATS)}, received {', '.join(unknown)}")
    make_folder(folder)
    shapes = None
    if mesh is not None and set(wanted) & set(_OF_PLACES):
        shapes = read_shapes(mesh)
        if lost := without_shape(forecast, shapes):
            notice(
                f"{len(lost)} of {forecast.sizes['municipality']} municipalities have no boundary in the "
                f"mesh and no geometry on maps: {', '.join(lost[:3])}{', ...' if len(lost) > 3 else ''}"
            )
    lacks = {name: error for name in wanted if (error := _lack(name, shapes)) is not None}
    for error in lacks.values():
        if formats is not None:
            raise error
        notice(f"left out: {error}. {error.hint}")
    return [
        file
        for name in FORMATS
        if name in wanted and name not in lacks
        for file in _write(name, folder, forecast, shapes or {}, lang)
    ]


def _lack(name: str, shapes: Shapes | None) -> ConfigError | None:
    """Why a format cannot be made here."""
    if name in _OF_PLACES and shapes is None:
        return ConfigError(
            f"{name} needs the boundaries of the municipalities, and there are none",
            "Fetch them with `yieldcast fetch places --store DIR`, or choose other formats.",
        )
    try:
        {"xlsx": spreadsheets.check_library, "gpkg": geodata.check_library}.get(name, lambda: None)()
    except ConfigError as error:
        return error
    return None


def _write(name: str, folder: Path, forecast: xr.Dataset, shapes: Shapes, lang: str) -> list[Path]:
    path = folder / f"forecast.{name}"
    if name == "csv":
        return write_csv(folder, forecast, lang)
    if name == "xlsx":
        return [write_xlsx(path, forecast, lang)]
    if name == "gpkg":
        return [write_gpkg(path, forecast, shapes, lang)]
    if name == "geojson":
        return [write_geojson(path, forecast, shapes, lang)]
    return [write_cf(path, forecast)]
