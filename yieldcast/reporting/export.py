"""Write one forecast in all formats: CSV, XLSX, GeoPackage, GeoJSON, JSON, CF netCDF."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import xarray as xr

from yieldcast import language
from yieldcast.data.files import make_folder
from yieldcast.errors import ConfigError
from yieldcast.forecasting.table import check_forecast
from yieldcast.reporting import forecast_json, geodata, netcdf, spreadsheets

FORMATS = ("csv", "xlsx", "gpkg", "geojson", "json", "nc")
_WITH_BOUNDARIES = ("gpkg", "geojson")


def write_all(
    folder: Path,
    forecast: xr.Dataset,
    mesh: Path | None,
    lang: str = "en",
    formats: Sequence[str] | None = None,
    notice: Callable[[str], None] = lambda text: None,
) -> list[Path]:
    """Write a forecast in several formats; each file is written completely or not at all.

    Args:
        folder: made if it does not exist; files of the same names are replaced.
        forecast: a table as `forecasting.table.check_forecast` checks it.
        mesh: GeoJSON with the boundaries of the municipalities, or None.
        lang: language: separators, headings and words. netCDF, JSON and the names of attributes are English.
        formats: names in `FORMATS`; None writes every format that is possible here.
        notice: called with a message for each format left out, and for municipalities without a boundary.

    Returns:
        The files written, in the order of `FORMATS`; csv gives two files.

    Raises:
        ConfigError: an unknown language or format, or a requested format that needs a library that is not
            installed or boundaries that were not given.
        SchemaError: the forecast or the mesh is not valid.
        MissingDataError: the mesh does not exist, or the disk refuses.
    """
    lang = language.of(lang).tag
    check_forecast(forecast)
    wanted = FORMATS if formats is None else tuple(formats)
    if unknown := [name for name in wanted if name not in FORMATS]:
        raise ConfigError(f"expected formats of {', '.join(FORMATS)}, received {', '.join(unknown)}")
    make_folder(folder)
    shapes = None
    if mesh is not None and set(wanted) & set(_WITH_BOUNDARIES):
        shapes = geodata.read_shapes(mesh)
        if lost := geodata.without_shape(forecast, shapes):
            notice(
                f"{len(lost)} of {forecast.sizes['municipality']} municipalities have no boundary in the "
                f"mesh, so maps do not show them: {', '.join(lost[:3])}{', ...' if len(lost) > 3 else ''}"
            )
    impossible = {name: error for name in wanted if (error := _obstacle(name, shapes)) is not None}
    for error in impossible.values():
        if formats is not None:
            raise error
        notice(f"left out: {error}. {error.hint}")
    return [
        file
        for name in FORMATS
        if name in wanted and name not in impossible
        for file in _write(name, folder, forecast, shapes or {}, lang)
    ]


def _obstacle(name: str, shapes: geodata.Shapes | None) -> ConfigError | None:
    """The error that prevents a format here, or None."""
    if name in _WITH_BOUNDARIES and shapes is None:
        return ConfigError(
            f"{name} needs the boundaries of the municipalities, and none were given",
            "Import them with `yieldcast import --mesh FILE ...` or fetch them with `yieldcast fetch places "
            "--store DIR`; or choose other formats.",
        )
    try:
        {"xlsx": spreadsheets.check_library, "gpkg": geodata.check_library}.get(name, lambda: None)()
    except ConfigError as error:
        return error
    return None


def _write(name: str, folder: Path, forecast: xr.Dataset, shapes: geodata.Shapes, lang: str) -> list[Path]:
    path = folder / f"forecast.{name}"
    if name == "csv":
        return spreadsheets.write_csv(folder, forecast, lang)
    if name == "xlsx":
        return [spreadsheets.write_xlsx(path, forecast, lang)]
    if name == "gpkg":
        return [geodata.write_gpkg(path, forecast, shapes, lang)]
    if name == "geojson":
        return [geodata.write_geojson(path, forecast, shapes, lang)]
    if name == "json":
        return [forecast_json.write_json(path, forecast)]
    return [netcdf.write_cf(path, forecast)]
