"""Worker of training.py, not a script of its own: the arithmetic lower bound of an epoch.

Counts the floating-point operations of an epoch, and measures how fast the machine multiplies matrices.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
from messages import answer, cores, task_of_this_process
from threadpoolctl import threadpool_limits

Array = npt.NDArray[np.float32]

LARGE = (1024, 1024, 1024)
LARGE_GPU = (8192, 8192, 8192)
SECONDS = 0.5  # time to measure each shape


def network_shape(units: int) -> tuple[int, int, int]:
    """Shape of a product of an LSTM layer over nine months of a batch of 280: (2520, u) x (u, 4u)."""
    return 2520, units, 4 * units


def multiply_adds(
    lstm: Sequence[int], static: Sequence[int], head: Sequence[int], steps: int, variables: int, features: int
) -> int:
    """Multiplications of one row's forward pass through the network's matrix products.

    Args:
        lstm, static, head: units of the layers.
        steps: months; in the first one the state is zero and is not multiplied.
        variables: of the weather.
        features: of soil and place.
    """
    total, width = 0, variables
    for units in lstm:
        total += steps * width * 4 * units + (steps - 1) * units * 4 * units
        width = units
    seen, width = width, features
    for units in static:
        total, width = total + width * units, units
    width += seen
    for units in (*head, 1):
        total, width = total + width * units, units
    return total


def epoch_flops(row: int, fit_rows: int, held_rows: int) -> int:
    """Operations of one epoch: two per multiply-add; a backward pass costs two forward passes.

    Args:
        row: `multiply_adds` of a row.
        fit_rows: rows to fit, with a forward and a backward pass.
        held_rows: rows to validate on, with a forward pass.
    """
    return 2 * row * (3 * fit_rows + held_rows)


def gemm_rate(shape: tuple[int, int, int], gpu: bool = False) -> float:
    """Operations per second of float32 matrix products, the median of many timings.

    On the CPU every core multiplies its own arrays in one thread, because products this small are not faster
    when several cores share them.

    Args:
        shape: (rows, inner, columns).
        gpu: measure the GPU of the Keras backend instead of the cores.
    """
    rows, inner, columns = shape
    flops = 2 * rows * inner * columns
    count, workers = max(1, round(5e8 / flops)), 1 if gpu else len(cores())
    draw = np.random.default_rng(0).standard_normal
    jobs = [
        (_on_gpu if gpu else _on_core)(draw((rows, inner), np.float32), draw((inner, columns), np.float32))
        for _ in range(workers)
    ]
    timings, end = list[float](), time.perf_counter() + SECONDS
    with threadpool_limits(1), ThreadPoolExecutor(workers) as pool:
        while time.perf_counter() < end or len(timings) < 5:
            began = time.perf_counter()
            list(pool.map(lambda job: job(count), jobs))
            timings.append(time.perf_counter() - began)
    return workers * count * flops / statistics.median(timings[1:])


def _on_core(a: Array, b: Array) -> Callable[[int], None]:
    out = np.empty((a.shape[0], b.shape[1]), np.float32)

    def multiply(count: int) -> None:
        for _ in range(count):
            np.matmul(a, b, out=out)

    return multiply


def _on_gpu(a: Array, b: Array) -> Callable[[int], None]:
    from keras import ops

    left, right = ops.convert_to_tensor(a), ops.convert_to_tensor(b)

    def multiply(count: int) -> None:
        for _ in range(count):
            out = ops.matmul(left, right)
        ops.convert_to_numpy(out[0, 0])  # waits for all of them

    return multiply


def main() -> None:
    """Measure both shapes for the units of the job."""
    task = task_of_this_process()
    gpu = task["device"] == "GPU"
    large = LARGE_GPU if gpu else LARGE
    answer(
        {
            "small_rate": gemm_rate(network_shape(task["units"]), gpu),
            "large_rate": gemm_rate(large, gpu),
            "large_edge": large[0],
        }
    )


if __name__ == "__main__":
    main()
