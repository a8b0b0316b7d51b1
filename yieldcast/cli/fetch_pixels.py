"""`yieldcast fetch pixels`: series of pixels from a STAC catalogue, as a raster cube or a table."""

from __future__ import annotations

import datetime as dt
import json
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from yieldcast.cli.arguments import (
    ScreenLanguageOption,
    check_folder_of,
    check_json_folder,
    parse_date,
    parse_months,
)
from yieldcast.cli.executors import dask_executor
from yieldcast.cli.panels import Command
from yieldcast.cli.terminal import console, exit_during_fetch
from yieldcast.errors import ConfigError

if TYPE_CHECKING:
    from data_fetchers.fetching.pixel_files import Seen
    from data_fetchers.fetching.pixels import PixelOrder, PixelPlan

PIXELS = "pixels"
pixels = typer.Typer(add_completion=False)
_DEFAULT = "sentinel-2-l2a"


class Step(StrEnum):
    """Kinds of steps."""

    month = "month"
    ten_days = "ten-days"
    sixteen_days = "16-days"


class FetchCommand(Command):
    """`fetch` of tables, which has `fetch pixels` as a command of its own."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.commands = {PIXELS: typer.main.get_command(pixels)}

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Context of the command that the first word names."""
        if args and args[0] in self.commands:
            return self.commands[args[0]].make_context(f"{info_name} {args[0]}", args[1:], parent, **extra)
        return super().make_context(info_name, args, parent, **extra)


@pixels.command(PIXELS, cls=Command)
def fetch_pixels(
    season: Annotated[
        str,
        typer.Option(
            metavar="FIRST:LAST|YEAR",
            help="Months, e.g. 2020-11:2021-10; or a harvest year with --crop and --state.",
        ),
    ],
    bbox: Annotated[
        str | None, typer.Option(metavar="W,S,E,N", help="Box in degrees, for a cube (.nc).")
    ] = None,
    places: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Points (CSV or Parquet: sample_id, lat, lon) or polygons (GeoJSON), for a table; with a "
            "cube the box around them.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="CUBE.nc, or TABLE.parquet or .csv with a row for each place."),
    ] = None,
    collections: Annotated[
        str, typer.Option(metavar="NAMES", help="Collections, e.g. hls2-s30,hls2-l30,cop-dem-glo-30.")
    ] = _DEFAULT,
    catalog: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|URL",
            help="earth-search, planetary-computer, lpcloud, or the root of a STAC API; default: the first "
            "that has the collections.",
        ),
    ] = None,
    bands: Annotated[str | None, typer.Option(help="Bands, e.g. B4,B8; default: all.")] = None,
    resolution: Annotated[
        float | None,
        typer.Option(min=1, max=10_000, help="Side of a pixel (m); default: the finest of the collections."),
    ] = None,
    step: Annotated[Step, typer.Option(help="16-days are those of MODIS.")] = Step.month,
    crop: Annotated[str | None, typer.Option(help="Crop of the calendar, with a harvest year.")] = None,
    state: Annotated[str | None, typer.Option(help="State of the calendar, with a harvest year.")] = None,
    calendar: Annotated[Path | None, typer.Option(metavar="CSV", help="Your own calendar.")] = None,
    max_cloud: Annotated[
        float, typer.Option(min=0, max=100, help="Leave out images with more clouds (%).")
    ] = 80.0,
    as_of: Annotated[
        str | None, typer.Option(metavar="DATE", help="Only images that were public on this day.")
    ] = None,
    store: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Store whose weather becomes temperature and precipitation."),
    ] = None,
    parts: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of the pieces; default: --out with .parts.")
    ] = None,
    limit_gb: Annotated[float, typer.Option(min=0, help="Refuse larger downloads and results (GB).")] = 10.0,
    check: Annotated[
        bool,
        typer.Option("--check", "--dry-run", help="Search, and show images and sizes; fetch no pixels."),
    ] = False,
    partial: Annotated[
        bool, typer.Option("--partial", help="Write what arrived, also with months without images.")
    ] = False,
    dask: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Fetch on a Dask cluster; its workers must see --parts."),
    ] = None,
    tries: Annotated[int, typer.Option(min=1, help="Attempts for each request.")] = 6,
    retry_wait: Annotated[
        float, typer.Option(min=0, help="Seconds before the second attempt; doubled for each one after it.")
    ] = 5.0,
    file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Also write all numbers to this file.")
    ] = None,
    lang: ScreenLanguageOption = "en",
) -> None:
    """Fetch pixels of satellites from an open catalogue: clouds masked, one value for each step.

    Only the window of each file is read. A fetch that was stopped is continued by the same command.

    Example:

        yieldcast fetch pixels --bbox -55.6,-12.1,-55.5,-12.0 --season 2020-09:2021-08 --out cube.nc
    """
    from data_fetchers.engine.source import Retry
    from data_fetchers.fetching.pixel_files import write_result
    from data_fetchers.fetching.pixels import fetch_images, plan_pixels, raise_for_missing
    from yieldcast import clock, language
    from yieldcast.cli.progress import counting_progress, fetch_progress
    from yieldcast.cli.views.fetch_pixels import show_plan, show_result

    check_json_folder(file)
    today, screen, words = clock.today(), console(), language.of(lang)
    days = season_days(season, crop, state, calendar)
    date = _as_of(as_of, today)
    order = _order(bbox, places, out, check, days, collections, catalog, bands, resolution, step)
    order = replace(order, max_cloud_pct=max_cloud, as_of=date, store=store)
    retry = Retry(tries=tries, first_s=retry_wait, longest_s=max(retry_wait, 120.0))
    try:
        with _folder(parts, out, check) as folder, fetch_progress(screen) as progress:
            plan = plan_pixels(order, folder, retry=retry, progress=progress, today=today, partial=partial)
            if not check:
                _refuse(plan, limit_gb, partial)
                with dask_executor(dask) as executor:
                    summaries = fetch_images(
                        plan, folder, executor=executor, retry=retry, progress=progress, today=today
                    )
    except KeyboardInterrupt:
        exit_during_fetch(screen)
    if check or out is None:
        show_plan(plan, screen, lang)
        _write_json(file, plan_record(plan))
        return
    if not partial:
        raise_for_missing(summaries)
    with counting_progress(words.gettext("compositing"), screen) as counted:
        seen = write_result(plan, folder, out, counted)
    show_result(plan, seen, screen, lang)
    _write_json(file, {**plan_record(plan), **_seen_record(seen)})
    screen.print(words.gettext("written: {path}", path=out))
    if partial:
        raise_for_missing(summaries)


def season_days(
    text: str, crop: str | None, state: str | None, calendar: Path | None
) -> tuple[dt.date, dt.date]:
    """First and last day of a season.

    Args:
        text: months as FIRST:LAST (or FIRST..LAST), or a harvest year.
        crop, state: keys of the calendar, for a harvest year.
        calendar: your own; None is the built-in one.

    Raises:
        ConfigError: another text, one month, or a harvest year without crop and state.
    """
    if re.fullmatch(r"\d{4}", text.strip()):
        months = _calendar_months(int(text), crop, state, calendar)
    else:
        if crop or state or calendar:
            raise ConfigError(
                "expected --crop, --state and --calendar with a harvest year, received months",
                "Leave them out, or give --season 2021.",
            )
        months = parse_months(text.replace("..", ":"), "--season")
    if "," in text or len(months) < 2:
        raise ConfigError(
            f"--season: expected two months or more without a gap, received {text!r}",
            "For example --season 2020-11:2021-10.",
        )
    first, after = months[0].astype("datetime64[D]").tolist(), months[-1] + 1
    return first, after.astype("datetime64[D]").tolist() - dt.timedelta(1)


def _calendar_months(
    year: int, crop: str | None, state: str | None, calendar: Path | None
) -> list[np.datetime64]:
    import calendars
    from yieldcast.cli.arguments import crop_key

    if crop is None or state is None:
        raise ConfigError(
            f"--season {year}: expected --crop and --state with a harvest year, received not both",
            "Or give months: --season 2020-11:2021-10.",
        )
    table = calendars.read(calendar) if calendar else calendars.brazil()
    return list(table.window(crop_key(crop, table.crops), state, year))


def _as_of(text: str | None, today: dt.date) -> dt.date | None:
    date = parse_date(text, "--as-of")
    if date is not None and date > today:
        raise ConfigError(
            f"--as-of: expected a day up to today, {today}, received {date}", "Leave it out for today."
        )
    return date


def _order(
    bbox: str | None,
    places: Path | None,
    out: Path | None,
    check: bool,
    days: tuple[dt.date, dt.date],
    collections: str,
    catalog: str | None,
    bands: str | None,
    resolution: float | None,
    step: Step,
) -> PixelOrder:
    """What is wanted; every option is checked before anything is fetched."""
    from data_fetchers.fetching.pixel_files import CUBE, TABLE
    from data_fetchers.fetching.pixels import PixelOrder, ordered_bands, sources_of
    from data_fetchers.stac.places import box_around, read_places

    if (bbox is None) == (places is None):
        raise ConfigError(
            "expected --bbox or --places, received both or neither",
            "For example --bbox -55.6,-12.1,-55.5,-12",
        )
    if out is None and not check:
        raise ConfigError("--out is not given", "For example --out cube.nc; --check needs none.")
    ending = out.suffix.lower() if out else (CUBE[0] if bbox else TABLE[0])
    wanted = CUBE if bbox else (*CUBE, *TABLE)
    if ending not in wanted:
        raise ConfigError(f"--out: expected a file with the ending {' or '.join(wanted)}, received {out}")
    if out:
        check_folder_of(out, "--out")
    sources = sources_of(_list(collections), catalog)
    order = PixelOrder(
        sources, ordered_bands(sources, _bands(bands)), *days, step=step.value, pixel_m=resolution
    )
    if bbox:
        return replace(order, box=_box(bbox))
    if places is not None and ending in CUBE:
        return replace(order, box=box_around(places))
    return replace(order, points=read_places(places)) if places else order


def _box(text: str) -> tuple[float, float, float, float]:
    from data_fetchers.stac.grids import check_box

    try:
        numbers = [float(one) for one in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != 4:
        raise ConfigError(f"--bbox: expected W,S,E,N, received {text!r}", "For example -55.6,-12.1,-55.5,-12")
    return check_box(numbers)


def _bands(text: str | None) -> list[str]:
    from yieldcast.pixels.series_bands import band_name

    found = []
    for one in _list(text or ""):
        name = band_name(one)
        if name is None:
            raise ConfigError(f"--bands: unknown band {one}", "For example B4,B8,NDVI,VV,elevation.")
        found.append("elevation" if name == "slope" else name)
    return found


def _list(text: str) -> list[str]:
    return list(dict.fromkeys(one.strip() for one in text.split(",") if one.strip()))


@contextmanager
def _folder(parts: Path | None, out: Path | None, check: bool) -> Iterator[Path]:
    """Folder of the pieces; a check without one leaves nothing behind."""
    own = parts or (out.with_name(f"{out.name}.parts") if out else None)
    if own is not None and (own.is_dir() or not check):
        yield own.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="yieldcast-") as folder:
        yield Path(folder)


def _refuse(plan: PixelPlan, limit_gb: float, partial: bool) -> None:
    """Refuse before the download what is too large, or has months without images."""
    from yieldcast.errors import FetchError

    for what, size in (("download", plan.download_mb), ("result", plan.result_mb)):
        if size > limit_gb * 1000:
            raise ConfigError(
                f"expected a {what} of at most {limit_gb:g} GB (--limit-gb), received one of about "
                f"{size / 1000:.1f} GB: {len(plan.missing)} windows of images, {len(plan.order.days)} steps",
                "Take a smaller box, fewer bands, a coarser --resolution, a lower --max-cloud, or a higher "
                "--limit-gb.",
            )
    if plan.empty and not partial:
        listed = ", ".join(map(str, plan.empty[:6])) + (", ..." if len(plan.empty) > 6 else "")
        raise FetchError(
            f"expected images in every step, received none in the steps that begin on {listed}",
            "Raise --max-cloud, take another catalogue, or --partial to leave these steps empty.",
        )


def plan_record(plan: PixelPlan) -> dict[str, Any]:
    """A plan for --json."""
    order = plan.order
    grid = None if plan.grid is None else asdict(plan.grid)
    return {
        "steps": [str(day) for day in order.days], "step": order.step, "bands": list(order.bands),
        "grid": grid, "points": None if order.points is None else len(order.points),
        "collections": {
            one.collection: {
                "catalog": one.catalogue, "licence": one.licence, "attribution": one.attribution,
                "images": [item.name for item in plan.chosen[one.collection].items],
                "later": plan.chosen[one.collection].later, "cloudy": plan.chosen[one.collection].cloudy,
                "replaced": plan.chosen[one.collection].replaced,
            }
            for one in order.sources
        },
        "windows": len(plan.requests), "windows_to_fetch": len(plan.missing),
        "download_mb": round(plan.download_mb, 1), "result_mb": round(plan.result_mb, 1),
        "steps_without_images": [str(day) for day in plan.empty],
    }  # fmt: skip


def _seen_record(seen: Seen) -> dict[str, Any]:
    clear = [None if share != share else round(share, 4) for share in seen.clear]
    filled = [round(share, 4) for share in seen.filled]
    return {"images": seen.images, "clear": clear, "filled": filled, "never_seen": round(seen.never, 4)}


def _write_json(file: Path | None, content: dict[str, Any]) -> None:
    from yieldcast.data.files import atomic_text

    if file:
        atomic_text(file, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
