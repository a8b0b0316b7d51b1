"""Settings of a run: frozen, typed, read from TOML; an unknown key is an error."""

from __future__ import annotations

import datetime as dt
import difflib
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    field_validator,
    model_serializer,
    model_validator,
)

from calendars import Country, country
from yieldcast.errors import ConfigError, MissingDataError
from yieldcast.publication import DEFAULT_YIELDS, Publication
from yieldcast.user_code import names_function

Units = Annotated[tuple[Annotated[int, Field(ge=1, le=4096)], ...], Field(min_length=1, max_length=8)]

DailyInput = Literal[
    "water_deficit_mm", "water_ratio", "dry_days", "heat_degC_day", "vpd_kPa", "radiation_MJ_m2"
]

VegetationInput = Literal["ndvi", "evi"]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _without_defaults(content: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    """The settings to store, without younger keys that have their default.

    Settings are stored in runs and hashed into their identifiers: those of older runs must be written as
    before the key existed.
    """
    return {key: value for key, value in content.items() if key not in defaults or value != defaults[key]}


class NetworkSettings(_Section):
    """The dual-path network.

    The paper gives the unit counts only in an image (Figure 1); ours come from the validation study in
    experiments/results/units-study.md.
    """

    lstm_units: Units = (32, 32)
    static_units: Units = (32, 32)
    head_units: Units = (32,)
    noise: Annotated[float, Field(ge=0, le=1)] = 0.3  # standard deviation on 0-1 inputs, paper Section 4
    l2: Annotated[float, Field(ge=0)] = 1e-5  # paper Section 4
    # "range" scales inputs to 0-1 (paper Section 4), "deviation" to mean 0 and standard deviation 1.
    scaling: Literal["range", "deviation"] = "range"
    # What the network predicts: the yield (the paper), or its departure from the history baseline.
    target: Literal["yield", "departure"] = "yield"
    # "dual_path": the network's part of a posterior forecast is that of the run's members. "response": that
    # of members in the response form (yieldcast.models.response_network), trained when the forecast is made.
    form: Literal["dual_path", "response"] = "dual_path"

    @model_serializer(mode="wrap")
    def _without_default_form(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return _without_defaults(handler(self), {"form": "dual_path"})


class TrainingSettings(_Section):
    """Training of one member. The first six values are the paper's (Section 4); it leaves the rest open."""

    learning_rate: Annotated[float, Field(gt=0, le=1)] = 5e-4
    beta_1: Annotated[float, Field(ge=0, lt=1)] = 0.9
    beta_2: Annotated[float, Field(ge=0, lt=1)] = 0.999
    batch_size: Annotated[int, Field(ge=1)] = 280
    max_epochs: Annotated[int, Field(ge=1)] = 500
    patience: Annotated[int, Field(ge=1)] = 50
    loss: Literal["mse", "mae", "huber"] = "mse"
    # Rows that decide when training stops: a random share, the last harvest year, or one whole harvest year
    # per member (its seed modulo the years), from whose hindcasts the intervals of a forecast are calibrated.
    validation: Literal["random", "last_year", "each_year"] = "random"
    validation_share: Annotated[float, Field(gt=0, lt=0.9)] = 0.1
    restore_best: bool = True
    scale_target: bool = True
    # Share of the rows of which only the months up to a random one keep their weather; the later months are
    # another year's.
    season_cuts: Annotated[float, Field(ge=0, le=1)] = 0.0


# How runs store yield_releases = "country": by the name of the default country's statistics, which was the
# only choice of yieldcast 0.1. Runs of other countries store the days themselves.
_STORED_RELEASES = "pam"


class DataSettings(_Section):
    """What is taken from the tables, and when its values are public."""

    calendar: Path | None = None
    months: dict[str, Annotated[int, Field(ge=1, le=24)]] = {}
    degree_days: dict[str, tuple[float, float]] = {}
    weather_delay_months: Annotated[int, Field(ge=0)] = 3
    weather_delay_days: Annotated[int, Field(ge=0)] = 0
    yields_delay_months: Annotated[int, Field(ge=0)] = DEFAULT_YIELDS.months
    yields_delay_days: Annotated[int, Field(ge=0)] = DEFAULT_YIELDS.days
    weather_inputs: Literal["values", "anomalies"] = "values"  # anomalies: departures from the local climate
    yield_history: bool = False  # whether the municipality's published yields are static inputs
    # "rule": the delay above; "country": the days on which the statistics of the store's country released
    # single years (country.toml), and the delay for other years.
    yield_releases: Literal["rule", "country"] = "rule"
    # Such days, by harvest year; `for_country` takes them from the store's country.
    yields_released: dict[int, dt.date] = {}
    # Monthly variables from daily weather, inputs of the network beside temperature, rain and degree days
    # (`features.daily_months`).
    daily_inputs: tuple[DailyInput, ...] = ()
    # Monthly means of the store's observations of vegetation, inputs of the network too
    # (`features.vegetation_months`).
    vegetation_inputs: tuple[VegetationInput, ...] = ()

    @model_serializer(mode="wrap")
    def _without_younger_defaults(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        content = _without_defaults(handler(self), {"yield_releases": "rule", "yields_released": {}})
        if "yield_releases" in content:
            content["yield_releases"] = _STORED_RELEASES
        for inputs in ("daily_inputs", "vegetation_inputs"):
            if not content[inputs]:
                del content[inputs]
        return content

    @field_validator("yield_releases", mode="before")
    @classmethod
    def _older_spelling(cls, name: Any) -> Any:
        return "country" if name == _STORED_RELEASES else name

    @field_validator("daily_inputs", "vegetation_inputs", mode="after")
    @classmethod
    def _each_once(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(names)) < len(names):
            raise ValueError(f"expected each input once, received {list(names)}")
        return names

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

    @property
    def monthly_inputs(self) -> tuple[str, ...]:
        """Monthly inputs of the network beside temperature, rain and degree days, in their order."""
        return (*self.daily_inputs, *self.vegetation_inputs)

    def publication(self) -> Publication:
        """When weather and yields become public: the one place where these settings are read."""
        return Publication(
            self.weather_delay_months,
            self.weather_delay_days,
            self.yields_delay_months,
            self.yields_delay_days,
            {**(DEFAULT_YIELDS.released if self.yield_releases == "country" else {}), **self.yields_released},
        )

    def for_country(self, of: Country) -> DataSettings:
        """These settings with the delays of a country in place of those that were not given.

        A delay of a settings file, or of a run, stays; one of a preset or of the package is replaced.

        Args:
            of: the country of the store (`Store.country`).
        """
        if of is country.default():
            return self
        update: dict[str, Any] = {"yield_releases": "rule"}
        for table in ("weather", "yields"):
            keys = [f"{table}_delay_months", f"{table}_delay_days"]
            if table in of.publication and not self.model_fields_set & set(keys):
                delay = of.publication[table]
                update |= dict(zip(keys, (delay.months, delay.days), strict=True))
        if self.yield_releases == "country" and "yields" in of.publication:
            update["yields_released"] = dict(of.publication["yields"].released)
        return self.model_copy(update=update)


class ModelSettings(_Section):
    """Which network is trained."""

    # "package.module:function" of a function that builds a Keras model (yieldcast.models.custom); None for
    # the dual-path network. `network.scaling` and `network.target` apply to both.
    build: str | None = None

    @field_validator("build", mode="after")
    @classmethod
    def _names_a_function(cls, build: str | None) -> str | None:
        if build is not None and not names_function(build):
            raise ValueError('expected "package.module:function", the module without .py')
        return build


class ForecastSettings(_Section):
    """How a forecast is made from what is public on its date."""

    # "network": the members of the run; "posterior": level, trend, water balance,
    # official estimates and boosted trees, and the members as far as their hindcasts add to these.
    method: Literal["network", "posterior"] = "network"


class RiskSettings(_Section):
    """Features of classifiers: the day up to which they are known (`features.day_rows`)."""

    # Fields with known dates: "before_expected_harvest" cuts `days_before_harvest` days before the harvest
    # that the sowing date lets expect (Xavier et al. 2026, Section 2.3: 30), "before_harvest" before that of
    # the field itself, whose date the features then tell, "after_sowing" cuts `days_after_sowing` days after
    # sowing. None cuts after the day of the forecast.
    cutoff: Literal["before_expected_harvest", "before_harvest", "after_sowing"] = "before_expected_harvest"
    days_before_harvest: Annotated[int, Field(ge=0, le=365)] = 30
    days_after_sowing: Annotated[int, Field(ge=1, le=730)] = 90
    # A season with fewer clear observations has no features of vegetation.
    vegetation_observations: Annotated[int, Field(ge=3)] = 5


class Settings(_Section):
    """All settings of a run: sections network, training, data, model, forecast and risk of the TOML file."""

    network: NetworkSettings = NetworkSettings()
    training: TrainingSettings = TrainingSettings()
    data: DataSettings = DataSettings()
    model: ModelSettings = ModelSettings()
    forecast: ForecastSettings = ForecastSettings()
    risk: RiskSettings = RiskSettings()

    @model_serializer(mode="wrap")
    def _without_default_sections(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        younger = {"model": ModelSettings(), "forecast": ForecastSettings(), "risk": RiskSettings()}
        return _without_defaults(handler(self), {name: one.model_dump() for name, one in younger.items()})

    @property
    def optional_tables(self) -> tuple[str, ...]:
        """Optional tables of a store that forecasts with these settings are made from."""
        posterior = self.forecast.method == "posterior"
        days = posterior or bool(self.data.daily_inputs)
        return (*(("estimates",) if posterior else ()), *(("daily",) if days else ()))

    def for_country(self, of: Country) -> Settings:
        """These settings with what the country of a store says, see `DataSettings.for_country`."""
        data = self.data.for_country(of)
        return self if data is self.data else self.model_copy(update={"data": data})

    @model_validator(mode="after")
    def _departure_needs_history(self) -> Settings:
        if self.network.target == "departure" and not self.data.yield_history:
            raise ValueError('network.target = "departure" needs data.yield_history = true')
        return self

    @model_validator(mode="after")
    def _response_needs_posterior(self) -> Settings:
        if self.network.form == "response" and self.forecast.method != "posterior":
            raise ValueError('network.form = "response" needs forecast.method = "posterior"')
        return self


# The settings for forecasts. The set of given data settings is empty, because a delay of a preset gives way
# to that of the store's country (`DataSettings.for_country`). Where they differ from the paper they were
# chosen on hindcasts of 2014 to 2018 (experiments/results/backtest-soybean.md and -corn.md; the method:
# experiments/results/accuracy.md).
FORECAST_SETTINGS = Settings(
    network=NetworkSettings(
        lstm_units=(16, 16), static_units=(16, 16), head_units=(16,), l2=1e-3,
        scaling="deviation", target="departure",
    ),
    training=TrainingSettings(
        learning_rate=1e-3, max_epochs=100, patience=8, loss="huber", validation="each_year", season_cuts=0.5
    ),
    data=DataSettings.model_construct(
        set(), weather_delay_months=0, weather_delay_days=5, weather_inputs="anomalies", yield_history=True,
        yield_releases="country",
    ),
    forecast=ForecastSettings(method="posterior"),
)  # fmt: skip
PRESETS = {"paper": Settings(), "forecast": FORECAST_SETTINGS}
DEFAULT_PRESET = "forecast"  # of the command line, the jobs and Python


def read_settings(path: Path | None = None, preset: str = DEFAULT_PRESET) -> Settings:
    """Settings from a preset and a TOML file, whose keys have precedence.

    Args:
        path: a TOML file; None for the preset alone. A relative `data.calendar` is relative to the folder of
            the file.
        preset: one of `PRESETS`: what the keys that the file lacks are taken from.

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
    settings = parse_settings(_over_preset(content, PRESETS[preset]), str(path))
    # As if the file alone gave them: delays of the preset give way to those of the store's country.
    data = DataSettings.model_construct(set(content.get("data", {})), **dict(settings.data))
    if data.calendar is not None:
        data = data.model_copy(update={"calendar": (path.parent / data.calendar).resolve()})
    return settings.model_copy(update={"data": data})


def _over_preset(content: dict[str, Any], preset: Settings) -> dict[str, Any]:
    """The contents of a file, with the values of a preset where the file has none.

    A delay of the yields in the file takes the place of the days of release of the preset, which would hide
    it.
    """
    merged: dict[str, Any] = preset.model_dump()
    for section, keys in content.items():
        known = merged.get(section, {})
        merged[section] = {**known, **keys} if isinstance(keys, dict) else keys
    own = content.get("data", {})
    if isinstance(own, dict) and {"yields_delay_months", "yields_delay_days"} & set(own):
        merged["data"]["yield_releases"] = own.get("yield_releases", "rule")
    return merged


def parse_settings(content: object, origin: str) -> Settings:
    """Settings from nested dictionaries.

    Args:
        content: as read from TOML or from the resolved settings of a run.
        origin: name of the file, for the error.

    Raises:
        ConfigError: an unknown key or a value out of range; the message names all of them.
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
