"""Frozen, typed settings read from TOML; an unknown key is refused, never ignored."""

from __future__ import annotations

import difflib
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from yieldcast.errors import ConfigError, MissingDataError
from yieldcast.publication import Publication

Units = Annotated[tuple[Annotated[int, Field(ge=1, le=4096)], ...], Field(min_length=1, max_length=8)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class NetworkSettings(_Section):
    """The dual-path network. The unit counts of the paper's Figure 1 stand in an image only, in no
    text: ours come from the validation study in experiments/results/units-study.md."""

    lstm_units: Units = (32, 32)
    static_units: Units = (32, 32)
    head_units: Units = (32,)
    noise: Annotated[float, Field(ge=0, le=1)] = 0.3  # standard deviation on 0-1 inputs, paper Section 4
    l2: Annotated[float, Field(ge=0)] = 1e-5  # paper Section 4
    # What the inputs are scaled to: "range" is 0-1 (paper Section 4), "deviation" mean 0 and deviation 1.
    scaling: Literal["range", "deviation"] = "range"
    # What the network adds to: nothing ("yield", the paper), or the history line, so that what it learns is
    # the departure from a place's own history.
    target: Literal["yield", "departure"] = "yield"


class TrainingSettings(_Section):
    """Training of one member. The first six are the paper's (Section 4); the rest it leaves open."""

    learning_rate: Annotated[float, Field(gt=0, le=1)] = 5e-4
    beta_1: Annotated[float, Field(ge=0, lt=1)] = 0.9
    beta_2: Annotated[float, Field(ge=0, lt=1)] = 0.999
    batch_size: Annotated[int, Field(ge=1)] = 280
    max_epochs: Annotated[int, Field(ge=1)] = 500
    patience: Annotated[int, Field(ge=1)] = 50
    loss: Literal["mse", "mae", "huber"] = "mse"
    # Rows that decide when to stop: a random share, the last year, or a harvest year that each member leaves
    # out whole (its number modulo the years), whose hindcasts the forecast's intervals then rest on.
    validation: Literal["random", "last_year", "each_year"] = "random"
    validation_share: Annotated[float, Field(gt=0, lt=0.9)] = 0.1
    restore_best: bool = True
    scale_target: bool = True
    # Share of the rows whose season is cut at a random month, the rest filled with another year's weather.
    season_cuts: Annotated[float, Field(ge=0, le=1)] = 0.0


class DataSettings(_Section):
    """What is cut from the tables, and when its values count as public."""

    calendar: Path | None = None
    months: dict[str, Annotated[int, Field(ge=1, le=24)]] = {}
    degree_days: dict[str, tuple[float, float]] = {}
    weather_delay_months: Annotated[int, Field(ge=0)] = 3
    weather_delay_days: Annotated[int, Field(ge=0)] = 0
    yields_delay_months: Annotated[int, Field(ge=0)] = 9
    yields_delay_days: Annotated[int, Field(ge=0)] = 0
    weather_inputs: Literal["values", "anomalies"] = "values"  # anomalies: departures from a place's climate
    yield_history: bool = False  # the municipality's public yields among the static inputs

    @field_validator("months", "degree_days", mode="after")
    @classmethod
    def _crops_in_lower_case(cls, by_crop: dict[str, Any]) -> dict[str, Any]:
        return {crop.lower(): value for crop, value in by_crop.items()}

    @model_validator(mode="after")
    def _limits_in_order(self) -> DataSettings:
        for crop, (base, upper) in self.degree_days.items():
            if not base < upper:
                raise ValueError(f"degree_days.{crop}: base {base} must be below upper {upper}")
        return self

    def publication(self) -> Publication:
        """The publication delays as one value."""
        return Publication(
            self.weather_delay_months,
            self.weather_delay_days,
            self.yields_delay_months,
            self.yields_delay_days,
        )


class Settings(_Section):
    """All settings of a run: `[network]`, `[training]` and `[data]` of the TOML file."""

    network: NetworkSettings = NetworkSettings()
    training: TrainingSettings = TrainingSettings()
    data: DataSettings = DataSettings()

    @model_validator(mode="after")
    def _departure_needs_history(self) -> Settings:
        if self.network.target == "departure" and not self.data.yield_history:
            raise ValueError('network.target = "departure" needs data.yield_history = true')
        return self


# What forecasts are made with; where it differs from the paper, chosen on hindcasts of 2014 to 2018
# (experiments/results/backtest-soybean.md and -corn.md).
FORECAST_SETTINGS = Settings(
    network=NetworkSettings(
        lstm_units=(16, 16), static_units=(16, 16), head_units=(16,), l2=1e-3,
        scaling="deviation", target="departure",
    ),
    training=TrainingSettings(
        learning_rate=1e-3, max_epochs=100, patience=8, loss="huber", validation="each_year", season_cuts=0.5
    ),
    data=DataSettings(
        weather_delay_months=0, weather_delay_days=5, weather_inputs="anomalies", yield_history=True
    ),
)  # fmt: skip
PRESETS = {"paper": Settings(), "forecast": FORECAST_SETTINGS}


def read_settings(path: Path | None, preset: str = "paper") -> Settings:
    """Settings from a TOML file; those of a preset when None.

    Args:
        path: a TOML file; a relative `data.calendar` in it is taken from the file's folder. What it leaves
            out is the paper's.
        preset: one of `PRESETS`.

    Raises:
        MissingDataError: no such file.
        ConfigError: not TOML, an unknown key, or a value out of range.
    """
    if preset not in PRESETS:
        raise ConfigError(f"unknown preset {preset!r}", f"Use one of: {', '.join(PRESETS)}.")
    if path is None:
        return PRESETS[preset]
    if not path.is_file():
        raise MissingDataError(f"no config file {path}", "Give the path of a TOML file with --config.")
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path} is not valid TOML: {error}", "See experiments/configs for examples."
        ) from None
    settings = parse_settings(content, str(path))
    if settings.data.calendar is not None:
        calendar = path.parent / settings.data.calendar
        settings = settings.model_copy(
            update={"data": settings.data.model_copy(update={"calendar": calendar.resolve()})}
        )
    return settings


def parse_settings(content: object, origin: str) -> Settings:
    """Settings from nested dictionaries.

    Args:
        content: as read from TOML or from a run's resolved config.
        origin: where it stands, for the error.

    Raises:
        ConfigError: naming every key that is wrong.
    """
    try:
        return Settings.model_validate(content)
    except ValidationError as error:
        problems = [_explain(p["type"], p["loc"], p["msg"], p.get("input")) for p in error.errors()]
        raise ConfigError(
            f"{origin}: " + "; ".join(problems), "Correct the file; experiments/configs has examples."
        ) from None


def _explain(kind: str, where: tuple[int | str, ...], text: str, received: object) -> str:
    key = ".".join(map(str, where))
    if kind != "extra_forbidden":
        return f"{key}: {text} (received {received!r})"
    section: type[BaseModel] = Settings
    for part in where[:-1]:
        inner = getattr(section(), str(part), None)
        section = type(inner) if isinstance(inner, BaseModel) else Settings
    known = list(section.model_fields)
    close = difflib.get_close_matches(str(where[-1]), known, 1)
    meant = f", did you mean {close[0]!r}?" if close else f"; known: {', '.join(known)}"
    return f"unknown key {key!r}{meant}"
