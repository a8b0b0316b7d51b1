"""The run directory: trained members with everything they were made from.

Its files::

    run.json            crop, train years, inputs, synthetic or not, data fingerprints, versions, format
    config.toml         the config file as given (empty if there was none)
    resolved.json       every setting as used
    model.py            with `model.build`: source of the module that builds the network
    calendar.csv        the calendar as used; regions.json: larger region of each state
    members/            member_001.keras ... plain Keras, and member_001.json: epochs, best loss, seconds,
                        devices and versions it was trained with, SHA-256 of the file and of the weights
    history/            member_001.csv ... loss per epoch
    worker-1/           empty; locked by the second of several hosts while it trains
    unfinished/         member_007.npz ... state of members whose training was interrupted
    model_card.md       summary of the run for readers
    evaluation-*.json   scores, written by `yieldcast evaluate`
"""

from __future__ import annotations

import hashlib
import json
import platform
import re
import time
import zipfile
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import calendars
from yieldcast import model_files
from yieldcast.config import PRESETS, Settings, parse_settings
from yieldcast.data.files import atomic_text, atomic_write, file_facts, make_folder, remove_leftovers
from yieldcast.data.summary import number_spans, or_fault, some_names, summary_html, summary_text
from yieldcast.errors import ConfigError, MissingDataError, RunError
from yieldcast.features.splits import held_year
from yieldcast.features.yield_history import HISTORY_BASELINE
from yieldcast.model_files import RefusedModel
from yieldcast.user_code import code_is_trusted

if TYPE_CHECKING:
    import keras


FORMAT = 1
# Rules of `model_files` that layers of a user's own break.
_RULES_OF_CODE = ("class", "module", "function", "lambda", "argument", "path")
_TRUST_HINT = (
    "If you know and trust who made the run: yieldcast --trust-code COMMAND, in Python Run.open(path, "
    "trust_code=True). Code of the run is then run on this machine."
)
_PACKAGES = ("yieldcast", "tensorflow", "keras", "jax", "jaxlib", "numpy", "xarray", "pandas", "scikit-learn")


@dataclass(frozen=True)
class Origin:
    """The run that a training started from.

    Args:
        run_id: of that run.
        crop, train_years: that it was trained on.
        public_from: day on which all that it was trained on was public, its own origin included, YYYY-MM-DD.
        each_year: whether each of its members left out a harvest year.
        frozen: parts of the network whose weights stay as they are.
        origin: what that run itself was started from.
    """

    run_id: str
    crop: str
    train_years: tuple[int, ...]
    public_from: str
    each_year: bool
    frozen: tuple[str, ...] = ()
    origin: Origin | None = None

    def summary(self) -> str:
        """One line for readers."""
        frozen = f", frozen: {', '.join(self.frozen)}" if self.frozen else ""
        return f"run {self.run_id} ({self.crop}, harvest years {number_spans(self.train_years)}){frozen}"

    @property
    def all_years(self) -> set[int]:
        """Harvest years that it, or what it was started from, was trained on."""
        return set(self.train_years) | (self.origin.all_years if self.origin else set())

    def years_seen(self, seed: int) -> set[int]:
        """Harvest years that the weights of one member have seen; not the one that it left out.

        Args:
            seed: of the member.
        """
        own = set(self.train_years)
        if self.each_year:
            own -= {held_year(self.train_years, seed)}
        return own | (self.origin.years_seen(seed) if self.origin else set())


@dataclass(frozen=True)
class Identity:
    """Identity of a training; a run is continued only when all of it is equal.

    Args:
        crop: crop name.
        train_years: harvest years of the training rows.
        steps: months of the window.
        rows: number of training rows, validation included.
        dynamic_names, static_names: inputs, in order.
        data: fingerprints of the tables, the calendar and the training rows. Only the last two must
            be equal: a store may get new data that do not change the training rows.
        synthetic: whether the tables are synthetic.
        origin: the run whose weights the training started from; None where it started from random weights.
    """

    crop: str
    train_years: tuple[int, ...]
    steps: int
    rows: int
    dynamic_names: tuple[str, ...]
    static_names: tuple[str, ...]
    data: Mapping[str, str]
    synthetic: bool
    origin: Origin | None = None

    @property
    def all_years(self) -> set[int]:
        """Harvest years that the members were trained on, those of the origin included."""
        return set(self.train_years) | (self.origin.all_years if self.origin else set())

    def content(self) -> dict[str, Any]:
        """What is stored and hashed; without an origin as it was before runs could have one."""
        content = asdict(self)
        if self.origin is None:
            del content["origin"]
        return content


@dataclass(frozen=True, repr=False)
class Run:
    """A run directory in the format of this version.

    Args:
        path: of the directory.
        identity, settings: of the training.
        made_with: versions that it was made with.
        trust_code: whether code that the run names may be run, see `open`.
    """

    path: Path
    identity: Identity
    settings: Settings
    made_with: Mapping[str, str]
    trust_code: bool = field(default=False, compare=False)

    @classmethod
    def open(cls, path: Path, trust_code: bool | None = None) -> Run:
        """Read a run directory; nothing of it is run.

        Args:
            path: of the directory.
            trust_code: whether to import the module that the settings name and to load layers of its own,
                where a member has some. Only for runs of people whom you trust. None: as
                `user_code.trusted_code` says, by default not.

        Raises:
            MissingDataError: no run in the folder.
            RunError: written in another format, or damaged.
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
            settings = parse_settings(resolved, str(path / "resolved.json"))
            trusted = code_is_trusted() if trust_code is None else trust_code
            return cls(path, _identity(content["identity"]), settings, content["versions"], trusted)
        except (KeyError, TypeError, ValueError, OSError, ConfigError) as error:
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
        """Create the run directory, or open an existing one to continue the same training.

        Raises:
            RunError: the folder holds another training; says what differs.
            MissingDataError: the folder cannot be written.
        """
        for place in (path, path / "members", path / "history", path / "unfinished"):
            remove_leftovers(place)
        begun = any(path.glob("members/member_*.keras")) or any(path.glob("unfinished/member_*.npz"))
        if begun and not (path / "run.json").is_file():
            raise RunError(f"{path} holds members but no run.json", "Choose another --out.")
        if begun:
            run = cls.open(path, trust_code=True)  # its settings, which name code, are those of the caller
            _check_same(run, identity, settings)
            return run
        for folder in ("members", "history", "unfinished"):
            make_folder(path / folder)
        (path / "model.py").unlink(missing_ok=True)  # of an earlier start without any member
        run = cls(path, identity, settings, versions(), trust_code=True)
        atomic_text(path / "config.toml", config_text)
        atomic_text(path / "resolved.json", settings.model_dump_json(indent=2))
        atomic_text(path / "calendar.csv", calendar.csv())
        atomic_text(path / "regions.json", json.dumps(dict(calendar.regions), indent=2, ensure_ascii=False))
        content = {"format": FORMAT, "versions": dict(run.made_with), "identity": identity.content()}
        atomic_text(path / "run.json", json.dumps(content, indent=2))
        return run

    @classmethod
    def join(cls, path: Path, identity: Identity, settings: Settings, seconds: float = 120) -> Run:
        """Wait until another worker has created the run for the same training, and open it.

        Args:
            path: the run directory, on a disk shared by all workers.
            identity, settings: of the training of this worker.
            seconds: how long to wait.

        Raises:
            RunError: no run after this time, or another training.
        """
        patience = time.monotonic() + seconds
        while True:
            try:
                run = cls.open(path, trust_code=True)
                _check_same(run, identity, settings)
                return run
            except (MissingDataError, RunError):
                # The folder may hold an earlier run without members until the first worker replaces it.
                if time.monotonic() > patience:
                    raise
                time.sleep(0.2)

    def __repr__(self) -> str:
        return summary_text(*self._summary())

    def _repr_html_(self) -> str:
        return summary_html(*self._summary())

    def _summary(self) -> tuple[str, list[tuple[str, str]]]:
        """Title and rows of what the run was made from; reads names of files, no member."""
        one, training, network = self.identity, self.settings.training, self.settings.network
        preset = [name for name, settings in PRESETS.items() if settings == self.settings]
        target = "yield" if network.target == "yield" else "departure from the history baseline"
        return f"Run {self.path}{' (SYNTHETIC DATA)' if one.synthetic else ''}", [
            ("crop", one.crop),
            ("trained on", f"harvest years {number_spans(one.train_years)}, {one.rows:,} rows"),
            *([("started from", one.origin.summary())] if one.origin else []),
            ("members", or_fault(self._members)),
            ("settings", f"preset {preset[0]}" if preset else "other than the presets"),
            ("target", f"{target}, kg/ha; loss {training.loss}"),
            ("validation", f"{training.validation}, patience {training.patience} epochs"),
            ("network", build)
            if (build := self.settings.model.build)
            else ("noise", f"{network.noise:g} (standard deviation on scaled inputs)"),
            ("weather", f"{one.steps} months x {len(one.dynamic_names)}: {some_names(one.dynamic_names)}"),
            ("static", f"{len(one.static_names)} features: {some_names(one.static_names)}"),
            ("data", ", ".join(f"{name} {mark[:12]}" for name, mark in one.data.items())),
            ("made with", ", ".join(f"{name} {version}" for name, version in self.made_with.items())),
        ]

    def _members(self) -> str:
        """Seeds that are finished and those that training was stopped in."""
        done = self.seeds()
        begun = {int(p.stem[-3:]) for p in (self.path / "unfinished").glob("member_???.npz")} - set(done)
        more = f"; {len(begun)} unfinished (seeds {number_spans(begun)})" if begun else ""
        return f"{len(done)} finished{f' (seeds {number_spans(done)})' if done else ''}{more}"

    def calendar(self) -> calendars.Calendar:
        """The calendar that the run was trained with.

        Raises:
            RunError: its files are changed or missing.
        """
        try:
            regions = json.loads((self.path / "regions.json").read_text(encoding="utf-8"))
            calendar = calendars.read(self.path / "calendar.csv", regions=regions)
        except (OSError, ValueError) as error:
            raise RunError(
                f"the calendar of {self.path} cannot be read: {error}", "Train it again."
            ) from None
        if calendar.fingerprint() != self.identity.data["calendar"]:
            raise RunError(f"the calendar of {self.path} was changed after training", "Train it again.")
        return calendar

    def run_id(self) -> str:
        """Identifier of the training, its settings and the weights of its members, twelve characters."""
        # Not seconds, which always differ, and not the bytes of the files, which hold the time of writing.
        keys = ("seed", "epochs", "best_epoch", "best_validation_loss")
        members = [
            [record.get(key) for key in keys] + [record[key] for key in ("weights",) if key in record]
            for record in self.records()
        ]
        about = [self.identity.content(), self.settings.model_dump(mode="json"), members]
        return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:12]

    @property
    def base_column(self) -> int | None:
        """Column of the static inputs with the baseline of a departure; None where yields are predicted."""
        departs = self.settings.network.target == "departure"
        return self.identity.static_names.index(HISTORY_BASELINE) if departs else None

    def member_path(self, seed: int) -> Path:
        """File of the member of a seed."""
        return self.path / "members" / f"member_{seed:03d}.keras"

    def history_path(self, seed: int) -> Path:
        """File of the loss per epoch of a seed."""
        return self.path / "history" / f"member_{seed:03d}.csv"

    def seeds(self) -> list[int]:
        """Seeds whose members are finished, in order."""
        done = (self.path / "members").glob("member_*.json")
        names = (re.fullmatch(r"member_(\d{3})", p.stem) for p in done)
        seeds = sorted(int(name[1]) for name in names if name)
        return [seed for seed in seeds if self.member_path(seed).is_file()]

    def save_member(self, seed: int, model: keras.Model, record: Mapping[str, Any], history: str) -> None:
        """Save a finished member; its record is written last, so an interrupted save does not count."""
        path = self.member_path(seed)
        atomic_text(self.history_path(seed), history)
        atomic_write(path, model.save)
        marks = {"sha256": file_facts(path)["sha256"], "weights": _weights_mark(model)}
        atomic_text(path.with_suffix(".json"), json.dumps({**record, **marks}, indent=2))
        self.drop_unfinished(seed)

    def drop_unfinished(self, seed: int) -> None:
        """Delete the saved state of an unfinished member."""
        self._unfinished_path(seed).unlink(missing_ok=True)

    def _unfinished_path(self, seed: int) -> Path:
        return self.path / "unfinished" / f"member_{seed:03d}.npz"

    def keep_unfinished(self, seed: int, arrays: Mapping[str, Any]) -> None:
        """Save the state of an unfinished member."""
        make_folder(self.path / "unfinished")
        atomic_write(self._unfinished_path(seed), lambda file: np.savez(file, **arrays))

    def unfinished(self, seed: int) -> dict[str, Any] | None:
        """The state saved by `keep_unfinished`; None when there is none that can be read."""
        try:
            with np.load(self._unfinished_path(seed)) as kept:
                return dict(kept)
        except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error):
            return None

    def records(self) -> list[dict[str, Any]]:
        """Record of every finished member: seed, epochs, best epoch and loss, seconds, marks of its file."""
        paths = [self.member_path(seed).with_suffix(".json") for seed in self.seeds()]
        try:
            return [json.loads(p.read_text(encoding="utf-8")) for p in paths]
        except (OSError, ValueError) as error:
            raise RunError(f"a member's record in {self.path} is damaged: {error}", "Delete it.") from None

    def load_member(self, seed: int) -> keras.Model:
        """The Keras model of one seed, physical units to kg/ha.

        Raises:
            RunError: it cannot be read, or it is not the file that training wrote.
        """
        identity = self.identity
        weather = (None, identity.steps, len(identity.dynamic_names))
        expected = {"weather": weather, "static": (None, len(identity.static_names))}
        try:
            self._check_unchanged(seed)
            model = self._read_member(seed)
            received = {name: tensor.shape for name, tensor in model.input.items()}
            if received != expected:
                raise ValueError(f"expected the inputs {expected}, received {received}")
            return model
        except Exception as error:  # a damaged archive fails in many ways
            hint = "Delete its two files in members/ and run yieldcast train again: it is trained again."
            build = self.settings.model.build
            if build and self.trust_code:
                module = build.partition(":")[0]
                own = f"If its network has custom layers, start yieldcast where Python finds {module}."
                hint = f"{own} Otherwise: {hint}"
            elif isinstance(error, RefusedModel) and error.rule in _RULES_OF_CODE:
                hint = f"{_TRUST_HINT} Otherwise: {hint}"
            raise RunError(f"member {seed} of {self.path} cannot be read: {error}", hint) from None

    def _check_unchanged(self, seed: int) -> None:
        """Raise ValueError where the member's file is not the one of its record; runs of 0.1 hold no mark."""
        path = self.member_path(seed)
        record = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        if record.get("sha256", "") and record["sha256"] != file_facts(path)["sha256"]:
            raise ValueError(f"{path.name} was changed after training: its SHA-256 is not that of its record")

    def _read_member(self, seed: int) -> keras.Model:
        """Only what the closed lists of `model_files` hold, unless the run is trusted."""
        path, build = self.member_path(seed), self.settings.model.build
        try:
            return model_files.build(model_files.check(path))
        except RefusedModel as refused:
            if not (build and self.trust_code and refused.rule in _RULES_OF_CODE):
                raise
        return _load_with_own_code(path, build)


def _load_with_own_code(path: Path, build: str) -> keras.Model:
    """A member with layers of the user's own, whose classes Keras knows once their module is imported."""
    import keras

    from yieldcast.models.custom import import_build

    with suppress(ConfigError):
        import_build(build)
    return keras.models.load_model(path, compile=False)


def _weights_mark(model: keras.Model) -> str:
    """SHA-256 of the types, shapes and values of a model's weights."""
    digest = hashlib.sha256()
    for values in model.get_weights():
        digest.update(json.dumps([values.dtype.str, list(values.shape)]).encode())
        digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that results depend on."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        with suppress(metadata.PackageNotFoundError):  # TensorFlow, on a host that trains with JAX
            found[name] = metadata.version(name)
    return found


def _identity(content: dict[str, Any]) -> Identity:
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in content.items()}
    return Identity(**{**values, "origin": _origin(values.get("origin"))})


def _origin(content: Mapping[str, Any] | None) -> Origin | None:
    if content is None:
        return None
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in content.items()}
    return Origin(**{**values, "origin": _origin(values.get("origin"))})


def _check_same(run: Run, identity: Identity, settings: Settings) -> None:
    old, new = asdict(run.identity), asdict(identity)
    differs = [key for key in old if key != "data" and old[key] != new[key]]
    differs += [key for key in ("calendar", "rows") if old["data"][key] != new["data"][key]]
    for section in type(settings).model_fields:
        before, after = getattr(run.settings, section), getattr(settings, section)
        keys = type(after).model_fields  # not the stored keys: younger ones are left out at their default
        differs += [f"{section}.{key}" for key in keys if getattr(before, key) != getattr(after, key)]
    if differs:
        raise RunError(
            f"{run.path} holds another training; it differs in: {', '.join(differs)}",
            "Choose another --out, or use the settings and data it was started with (unfinished members, "
            "in unfinished/, count too).",
        )
