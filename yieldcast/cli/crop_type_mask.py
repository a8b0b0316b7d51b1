"""`yieldcast crop-type mask` and `area`: maps of classes to crop areas and to weights of weather cells."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from yieldcast import clock
from yieldcast.cli.arguments import (
    ScreenLanguageOption,
    check_folder_of,
    check_json_folder,
    crop_key,
    parse_date,
)
from yieldcast.cli.crop_type import crop_type
from yieldcast.cli.panels import Command
from yieldcast.cli.terminal import console

MapsArgument = Annotated[
    list[Path],
    typer.Argument(
        metavar="MAP...", help="Folders of yieldcast crop-type map, or GeoTIFFs of classes made elsewhere."
    ),
]
CodeOption = Annotated[
    str | None,
    typer.Option("--code", metavar="NAME", help="Property of --places with the codes; default: code."),
]
ReferenceOption = Annotated[
    Path | None,
    typer.Option(
        metavar="CSV",
        help="Labelled points (lon, lat, label) that tell the errors of the map; default: the left-out "
        "samples that come with it.",
    ),
]
PlacesHelp = "Polygons of the municipalities: GeoJSON, or a store with boundaries."
AreaJsonOption = Annotated[
    Path | None, typer.Option("--json", metavar="FILE", help="Also write all numbers to this file.")
]


class GridChoice(StrEnum):
    """Grid of the weather."""

    era5 = "era5"
    era5_land = "era5-land"


def add_commands(_app: typer.Typer) -> None:
    """Add `mask` and `area` to `crop-type`."""
    crop_type.command("mask", cls=Command)(mask)
    crop_type.command("area", cls=Command)(area)


def mask(
    maps: MapsArgument,
    places: Annotated[Path, typer.Option("--places", metavar="MESH|STORE", help=PlacesHelp)],
    crop: Annotated[str, typer.Option("--crop", help="Crop, e.g. soybean or soja.")],
    out: Annotated[Path, typer.Option("--out", metavar="WEIGHTS", help="File to make (netCDF).")],
    classes: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,...",
            help="Classes, or numbers in the raster, that are the crop; default: those with its name, "
            "as Soy_Corn for soybean.",
        ),
    ] = None,
    last_day: Annotated[
        list[str] | None,
        typer.Option(
            metavar="YYYY-MM-DD",
            help="Last day of the season, for each map that does not say it, in their order.",
        ),
    ] = None,
    harvest_year: Annotated[
        list[int] | None,
        typer.Option(metavar="YEAR", help="Harvest year of each map; default: year of the last day."),
    ] = None,
    grid: Annotated[
        GridChoice, typer.Option(help="Grid of the weather: era5 0.25 degrees, era5-land 0.1 degrees.")
    ] = GridChoice.era5,
    lag: Annotated[
        int, typer.Option(min=0, max=3650, help="Days after the season until its map may be used.")
    ] = 0,
    as_of: Annotated[
        str | None,
        typer.Option(metavar="YYYY-MM-DD", help="Refuse maps of seasons that were not over; default: today."),
    ] = None,
    reference: ReferenceOption = None,
    code: CodeOption = None,
    file: AreaJsonOption = None,
    lang: ScreenLanguageOption = "en",
) -> None:
    """Crop areas and weights of the weather cells of each municipality and year, from maps of classes.

    Several maps of one season are tiles; of several seasons, years. A map may be used from the day after its
    season on (and --lag days more), never before. Then: yieldcast fetch weather --where crop-area --weights
    WEIGHTS, and yieldcast import --crop-area WEIGHTS for the report.

    Example:

        yieldcast crop-type mask MAP_2019 MAP_2020 --places STORE --crop soybean --out soybean.nc
    """
    from yieldcast import language
    from yieldcast.cli.progress import counting_progress
    from yieldcast.cli.views.crop_area import mask_document, mask_view
    from yieldcast.data.crop_weights import write_crop_weights
    from yieldcast.data.files import atomic_text
    from yieldcast.mapping.class_maps import open_map
    from yieldcast.mapping.crop_weights import MaskSettings, make_mask, seasons_of
    from yieldcast.mapping.places import read_places
    from yieldcast.operations.job import check_date

    check_json_folder(file)
    check_folder_of(out, "--out")
    screen, words, today = console(), language.of(lang), clock.today()
    days = [day for text in last_day or () if (day := parse_date(text, "--last-day"))]
    seasons = seasons_of([open_map(path) for path in maps], days, harvest_year or ())
    settings = MaskSettings(
        crop_key(crop), check_date(parse_date(as_of, "--as-of") or today, today), _names(classes),
        grid.value, lag,
        reference,
    )  # fmt: skip
    polygons = read_places(places, code)
    with counting_progress(words.gettext("measuring maps"), screen) as progress:
        made = make_mask(seasons, polygons, settings, progress)
    write_crop_weights(out, made.table)
    if file:
        atomic_text(file, json.dumps(mask_document(made), indent=2, ensure_ascii=False))
    screen.print(mask_view(made, lang))
    screen.print(words.gettext("weights written: {path}", path=out))


def area(
    maps: MapsArgument,
    places: Annotated[
        Path | None, typer.Option("--places", metavar="MESH|STORE", help=f"{PlacesHelp} Optional.")
    ] = None,
    reference: ReferenceOption = None,
    code: CodeOption = None,
    table: Annotated[
        Path | None,
        typer.Option("--csv", metavar="FILE", help="Also write the areas, by municipality with --places."),
    ] = None,
    file: AreaJsonOption = None,
    lang: ScreenLanguageOption = "en",
) -> None:
    """Area of each class of a map (ha), with its accuracy, corrected area and standard error.

    Pixels count with their true area on the ellipsoid. With reference points the areas are corrected for the
    errors of the map (Olofsson et al. 2014). Several maps are tiles of one season.

    Example:

        yieldcast crop-type area MAP_2020 --reference points.csv --json areas.json
    """
    from yieldcast import language
    from yieldcast.cli.progress import counting_progress
    from yieldcast.cli.views.crop_area import area_document, area_view
    from yieldcast.data.files import atomic_text
    from yieldcast.mapping.class_maps import open_map, refuse_overlap
    from yieldcast.mapping.map_areas import map_areas
    from yieldcast.mapping.places import read_places

    check_json_folder(file)
    if table:
        check_folder_of(table, "--csv")
    screen, words = console(), language.of(lang)
    opened = [open_map(path) for path in maps]
    refuse_overlap(opened)
    polygons = read_places(places, code) if places else None
    with counting_progress(words.gettext("measuring maps"), screen) as progress:
        found = map_areas(opened, polygons, reference, progress)
    if table:
        atomic_text(table, found.frame().to_csv(index=False))
    if file:
        atomic_text(file, json.dumps(area_document(found), indent=2, ensure_ascii=False))
    screen.print(area_view(found, lang))


def _names(text: str | None) -> tuple[str, ...]:
    return tuple(one.strip() for one in text.split(",") if one.strip()) if text else ()
