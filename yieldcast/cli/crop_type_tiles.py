"""`yieldcast crop-type tiles`: crop types from image patches with a segmentation network."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from yieldcast.cli.arguments import JsonOption, ScreenLanguageOption, check_folder_of, check_json_folder
from yieldcast.cli.crop_type import crop_type
from yieldcast.cli.panels import Command
from yieldcast.cli.terminal import console, load_tensorflow
from yieldcast.errors import ConfigError, MissingDataError

if TYPE_CHECKING:
    from rich.console import Console

    from yieldcast.language import Language
    from yieldcast.tiles.image_files import ImageKind
    from yieldcast.tiles.label_codes import LabelCodes
    from yieldcast.tiles.patches import Survey

tiles = typer.Typer(help="Crop types from image patches (Sentinel-2, 13 bands).", no_args_is_help=True)
NO_WEIGHTS = "none"


class UnitChoice(StrEnum):
    """Numbers of an image."""

    ten_thousand = "x10000"
    one = "1"


class LossChoice(StrEnum):
    """Weights of the classes."""

    plain = "plain"
    weighted = "weighted"


class Overlap(StrEnum):
    """Share of a tile that overlaps the next one."""

    none = "0"
    half = "0.5"
    most = "0.75"


_PARTS = {Overlap.none: 1, Overlap.half: 2, Overlap.most: 4}


def add_commands(app: typer.Typer) -> None:
    """Add `tiles` to `crop-type`."""
    crop_type.add_typer(tiles, name="tiles")


PatchesArgument = Annotated[
    Path,
    typer.Argument(
        metavar="PATCHES", help="Folder of image and label GeoTIFFs, list (CSV, Parquet), NPZ, netCDF."
    ),
]
WeightsOption = Annotated[
    str,
    typer.Option(
        metavar="FILE|none",
        help="Published ResNet-50 for 13 bands (safetensors), which stays as it is; none trains all.",
    ),
]
PrefixOption = Annotated[
    str | None, typer.Option(metavar="TEXT", help="Start of the encoder's names in FILE; default: found.")
]
BandsOption = Annotated[
    str | None,
    typer.Option(
        metavar="L1C|B1,B2,...", help="Bands in the order of the files; default: their descriptions."
    ),
]
AbsentOption = Annotated[
    str | None, typer.Option(metavar="B10,...", help="Bands that the product lacks; set to 0 everywhere.")
]
UnitOption = Annotated[UnitChoice, typer.Option("--unit", help="Reflectance x 10000, or from 0 to 1.")]
OffsetOption = Annotated[
    float,
    typer.Option(help="Added to all numbers; -1000 for Sentinel-2 products since 25 January 2022."),
]
LegendOption = Annotated[
    Path | None, typer.Option(metavar="CSV", help="Table of the label codes; default: 1 maize ... 5 other.")
]
ClassesOption = Annotated[str, typer.Option(metavar="COLUMN", help="Classes in the legend.")]
LabelOption = Annotated[str, typer.Option(metavar="COLUMN", help="Codes in the legend.")]
OwnClassesOption = Annotated[
    bool, typer.Option("--own-classes", help="Take other classes than maize, soybean, rice, wheat, other.")
]
NoDataOption = Annotated[
    str | None,
    typer.Option(metavar="CODE,...", help="Label codes without data, besides 0 or the legend's."),
]
AsOfOption = Annotated[
    str | None, typer.Option(metavar="YYYY-MM-DD", help="Use patches only that were public on this day.")
]
SeedOption = Annotated[int, typer.Option(min=0, help="Seed of everything that is random.")]
EpochsOption = Annotated[int, typer.Option(min=1, help="Epochs at most.")]
PatienceOption = Annotated[
    int, typer.Option(min=1, help="Epochs without a lower loss on left-out patches before the end.")
]
BatchOption = Annotated[int, typer.Option(min=1, help="Patches of a step.")]
LossOption = Annotated[LossChoice, typer.Option(help="weighted: all classes count alike.")]


@tiles.command("train", cls=Command)
def train_tiles(
    patches: PatchesArgument,
    weights: WeightsOption,
    out: Annotated[Path, typer.Option(metavar="RUN", help="Run directory to make.")],
    prefix: PrefixOption = None,
    bands: BandsOption = None,
    absent: AbsentOption = None,
    unit: UnitOption = UnitChoice.ten_thousand,
    offset: OffsetOption = 0.0,
    legend: LegendOption = None,
    classes: ClassesOption = "class",
    label: LabelOption = "code",
    own_classes: OwnClassesOption = False,
    nodata: NoDataOption = None,
    as_of: AsOfOption = None,
    seed: SeedOption = 0,
    epochs: EpochsOption = 100,
    patience: PatienceOption = 10,
    batch: BatchOption = 8,
    loss: LossOption = LossChoice.plain,
    file: JsonOption = None,
    lang: ScreenLanguageOption = "en",
) -> None:
    """Train a segmentation network on labelled patches.

    A tenth of the patches stops the training, another tenth is scored. A training that was stopped goes on
    with the same command.

    Example:

        yieldcast crop-type tiles train patches --weights resnet50.safetensors --out RUN
    """
    from yieldcast import language
    from yieldcast.cli.progress import counting_progress
    from yieldcast.cli.views.tiles import training_view
    from yieldcast.tiles.run import networks, refuse_existing, train_run
    from yieldcast.tiles.trainer import TrainSettings

    check_json_folder(file)
    refuse_existing(out)
    screen, words = console(), language.of(lang)
    kind, codes = _kind(bands, absent, unit, offset), _codes(legend, label, classes, own_classes, nodata)
    found = _survey(patches, kind, codes, as_of, screen, words)
    load_tensorflow()
    new_network, origin = networks(_weights(weights), prefix)
    settings = TrainSettings(seed, epochs, patience, batch, loss.value)
    about = {"weights": origin, "unit": unit.value, "offset": offset, "as_of": as_of}
    network = new_network(len(found.patches.classes), seed)
    with counting_progress(words.gettext("training epochs"), screen) as progress:
        run = train_run(out, found, network, settings, about, progress)
    screen.print(training_view(run, lang))
    if file:
        _write_json(file, {**run.record, "path": str(out)})
        screen.print(words.gettext("written: {path}", path=file))
    screen.print(words.gettext("written: {path}", path=out))


@tiles.command("predict", cls=Command)
def predict_tiles(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run directory of crop-type tiles train.")],
    image: Annotated[Path, typer.Argument(metavar="IMAGE", help="Sentinel-2 image, GeoTIFF of any size.")],
    out: Annotated[
        Path,
        typer.Option(metavar="TIF", help="Classes, e.g. class.tif; probabilities and a record go beside it."),
    ],
    bands: BandsOption = None,
    unit: UnitOption = UnitChoice.ten_thousand,
    offset: OffsetOption = 0.0,
    side: Annotated[int, typer.Option(min=32, help="Side of a tile in pixels, a multiple of 32.")] = 256,
    overlap: Annotated[
        Overlap, typer.Option(help="Share of a tile that overlaps the next; 0: edges of tiles show.")
    ] = Overlap.half,
    season: Annotated[str, typer.Option(metavar="TEXT", help="Season of the map, e.g. 2020/21.")] = "",
    first_day: Annotated[str, typer.Option(metavar="YYYY-MM-DD", help="First day of the season.")] = "",
    last_day: Annotated[str, typer.Option(metavar="YYYY-MM-DD", help="Last day of the season.")] = "",
    file: JsonOption = None,
    lang: ScreenLanguageOption = "en",
) -> None:
    """Map crop types of an image, in overlapping tiles that are blended.

    Example:

        yieldcast crop-type tiles predict RUN image.tif --out class.tif
    """
    from yieldcast import language
    from yieldcast.cli.progress import counting_progress
    from yieldcast.cli.views.tiles import map_view
    from yieldcast.mapping.tile_maps import map_image
    from yieldcast.tiles.blending import Tiling
    from yieldcast.tiles.run import open_run

    check_json_folder(file)
    check_folder_of(out, "--out")
    tiling, screen, words = Tiling(side, _PARTS[overlap]), console(), language.of(lang)
    about = (season, _day(first_day, "--first-day"), _day(last_day, "--last-day"))
    if not image.is_file():
        raise MissingDataError(f"no file {image}", "Give a GeoTIFF.")
    load_tensorflow()
    opened, kind = open_run(run), _kind(bands, None, unit, offset)
    with counting_progress(words.gettext("rows of tiles"), screen) as progress:
        made = map_image(opened, image, kind, out, tiling, about, progress)
    screen.print(map_view(made.pixels, made.hectares, lang))
    if file:
        _write_json(file, {"pixels": made.pixels, "hectares": made.hectares})
        screen.print(words.gettext("written: {path}", path=file))
    screen.print(words.gettext("written: {path}", path=out))


@tiles.command("generalise", cls=Command)
def generalise_tiles(
    patches: PatchesArgument,
    weights: WeightsOption,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the results.")],
    k: Annotated[
        str, typer.Option("--k", metavar="NUMBERS", help="Local patches, e.g. 10,100,900.")
    ] = "10,100",
    draws: Annotated[int, typer.Option(min=1, help="Draws of test and local patches.")] = 1,
    prefix: PrefixOption = None,
    bands: BandsOption = None,
    absent: AbsentOption = None,
    unit: UnitOption = UnitChoice.ten_thousand,
    offset: OffsetOption = 0.0,
    legend: LegendOption = None,
    classes: ClassesOption = "class",
    label: LabelOption = "code",
    own_classes: OwnClassesOption = False,
    nodata: NoDataOption = None,
    as_of: AsOfOption = None,
    seed: SeedOption = 0,
    epochs: EpochsOption = 100,
    patience: PatienceOption = 10,
    batch: BatchOption = 8,
    loss: LossOption = LossChoice.plain,
    file: JsonOption = None,
    lang: ScreenLanguageOption = "en",
) -> None:
    """Score each country by training elsewhere, elsewhere and on k local patches, or on these only.

    A training for each country, setting and draw; finished ones are kept in DIR and not done again.

    Example:

        yieldcast crop-type tiles generalise patches.csv --weights resnet50.safetensors --k 10,100 --out DIR
    """
    from yieldcast import language
    from yieldcast.cli.progress import counting_progress
    from yieldcast.cli.views.tiles import generalise_view
    from yieldcast.tiles.generalise import study
    from yieldcast.tiles.run import networks
    from yieldcast.tiles.trainer import TrainSettings

    check_json_folder(file)
    screen, words, ks = console(), language.of(lang), _whole_numbers(k, "--k")
    kind, codes = _kind(bands, absent, unit, offset), _codes(legend, label, classes, own_classes, nodata)
    found = _survey(patches, kind, codes, as_of, screen, words)
    load_tensorflow()
    new_network, _ = networks(_weights(weights), prefix)
    settings = TrainSettings(seed, epochs, patience, batch, loss.value)
    with counting_progress(words.gettext("trainings"), screen) as progress:
        results = study(found, ks, draws, settings, new_network, out, progress)
    screen.print(generalise_view(results, lang))
    if file:
        _write_json(file, {"results": [asdict(one) for one in results]})
        screen.print(words.gettext("written: {path}", path=file))


def _survey(
    path: Path, kind: ImageKind, codes: LabelCodes, as_of: str | None, screen: Console, words: Language
) -> Survey:
    from yieldcast.cli.progress import counting_progress
    from yieldcast.tiles.patch_files import read_patches
    from yieldcast.tiles.patches import survey

    patches = read_patches(path, kind, codes)
    if as_of:
        every = len(patches)
        patches = patches.known_on(dt.date.fromisoformat(_day(as_of, "--as-of")))
        later = words.number(every - len(patches))
        screen.print(
            words.gettext("patches that were not public on {day}: {n}, left out", day=as_of, n=later)
        )
    with counting_progress(words.gettext("checking patches"), screen) as progress:
        found = survey(patches, progress)
    if found.empty:
        text = words.gettext("patches without a label: {n}, left out", n=words.number(len(found.empty)))
        screen.print(text, style="yellow")
    return found


def _kind(bands: str | None, absent: str | None, unit: UnitChoice, offset: float) -> ImageKind:
    from yieldcast.tiles.bands import ALL_BANDS, BANDS, ReflectanceUnit, band_of
    from yieldcast.tiles.image_files import ImageKind

    order = BANDS if (bands or "").upper() == ALL_BANDS else _names(bands)
    gone = tuple(filter(None, map(band_of, _names(absent) or ())))
    if absent is not None and len(gone) != len(_names(absent) or ()):
        raise ConfigError(f"--absent: expected some of {', '.join(BANDS)}; received {absent!r}")
    return ImageKind(order, gone, ReflectanceUnit(unit.value, offset))


def _codes(
    legend: Path | None, label: str, classes: str, own_classes: bool, nodata: str | None
) -> LabelCodes:
    from yieldcast.tiles.label_codes import codes_of_legend, harmonised_codes, with_no_data

    codes = codes_of_legend(legend, label, classes, own_classes) if legend else harmonised_codes()
    return with_no_data(codes, _whole_numbers(nodata, "--nodata") if nodata else ())


def _weights(text: str) -> Path | None:
    return None if text == NO_WEIGHTS else Path(text)


def _names(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else tuple(part.strip() for part in text.split(","))


def _whole_numbers(text: str, option: str) -> tuple[int, ...]:
    try:
        return tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError:
        raise ConfigError(f"{option}: expected whole numbers such as 10,100; received {text!r}") from None


def _day(text: str, option: str) -> str:
    try:
        return dt.date.fromisoformat(text).isoformat() if text else ""
    except ValueError:
        raise ConfigError(f"{option}: expected YYYY-MM-DD, received {text!r}") from None


def _write_json(file: Path, content: dict[str, Any]) -> None:
    from yieldcast.data.files import atomic_text

    atomic_text(file, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
