"""The run directory: the unit of work, which says by itself what it was made from.

run.json            crop, train years, inputs, synthetic or not, data fingerprints, versions, format
config.toml         the config file as given (empty when none was)
resolved.json       every setting as used
calendar.csv        the calendar as used
members/            member_001.keras ... plain Keras, and member_001.json: epochs, best loss, seconds
history/            member_001.csv ... loss per epoch
model_card.md       what it is, for readers
evaluation-*.json   scores, written by `yieldcast evaluate`
"""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import calendars
from yieldcast.config import Settings, parse
from yieldcast.errors import MissingDataError, RunError
from yieldcast.store import atomic_text, atomic_write

if TYPE_CHECKING:
    import keras

FORMAT = 1
_PACKAGES = ("yieldcast", "tensorflow", "keras", "numpy", "xarray", "pandas", "scikit-learn")


@dataclass(frozen=True)
class Identity:
    """What makes two trainings the same training; a run is continued only when all of it agrees.

    Args:
        crop: crop name.
        train_years: harvest years of the training rows.
        steps: months of the window.
        rows: number of training rows, validation included.
        dynamic_names, static_names: inputs, in order.
        data: fingerprints of the tables, the calendar and the training rows.
        synthetic: whether the tables are synthetic.
    """

    crop: str
    train_years: tuple[int, ...]
    steps: int
    rows: int
    dynamic_names: tuple[str, ...]
    static_names: tuple[str, ...]
    data: Mapping[str, str]
    synthetic: bool


@dataclass(frozen=True)
class Run:
    """A run directory that exists and was written by this version's format."""

    path: Path
    identity: Identity
    settings: Settings

    @classmethod
    def open(cls, path: Path) -> Run:
        """Read a run directory.

        Raises:
            MissingDataError: no run there.
            RunError: written by another version, or damaged.
        """
        if not (path / "run.json").is_file():
            raise MissingDataError(f"no run in {path}", "Make one with: yieldcast train ... --out RUN")
        try:
            content = json.loads((path / "run.json").read_text(encoding="utf-8"))
            made_by, form = content["versions"]["yieldcast"], content["format"]
            if form != FORMAT:
                raise RunError(
                    f"{path} was made by yieldcast {made_by} (run format {form}); "
                    f"this is {metadata.version('yieldcast')} (run format {FORMAT})",
                    "Train again with this version, or evaluate with the one that made it.",
                )
            resolved = json.loads((path / "resolved.json").read_text(encoding="utf-8"))
            settings = parse(resolved, str(path / "resolved.json"))
            return cls(path, _identity(content["identity"]), settings)
        except (KeyError, TypeError, ValueError, OSError) as error:
            raise RunError(f"the run in {path} is damaged: {error!r}", "Train it again.") from None

    @classmethod
    def start(
        cls,
        path: Path,
        identity: Identity,
        settings: Settings,
        calendar: calendars.Calendar,
        config_text: str = "",
    ) -> Run:
        """Create the run directory, or continue the one that is there if it is the same training.

        Raises:
            RunError: another training stands there; says what differs.
            MissingDataError: the folder cannot be written.
        """
        if (path / "run.json").is_file():
            run = cls.open(path)
            _check_same(run, identity, settings)
            return run
        try:
            for folder in ("members", "history"):
                (path / folder).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise MissingDataError(
                f"cannot write to {path}: {error.strerror}", "Choose another --out."
            ) from None
        run = cls(path, identity, settings)
        atomic_text(path / "config.toml", config_text)
        atomic_text(path / "resolved.json", settings.model_dump_json(indent=2))
        calendar.to_csv(path / "calendar.csv")
        content = {"format": FORMAT, "versions": versions(), "identity": asdict(identity)}
        atomic_text(path / "run.json", json.dumps(content, indent=2))
        return run

    def calendar(self) -> calendars.Calendar:
        """The calendar that the run was trained with."""
        return calendars.read(self.path / "calendar.csv", regions=calendars.brazil().regions)

    def member_path(self, seed: int) -> Path:
        """Where the member of a seed is saved."""
        return self.path / "members" / f"member_{seed:03d}.keras"

    def history_path(self, seed: int) -> Path:
        """Where the loss per epoch of a seed is saved."""
        return self.path / "history" / f"member_{seed:03d}.csv"

    def seeds(self) -> list[int]:
        """Seeds whose members are finished, in order."""
        done = (self.path / "members").glob("member_*.json")
        seeds = sorted(int(p.stem.removeprefix("member_")) for p in done)
        return [seed for seed in seeds if self.member_path(seed).is_file()]

    def save_member(self, seed: int, model: keras.Model, record: Mapping[str, Any], history: str) -> None:
        """Save a finished member; its record is written last, so a killed save counts as not done."""
        path = self.member_path(seed)
        atomic_text(self.history_path(seed), history)
        atomic_write(path, model.save)
        atomic_text(path.with_suffix(".json"), json.dumps(dict(record), indent=2))

    def records(self) -> list[dict[str, Any]]:
        """Record of every finished member: seed, epochs, best epoch and loss, seconds."""
        paths = (self.member_path(seed).with_suffix(".json") for seed in self.seeds())
        return [json.loads(p.read_text(encoding="utf-8")) for p in paths]

    def load_member(self, seed: int) -> keras.Model:
        """The plain Keras model of one seed.

        Raises:
            RunError: it cannot be read.
        """
        import keras

        try:
            return keras.models.load_model(self.member_path(seed), compile=False)
        except (OSError, ValueError, KeyError) as error:
            raise RunError(
                f"member {seed} of {self.path} cannot be read: {error}",
                "Delete its two files in members/ and run yieldcast train again: it is trained anew.",
            ) from None


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that matter."""
    return {"python": platform.python_version(), **{name: metadata.version(name) for name in _PACKAGES}}


def _identity(content: dict[str, Any]) -> Identity:
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in content.items()}
    return Identity(**values)


def _check_same(run: Run, identity: Identity, settings: Settings) -> None:
    old, new = asdict(run.identity), asdict(identity)
    differs = [key for key in old if _plain(old[key]) != _plain(new[key])]
    before, after = run.settings.model_dump(), settings.model_dump()
    differs += [f"{s}.{key}" for s in before for key in before[s] if before[s][key] != after[s][key]]
    if differs:
        raise RunError(
            f"{run.path} holds another training; it differs in: {', '.join(differs)}",
            "Choose another --out, or repeat the settings and data it was begun with.",
        )


def _plain(value: object) -> object:
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else value
