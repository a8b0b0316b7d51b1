"""Time of the encoder of pixel series on one core: full months, the usual gaps, longer series, NDVI alone.

Series are random numbers: the time does not depend on values. Without a file of weights they are random too,
which takes the same time. Timed is the CPU time of one core, after a first call that compiles.

    python experiments/benchmarks/encoder.py [--weights FILE] [--pixels 1024] [--write experiments/results]
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

from results_file import heading, markdown_table, write
from yieldcast.encoders.bands import BAND_NAMES, GROUPS
from yieldcast.encoders.embedding import PixelInputs, pixel_inputs, program

if TYPE_CHECKING:
    from yieldcast.encoders.presto import PrestoEncoder

MONTHLY_LIMIT_S, NDVI_LIMIT_S = 4.0, 1.0  # bounds of the project for 1,000 pixels
ABSENT = ("B8A",)  # what series of the usual kind lack everywhere, beside land cover


def on_one_core() -> None:
    """Keep this process, and the threads of TensorFlow, on one core."""
    import tensorflow as tf

    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)


def series(pixels: int, steps: int, absent: tuple[str, ...] = (), cover: bool = True) -> PixelInputs:
    """Random series of which some bands are missing everywhere."""
    rng = np.random.default_rng(0)
    x = rng.random((pixels, steps, len(BAND_NAMES)), dtype=np.float32)
    mask = np.zeros(x.shape, bool)
    mask[..., [BAND_NAMES.index(name) for name in absent]] = True
    classes = rng.integers(0, 9, (pixels, steps)) if cover else None
    return pixel_inputs(x, rng.uniform(-60, 60, (pixels, 2)), 0, mask, classes)


def seconds(encoder: PrestoEncoder, inputs: PixelInputs) -> float:
    """CPU seconds for 1,000 series."""
    run = program(encoder, inputs.known_groups(), "global", compiled=True)
    batches = [batch for _, batch in inputs.batches()]
    run(batches[0])
    began = time.process_time()
    for batch in batches:
        np.asarray(run(batch))
    return (time.process_time() - began) / len(inputs) * 1000


def main() -> None:
    """Time every kind of series and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    add = parser.add_argument
    add("--weights", type=Path, help="encoder file; random weights without it")
    add("--pixels", type=int, default=1024)
    add("--write", type=Path, help="folder for benchmark-encoder.md")
    given = parser.parse_args()
    on_one_core()
    from yieldcast.encoders.files import load_presto
    from yieldcast.encoders.presto import PrestoEncoder

    encoder = load_presto(given.weights) if given.weights else PrestoEncoder(positions=72)
    if not given.weights:
        encoder.build()
    others = tuple(name for name in BAND_NAMES if name != "NDVI")
    kinds = {
        "12 months, everything": series(given.pixels, 12),
        f"12 months, without land cover and {', '.join(ABSENT)}": series(given.pixels, 12, ABSENT, False),
        "24 months, everything": series(given.pixels, 24),
        "12 months, NDVI alone": series(given.pixels, 12, others, False),
    }
    rows = [
        [name, str(len(inputs.known_groups())), f"{seconds(encoder, inputs):.2f}"]
        for name, inputs in kinds.items()
    ]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    parts = [
        *heading("Encoder of pixel series on one core"),
        f"{given.pixels:,} random series in batches of 64; one reading of CPU time.",
        markdown_table(["series", f"groups of {len(GROUPS)}", "s for 1,000 pixels"], rows),
        f"The bounds are {MONTHLY_LIMIT_S:.0f} s for 12 full months and {NDVI_LIMIT_S:.0f} s for NDVI alone. "
        f"Peak memory: {peak:.1f} GB, TensorFlow included.",
    ]
    if given.write:
        print(f"written: {write(given.write / 'benchmark-encoder.md', parts)}")
    else:
        print("\n\n".join(parts))


if __name__ == "__main__":
    main()
