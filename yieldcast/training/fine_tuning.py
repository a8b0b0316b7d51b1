"""Training that starts from another run: which runs can be a start, its weights and scaling, frozen parts.

The scaling of the inputs stays that of the source: its weights were learnt on inputs scaled in this way, and
a frozen part of the network must give the same output for the same weather. The scaling of the target stays
too where the crop is the same, so that a member begins as the source's; for another crop, whose yields have
another level, it is that of the new rows.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Literal, get_args

from yieldcast.config import DataSettings, Settings
from yieldcast.errors import ConfigError, RunError
from yieldcast.features.samples import SampleSet
from yieldcast.features.season_dates import last_month
from yieldcast.training.run_directory import Origin, Run

if TYPE_CHECKING:
    from collections.abc import Callable

    from yieldcast.models.scaling import Scaling
    from yieldcast.models.stacked import Arrays

Part = Literal["weather", "static"]
PARTS: tuple[Part, ...] = get_args(Part)
_LAYERS: dict[Part, str] = {"weather": "lstm_", "static": "static_"}  # how names of their weights begin
_DEGREE_DAYS = re.compile(r"gdd_[^_]+_[^_]+")


@dataclass(frozen=True)
class Start:
    """What a member starts from.

    Args:
        scaling: of the source's member.
        trained, frozen: its weights by name; the frozen ones never change.
        new_target: whether the target is scaled by the new rows.
    """

    scaling: Scaling
    trained: Arrays
    frozen: Arrays
    new_target: bool

    def scaling_for(self, rows: SampleSet, settings: Settings) -> Scaling:
        """The scaling of the new member.

        Args:
            rows: that it is fitted on.
            settings: of the training.
        """
        if not self.new_target:
            return self.scaling
        from yieldcast.models.scaling import Scaling

        own = Scaling.fit(rows, settings.training.scale_target, settings.network)
        return replace(self.scaling, target_mean=own.target_mean, target_sd=own.target_sd)


def starts(source: Run, crop: str, frozen: Sequence[Part]) -> Callable[[int], Start]:
    """A function from a seed to what its member starts from: the member of the same seed of the source.

    Args:
        source: checked by `check_source`.
        crop: of the training.
        frozen: parts of the network that stay as they are.
    """
    return partial(_start, source, crop != source.identity.crop, tuple(frozen))


def _start(source: Run, new_target: bool, frozen: tuple[Part, ...], seed: int) -> Start:
    from yieldcast.models.scaling import scaling_of_member
    from yieldcast.models.stacked import weights_of

    member = source.load_member(seed)
    weights = weights_of(member)
    kept = tuple(_LAYERS[part] for part in frozen)
    still = {name: value for name, value in weights.items() if kept and name.startswith(kept)}
    moving = {name: value for name, value in weights.items() if name not in still}
    return Start(scaling_of_member(member), moving, still, new_target)


def origin_of(source: Run, frozen: Sequence[Part]) -> Origin:
    """What a run that is started from another one records of it.

    Args:
        source: the run to start from.
        frozen: parts of the network that stay as they are.
    """
    identity, settings = source.identity, source.settings
    publication = settings.data.publication()
    month = last_month(source.calendar(), identity.crop, max(identity.train_years), settings.data)
    days = [publication.yields_public(year) for year in identity.train_years]
    days.append(publication.weather_public(month))
    if identity.origin is not None:
        days.append(dt.date.fromisoformat(identity.origin.public_from))
    parts = tuple(part for part in PARTS if part in frozen)
    return Origin(
        source.run_id(), identity.crop, identity.train_years, max(days).isoformat(),
        settings.training.validation == "each_year", parts, identity.origin,
    )  # fmt: skip


def settings_from(source: Run) -> Settings:
    """Settings of a training that starts from a run and has no settings file.

    Network, training, inputs and method are those of the source; calendar and days of publication are those
    of the store's country.

    Args:
        source: the run to start from.
    """
    data = source.settings.data
    if data.calendar is not None:
        data = data.model_copy(update={"calendar": None})
    # An empty set of given keys: the delays of the source give way to those of the store's country.
    return source.settings.model_copy(update={"data": DataSettings.model_construct(set(), **dict(data))})


def check_source(source: Run, settings: Settings, seeds: Sequence[int]) -> None:
    """Refuse a run that a training cannot start from, before anything is built.

    Args:
        source: the run to start from.
        settings, seeds: of the training.

    Raises:
        ConfigError: a network of the user, another network or other inputs than in the settings.
        RunError: the source has no member of a seed.
    """
    builds = [one.model.build for one in (source.settings, settings)]
    if any(builds):
        raise ConfigError(
            f"expected a start from the dual-path network, received model.build = {builds[0] or builds[1]!r}",
            "Only members with the dual-path network can be trained further.",
        )
    differs = [
        f"{section}.{key} = {old!r} in {source.path}, {new!r} here"
        for section, keys in _SAME.items()
        for key in keys
        if (old := getattr(getattr(source.settings, section), key))
        != (new := getattr(getattr(settings, section), key))
    ]
    if differs:
        raise ConfigError(
            f"expected the network and the inputs of the run to start from; {'; '.join(differs)}",
            "Leave these keys out of the settings file, or leave --config out.",
        )
    lost = sorted(set(seeds) - set(source.seeds()))
    if lost:
        raise RunError(
            f"{source.path} has no finished member of seed {', '.join(map(str, lost[:5]))}; it has "
            f"{', '.join(map(str, source.seeds())) or 'none'}",
            "Each member starts from the member of the same seed: give fewer --seeds, or train the source "
            "with more.",
        )


# Settings that must be those of the source: the shape of the network and what its inputs and output mean.
_SAME: dict[str, tuple[str, ...]] = {
    "network": ("lstm_units", "static_units", "head_units", "scaling", "target"),
    "data": ("weather_inputs", "yield_history", "daily_inputs", "vegetation_inputs"),
}


def check_inputs(source: Run, rows: SampleSet) -> list[str]:
    """Refuse rows whose inputs are not those of the source; say what differs without harm.

    Args:
        source: the run to start from.
        rows: of the training, with the static inputs of the source.

    Returns:
        What a user must know: another number of months, other limits of degree days.

    Raises:
        RunError: other inputs; names them.
    """
    identity, notes = source.identity, list[str]()
    for kind, old, new in (
        ("weather", identity.dynamic_names, rows.dynamic_names),
        ("static", identity.static_names, rows.static_names),
    ):
        if _plain(old) != _plain(new):
            gone, more = (
                sorted(set(_plain(old)) - set(_plain(new))),
                sorted(set(_plain(new)) - set(_plain(old))),
            )
            raise RunError(
                f"the {kind} inputs of {source.path} are not those of the store: "
                f"missing {', '.join(gone) or 'none'}; not in the run {', '.join(more) or 'none'}; "
                f"expected, in this order: {', '.join(old)}",
                "Import tables with the same inputs, or train without --from.",
            )
    for old_name, new_name in zip(identity.dynamic_names, rows.dynamic_names, strict=True):
        if old_name != new_name:
            notes.append(f"{new_name} takes the place of {old_name}, scaled as in the source")
    if rows.dynamic.shape[1] != identity.steps:
        notes.append(f"windows have {rows.dynamic.shape[1]} months, those of the source {identity.steps}")
    return notes


def _plain(names: Sequence[str]) -> tuple[str, ...]:
    """Names without the limits of degree days, which differ between crops."""
    return tuple(_DEGREE_DAYS.sub("gdd", name) for name in names)


def parse_parts(text: str | None) -> tuple[Part, ...]:
    """Parts of the network from "weather", "static" or "weather,static"; none for None.

    Raises:
        ConfigError: any other text.
    """
    names = [name.strip() for name in text.split(",")] if text is not None else []
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        raise ConfigError(
            f"--freeze: expected parts of the network, {' or '.join(PARTS)} or both, received {text!r}",
            "For example --freeze weather,static: then only the layers that join both parts are trained.",
        )
    return tuple(part for part in PARTS if part in names)
