"""`yieldcast crop-type`: classes from pixel series."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from yieldcast.cli.arguments import JsonOption, ScreenLanguageOption, check_folder_of, check_json_folder
from yieldcast.cli.encoder import PoolChoice
from yieldcast.cli.panels import MODELS, Command
from yieldcast.cli.terminal import console, load_tensorflow
from yieldcast.errors import ConfigError
from yieldcast.language import message

if TYPE_CHECKING:
    from yieldcast.encoders.embedding import Encoder
    from yieldcast.encoders.presto import PrestoDecoder
    from yieldcast.pixels.series_tables import TableSettings

crop_type = typer.Typer(help="Crop types from pixel series.", no_args_is_help=True)
NO_ENCODER = "none"


class Mode(StrEnum):
    """What is trained."""

    frozen = "frozen"
    finetune = "finetune"
    ssl_finetune = "ssl+finetune"
    scratch = "scratch"


class BalanceChoice(StrEnum):
    """How networks see rare classes."""

    weights = "weights"
    sampling = "sampling"
    none = "none"


class Head(StrEnum):
    """Classifier on the embeddings."""

    linear = "linear"
    mlp = "mlp"
    boosted = "boosted"
    catboost = "catboost"


class YesNo(StrEnum):
    """Yes or no."""

    yes = "yes"
    no = "no"


class Modis(StrEnum):
    """What becomes of MODIS bands."""

    fill = "fill"
    mask = "mask"


class Folds(StrEnum):
    """What no fold divides."""

    location = "location"
    group = "group"


def add_commands(app: typer.Typer) -> None:
    """Add `crop-type` to the command line."""
    app.add_typer(crop_type, name="crop-type", rich_help_panel=MODELS)


TableArgument = Annotated[Path, typer.Argument(metavar="TABLE", help="Pixel series, Parquet or CSV.")]
StepOption = Annotated[
    str | None, typer.Option(help="month, ten-days or 16-days; default: from the columns of dates.")
]
StartOption = Annotated[
    str | None,
    typer.Option(metavar="[YYYY-]MM-DD", help="First day of all series; default: from the columns."),
]
MonthsOption = Annotated[bool, typer.Option("--months", help="Make months of shorter steps.")]
UnitOption = Annotated[
    list[str] | None,
    typer.Option(metavar="BAND=UNIT", help="Unit of a band, e.g. VV=dB; default: found from the values."),
]


@crop_type.command("train", cls=Command)
def train_head(
    table: TableArgument,
    encoder: Annotated[
        str,
        typer.Option(
            metavar="FILE|none|MODULE:FUNCTION",
            help="Encoder of yieldcast encoder import, or of a function of yours; none: raw series.",
        ),
    ],
    label: Annotated[str, typer.Option(metavar="COLUMN", help="Column of the labels, or of the codes.")],
    out: Annotated[Path, typer.Option(metavar="RUN", help="Run directory to make.")],
    mode: Annotated[
        Mode,
        typer.Option(
            help="frozen: the encoder stays as it is. finetune: it is trained with the head. ssl+finetune: "
            "first without labels. scratch: from random weights."
        ),
    ] = Mode.frozen,
    head: Annotated[
        Head, typer.Option(help="Classifier on the embeddings; with a frozen encoder also trees.")
    ] = Head.linear,
    balance: Annotated[
        BalanceChoice, typer.Option(help="Rare classes: weights, drawn more often, or as they are.")
    ] = BalanceChoice.weights,
    epochs: Annotated[
        int | None, typer.Option(min=1, max=1000, help="At most; default: 15, from scratch 60.")
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(min=1e-7, max=1, help="Default: 0.0001, from scratch 0.001.")
    ] = None,
    decoder: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Published decoder for ssl+finetune; default: a new one."),
    ] = None,
    pool: Annotated[
        PoolChoice, typer.Option(help="One embedding of a series, or one for each step.")
    ] = PoolChoice.time,
    location: Annotated[
        YesNo, typer.Option(help="Show latitude and longitude to the encoder; risky in other regions.")
    ] = YesNo.no,
    modis: Annotated[
        Modis, typer.Option(help="MODIS bands in the place of Sentinel-2 bands, or only NIR and NDVI.")
    ] = Modis.fill,
    seeds: Annotated[
        int, typer.Option(min=1, max=50, help="Heads or networks whose probabilities are averaged.")
    ] = 1,
    folds: Annotated[
        Folds, typer.Option(help="Scores on left-out places (location) or regions (group).")
    ] = Folds.location,
    legend: Annotated[
        Path | None, typer.Option(metavar="CSV", help="Table of the codes in --label, with --classes.")
    ] = None,
    classes: Annotated[str | None, typer.Option(metavar="COLUMN", help="Classes in the legend.")] = None,
    coarser: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Coarser classes in the legend, for rare ones.")
    ] = None,
    least: Annotated[int, typer.Option(min=2, help="Classes with fewer samples are merged, and named.")] = 10,
    rest: Annotated[str, typer.Option(help="Class of the merged ones; empty leaves them out.")] = "other",
    group: Annotated[str | None, typer.Option(metavar="COLUMN", help="Column of regions.")] = None,
    step: StepOption = None,
    start: StartOption = None,
    months: MonthsOption = False,
    unit: UnitOption = None,
    file: JsonOption = None,
    lang: ScreenLanguageOption = "en",
) -> None:
    """Train a crop-type classifier on labelled pixel series.

    Scores are those of left-out places, beside boosted trees on the raw series. A training that was stopped
    continues with the same command.

    Example:

        yieldcast crop-type train samples.parquet --encoder presto_encoder.keras --label crop --out RUN
    """
    from yieldcast import language
    from yieldcast.cli.progress import counting_progress
    from yieldcast.cli.views.crop_type import training_view
    from yieldcast.crop_types.classifier import CropTypeSettings, train
    from yieldcast.crop_types.run import refuse_existing, write_run
    from yieldcast.crop_types.tuning import Tuning, check_settings
    from yieldcast.pixels.legends import merge_rare, read_legend
    from yieldcast.pixels.series_tables import TableSettings, read_series

    check_json_folder(file)
    refuse_existing(out)
    settings = CropTypeSettings(
        head.value, pool.value, location is YesNo.yes, modis.value, seeds, folds.value, mode.value,
        balance.value, epochs, learning_rate,
    )  # fmt: skip
    check_settings(settings, encoder != NO_ENCODER, decoder is not None)
    if (legend is None) != (classes is None):
        raise ConfigError("expected --legend and --classes together, received one of them")
    reading = TableSettings(label, group, None, step, start, _units(unit), months)
    read, screen, words = read_series(table, reading), console(), language.of(lang)
    labels = read.series["label"].values
    coded = read_legend(legend, label, classes, coarser) if legend and classes else None
    if coded:
        labels = coded.of(labels, str(table))
    merging = merge_rare(labels, least, rest, coded.coarser if coded else None)
    series = read.series.assign(label=("sample", merging.labels))
    loaded = _encoder(encoder)
    counted = message("embedding series") if mode is Mode.frozen else message("training epochs")
    with counting_progress(words.gettext(counted), screen) as progress:
        if mode is Mode.frozen:
            model = train(series, settings, loaded, progress)
        else:
            tuning = Tuning(_decoder(decoder), out, progress)
            model = train(series, settings, loaded, tuning=tuning)
    about: dict[str, Any] = {
        "mode": mode.value, "table": _about_table(table, reading, read.units, series),
        "merged": {name: list(to) for name, to in merging.merged.items()},
        "encoder": _about(loaded, encoder, mode),
    }  # fmt: skip
    write_run(out, model, series, about)
    screen.print(training_view(model, read, merging, about["encoder"], lang))
    if file:
        _write_scores(file, model, about)
        screen.print(words.gettext("written: {path}", path=file))
    screen.print(words.gettext("written: {path}", path=out))


@crop_type.command("predict", cls=Command)
def predict_classes(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run directory of crop-type train.")],
    table: TableArgument,
    out: Annotated[
        Path, typer.Option(metavar="FILE", help="CSV or Parquet: class and probability of each series.")
    ],
    encoder: Annotated[
        str | None, typer.Option(metavar="FILE", help="Encoder; default: the file of the training.")
    ] = None,
    label: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Column of known classes, to score the prediction.")
    ] = None,
    step: StepOption = None,
    start: StartOption = None,
    months: MonthsOption = False,
    unit: UnitOption = None,
    file: JsonOption = None,
    lang: ScreenLanguageOption = "en",
) -> None:
    """Predict the crop type of pixel series.

    Example:

        yieldcast crop-type predict RUN fields.csv --out classes.csv
    """
    from yieldcast import language
    from yieldcast.cli.progress import counting_progress
    from yieldcast.cli.views.crop_type import prediction_view
    from yieldcast.crop_types.classifier import SeriesKind
    from yieldcast.crop_types.predictions import predictions, scores_of, write_predictions
    from yieldcast.crop_types.run import open_run
    from yieldcast.pixels.legends import refuse_others
    from yieldcast.pixels.series_tables import TableSettings, read_series

    check_json_folder(file)
    check_folder_of(out, "--out")
    opened, screen, words = open_run(run), console(), language.of(lang)
    model = opened.model
    reading = TableSettings(label, None, None, step, start, _units(unit), months)
    series = read_series(table, reading).series
    model.kind.check(SeriesKind.of(series), str(table))
    refuse_others(series["label"].values, model.classes, str(table))
    if opened.needs_encoder:
        load_tensorflow()
    with counting_progress(words.gettext("embedding series"), screen) as progress:
        probability = opened.probabilities(series, Path(encoder) if encoder else None, progress)
    write_predictions(out, predictions(series, probability, model.classes))
    scores = scores_of(series, probability, model.classes)
    screen.print(prediction_view(probability, model.classes, scores, lang))
    if file and scores:
        _write_json(file, {"predict": scores})
        screen.print(words.gettext("written: {path}", path=file))
    screen.print(words.gettext("written: {path}", path=out))


def _encoder(text: str) -> Encoder | None:
    if text == NO_ENCODER:
        return None
    load_tensorflow()
    from yieldcast.encoders.files import load_encoder

    return load_encoder(Path(text))


def _decoder(path: Path | None) -> PrestoDecoder | None:
    from yieldcast.encoders.files import load_decoder

    load_tensorflow()
    return load_decoder(path) if path else None


def _about(encoder: Encoder | None, path: str, mode: Mode) -> dict[str, Any] | None:
    """What a run keeps of its encoder: file, weights, licence."""
    if mode is Mode.scratch:
        return {"path": None, "licence": "none, trained from random weights"}
    if encoder is None:
        return None
    from yieldcast.encoders.files import licence, weights_mark
    from yieldcast.user_code import names_function

    mark = weights_mark(encoder)
    where = path if names_function(path) else str(Path(path).absolute())
    kept = {"path": where, "weights_sha256": mark, "licence": licence(encoder)}
    return {**encoder.notes, **kept}


def _about_table(path: Path, settings: TableSettings, units: dict[str, str], series: Any) -> dict[str, Any]:
    from yieldcast.data.files import fingerprint

    return {
        "file": path.name, "label": settings.label, "units": units, "samples": series.sizes["sample"],
        "fingerprint": fingerprint(series),
    }  # fmt: skip


def _units(texts: list[str] | None) -> dict[str, str]:
    """BAND=UNIT texts."""
    from yieldcast.pixels.series_bands import band_name

    made = {}
    for text in texts or []:
        name, equals, unit = text.partition("=")
        band = band_name(name.strip())
        if not equals or band is None:
            raise ConfigError(f"--unit: expected BAND=UNIT, received {text!r}", "For example VV=dB.")
        made[band] = unit.strip()
    return made


def _write_scores(file: Path, model: Any, about: dict[str, Any]) -> None:
    _write_json(file, {**model.scores, "raw_is_better": model.raw_is_better, **about})


def _write_json(file: Path, content: dict[str, Any]) -> None:
    from dataclasses import asdict, is_dataclass

    from yieldcast.data.files import atomic_text

    made = {name: asdict(one) if is_dataclass(one) and not isinstance(one, type) else one
            for name, one in content.items()}  # fmt: skip
    atomic_text(file, json.dumps(made, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
