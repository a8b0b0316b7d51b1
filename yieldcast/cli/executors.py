"""Where work is done side by side: processes of this machine, or a Dask cluster."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any, cast

from yieldcast.cli.terminal import load_tensorflow
from yieldcast.errors import ConfigError


@contextmanager
def dask_executor(address: str | None) -> Iterator[Executor | None]:
    """An executor of the cluster at an address; None without an address.

    Raises:
        ConfigError: Dask's distributed is not installed, or nothing answers at the address.
    """
    if address is None:
        yield None
        return
    try:
        import distributed
    except ImportError:
        raise ConfigError(
            "--dask: Dask's distributed is not installed", "pip install 'yieldcast[scale]'"
        ) from None
    try:
        client: Any = cast(Any, distributed).Client(address, timeout="5s")
    except (OSError, TimeoutError, ValueError) as error:
        raise ConfigError(
            f"--dask: no scheduler at {address} ({type(error).__name__})", "For example tcp://host:8786."
        ) from error
    with client:
        yield client.get_executor()


@contextmanager
def chosen_executor(workers: int, address: str | None) -> Iterator[Executor | None]:
    """Processes, or the cluster at an address; None for one worker.

    Args:
        workers: processes.
        address: of a Dask scheduler.

    Raises:
        ConfigError: see `dask_executor`.
    """
    if address is not None or workers == 1:
        with dask_executor(address) as executor:
            yield executor
        return
    # New processes: a copy of this one would inherit TensorFlow's threads in an undefined state.
    import multiprocessing

    with ProcessPoolExecutor(
        workers, mp_context=multiprocessing.get_context("spawn"), initializer=load_tensorflow
    ) as pool:
        yield pool
