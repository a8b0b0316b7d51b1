"""`yieldcast crop-type map`: a crop-type run over a raster of one season."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from yieldcast.cli.arguments import JsonOption, ScreenLanguageOption, check_json_folder
from yieldcast.cli.crop_type import StepOption, UnitOption, _units, crop_type
from yieldcast.cli.panels import Command
from yieldcast.cli.terminal import console, load_tensorflow
from yieldcast.errors import ConfigError

if TYPE_CHECKING:
    pass


def add_commands(app: typer.Typer) -> None:
    """Add `crop-type map` to the command line."""
    crop_type.command("map", cls=Command)(map_classes)


def map_classes(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run directory of crop-type train.")],
    rasters: Annotated[
        list[Path],
        typer.Option(
            "--input", metavar="FILE", help="netCDF cube, or GeoTIFFs: --input A.tif --input B.tif."
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the map.")],
    more: Annotated[
        list[Path] | None, typer.Argument(metavar="[FILE]...", help="More GeoTIFFs of the same season.")
    ] = None,
    encoder: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Encoder; default: the file of the training.")
    ] = None,
    reference: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="GeoTIFF of classes, or CSV of lon, lat, label, to compare with."),
    ] = None,
    block: Annotated[
        int, typer.Option(min=1, metavar="N", help="Pixels of a side of a block; changes no result.")
    ] = 256,
    bbox: Annotated[
        str | None, typer.Option(metavar="W,S,E,N", help="Rectangle to map, degrees; default: all.")
    ] = None,
    mask: Annotated[
        Path | None, typer.Option(metavar="FILE", help="GeoTIFF: only pixels other than 0 are mapped.")
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(metavar="YYYY-MM-DD", help="First day of the season, where the raster has several."),
    ] = None,
    step: StepOption = None,
    unit: UnitOption = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes that map blocks side by side.")] = 1,
    dask: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Scheduler of a Dask cluster that maps the blocks.")
    ] = None,
    file: JsonOption = None,
    lang: ScreenLanguageOption = "en",
) -> None:
    """Map the crop types of a raster: classes and probabilities as cloud-optimised GeoTIFF.

    Beside them a quick look, and a page with parts of the map to check it by eye.
    A map that was cut off goes on when the same command is given again.

    Example:

        yieldcast crop-type map RUN --input cube.nc --out MAP
    """
    from yieldcast import language
    from yieldcast.cli.executors import chosen_executor
    from yieldcast.cli.progress import counting_progress
    from yieldcast.cli.views.crop_type_map import map_view
    from yieldcast.data.files import atomic_text
    from yieldcast.mapping.blocks import classifier
    from yieldcast.mapping.crop_maps import MapSettings, finish_map, make_map, plan_map, refuse_map
    from yieldcast.mapping.map_page import describe_map
    from yieldcast.mapping.map_reference import MapReference
    from yieldcast.mapping.quicklook import need_matplotlib

    check_json_folder(file)
    refuse_map(out)
    need_matplotlib()
    screen, words = console(), language.of(lang)
    settings = MapSettings(encoder, step, _day(start), _units(unit), block, _bounds(bbox), mask)
    opened = classifier(run)
    against = MapReference.of(reference, opened.model.classes) if reference else None
    if opened.needs_encoder:
        load_tensorflow()
    job = plan_map(run, [*rasters, *(more or [])], settings)
    with (
        chosen_executor(workers, dask) as executor,
        counting_progress(words.gettext("mapping pixels"), screen) as progress,
    ):
        made = make_map(job, out, executor, workers, progress)
    made = describe_map(made, against, lang)
    finish_map(made)
    screen.print(map_view(made.record, lang))
    if file:
        atomic_text(file, json.dumps(made.record, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
        screen.print(words.gettext("written: {path}", path=file))
    screen.print(words.gettext("written: {path}", path=out))


def _day(text: str | None) -> dt.date | None:
    if text is None:
        return None
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"--start: expected YYYY-MM-DD, received {text!r}") from None


def _bounds(text: str | None) -> tuple[float, float, float, float] | None:
    if text is None:
        return None
    hint = "Give WEST,SOUTH,EAST,NORTH in degrees, for example -56.0,-12.5,-55.5,-12.0."
    try:
        west, south, east, north = (float(one) for one in text.split(","))
    except ValueError:
        raise ConfigError(f"--bbox: expected four numbers, received {text!r}", hint) from None
    if not (-180 <= west < east <= 180 and -90 <= south < north <= 90):
        raise ConfigError(f"--bbox: expected west < east and south < north, received {text}", hint)
    return west, south, east, north
