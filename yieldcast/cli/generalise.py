"""`yieldcast generalise`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from yieldcast.cli.arguments import (
    JsonOption,
    ScreenLanguageOption,
    check_json_folder,
    crop_key,
    parse_dates,
    parse_years,
)
from yieldcast.cli.panels import MODELS, Command
from yieldcast.cli.terminal import console, load_tensorflow
from yieldcast.errors import ConfigError

if TYPE_CHECKING:
    from yieldcast.transfer.places import HoldOut

KINDS = ("network", "trees", "baselines")
ONLY_STORE = ("store", "crop", "zones", "as_of", "config", "seeds")
ONLY_RUN = ("encoder", "classes", "k_of")


class TransferProtocol(StrEnum):
    """How rows are split, see `yieldcast.transfer.splits`."""

    random = "random"
    temporal = "temporal"
    geographic = "geographic"
    few_shot = "few-shot"


class HoldOutChoice(StrEnum):
    """What is held out together, see `yieldcast.transfer.places` and `transfer.crop_types.rows`."""

    state = "state"
    region = "region"
    climate_zone = "climate-zone"
    block = "block"
    group = "group"
    country = "country"
    none = "none"


class CountedChoice(StrEnum):
    """What k labels are of."""

    of_class = "class"
    of_all = "all"


def add_commands(app: typer.Typer) -> None:
    """Add `generalise` to the command line."""
    app.command(cls=Command, rich_help_panel=MODELS)(generalise)


def generalise(
    context: typer.Context,
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
    store: Annotated[
        Path | None, typer.Option("--store", metavar="DIR", help="Folder of the store, for yields.")
    ] = None,
    crop: Annotated[
        str | None, typer.Option("--crop", help="Crop of the store, e.g. soybean or soja.")
    ] = None,
    run: Annotated[
        Path | None,
        typer.Option(metavar="RUN", help="Run directory of crop-type train, for crop types; no store then."),
    ] = None,
    encoder: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Encoder of the run; default: that of its training.")
    ] = None,
    classes: Annotated[
        str | None, typer.Option(metavar="A,B,...", help="Classes of the run to test; default: all.")
    ] = None,
    test_years: Annotated[
        str | None,
        typer.Option(help="Harvest years to score, e.g. 2014:2018; default: all with yields and weather. "
                     "Of a run, its seasons, separated by commas; default: the latest."),
    ] = None,
    hold_out: Annotated[
        HoldOutChoice | None,
        typer.Option(help="What the protocols geographic and few-shot hold out together. Store: state (the "
                     "default), region, climate-zone, block. Run: group (the default), country or region "
                     "where the groups are such, block; none for few-shot within all places."),
    ] = None,
    k: Annotated[
        str,
        typer.Option("--k", help="Numbers of local rows or labels of the protocol few-shot, 0 among them."),
    ] = "0,10,100,900",
    k_of: Annotated[
        CountedChoice, typer.Option(help="k labels of each class, or of all classes together; of a run.")
    ] = CountedChoice.of_class,
    draws: Annotated[int, typer.Option(min=1, max=100, help="Draws of the local rows of each k.")] = 5,
    seeds: Annotated[int, typer.Option(min=1, max=999, help="Members of each network: seeds 1 to N.")] = 2,
    models: Annotated[
        str | None,
        typer.Option(help="What is compared, all by default. Store: network, trees, baselines. Run: run, "
                     "trees, catboost, location (its other setting), random (weights)."),
    ] = None,
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

    Give a store and a crop for yields, or --run for crop types. What follows is of yields.

    Every model is scored on the same rows. In domain are random folds, in which places and years of the
    tested rows are trained on too. Inputs are weather, soil and position; past yields of a place are no
    input, because they are local labels. Only the protocol temporal with a date is a forecast.

    Example:

        yieldcast generalise --store STORE --crop soybean --protocol geographic --out TRANSFER

        yieldcast generalise --store STORE --crop soybean --protocol few-shot --hold-out region \\
            --k 0,10,100 --out TRANSFER

        yieldcast generalise --run RUN --protocol geographic --hold-out group --out TRANSFER
    """
    check_json_folder(file)
    _refuse_mixtures(context)
    if run is not None:
        from yieldcast.cli.generalise_crop_types import CropTypeOptions, generalise_crop_types

        chosen = None if hold_out is None else hold_out.value
        options = CropTypeOptions(
            run, encoder, protocol.value, chosen, classes, _numbers(k), k_of.value, draws, test_years,
            block_degrees, models,
        )  # fmt: skip
        generalise_crop_types(options, out, file, lang)
        return
    if store is None or crop is None:
        raise ConfigError(
            "expected --store and --crop, or --run, received neither",
            "For yields: --store STORE --crop soybean. For crop types: --run RUN.",
        )
    from yieldcast import language
    from yieldcast.cli.progress import counting_progress
    from yieldcast.cli.views.generalise import generalise_view
    from yieldcast.data.store import Store
    from yieldcast.reporting.generalise_plot import write_figure
    from yieldcast.transfer.generalise import Study
    from yieldcast.transfer.results import run_study, write_result
    from yieldcast.transfer.rows import transfer_rows, years_to_test
    from yieldcast.transfer.settings import learners, settings_of

    wanted, held = _models(models or ",".join(KINDS)), _held(hold_out)
    dates = parse_dates(as_of, "--as-of") or (None,)
    if len(dates) > 1:
        raise ConfigError(f"--as-of: expected one month and day, received {as_of!r}", "For example 03-15.")
    opened, screen, words = Store.open(store), console(), language.of(lang)
    settings = settings_of(config, opened.country)
    crop = crop_key(crop, opened.yields["crop"].values.tolist())
    rows = transfer_rows(
        opened, crop, settings, as_of=dates[0], hold_out=held,
        block_deg=block_degrees, zones=zones,
    )  # fmt: skip
    years = years_to_test(rows, parse_years(test_years, "--test-years") if test_years else None)
    if "network" in wanted:
        load_tensorflow()
    study = Study(
        rows, protocol.value, held,
        learners(wanted, rows, settings, range(1, seeds + 1), out), tuple(years), _numbers(k), draws,
    )  # fmt: skip
    with counting_progress(words.gettext("fitting models"), screen) as progress:
        result = run_study(study, out, progress)
    screen.print(generalise_view(result, lang))
    figures = [out / f"{result.name}.{form}" for form in ("png", "svg")]
    written = write_result(result, out, file)
    for path in [*written, *(write_figure(path, [result.to_json()], lang) for path in figures)]:
        screen.print(words.gettext("written: {path}", path=path))


def _refuse_mixtures(context: typer.Context) -> None:
    """Options of a store beside --run, or of a run beside --store."""
    typed = {
        name for name in context.params
        if getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE"
    }  # fmt: skip
    kind, others = ("--run", ONLY_STORE) if "run" in typed else ("--store", ONLY_RUN)
    wrong = [f"--{name.replace('_', '-')}" for name in others if name in typed]
    if wrong:
        raise ConfigError(
            f"expected options of {kind}, received {', '.join(wrong)} too",
            "Yields: --store and --crop. Crop types: --run. One of the two at a time.",
        )


def _held(hold_out: HoldOutChoice | None) -> HoldOut:
    """What is held out of a store."""
    held: Any = (hold_out or HoldOutChoice.state).value
    if held in ("group", "country", "none"):
        raise ConfigError(
            f"--hold-out {held} is for --run", "With --store: state, region, climate-zone or block."
        )
    kept: HoldOut = held
    return kept


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
