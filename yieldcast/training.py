"""Training: every seed of a run, one after another, inside a `tf.distribute` strategy."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from yieldcast.config import TrainingSettings
from yieldcast.errors import ConfigError, MissingDataError, SchemaError
from yieldcast.runs import Run, versions
from yieldcast.samples import SampleSet

if TYPE_CHECKING:
    import tensorflow as tf

    from yieldcast.model import Scaling

STRATEGIES = ("auto", "default", "one-device", "mirrored")


@dataclass(frozen=True)
class Epoch:
    """What a progress display is told after each epoch, and once more when the member is saved."""

    members: int
    seed: int
    epoch: int
    best_loss: float
    finished: bool


def split_validation(
    samples: SampleSet, settings: TrainingSettings, seed: int
) -> tuple[SampleSet, SampleSet]:
    """Rows to fit and rows that decide when to stop.

    Args:
        samples: all training rows.
        settings: `validation` "random" (a share of the rows, drawn by `seed`) or "last_year".
        seed: the member's seed.

    Raises:
        ConfigError: "last_year" with a single year, or so few rows that one side is empty.
    """
    if settings.validation == "last_year":
        held = samples.harvest_year == samples.harvest_year.max()
    else:
        order = np.random.default_rng(seed).permutation(len(samples))
        held = np.zeros(len(samples), dtype=bool)
        held[order[: round(settings.validation_share * len(samples))]] = True
    if held.all() or not held.any():
        raise ConfigError(
            f"training.validation = {settings.validation!r} leaves {int(held.sum())} of {len(samples)} "
            "rows for validation",
            "Give more training years, or another training.validation or validation_share.",
        )
    return samples.take(~held), samples.take(held)


def check_trainable(samples: SampleSet) -> None:
    """Refuse rows that cannot teach anything.

    Raises:
        MissingDataError: no rows, or one municipality only.
        SchemaError: all yields equal, or not finite.
    """
    if len(samples) == 0:
        raise MissingDataError("the training set is empty", "Ask for years with both yields and weather.")
    places = np.unique(samples.municipality)
    if len(places) == 1:
        raise MissingDataError(
            f"all {len(samples)} training rows are of one municipality ({places[0]}); expected several",
            "The network learns from differences between places: import more municipalities.",
        )
    if not np.isfinite(samples.target_kg_ha).all():
        raise SchemaError("some training rows have no yield", "Build the samples from positive yields only.")
    if np.ptp(samples.target_kg_ha) == 0:
        raise SchemaError(
            f"all {len(samples)} training yields equal {samples.target_kg_ha[0]:g} kg/ha",
            "A constant target cannot be learnt: check the yields table.",
        )


def check_strategy(name: str) -> None:
    """Refuse a strategy's name that `choose_strategy` does not know (ConfigError)."""
    if name not in STRATEGIES:
        raise ConfigError(f"unknown strategy {name!r}", f"Use one of: {', '.join(STRATEGIES)} (--strategy).")


def choose_strategy(name: str = "auto") -> tf.distribute.Strategy:
    """The `tf.distribute` strategy for the devices found.

    Args:
        name: "auto" (several GPUs: mirrored; one: one-device; none: default), "default", "one-device"
            (first GPU, else CPU) or "mirrored" (all GPUs, else all logical CPUs).

    Raises:
        ConfigError: another name.
    """
    check_strategy(name)
    import tensorflow as tf

    gpus, cpus = (tf.config.list_logical_devices(kind) for kind in ("GPU", "CPU"))
    if name == "auto":
        name = "mirrored" if len(gpus) > 1 else "one-device" if gpus else "default"
    if name == "mirrored":
        return tf.distribute.MirroredStrategy([d.name for d in gpus or cpus])
    if name == "one-device":
        return tf.distribute.OneDeviceStrategy((gpus or cpus)[0].name)
    return tf.distribute.get_strategy()


def train(
    samples: SampleSet,
    run: Run,
    seeds: Sequence[int],
    strategy: str = "auto",
    progress: Callable[[Epoch], None] = lambda epoch: None,
) -> None:
    """Train a member for every seed that the run does not hold yet.

    The same seed on the same machine gives the same weights, whatever was trained before it; so a run
    that was killed and started again ends with the same members. For that it switches TensorFlow's
    deterministic operations on, seeds Python, NumPy and Keras anew and clears the Keras session, all
    for the whole process.

    Args:
        samples: training rows, physical units.
        run: where members go; its settings are used.
        seeds: 1 or more, one member each; repeated ones count once.
        strategy: see `choose_strategy`.
        progress: called after every epoch.

    Raises:
        MissingDataError, SchemaError, ConfigError: rows, settings or seeds that cannot be trained on.
    """
    check_trainable(samples)
    if min(seeds, default=1) < 1:
        raise ConfigError(f"expected seeds of 1 or more, received {min(seeds)}", "Count seeds from 1.")
    todo = sorted(set(seeds) - set(run.seeds()))
    if not todo:
        return
    import tensorflow as tf

    tf.config.experimental.enable_op_determinism()
    scope = choose_strategy(strategy)
    for seed in todo:

        def tell(epoch: int, best_loss: float, finished: bool, seed: int = seed) -> None:
            progress(Epoch(len(todo), seed, epoch, best_loss, finished))

        _train_member(samples, run, seed, scope, tell)


def _train_member(
    samples: SampleSet,
    run: Run,
    seed: int,
    scope: tf.distribute.Strategy,
    tell: Callable[[int, float, bool], None],
) -> None:
    import keras

    from yieldcast import model as network

    began, settings = time.perf_counter(), run.settings.training
    fit, held = split_validation(samples, settings, seed)
    scaling = network.Scaling.fit(fit, settings.scale_target)
    replicas = scope.num_replicas_in_sync
    batch = _even(min(settings.batch_size, len(fit)), replicas)
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    with scope.scope():
        model = network.build(run.settings.network, scaling, run.identity.steps)
        inner = network.scaled_model(model)
        inner.compile(
            optimizer=keras.optimizers.Adam(settings.learning_rate, settings.beta_1, settings.beta_2),
            loss=settings.loss,
            steps_per_execution=_steps_per_call(len(fit), batch, replicas),
        )
    stop = keras.callbacks.EarlyStopping(
        monitor="val_loss", patience=settings.patience, restore_best_weights=settings.restore_best
    )
    history = inner.fit(
        network.inputs(fit),
        _scaled(fit, scaling),
        validation_data=(network.inputs(held), _scaled(held, scaling)),
        batch_size=batch,
        validation_batch_size=_even(len(held), replicas),
        epochs=settings.max_epochs,
        callbacks=[stop, _reporter(seed, tell)],
        verbose=0,
    ).history
    seconds = time.perf_counter() - began
    record = _record(seed, history["val_loss"], seconds, len(fit), len(held))
    record |= {"replicas": replicas, "versions": versions()}
    run.save_member(seed, model, record, _history_csv(history))
    tell(record["epochs"], record["best_validation_loss"], True)


def _record(seed: int, losses: Sequence[float], seconds: float, fit: int, held: int) -> dict[str, Any]:
    best = int(np.argmin(losses))
    return {
        "seed": seed,
        "epochs": len(losses),
        "best_epoch": best + 1,
        "best_validation_loss": losses[best],
        "seconds": round(seconds, 2),
        "fit_rows": fit,
        "validation_rows": held,
    }


def _even(rows: int, replicas: int) -> int:
    """The largest batch of at most `rows` that splits evenly: Keras 3.15 cannot start on an uneven one."""
    return max(rows // replicas, 1) * replicas


def _steps_per_call(rows: int, batch: int, replicas: int) -> int:
    """Batches per compiled call: a whole epoch, because the rows are few and every call has a price.

    One under several replicas: there TensorFlow 2.21 cannot run an LSTM's loop inside the steps' loop
    ("You must feed a value for placeholder tensor").
    """
    return 1 if replicas > 1 else -(-rows // batch)


def _scaled(rows: SampleSet, scaling: Scaling) -> npt.NDArray[np.float32]:
    return ((rows.target_kg_ha[:, None] - scaling.target_mean) / scaling.target_sd).astype(np.float32)


def _reporter(seed: int, tell: Callable[[int, float, bool], None]) -> object:
    import keras

    class Reporter(keras.callbacks.Callback):  # type: ignore[misc]
        """Passes each epoch on, and stops a member whose loss is no longer a number."""

        best_loss = float("inf")

        def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
            """Keras calls this after each epoch, counted from 0."""
            loss = (logs or {})["val_loss"]
            if not np.isfinite(loss):
                raise SchemaError(
                    f"member {seed}: the validation loss became {loss} in epoch {epoch + 1}",
                    "Lower training.learning_rate, or look for extreme values (yieldcast status).",
                )
            self.best_loss = min(self.best_loss, loss)
            tell(epoch + 1, self.best_loss, False)

    return Reporter()


def _history_csv(history: dict[str, list[float]]) -> str:
    names = list(history)
    lines = [",".join(["epoch", *names])]
    for epoch, values in enumerate(zip(*history.values(), strict=True), 1):
        lines.append(",".join([str(epoch), *(f"{value:.8g}" for value in values)]))
    return "\n".join(lines) + "\n"
