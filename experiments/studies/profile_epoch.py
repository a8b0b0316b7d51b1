"""Time of one training epoch of one member on one CPU core, by kind of XLA operation, as a Markdown table.

Run it on a single core, so that the times of the operations add up to the time of the epoch:

    taskset -c 0 python experiments/studies/profile_epoch.py --store STORE --units 32
"""

from __future__ import annotations

import argparse
import collections
import os
import re
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf

import calendars
from yieldcast import Settings, Store, build_samples
from yieldcast.cli.terminal import short_errors
from yieldcast.config import DataSettings
from yieldcast.features.samples import SampleSet
from yieldcast.models import stacked
from yieldcast.training.devices import choose_devices
from yieldcast.training.epoch import EpochProgram
from yieldcast.training.member import Member, stack
from yieldcast.training.run_directory import Identity, Run

KINDS = {  # kind: pattern of the names of operations; the first that matches counts
    "matrix products": r"^dot",
    "LSTM gates and their gradients": r"(add_divide|tanh|subtract_multiply|multiply_add|multiply_bitcast)",
    "joining gate gradients": r"^concat_",
    "sorting the shuffle": r"(TopK|sort)",
    "noise": r"(log-plus|erf|xor|shift)",
    "sums of bias gradients": r"reduce",
    "picking rows, copies": r"(gather|copy|slice|broadcast|transpose|concatenate)",
}


def epoch_of_one(rows: SampleSet, settings: Settings) -> Callable[[], None]:
    """A function that runs a compiled epoch of one member."""
    identity = Identity("", (), rows.dynamic.shape[1], len(rows), (), (), {}, False)
    devices = choose_devices("default")
    with tempfile.TemporaryDirectory() as nothing:
        member = Member(rows, Run(Path(nothing), identity, settings, {}), 1)
    program = devices.compile(EpochProgram(stacked.Network(settings.network), settings.training))
    data = {"weather": rows.dynamic, "static": rows.static, "target": rows.target_kg_ha.astype("float32")}
    placed = [devices.place([tree]) for tree in (stack([member.state]), stack([member.constants]), data)]

    def call() -> None:
        devices.fetch(program(*placed), ["loss"])

    call()
    return call


def seconds(call: Callable[[], None], times: int = 7) -> float:
    """Median seconds of a call."""
    measured = []
    for _ in range(times):
        began = time.perf_counter()
        call()
        measured.append(time.perf_counter() - began)
    return statistics.median(measured)


def by_kind(call: Callable[[], None]) -> dict[str, float]:
    """Seconds by kind of operation, from TensorFlow's profiler; events that contain others are skipped."""
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    with tempfile.TemporaryDirectory() as folder:
        with tf.profiler.experimental.Profile(folder):
            call()
        space = xplane_pb2.XSpace()
        space.ParseFromString(next(Path(folder).rglob("*.xplane.pb")).read_bytes())
    found: dict[str, float] = collections.defaultdict(float)
    for plane in space.planes:
        for event in (event for line in plane.lines for event in line.events):
            name = plane.event_metadata[event.metadata_id].name
            if re.match(r"[\w-]+(\.\d+)*$", name) and not re.match(r"(while|call|on_replicas|EagerEx)", name):
                kind = next((k for k, pattern in KINDS.items() if re.search(pattern, name)), "")
                found[kind or "others"] += event.duration_ps / 1e12 if kind or "fusion" in name else 0.0
    return dict(found)


def main() -> None:
    """Profile and time an epoch."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--store", type=Path, required=True, help="its soybean rows of 2011 to 2017 are used")
    parser.add_argument("--units", type=int, default=32, help="units of every layer (default: %(default)s)")
    given = parser.parse_args()
    units = given.units
    settings = Settings.model_validate(
        {"network": {"lstm_units": [units] * 2, "static_units": [units] * 2, "head_units": [units]}}
    )
    with short_errors():
        tables = Store.open(given.store).tables
        rows, _ = build_samples(tables, calendars.brazil(), "soybean", range(2011, 2018), DataSettings())
    call = epoch_of_one(rows, settings)
    kinds = by_kind(call)
    print(f"{len(rows)} rows, {units} units\n\n| operations | ms | share % |\n|---|--:|--:|")
    for kind, value in sorted(kinds.items(), key=lambda item: -item[1]):
        print(f"| {kind} | {value * 1e3:.1f} | {100 * value / sum(kinds.values()):.0f} |")
    print(f"\nAn epoch: {seconds(call):.3f} s")


if __name__ == "__main__":
    main()
