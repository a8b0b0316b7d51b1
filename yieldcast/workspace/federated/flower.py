"""The library Flower: imported on first use, silent, and without its reports of use."""

from __future__ import annotations

import logging
import os
import sys
import threading
from importlib import import_module
from typing import Any

from yieldcast.errors import ConfigError


def flower(module: str = "flwr.server") -> Any:
    """A module of Flower, or of gRPC, which comes with it.

    Raises:
        ConfigError: Flower is not installed.
    """
    first = "flwr" not in sys.modules
    # Read when Flower is imported: by default it tells its makers of every start (flwr.supercore.telemetry).
    os.environ["FLWR_TELEMETRY_ENABLED"] = "0"
    try:
        found = import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("flwr", "cryptography", "grpc", "iterators"):
            raise
        raise ConfigError(
            "federated averaging needs Flower, which is not installed",
            "Install it in an environment of its own, because it needs older versions of typer, rich and "
            "protobuf than the other commands are tested with: pip install 'yieldcast[federated]'",
        ) from error
    if first and "flwr" in sys.modules:
        _silence()
    return found


def _silence() -> None:
    """Flower logs only errors, its lines repeat ours; and a thread of gRPC that watches a connection which
    Flower closes under it ends without a traceback."""
    logging.getLogger("flwr").setLevel(logging.ERROR)
    hook = threading.excepthook

    def without_closed_channels(ended: threading.ExceptHookArgs) -> None:
        if "Cannot monitor channel state" not in str(ended.exc_value):
            hook(ended)

    threading.excepthook = without_closed_channels
