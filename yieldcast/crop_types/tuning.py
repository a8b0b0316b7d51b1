"""Networks of a run: some for the scores on left-out places, then those of the run, trained on all places."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from yieldcast.crop_types.heads import Floats, HeadName, Ints
from yieldcast.crop_types.unfinished import Unfinished
from yieldcast.data.files import fingerprint
from yieldcast.encoders.files import weights_mark
from yieldcast.errors import ConfigError

if TYPE_CHECKING:
    from yieldcast.crop_types.classifier import CropTypeSettings
    from yieldcast.crop_types.network import CropTypeNetwork
    from yieldcast.encoders.embedding import Encoder
    from yieldcast.encoders.presto import PrestoDecoder, PrestoEncoder

FOLDS = 3  # of the scores; five, as heads have, would take the time of two trainings more
TUNABLE: tuple[HeadName, ...] = ("linear", "mlp")


@dataclass(frozen=True)
class Tuning:
    """What else a training of encoder and head together needs.

    Args:
        decoder: where the training without labels starts; None for random weights.
        run: directory that keeps finished parts, so that a stopped training continues; None keeps nothing.
        progress: called with the number of epochs done and of all that may come.
    """

    decoder: PrestoDecoder | None = None
    run: Path | None = None
    progress: Callable[[int, int], None] = lambda done, total: None


def check_settings(settings: CropTypeSettings, encoder: bool, decoder: bool) -> None:
    """Refuse settings that do not go together.

    Args:
        settings: of the training.
        encoder, decoder: whether there is one.

    Raises:
        ConfigError: a head that cannot be trained with the encoder, an encoder or decoder that the mode needs
            or does not use, settings of networks with the mode "frozen".
    """
    mode = settings.mode
    if decoder and mode != "ssl+finetune":
        raise ConfigError(f"--mode {mode} uses no --decoder", "It belongs to --mode ssl+finetune.")
    if mode == "frozen":
        if settings.epochs or settings.learning_rate or settings.balance == "sampling":
            raise ConfigError(
                "--epochs, --learning-rate and --balance sampling belong to networks, received frozen",
                "Leave them out, or choose --mode finetune.",
            )
        return
    if settings.head not in TUNABLE:
        raise ConfigError(
            f"--mode {mode}: expected --head {' or '.join(TUNABLE)}, received {settings.head}",
            "Trees cannot be trained together with an encoder; they need --mode frozen.",
        )
    if not encoder and mode != "scratch":
        raise ConfigError(
            f"--mode {mode}: expected an encoder, received --encoder none",
            "Give the file of yieldcast encoder import, or choose --mode scratch.",
        )


def train_networks(
    series: xr.Dataset,
    spare: xr.Dataset,
    classes: Ints,
    folds: Ints,
    settings: CropTypeSettings,
    encoder: Encoder | None,
    tuning: Tuning,
) -> tuple[Floats, list[CropTypeNetwork]]:
    """Left-out probabilities, and the networks of the run, one for each seed.

    Args:
        series: labelled; `spare` those without a label.
        classes: (sample,) positions.
        folds: (sample,) number of the fold.
        settings: of the training.
        encoder: where it starts; None for Presto with random weights, with the mode "scratch" only.
        tuning: see `Tuning`.

    Returns:
        (sample, class) probabilities of networks that were trained without the fold of the sample; networks.

    Raises:
        ConfigError: an encoder of the user's, or parts of another training in the run directory.
        SchemaError: more steps than the encoder can tell apart.
    """
    from yieldcast.crop_types.fine_tuning import TunedLearner, new_encoder
    from yieldcast.encoders.presto import PrestoEncoder

    encoder = encoder or new_encoder(series.sizes["step"])
    if not isinstance(encoder, PrestoEncoder):
        raise ConfigError(
            f"--mode {settings.mode}: expected an encoder of Presto, received a function",
            "Encoders of your own are used as they are: --mode frozen.",
        )
    count, numbers = int(classes.max()) + 1, np.unique(folds)
    learner = TunedLearner(
        series, classes, count, settings, encoder, tuning.decoder, spare if spare.sizes["sample"] else None
    )
    kept = Unfinished(tuning.run, _mark(series, spare, settings, encoder, tuning.decoder))
    held, fits = np.zeros((len(classes), count)), (len(numbers) + 1) * settings.seeds
    done = 0

    def report(epoch: int, epochs: int) -> None:
        tuning.progress(done * epochs + epoch, fits * epochs)

    def without(fold: Ints, seed: int) -> Floats:
        taught, left = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        return learner.probabilities(learner.fit(taught, seed, report), left)

    for fold in numbers:
        for seed in range(settings.seeds):
            made = kept.part(f"fold_{fold + 1}_{seed + 1}", lambda f=fold, s=seed: [without(f, s)])  # type: ignore[misc]
            held[folds == fold] += made[0] / settings.seeds
            done += 1
    networks, every = [], np.arange(len(classes))
    for seed in range(settings.seeds):
        weights = kept.part(f"member_{seed + 1}", lambda s=seed: learner.fit(every, s, report))  # type: ignore[misc]
        networks.append(learner.new_network(weights))
        done += 1
    return held, networks


def _mark(
    series: xr.Dataset,
    spare: xr.Dataset,
    settings: CropTypeSettings,
    encoder: PrestoEncoder,
    decoder: PrestoDecoder | None,
) -> str:
    """SHA-256 of everything that a part depends on."""
    weights = [weights_mark(one) for one in (encoder, decoder) if one is not None]
    told = [fingerprint(series), fingerprint(spare), asdict(settings), weights]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()
