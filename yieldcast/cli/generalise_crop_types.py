"""`yieldcast generalise --run RUN`: the protocols on a run of `crop-type train`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from yieldcast.cli.terminal import console, load_tensorflow
from yieldcast.errors import ConfigError

if TYPE_CHECKING:
    from yieldcast.transfer.crop_types.splits import Counted
    from yieldcast.transfer.generalise import Protocol

HOLD_OUTS = ("group", "country", "region", "block", "none")


@dataclass(frozen=True)
class CropTypeOptions:
    """What was typed, see `generalise`."""

    run: Path
    encoder: Path | None
    protocol: Protocol
    hold_out: str | None
    classes: str | None
    ks: tuple[int, ...]
    counted: Counted
    draws: int
    test_years: str | None
    block_degrees: float
    models: str | None


def generalise_crop_types(given: CropTypeOptions, out: Path, file: Path | None, lang: str) -> None:
    """Test the classifier of a run where and when it was not trained, and write tables and figures.

    Args:
        given: what was typed.
        out: folder of the study.
        file: a second file for the JSON.
        lang: language of what is shown.
    """
    from yieldcast import language
    from yieldcast.cli.progress import counting_progress
    from yieldcast.cli.views.generalise_crop_types import crop_type_view
    from yieldcast.crop_types.run import open_run
    from yieldcast.reporting.crop_type_plot import write_figure
    from yieldcast.transfer.crop_types.learners import KINDS, learners
    from yieldcast.transfer.crop_types.results import run_study, write_result
    from yieldcast.transfer.crop_types.rows import rows_of
    from yieldcast.transfer.crop_types.splits import FewLabels
    from yieldcast.transfer.crop_types.study import CropTypeStudy

    hold_out: Any = given.hold_out or "group"
    if hold_out not in HOLD_OUTS:
        raise ConfigError(
            f"--hold-out: expected {', '.join(HOLD_OUTS)} with --run, received {hold_out}",
            "States and climate zones are those of a store.",
        )
    kinds = _kinds(given.models, KINDS)
    opened, screen, words = open_run(given.run), console(), language.of(lang)
    rows = rows_of(opened.series(), _names(given.classes))
    if opened.needs_encoder:
        load_tensorflow()
    encoder = opened.encoder(given.encoder)
    with counting_progress(words.gettext("embedding series"), screen) as embedding:
        made = learners(rows, opened.model.settings, encoder, out, kinds, embedding)
        study = CropTypeStudy(
            rows, given.protocol, made, hold_out, given.block_degrees, _names(given.test_years) or (),
            FewLabels(given.ks, given.draws, given.counted),
        )  # fmt: skip
        study.check()
        for learner in made:
            learner.prepare()
    with counting_progress(words.gettext("fitting models"), screen) as progress:
        result = run_study(study, out, progress)
    screen.print(crop_type_view(result, lang))
    for path in write_result(result, out, file):
        screen.print(words.gettext("written: {path}", path=path))
    for form in ("png", "svg"):
        path = write_figure(out / f"{result.name}.{form}", result.to_json(), lang)
        screen.print(words.gettext("written: {path}", path=path))


def _names(text: str | None) -> tuple[str, ...] | None:
    """Names separated by commas."""
    if text is None:
        return None
    return tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def _kinds(text: str | None, known: tuple[str, ...]) -> tuple[str, ...]:
    names = _names(text) if text is not None else known
    if not names or not set(names) <= set(known):
        raise ConfigError(
            f"--models: expected some of {', '.join(known)} with --run, received {text!r}",
            "For example run,trees.",
        )
    return names
