"""The library Flower: imported on first use, silent, and without its reports of use."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from yieldcast.errors import ConfigError


def flower(module: str = "flwr.server") -> Any:
    """A module of Flower.

    Raises:
        ConfigError: Flower is not installed.
    """
    # Read when Flower is imported: by default it tells its makers of every start (flwr.supercore.telemetry).
    os.environ["FLWR_TELEMETRY_ENABLED"] = "0"
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("flwr", "cryptography", "grpc", "iterators"):
            raise
        raise ConfigError(
            "federated averaging needs Flower, which is not installed",
            "Install it in an environment of its own, because it needs older versions of typer, rich and "
            "protobuf than the other commands are tested with: pip install 'yieldcast[federated]'",
        ) from error


@contextmanager
def quiet_flower() -> Iterator[None]:
    """Within the block Flower logs only errors, its lines repeat ours; and a thread of gRPC that watches a
    connection which Flower closes under it ends without a traceback."""
    logger, hook = logging.getLogger("flwr"), threading.excepthook
    before = logger.level
    logger.setLevel(logging.ERROR)

    def without_closed_channels(ended: threading.ExceptHookArgs) -> None:
        if "Cannot monitor channel state" not in str(ended.exc_value):
            hook(ended)

    threading.excepthook = without_closed_channels
    try:
        yield
    finally:
        logger.setLevel(before)
        threading.excepthook = hook
