"""Settings of a workspace: `workspace.toml`, frozen and typed; an unknown key is an error.

Also `TrainingOptions`: what a contributor declares for the fine-tuning of a model.
"""

from __future__ import annotations

import datetime as dt
import difflib
import hashlib
import json
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic import model_validator as _model_validator
from pydantic.fields import FieldInfo

from yieldcast.errors import ConfigError, MissingDataError, SchemaError

FILE = "workspace.toml"
# How the evaluation window stands on a day.
Window = Literal["before", "open", "over"]
Augmentation = Literal["flips", "rotations", "shifts", "noise"]


def _exact(value: Any) -> Any:
    """A price as it was written: 0.1 is one tenth, not the nearest binary number; 0.10 is the same price."""
    is_number = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
    return Decimal(f"{Decimal(str(value)).normalize():f}") if is_number else value


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _line(text: str) -> str:
    """A text of one line, without blanks around it."""
    text = text.strip()
    if not text or not text.isprintable():
        raise ValueError("expected a text of one line")
    return text


Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
# In the currency of the workspace; four decimals, because prices per km2 are small. A number of TOML or JSON
# holds 15 digits exactly.
Money = Annotated[
    Decimal, BeforeValidator(_exact), Field(ge=0, max_digits=15, decimal_places=4, allow_inf_nan=False)
]
Text = Annotated[str, Field(max_length=200), AfterValidator(_line)]
Names = Annotated[tuple[Text, ...], BeforeValidator(_as_tuple)]


class _Section(BaseModel):
    # strict: true is no number and "5" no 5
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Rules(_Section):
    """What contributors agree to."""

    submissions_per_contributor: int = Field(
        default=5,
        ge=1,
        le=100_000,
        description="accepted submissions per contributor; refused archives do not count",
    )
    opens: dt.date | None = Field(default=None, description="first day on which models are taken (UTC)")
    closes: dt.date | None = Field(default=None, description="last day on which models are taken (UTC)")
    rare_classes: Annotated[int, Field(ge=1, le=1000)] | Annotated[Names, Field(min_length=1)] = Field(
        default=4, description="number of the least frequent classes of the training set, or a list of names"
    )
    score_step: float = Field(
        default=0.001, ge=1e-6, le=0.5, description="step to which shares and recalls are rounded"
    )
    score_step_kg_ha: float = Field(
        default=1.0, ge=1e-3, le=10_000, description="step to which scores in kg/ha are rounded"
    )
    smallest_cell: int = Field(default=10, ge=2, le=1_000_000, description="counts below it are not shown")

    @_model_validator(mode="after")
    def _opens_before_it_closes(self) -> Rules:
        if self.opens and self.closes and self.closes < self.opens:
            raise ValueError(f"closes {self.closes} lies before opens {self.opens}")
        return self

    def window(self, day: dt.date) -> Window:
        """How the evaluation window stands on a day; both `opens` and `closes` belong to it."""
        if self.opens is not None and day < self.opens:
            return "before"
        return "over" if self.closes is not None and day > self.closes else "open"


class Limits(_Section):
    """What a submission may use; the budget is a contributor's for all submissions together."""

    budget_pflop: float = Field(
        default=100.0, gt=0, le=1e9, description="compute of a contributor, in 1e15 floating-point operations"
    )
    seconds: int = Field(
        default=3600, ge=1, le=30 * 86_400, description="time of a submission, from its start to its scores"
    )
    memory_gb: float = Field(default=8.0, gt=0, le=100_000, description="memory of a submission")
    processes: int = Field(default=256, ge=1, le=100_000, description="processes and threads of a submission")
    disk_gb: float = Field(default=2.0, gt=0, le=100_000, description="scratch space of a submission")
    model_mb: float = Field(default=500.0, gt=0, le=100_000, description="largest model file that is taken")
    epochs: int = Field(default=100, ge=1, le=100_000, description="most epochs of a fine-tuning")

    @property
    def budget_flop(self) -> int:
        """The compute of a contributor in floating-point operations."""
        return round(self.budget_pflop * 1e15)


class Prices(_Section):
    """What the owner is paid."""

    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] = Field(default="EUR", description="ISO 4217 code")
    per_submission: Money = Field(
        default=Decimal(0), description="price of a submission that was carried out"
    )


class Costs(_Section):
    """What a wrong classification costs the owner, and the classifier in use: all four, or no section."""

    monitored_km2: Positive = Field(description="area under monitoring")
    misclassified_km2: Money = Field(description="yearly cost of one misclassified km2")
    internal_accuracy: Share = Field(description="accuracy of the classifier in use, 0 to 1")
    internal_cost: Money = Field(description="its yearly cost")


class Page(_Section):
    """What the page says beside the numbers."""

    description: Annotated[str, Field(max_length=4000)] = Field(
        default="", description="a paragraph on the data"
    )
    contact: Annotated[str, Field(max_length=200)] = Field(
        default="", description="whom contributors may ask"
    )


class WorkspaceSettings(_Section):
    """All settings of a workspace: title and the sections rules, limits, prices, costs and page."""

    title: Text = Field(default="Workspace", description="heading of the page")
    rules: Rules = Rules()
    limits: Limits = Limits()
    prices: Prices = Prices()
    costs: Costs | None = None
    page: Page = Page()

    @property
    def fingerprint(self) -> str:
        """SHA-256 of all values."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


class TrainingOptions(_Section):
    """What a contributor declares for the fine-tuning of a model (phase 2).

    Args:
        epochs: at most; `Limits.epochs` bounds it.
        learning_rate: of Adam.
        batch_size: rows of a step.
        frozen_layers: names of layers whose weights stay, or the number of the first layers with weights.
        augmentation: how training rows are varied: flips, rotations (by 90 degrees) and shifts of tiles,
            noise on any input.
        class_weights: rows of a class count by the inverse of its share.
        patience: epochs without a better loss on the validation part of the training set before training
            stops.
        new_head: the last layer is replaced by a new one with the task's outputs, for models of other
            classes.
    """

    epochs: int = Field(default=10, ge=1, le=100_000)
    learning_rate: float = Field(default=1e-3, gt=0, le=1, allow_inf_nan=False)
    batch_size: int = Field(default=32, ge=1, le=65_536)
    frozen_layers: Annotated[int, Field(ge=0, le=10_000)] | Annotated[Names, Field(max_length=10_000)] = 0
    augmentation: Annotated[tuple[Augmentation, ...], BeforeValidator(_as_tuple), Field(max_length=4)] = ()
    class_weights: bool = False
    patience: int = Field(default=3, ge=1, le=10_000)
    new_head: bool = False


def read_settings(path: Path) -> WorkspaceSettings:
    """Settings of a workspace from a TOML file.

    Args:
        path: the file, such as ``workspace.toml``.

    Raises:
        MissingDataError: no such file.
        ConfigError: not TOML, an unknown key, or a value out of range; the message names all of them.
    """
    if not path.is_file():
        raise MissingDataError(f"no settings file {path}", "Give the path of a TOML file.")
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}", "Correct the file.") from None
    return parse_settings(content, str(path))


def parse_settings(content: object, origin: str) -> WorkspaceSettings:
    """Settings of a workspace from nested dictionaries.

    Raises:
        ConfigError: an unknown key or a value out of range; the message names all of them.
    """
    try:
        return WorkspaceSettings.model_validate(content)
    except ValidationError as error:
        raise ConfigError(
            f"{origin}: {explained(WorkspaceSettings, error)}",
            "Correct the file; docs/user_guide/workspace_owner.md lists the settings.",
        ) from None


def parse_options(content: object) -> TrainingOptions:
    """Training options from what a contributor sent.

    Raises:
        SchemaError: an unknown option or a value out of range; the message names all of them.
    """
    try:
        return TrainingOptions.model_validate(content)
    except ValidationError as error:
        raise SchemaError(
            f"training options: {explained(TrainingOptions, error)}", "Correct the options and submit again."
        ) from None


def as_toml(settings: WorkspaceSettings) -> str:
    """The settings as a TOML file that `read_settings` reads back: every key with what it means."""
    sections = [_section(settings, "")]
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, BaseModel):
            sections.append(f"[{name}]\n{_section(value, name)}")
    return "\n".join(sections)


def _section(section: BaseModel, name: str) -> str:
    lines = []
    for key, field in type(section).model_fields.items():
        value = getattr(section, key)
        if isinstance(value, BaseModel) or (not name and value is None):
            continue
        shown = f"# {key} = ..." if value is None else f"{key} = {_toml(value)}"
        lines.append(f"{shown}  # {_meaning(field)}")
    return "\n".join(lines) + "\n"


def _meaning(field: FieldInfo) -> str:
    return field.description or ""


def _toml(value: object) -> str:
    """A value in TOML. JSON's strings are TOML's too."""
    if isinstance(value, tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return str(value).lower() if isinstance(value, bool) else str(value)


def explained(top: type[BaseModel], error: ValidationError) -> str:
    """All problems of a validation in one line: key, what was expected, what was received."""
    return "; ".join(_explain(top, p["type"], p["loc"], p["msg"], p.get("input")) for p in error.errors())


def _explain(
    top: type[BaseModel], kind: str, where: tuple[int | str, ...], text: str, received: object
) -> str:
    key = ".".join(str(part) for part in where if _is_key(part)) or "the settings"
    if kind == "missing":
        return f"{key}: expected a value, received none"
    if kind != "extra_forbidden":
        text = text.removeprefix("Value error, ")
        return f"{key}: {text}" if isinstance(received, dict) else f"{key}: {text} (received {received!r})"
    known = list(_inner(top, where[:-1]).model_fields)
    close = difflib.get_close_matches(str(where[-1]), known, 1)
    meant = f", did you mean {close[0]!r}?" if close else f"; known: {', '.join(known)}"
    return f"unknown key {key!r}{meant}"


def _is_key(part: int | str) -> bool:
    """Whether a part of a place is a key of the file; pydantic adds the names of the types of a union."""
    return isinstance(part, int) or ("[" not in part and part not in ("int", "tuple", "constrained-int"))


def _inner(top: type[BaseModel], where: tuple[int | str, ...]) -> type[BaseModel]:
    """The section that a key belongs to."""
    return _SECTIONS.get(str(where[0]), top) if where else top


_SECTIONS: dict[str, type[BaseModel]] = {
    "rules": Rules,
    "limits": Limits,
    "prices": Prices,
    "costs": Costs,
    "page": Page,
    "options": TrainingOptions,
}
