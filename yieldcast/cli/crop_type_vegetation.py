"""`yieldcast crop-type vegetation`: NDVI and EVI over the pixels of a crop, for import."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from yieldcast import clock
from yieldcast.cli.arguments import ScreenLanguageOption, check_folder_of, crop_key, parse_date
from yieldcast.cli.crop_type import crop_type
from yieldcast.cli.crop_type_mask import CodeOption, PlacesHelp
from yieldcast.cli.panels import Command
from yieldcast.cli.terminal import console


def add_commands(_app: typer.Typer) -> None:
    """Add `vegetation` to `crop-type`."""
    crop_type.command("vegetation", cls=Command)(vegetation)


def vegetation(
    cubes: Annotated[
        list[Path], typer.Argument(metavar="CUBE...", help="Raster cubes (netCDF) with NDVI, EVI or bands.")
    ],
    mask: Annotated[
        list[Path],
        typer.Option(
            metavar="MAP", help="Map of classes of an earlier season; several: tiles, or other seasons."
        ),
    ],
    places: Annotated[Path, typer.Option("--places", metavar="MESH|STORE", help=PlacesHelp)],
    crop: Annotated[str, typer.Option("--crop", help="Crop, e.g. soybean or soja.")],
    out: Annotated[Path, typer.Option("--out", metavar="CSV", help="Table to make.")],
    classes: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,...",
            help="Classes, or numbers in the raster, that are the crop; default: those with its name.",
        ),
    ] = None,
    last_day: Annotated[
        list[str] | None,
        typer.Option(
            metavar="YYYY-MM-DD",
            help="Last day of the season, for each map that does not say it, in their order.",
        ),
    ] = None,
    lag: Annotated[
        int, typer.Option(min=0, max=3650, help="Days after a step until its observation may be used.")
    ] = 0,
    least_clear: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the crop's pixels that a clear observation needs.")
    ] = 0.25,
    as_of: Annotated[
        str | None,
        typer.Option(metavar="YYYY-MM-DD", help="Leave out steps that were not public; default: today."),
    ] = None,
    code: CodeOption = None,
    lang: ScreenLanguageOption = "en",
) -> None:
    """Mean NDVI and EVI over the pixels of a crop, for each municipality and date.

    Each step of a cube takes the newest map of a season that was over before the step began. Then:
    yieldcast import --vegetation CSV.

    Example:

        yieldcast crop-type vegetation CUBE_2020.nc --mask MAP_2019 --places STORE --crop soybean --out V.csv
    """
    from yieldcast import language
    from yieldcast.cli.progress import counting_progress
    from yieldcast.cli.views.crop_vegetation import vegetation_view
    from yieldcast.data.files import atomic_text
    from yieldcast.mapping.class_maps import open_map
    from yieldcast.mapping.crop_vegetation import VegetationSettings, crop_vegetation
    from yieldcast.mapping.crop_weights import seasons_of
    from yieldcast.mapping.places import read_places

    check_folder_of(out, "--out")
    screen, words = console(), language.of(lang)
    days = [day for text in last_day or () if (day := parse_date(text, "--last-day"))]
    seasons = seasons_of([open_map(path) for path in mask], days)
    names = tuple(one.strip() for one in (classes or "").split(",") if one.strip())
    settings = VegetationSettings(
        crop_key(crop), parse_date(as_of, "--as-of") or clock.today(), names, lag, least_clear
    )
    polygons = read_places(places, code)
    with counting_progress(words.gettext("reading pixels"), screen) as progress:
        made = crop_vegetation(cubes, seasons, polygons, settings, progress)
    atomic_text(out, made.frame.to_csv(index=False, float_format="%.5f"))
    screen.print(vegetation_view(made, settings.crop, lang))
    screen.print(words.gettext("written: {path}", path=out))
