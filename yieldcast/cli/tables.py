"""`yieldcast calendar`, `import`, `new-country`, `status`: season windows, your own tables, the store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from yieldcast.cli.arguments import (
    BeforeMaps,
    HarvestYearOption,
    ScreenLanguageOption,
    StoreOption,
    check_json_folder,
    crop_key,
)
from yieldcast.cli.panels import DATA, Command
from yieldcast.cli.terminal import console
from yieldcast.errors import SchemaError


def add_commands(app: typer.Typer) -> None:
    """Add `calendar`, `import`, `new-country` and `status` to the command line."""
    app.command(cls=Command, rich_help_panel=DATA)(calendar)
    app.command("import", cls=Command, rich_help_panel=DATA)(import_tables)
    app.command("new-country", cls=Command, rich_help_panel=DATA)(new_country)
    app.command(cls=Command, rich_help_panel=DATA)(status)


def calendar(
    crop: Annotated[str, typer.Argument(help="corn, cotton, rice, soybean, sugarcane, or one of your own.")],
    state: Annotated[str, typer.Option(help="State, or a region of your own calendar.")],
    harvest_year: HarvestYearOption,
    file: Annotated[Path | None, typer.Option("--calendar", metavar="CSV", help="Your own calendar.")] = None,
    months: Annotated[
        int | None, typer.Option(help="Months of the window, instead of the calendar's number.")
    ] = None,
    lang: ScreenLanguageOption = "en",
) -> None:
    """Print the months of a season window.

    The window of harvest year Y is the first n months from the start of planting. Planting falls in Y if its
    first month is not later than the first month of harvest, and in Y-1 otherwise.

    Example:

        yieldcast calendar soybean --state MT --harvest-year 2018
    """
    import calendars
    from yieldcast.cli.views.calendar import calendar_lines

    table = calendars.read(file) if file else calendars.brazil()
    crop = crop_key(crop, table.crops)
    if months is not None:
        table = table.with_months({crop: months})
    row = table.row(crop, state)
    window = [str(month) for month in table.window(crop, state, harvest_year)]
    for line in calendar_lines(row, window, state, lang):
        console().print(line)


def import_tables(
    store: StoreOption,
    places: Annotated[
        Path | None, typer.Option(metavar="CSV", help="Code, name, state, lat, lon of municipalities.")
    ] = None,
    yields: Annotated[
        Path | None, typer.Option(metavar="CSV[.gz]", help="Code, crop, year, yield_kg_ha.")
    ] = None,
    weather: Annotated[
        Path | None,
        typer.Option(metavar="NC", help="netCDF (municipality, time), monthly or daily; days are kept too."),
    ] = None,
    weather_grid: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[tmax=]NC",
            help="Instead of --weather: gridded netCDF of CDS (also a zip), NASA POWER, cfgrib; averaged "
            "over the polygons of --mesh, or the nearest cell without it. May be given several times; "
            "tmax=FILE and tmin=FILE say what a file with t2m holds.",
        ),
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(
            metavar="WEIGHTS",
            help="With --weather-grid: average over the cropped cells of a file of yieldcast crop-type mask.",
        ),
    ] = None,
    weights_before: Annotated[
        BeforeMaps,
        typer.Option(
            help="Months before the first map: refused, over polygons, or over the first map's cells."
        ),
    ] = BeforeMaps.refuse,
    soil: Annotated[Path | None, typer.Option(metavar="CSV[.gz]", help="Soil properties by layer.")] = None,
    mesh: Annotated[
        Path | None, typer.Option(metavar="GEOJSON", help="Boundaries of the municipalities, for maps.")
    ] = None,
    estimates: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="CSV[.gz]",
            help="Official estimates: crop, harvest_year, state, reference (month or survey), public_from, "
            "yield_kg_ha. May be given several times; earlier estimates of the store are kept.",
        ),
    ] = None,
    estimates_source: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Who published the estimates; default: column source or the file's name."
        ),
    ] = None,
    country: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|NAME",
            help="The country of the places: a country.toml (see yieldcast new-country), or brazil. Default: "
            "brazil where all codes and states are IBGE's, otherwise none.",
        ),
    ] = None,
    daily_weather: Annotated[
        Path | None,
        typer.Option(
            metavar="NC|CSV",
            help="netCDF (municipality, time) of days, or CSV with a row for each code and date; or of units "
            "X that the column X of --places or --fields names.",
        ),
    ] = None,
    fields: Annotated[
        Path | None,
        typer.Option(
            metavar="CSV",
            help="Instead of --places: fields, a row for each season: id, lat, lon, crop, harvest_year, "
            "sowing_date, harvest_date, municipality. The monthly weather is then made of --daily-weather.",
        ),
    ] = None,
    vegetation: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="CSV[.gz]",
            help="NDVI or EVI: code, date, ndvi, quality flag; or summaries: code, year, ndvi_max, ... May "
            "be given twice, once for each kind.",
        ),
    ] = None,
    crop_area: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="WEIGHTS",
            help="Areas of a crop from maps, a file of yieldcast crop-type mask: shown beside the official "
            "area. May be given several times; areas of other years and crops are kept.",
        ),
    ] = None,
    drop_outliers: Annotated[
        bool,
        typer.Option(
            "--drop-outliers",
            help="Leave out yields outside of 1.5 times the interquartile range of their crop and year. "
            "Without it they are counted (of fields) and kept: a failed field is no error.",
        ),
    ] = False,
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="Read every file, report all faults at once and write nothing; exit code 5 if a file would "
            "be refused.",
        ),
    ] = False,
    file: Annotated[
        Path | None,
        typer.Option("--json", metavar="FILE", help="Also write what was found to this file."),
    ] = None,
    lang: ScreenLanguageOption = "en",
) -> None:
    """Check your own tables and write them into a store.

    Columns may come in any order and other columns are ignored; units are read from column names
    (yield_kg_ha or yield_t_ha, tmax_degC, precipitation_mm, clay_pct_0_30cm). If anything is wrong nothing
    is written, and an earlier store stays unchanged. Estimates, daily weather, vegetation and crop areas can
    also be added to an existing store by themselves.

    Example:

        yieldcast import --store STORE --places places.csv --yields yields.csv --weather weather.nc

        yieldcast import --store STORE --places places.csv --yields yields.csv --weather-grid era5.zip

        yieldcast import --store STORE --estimates lspa_2018.csv

        yieldcast import --store STORE --fields fields.csv --yields yields.csv --daily-weather days.csv \\
                         --vegetation ndvi.csv
    """
    from yieldcast import language
    from yieldcast.cli.views.store import check_view, import_view
    from yieldcast.importing.check import write_document
    from yieldcast.importing.files import UserFiles, check_files, import_files

    check_json_folder(file)
    files = UserFiles(
        places, yields, weather, soil, mesh, tuple(estimates or ()), estimates_source, daily_weather,
        country, tuple(weather_grid or ()), fields, tuple(vegetation or ()), drop_outliers,
        weights, weights_before.value, tuple(crop_area or ()),
    )  # fmt: skip
    out, words = console(), language.of(lang)
    with out.status(words.gettext("reading and checking tables")):
        if check:
            found = check_files(store, files)
        else:
            written, found = import_files(store, files)
    write_document(file, found, store, None if check else written.fingerprints)
    if check:
        out.print(check_view(found, lang))
        raise typer.Exit(SchemaError.exit_code if found.faults else 0)
    out.print(import_view(found.log, written.fingerprints, lang))
    out.print(words.gettext("store written: {path}", path=store))


def new_country(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="New folder, or one without these files.")],
) -> None:
    """Write the files of a made-up country, to be changed to those of yours.

    They are country.toml (names, states, codes, days of publication, all explained), calendar.csv, synthetic
    places, yields, soil and weather, and a README with the commands that follow, which run as they are.

    Example:

        yieldcast new-country norland
    """
    from yieldcast.operations.new_country import write_skeleton

    for path in write_skeleton(folder):
        console().print(f"written: {path}")
    console().print(f"next: change them, then: yieldcast import --country {folder / 'country.toml'} ...")


def status(store: StoreOption, lang: ScreenLanguageOption = "en") -> None:
    """Show what a store holds: tables, years, gaps, fingerprints.

    Example:

        yieldcast status --store STORE
    """
    from yieldcast.cli.views.store import status_view
    from yieldcast.data.store import Store

    console().print(status_view(Store.open(store).status(), lang))
