"""`yieldcast train`: a store to a trained run."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from yieldcast.cli.arguments import (
    CropOption,
    ScreenLanguageOption,
    StoreOption,
    crop_key,
    parse_date,
    parse_years,
)
from yieldcast.cli.panels import MODELS, Command
from yieldcast.cli.terminal import console, load_tensorflow
from yieldcast.errors import ConfigError
from yieldcast.language import message

if TYPE_CHECKING:
    from yieldcast.config import Settings
    from yieldcast.data.store import Store
    from yieldcast.language import Language

SEEDS = 30  # members of a training that says nothing else


class Preset(StrEnum):
    """Settings that need no file, see `yieldcast.config.PRESETS`."""

    forecast = "forecast"
    paper = "paper"


def add_commands(app: typer.Typer) -> None:
    """Add `train` to the command line."""
    app.command(cls=Command, rich_help_panel=MODELS)(train)


def train(
    store: StoreOption,
    crop: CropOption,
    out: Annotated[Path, typer.Option(metavar="RUN", help="Run directory; an unfinished one is continued.")],
    train_years: Annotated[
        str | None, typer.Option(help="Harvest years, e.g. 2011:2017 (both included).")
    ] = None,
    as_of: Annotated[
        str | None,
        typer.Option(
            metavar="YYYY-MM-DD",
            help="Instead of --train-years: all harvest years whose yields and weather were public then.",
        ),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=999,
            help="Members: seeds 1 to N; default 30, with --from as many as that run has.",
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(metavar="TOML", help="Settings file; its keys have precedence over the preset's."),
    ] = None,
    preset: Annotated[
        Preset,
        typer.Option(
            help="Settings that the file does not give: forecast (needed for yieldcast forecast, because "
            "each member leaves out a harvest year that calibrates the intervals) or paper (as published)."
        ),
    ] = Preset.forecast,
    no_noise: Annotated[bool, typer.Option("--no-noise", help="Without the noise layer (Table 4).")] = False,
    strategy: Annotated[
        str,
        typer.Option(help="tf.distribute strategy: auto, default, one-device, mirrored or multi-worker."),
    ] = "auto",
    block: Annotated[
        int | None,
        typer.Option(min=1, help="Members per compiled block; default: by device."),
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="RUN",
            help="Train the members of this run further, on other places or another crop; each starts from "
            "the one of the same seed. Without --config the settings are those of this run.",
        ),
    ] = None,
    freeze: Annotated[
        str | None,
        typer.Option(
            metavar="PARTS",
            help="With --from: parts of the network whose weights stay as they are: weather, static or "
            "weather,static.",
        ),
    ] = None,
    lang: ScreenLanguageOption = "en",
) -> None:
    """Train the dual-path network: one member per seed, many at the same time.

    A training that was killed or stopped with Ctrl-C is continued by the same command: finished members are
    saved at once, unfinished ones every two minutes and on Ctrl-C.

    Example:

        yieldcast train --store STORE --crop soybean --train-years 2011:2016 --out RUN

        yieldcast train --store STORE --crop soybean --as-of 2017-10-15 --out RUN

        yieldcast train --store OTHER --crop corn --train-years 2011:2016 --from RUN --out TUNED
    """
    from yieldcast import language
    from yieldcast.cli.progress import training_progress
    from yieldcast.config import read_settings
    from yieldcast.data.store import Store
    from yieldcast.reporting import labels
    from yieldcast.training.fine_tuning import check_source, parse_parts, settings_from
    from yieldcast.training.pipeline import check_members, check_training, train_run
    from yieldcast.training.run_directory import Run

    opened, screen, words = Store.open(store), console(), language.of(lang)
    started = Run.open(source) if source else None
    parts = parse_parts(freeze)
    if parts and started is None:
        raise ConfigError("--freeze needs --from", "Give the run to start from, or leave --freeze out.")
    settings = read_settings(config, preset.value)
    if started is not None and config is None:
        settings = settings_from(started)
    settings = settings.for_country(opened.country)
    count = seeds or (len(started.seeds()) if started else 0) or SEEDS
    if no_noise:
        network = settings.network.model_copy(update={"noise": 0.0})
        settings = settings.model_copy(update={"network": network})
    crop = crop_key(crop, opened.yields["crop"].values.tolist())
    years = _years_to_train(opened, crop, train_years, as_of, settings, words)
    check_members(settings, years, range(1, count + 1))
    if started is not None:
        check_source(started, settings, range(1, count + 1))
    check_training(opened, crop, settings, out)
    load_tensorflow()
    with training_progress(settings.training.max_epochs, screen) as progress:
        run = train_run(
            opened, crop, years, range(1, count + 1), out, settings,
            config_text=config.read_text(encoding="utf-8") if config else "",
            strategy=strategy, block=block, progress=progress,
            notice=lambda text: screen.print(words.said(text)), source=started, frozen=parts,
        )  # fmt: skip
    verb = "forecast" if settings.training.validation == "each_year" else "evaluate"
    made = message("{n} members of {crop} in {out}; next: {command}")
    if run.identity.synthetic:
        made = message("{n} members of synthetic {crop} in {out}; next: {command}")
    name = crop if lang == "en" else labels.crop(crop, lang)
    command = f"yieldcast {verb} {out} ..."
    screen.print(words.gettext(made, n=len(run.seeds()), crop=name, out=out, command=command))


def _years_to_train(
    store: Store,
    crop: str,
    train_years: str | None,
    as_of: str | None,
    settings: Settings,
    words: Language,
) -> Sequence[int]:
    """The years typed, or those that were public on a date."""
    from yieldcast.features.daily_months import network_tables
    from yieldcast.forecasting.leakage import trainable_years

    date = parse_date(as_of, "--as-of")
    if train_years is not None and date is None:
        return parse_years(train_years, "--train-years")
    if train_years is not None or date is None:
        raise ConfigError(
            f"expected either --train-years or --as-of, received {'none' if date is None else 'both'}",
            "Give the years, for example --train-years 2011:2016, or the date whose public years are taken.",
        )
    tables = network_tables(store, settings.data)
    years = trainable_years(tables, crop, date, settings.data, store.country)
    text = message("training years public on {date}: {years}")
    console().print(words.gettext(text, date=words.date(date), years=", ".join(map(str, years))))
    return years
