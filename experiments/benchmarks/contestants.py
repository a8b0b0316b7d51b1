"""Worker of training.py, not a script of its own: the contestants that need Keras.

These are Keras `model.fit` in a loop over seeds and the training of yieldcast, each in a process of its own.
Keras alone decides whether TensorFlow or JAX is imported.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from threading import get_ident
from typing import Any

import keras
import numpy as np
from messages import (
    STATIC,
    TARGET,
    WEATHER,
    Event,
    answer,
    loop_result,
    rows_of,
    split,
    steady_seconds,
    task_of_this_process,
)  # fmt: skip

import calendars
from yieldcast.config import Settings, parse_settings
from yieldcast.features.samples import SampleSet
from yieldcast.models.dual_path import build_network, model_inputs, scaled_model
from yieldcast.models.scaling import Scaling
from yieldcast.training import trainer
from yieldcast.training.devices import choose_devices
from yieldcast.training.run_directory import Identity, Run, versions


class _NoTensorFlow:
    """Import hook that hides TensorFlow from Keras when it runs on JAX.

    Keras would import an installed TensorFlow only to set its seed. Hidden, time and memory are those of a
    host that has JAX alone.
    """

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name == "tensorflow":
            raise ImportError("left out with KERAS_BACKEND=jax")


if keras.backend.backend() == "jax":
    sys.meta_path.insert(0, _NoTensorFlow())


def sample_set(arrays: Mapping[str, Any]) -> SampleSet:
    """The rows as a `SampleSet` with invented municipalities and years, which training does not use."""
    count, variables, features = len(arrays[TARGET]), arrays[WEATHER].shape[-1], arrays[STATIC].shape[-1]
    return SampleSet(
        arrays[WEATHER], arrays[STATIC], arrays[TARGET],
        np.arange(count, dtype=np.int32), np.full(count, 2011, np.int16), np.full(count, "MT"),
        np.full(count, np.datetime64("2011-05-31")),
        tuple(f"variable_{k}" for k in range(variables)),
        tuple(f"feature_{k}" for k in range(features)),
    )  # fmt: skip


def fit_loop(task: Mapping[str, Any]) -> dict[str, Any]:
    """Keras `model.fit`, one seed after the other; "keras-tuned" runs a whole epoch per call."""
    rows, settings = sample_set(rows_of(task)), parse_settings(task["settings"], "the job")
    tuned = task["contestant"] == "keras-tuned"
    return loop_result([_fit_seed(rows, settings, seed, tuned) for seed in range(1, task["members"] + 1)])


def _fit_seed(rows: SampleSet, settings: Settings, seed: int, tuned: bool) -> tuple[float, list[float]]:
    began, ends, chosen = time.perf_counter(), list[float](), settings.training
    fit, held = (rows.take(part) for part in split(len(rows), chosen.validation_share, seed))
    keras.utils.set_random_seed(seed)
    scaling = Scaling.fit(fit, chosen.scale_target)
    model = scaled_model(build_network(settings.network, scaling, rows.dynamic.shape[1]))
    adam = keras.optimizers.Adam(chosen.learning_rate, beta_1=chosen.beta_1, beta_2=chosen.beta_2)
    more = {"steps_per_execution": -(-len(fit) // chosen.batch_size)} if tuned else {}
    model.compile(optimizer=adam, loss=chosen.loss, **more)
    target, kept = ((part.target_kg_ha - scaling.target_mean) / scaling.target_sd for part in (fit, held))
    clock = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: ends.append(time.perf_counter()))
    model.fit(
        model_inputs(fit), target, batch_size=chosen.batch_size, epochs=chosen.max_epochs,
        validation_data=(model_inputs(held), kept), callbacks=[clock], verbose=0,
    )  # fmt: skip
    return began, ends


def ours(task: Mapping[str, Any]) -> dict[str, Any]:
    """The training of yieldcast, as `yieldcast train` runs it."""
    rows, settings = sample_set(rows_of(task)), parse_settings(task["settings"], "the job")
    calendar, events = calendars.brazil(), list[Event]()
    identity = Identity(
        "soybean", (2011,), rows.dynamic.shape[1], len(rows), rows.dynamic_names, rows.static_names,
        {"calendar": calendar.fingerprint(), "rows": "made for the benchmark"}, synthetic=not task["data"],
    )  # fmt: skip

    def record_epoch(epoch: trainer.Epoch) -> None:
        events.append(Event(time.perf_counter(), get_ident(), epoch.seed, epoch.finished))

    seeds = range(1, task["members"] + 1)
    with tempfile.TemporaryDirectory() as folder:
        run = Run.start(Path(folder) / "run", identity, settings, calendar)
        devices, began = choose_devices(), time.perf_counter()
        trainer.train(rows, run, seeds, devices, block=task["block"], progress=record_epoch)
        whole, record = time.perf_counter() - began, run.records()[0]
    share, epoch = steady_seconds(events)
    plan = " x ".join(str(record[name]) for name in ("lanes", "replicas", "block"))
    first = events[0].clock - began
    return {"seconds": share, "startup": first - (epoch or 0.0), "whole": whole, "plan": plan}


def machine(task: Mapping[str, Any]) -> dict[str, Any]:
    """The device that the backend of Keras found, and versions."""
    kind = choose_devices().kind
    return {
        "kind": kind,
        "device": _device_name() if kind != "CPU" else "",
        "backend": choose_devices().backend,
        "versions": _versions(),
    }


def _versions() -> dict[str, str]:
    found = dict(versions())
    if keras.backend.backend() == "jax":
        import jax

        found["jax"] = jax.__version__
    return found


def _device_name() -> str:
    if keras.backend.backend() == "jax":
        import jax

        return f"{jax.local_device_count()} x {jax.local_devices()[0].device_kind}"
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    return f"{len(gpus)} x {tf.config.experimental.get_device_details(gpus[0]).get('device_name', 'GPU')}"


def device_mib() -> float | None:
    """Peak memory of the first accelerator, MiB; None on a CPU."""
    if choose_devices().kind == "CPU":
        return None
    if keras.backend.backend() == "jax":
        import jax

        stats = jax.local_devices()[0].memory_stats() or {}
        return float(stats.get("peak_bytes_in_use", 0)) / 2**20
    import tensorflow as tf

    return float(tf.config.experimental.get_memory_info("GPU:0")["peak"]) / 2**20


CONTESTANTS = {
    "keras": fit_loop,
    "keras-tuned": fit_loop,
    "keras-cores": fit_loop,
    "ours": ours,
    "machine": machine,
}


def main() -> None:
    """Run the job that the parent process passes as JSON."""
    task = task_of_this_process()
    result = CONTESTANTS[task["contestant"]](task)
    answer({**result, "device_mib": device_mib()})


if __name__ == "__main__":
    main()
