"""`yieldcast generalise`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from yieldcast.cli.arguments import (
    CropOption,
    JsonOption,
    ScreenLanguageOption,
    StoreOption,
    check_json_folder,
    crop_key,
    parse_dates,
    parse_years,
)
from yieldcast.cli.panels import MODELS, Command
from yieldcast.cli.terminal import console, load_tensorflow
from yieldcast.errors import ConfigError

KINDS = ("network", "trees", "baselines")


class TransferProtocol(StrEnum):
    """How rows are split, see `yieldcast.transfer.splits`."""

    random = "random"
    temporal = "temporal"
    geographic = "geographic"
    few_shot = "few-shot"


class HoldOutChoice(StrEnum):
    """What is held out together, see `yieldcast.transfer.places`."""

    state = "state"
    region = "region"
    climate_zone = "climate-zone"
    block = "block"


def add_commands(app: typer.Typer) -> None:
    """Add `generalise` to the command line."""
    app.command(cls=Command, rich_help_panel=MODELS)(generalise)


def generalise(
    store: StoreOption,
    crop: CropOption,
    protocol: Annotated[
        TransferProtocol,
        typer.Option(
            help="How rows are split: random folds; temporal, trained on the years public on the date of "
            "each test year; geographic, with states, regions, climate zones or blocks held out; few-shot, "
            "geographic plus k local rows."
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(metavar="DIR", help="Folder of scores and figures; keeps every fit, so that the same "
                     "command continues."),
    ],
    test_years: Annotated[
        str | None,
        typer.Option(help="Harvest years to score, e.g. 2014:2018; default: all with yields and weather."),
    ] = None,
    hold_out: Annotated[
        HoldOutChoice,
        typer.Option(help="What the protocols geographic and few-shot hold out together."),
    ] = HoldOutChoice.state,
    k: Annotated[
        str, typer.Option("--k", help="Numbers of local rows of the protocol few-shot, 0 among them.")
    ] = "0,10,100,900",
    draws: Annotated[int, typer.Option(min=1, max=100, help="Draws of the local rows of each k.")] = 5,
    seeds: Annotated[int, typer.Option(min=1, max=999, help="Members of each network: seeds 1 to N.")] = 2,
    models: Annotated[
        str, typer.Option(help="What is compared: network, trees, baselines, or some of them.")
    ] = ",".join(KINDS),
    as_of: Annotated[
        str | None,
        typer.Option(
            metavar="MM-DD",
            help="Day of each season on which its inputs are known; default: the whole season window, in "
            "hindsight.",
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(metavar="TOML", help="Settings of the network and of publication; default: a small "
                     "network."),
    ] = None,
    block_degrees: Annotated[
        float, typer.Option(min=0.01, max=90, help="Side of a block. Places of one block, or with the same "
                            "weather series, are never on both sides of a spatial split.")
    ] = 1.0,
    zones: Annotated[int, typer.Option(min=2, max=50, help="Number of climate zones.")] = 5,
    file: JsonOption = None,
    lang: ScreenLanguageOption = "en",
) -> None:  # fmt: skip
    """Does a model hold where and when it was not trained? Scores in domain, out of domain, and the gap.

    Every model is scored on the same rows. In domain are random folds, in which places and years of the
    tested rows are trained on too. Inputs are weather, soil and position; past yields of a place are no
    input, because they are local labels. Only the protocol temporal with a date is a forecast.

    Example:

        yieldcast generalise --store STORE --crop soybean --protocol geographic --out TRANSFER

        yieldcast generalise --store STORE --crop soybean --protocol few-shot --hold-out region \\
            --k 0,10,100 --out TRANSFER
    """
    from yieldcast import language
    from yieldcast.cli.progress import counting_progress
    from yieldcast.cli.views.generalise import generalise_view
    from yieldcast.data.store import Store
    from yieldcast.reporting.generalise_plot import write_figure
    from yieldcast.transfer.generalise import Study
    from yieldcast.transfer.results import run_study, write_result
    from yieldcast.transfer.rows import transfer_rows, years_to_test
    from yieldcast.transfer.settings import learners, settings_of

    check_json_folder(file)
    wanted = _models(models)
    dates = parse_dates(as_of, "--as-of") or (None,)
    if len(dates) > 1:
        raise ConfigError(f"--as-of: expected one month and day, received {as_of!r}", "For example 03-15.")
    opened, screen, words = Store.open(store), console(), language.of(lang)
    settings = settings_of(config, opened.country)
    crop = crop_key(crop, opened.yields["crop"].values.tolist())
    rows = transfer_rows(
        opened, crop, settings, as_of=dates[0], hold_out=hold_out.value,
        block_deg=block_degrees, zones=zones,
    )  # fmt: skip
    years = years_to_test(rows, parse_years(test_years, "--test-years") if test_years else None)
    if "network" in wanted:
        load_tensorflow()
    study = Study(
        rows, protocol.value, hold_out.value,
        learners(wanted, rows, settings, range(1, seeds + 1), out), tuple(years), _numbers(k), draws,
    )  # fmt: skip
    with counting_progress(words.gettext("fitting models"), screen) as progress:
        result = run_study(study, out, progress)
    screen.print(generalise_view(result, lang))
    figures = [out / f"{result.name}.{form}" for form in ("png", "svg")]
    written = write_result(result, out, file)
    for path in [*written, *(write_figure(path, [result.to_json()], lang) for path in figures)]:
        screen.print(words.gettext("written: {path}", path=path))


def _models(text: str) -> tuple[str, ...]:
    names = [name.strip() for name in text.split(",")]
    if not set(names) <= set(KINDS) or not names:
        raise ConfigError(
            f"--models: expected some of {', '.join(KINDS)}; received {text!r}",
            "For example trees,baselines.",
        )
    return tuple(dict.fromkeys(names))


def _numbers(text: str) -> tuple[int, ...]:
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() for part in parts):
        raise ConfigError(
            f"--k: expected numbers of rows such as 0,10,100,900; received {text!r}", "Give whole numbers."
        )
    return tuple(sorted({int(part) for part in parts}))
