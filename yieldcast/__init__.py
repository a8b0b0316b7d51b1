"""yieldcast: municipal crop-yield forecasts, before sowing and in season, with honest skill.

Public names load lazily (PEP 562), so that ``import yieldcast`` imports neither TensorFlow nor Keras.
"""

from __future__ import annotations

import importlib
from typing import Any

_HOME = {
    "Store": "yieldcast.store",
    "Tables": "yieldcast.store",
    "read_tables": "yieldcast.importing",
    "Settings": "yieldcast.config",
    "FORECAST": "yieldcast.config",
    "Publication": "yieldcast.variables",
    "SampleSet": "yieldcast.samples",
    "build": "yieldcast.samples",
    "cut": "yieldcast.seasons",
    "Run": "yieldcast.runs",
    "train_run": "yieldcast.workflow",
    "evaluate_run": "yieldcast.workflow",
    "forecast": "yieldcast.forecasting",
    "YieldcastError": "yieldcast.errors",
}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("yieldcast")
    if name not in _HOME:
        raise AttributeError(f"module 'yieldcast' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
