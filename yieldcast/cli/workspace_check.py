"""`yieldcast workspace check`: whether a workspace would take a model file, and why not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from yieldcast.cli.arguments import ScreenLanguageOption
from yieldcast.cli.panels import Command
from yieldcast.cli.terminal import console, load_tensorflow

if TYPE_CHECKING:
    from yieldcast.language import Language
    from yieldcast.model_files import CheckedModel, RefusedModel


def add_commands(group: typer.Typer) -> None:
    """Add `check` to the commands of a workspace."""
    group.command("check", cls=Command)(check_file)


def check_file(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Model to check: a .keras file of Keras 3.")],
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the verdict as JSON, also a refusal.")
    ] = False,
    lang: ScreenLanguageOption = "en",
) -> None:
    """Say whether a workspace would take a model file: exit code 0 accepted, 5 refused and why.

    The file is read as data against closed lists; nothing in it is run. Then the network is built from what
    was understood, and its weights are compared with those of the file.

    Example:

        yieldcast workspace check model.keras
    """
    from yieldcast import language
    from yieldcast.model_files import RefusedModel, build, check

    try:
        checked = check(file)
        load_tensorflow()
        outputs = _shapes(build(checked))
    except RefusedModel as refused:
        if not as_json:
            raise
        console().print(json.dumps(_refusal(file, refused), indent=2, ensure_ascii=False), soft_wrap=True)
        raise typer.Exit(refused.exit_code) from None
    facts = _facts(file, checked, outputs)
    if as_json:
        console().print(json.dumps(facts, indent=2, ensure_ascii=False), soft_wrap=True)
    else:
        for line in _lines(facts, language.of(lang)):
            console().print(line)


def _shapes(model: Any) -> list[list[int | None]]:
    return [list(tensor.shape) for tensor in model.outputs]


def _keras() -> dict[str, Any]:
    from yieldcast.model_files.keras_version import has_known_fixes, installed

    return {"installed": installed(), "has_known_fixes": has_known_fixes(installed())}


def _refusal(file: Path, refused: RefusedModel) -> dict[str, Any]:
    return {
        "file": str(file), "accepted": False, "rule": refused.rule, "reason": str(refused),
        "hint": refused.hint, "keras": _keras(),
    }  # fmt: skip


def _facts(file: Path, checked: CheckedModel, outputs: list[list[int | None]]) -> dict[str, Any]:
    return {
        "file": str(file), "accepted": True, "sha256": checked.sha256,
        "inputs": {name: list(shape) for name, shape in checked.inputs.items()},
        "outputs": dict(zip(checked.outputs, outputs, strict=True)),
        "layers": len(checked.layers), "parameters": checked.parameters,
        "written_by": checked.keras_version, "keras": _keras(),
    }  # fmt: skip


def _lines(facts: dict[str, Any], words: Language) -> list[str]:
    """The verdict for a reader."""
    keras = facts["keras"]
    lines = [words.gettext("accepted: {file}", file=facts["file"])]
    for key, title in (("inputs", words.gettext("inputs")), ("outputs", words.gettext("outputs"))):
        lines += [f"{title}: {name} {_shape(shape)}" for name, shape in facts[key].items()]
    lines.append(
        words.gettext(
            "{layers} layers, {weights} weights, written by Keras {version}",
            layers=words.number(facts["layers"]), weights=words.number(facts["parameters"]),
            version=facts["written_by"],
        )
    )  # fmt: skip
    lines.append(f"SHA-256: {facts['sha256']}")
    if keras["has_known_fixes"]:
        text = words.gettext("Keras {version} is here, with the fixes of all known faults (3.13.2 or later)",
                             version=keras["installed"])  # fmt: skip
    else:
        text = words.gettext("Keras {version} is here, without fixes of known faults: take 3.13.2 or later",
                             version=keras["installed"])  # fmt: skip
    return [*lines, text]


def _shape(shape: list[int | None]) -> str:
    return "(" + ", ".join("*" if length is None else str(length) for length in shape[1:]) + ")"
