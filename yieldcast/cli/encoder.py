"""`yieldcast encoder`: published weights to an encoder, and pixel series to embeddings."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from yieldcast.cli.arguments import check_folder_of
from yieldcast.cli.panels import MODELS, Command
from yieldcast.cli.terminal import console, load_tensorflow
from yieldcast.errors import ConfigError

encoder = typer.Typer(help="Pretrained encoders of pixel series.", no_args_is_help=True)


class PoolChoice(StrEnum):
    """How tokens become embeddings."""

    whole = "global"
    time = "time"


def add_commands(app: typer.Typer) -> None:
    """Add `encoder` to the command line."""
    app.add_typer(encoder, name="encoder", rich_help_panel=MODELS)


@encoder.command("import", cls=Command)
def import_weights(
    weights: Annotated[
        Path, typer.Argument(metavar="FILE", help="Published weights of Presto, safetensors.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(metavar="KERAS", help="File to write; default: FILE's name with .keras, here."),
    ] = None,
) -> None:
    """Convert published weights of Presto to a Keras file, with their origin and licence in it.

    A decoder is converted too; only self-supervised training needs it. Weights are not part of this package:
    keep to the licence that is printed.

    Example:

        yieldcast encoder import presto_encoder.safetensors
    """
    target = out or Path(f"{weights.stem}.keras")
    if target.suffix != ".keras":
        raise ConfigError(
            f"expected --out to end with .keras, received {target}", f"For example {target}.keras"
        )
    check_folder_of(target, "--out")
    load_tensorflow()
    from yieldcast.encoders.files import convert, licence

    made = convert(weights, target)
    console().print(f"{made.positions} positions, {made.count_params():,} numbers; {licence(made)}")
    console().print(f"written: {target}")


@encoder.command("embed", cls=Command)
def embed_series(
    weights: Annotated[
        Path,
        typer.Option(
            metavar="FILE|MODULE:FUNCTION",
            help="Encoder: .keras of yieldcast encoder import, safetensors, or a function of yours.",
        ),
    ],
    series: Annotated[
        Path, typer.Option("--input", metavar="NPZ", help="Arrays x, mask, dynamic_world, latlons, month.")
    ],
    out: Annotated[Path, typer.Option(metavar="NPZ", help="File to write: embedding, embedding_time.")],
    pool: Annotated[
        PoolChoice, typer.Option(help="global: one embedding of a series; time: one of each step too.")
    ] = PoolChoice.whole,
) -> None:
    """Embed pixel series with a pretrained encoder.

    x is (sample, step, band), normalised, in the order VV, VH, B2 to B8A, B11, B12, temperature,
    precipitation, elevation, slope, NDVI; mask is 1 where a value is missing; month is 0 for January, of the
    first step or of every step.

    Example:

        yieldcast encoder embed --weights presto_encoder.keras --input pixels.npz --out embeddings.npz
    """
    from yieldcast.cli.progress import counting_progress
    from yieldcast.encoders.embedding import embed, read_inputs, write_embeddings

    check_folder_of(out, "--out")
    inputs, screen = read_inputs(series), console()
    load_tensorflow()
    from yieldcast.encoders.files import licence, load_encoder

    loaded = load_encoder(weights)
    screen.print(f"weights: {licence(loaded)}")
    arrays = {}
    for name in ("global", "time") if pool is PoolChoice.time else ("global",):
        with counting_progress("embedding series", screen) as progress:
            key = "embedding" if name == "global" else "embedding_time"
            arrays[key] = embed(loaded, inputs, "time" if name == "time" else "global", progress)
    write_embeddings(out, **arrays)
    screen.print(f"{len(inputs)} series of {inputs.x.shape[1]} steps; written: {out}")
