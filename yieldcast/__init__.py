"""Municipal crop-yield forecasts, before sowing and in season, with their skill measured on past seasons.

Public names are imported at first use (PEP 562), so that ``import yieldcast`` imports neither TensorFlow nor
Keras.
"""

from __future__ import annotations

import importlib
from typing import Any

_HOME = {
    "Store": "yieldcast.data.store",
    "Tables": "yieldcast.data.store",
    "read_tables": "yieldcast.importing.files",
    "Settings": "yieldcast.config",
    "read_settings": "yieldcast.config",
    "FORECAST_SETTINGS": "yieldcast.config",
    "Publication": "yieldcast.publication",
    "SampleSet": "yieldcast.features.samples",
    "build_samples": "yieldcast.features.source",
    "cut_seasons": "yieldcast.features.seasons",
    "Run": "yieldcast.training.run_directory",
    "train_run": "yieldcast.training.pipeline",
    "evaluate_run": "yieldcast.evaluation.evaluate",
    "Forecast": "yieldcast.forecasting.table",
    "forecast": "yieldcast.forecasting.forecast",
    "training_progress": "yieldcast.cli.progress",
    "counting_progress": "yieldcast.cli.progress",
    "YieldcastError": "yieldcast.errors",
}
_MODULES = {"plot": "yieldcast.reporting.plot"}
__all__ = sorted([*_HOME, *_MODULES])


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("yieldcast")
    if name in _MODULES:
        return importlib.import_module(_MODULES[name])
    if name not in _HOME:
        raise AttributeError(f"module 'yieldcast' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
