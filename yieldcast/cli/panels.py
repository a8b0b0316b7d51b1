"""Help in panels: commands by their purpose, and options that belong together."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand, TyperOption

# Panels of the commands, in the order of the help.
START, DATA, MODELS, FORECASTS = "Start here", "Data", "Training and skill", "Forecasts"
WORKSPACE = "Models of others on your data"

_BY_PANEL = {
    "What it works on": (
        "store", "state", "calendar", "months", "crop", "crops", "harvest_year", "as_of", "train_years",
        "test_years", "leads", "dates",
        "hold_out", "k", "k_of", "block_degrees", "zones",
        "years", "starts", "states", "runs", "scenarios", "everywhere", "protocol", "allow_stale", "features",
        "threshold", "classes", "cost_miss", "cost_alarm", "source",
        "bbox", "mask", "season", "calendar", "resolution", "bands",
        "place", "by", "task", "false_alarm_rate", "lstm", "input", "weights", "pool", "submission",
        "title", "rule", "lead_months", "run_config", "verify", "newest", "workspace",
    ),
    "Files to import": (
        "places", "yields", "weather", "soil", "mesh", "estimates", "estimates_source", "daily_weather",
        "weather_grid", "country", "fields", "vegetation", "crop_area", "drop_outliers",
        "data", "holdout", "examples", "synthetic", "allow_shared_groups",
    ),
    "Series and classes": (
        "label", "legend", "coarser", "least", "rest", "group", "step", "start", "unit", "input",
        "bands", "absent", "offset", "own_classes", "nodata", "season", "first_day",
        "last_day", "grid", "lag", "reference", "code", "mask", "least_clear",
    ),
    "Settings of the run": (
        "encoder", "decoder", "weights", "mode", "head", "balance", "epochs", "learning_rate", "pool",
        "location", "modis", "folds", "run",
        "config", "preset", "seeds", "no_noise", "from", "freeze", "models",
        "prefix", "seed", "epochs", "batch", "loss", "sites", "rounds", "local_epochs", "pooled", "name",
    ),
    "The model": (
        "name", "price_per_km2", "outputs", "outputs_file", "batch_size", "augment", "class_weights",
        "new_head",
    ),
    "Sources": (
        "collections", "catalog", "max_cloud",
        "weather_source", "daily", "where", "weights_before", "soilgrids", "soil_resolution", "soil_folder",
        "seasonal_system",
    ),
    "Output": ("out", "csv", "bulletins", "lang", "skill", "json", "dry_run", "check", "compare", "explain"),
    "How it runs": (
        "parts", "limit_gb", "strategy", "block", "side", "overlap", "workers", "dask", "offline", "strict",
        "tries",
        "retry_wait", "patience", "partial", "replace", "live", "accept_licences", "draws", "search_rows",
        "database", "once", "address", "ca", "certificate", "key", "secret_file", "insecure", "wait",
        "max_rounds", "max_epochs", "watch", "token_file", "host", "port", "no_workers", "trust", "tls_cert",
        "tls_key", "behind_proxy", "threads", "lease",
    ),
}  # fmt: skip
_PANELS = {name: panel for panel, names in _BY_PANEL.items() for name in names}


class Command(TyperCommand):
    """A command whose options are shown in panels, by their names."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for option in self.params:
            if isinstance(option, TyperOption):
                name = option.opts[0].lstrip("-").replace("-", "_")
                option.rich_help_panel = _PANELS.get(name, option.rich_help_panel)
