"""Fine-tuned encoders against frozen ones and trees on raw series: when to use which.

    python experiments/crop_type_modes.py --data DIR --encoder presto_encoder.safetensors \\
        --decoder presto_decoder.safetensors

DIR as for crop_type.py. Writes crop-type-modes.json after each training, continues from there when it was
stopped, and writes crop-type-modes.md. Scores are macro-F1 of pooled predictions of left-out rows.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crop_type import Task, read_tasks
from results_file import heading, markdown_table, write
from yieldcast.cli.terminal import load_tensorflow, short_errors
from yieldcast.crop_types.classifier import CropTypeSettings, head_inputs
from yieldcast.crop_types.heads import fit_head, probabilities
from yieldcast.crop_types.scores import crop_type_scores, standard_error
from yieldcast.crop_types.unfinished import Unfinished, remove_parts
from yieldcast.data.files import atomic_text, fingerprint
from yieldcast.encoders.presto_inputs import raw_columns

Array = NDArray[Any]
FERGANA = ("cotton", "wheat", "wheat_then_summer_crop")
MODES = ("finetune", "ssl+finetune", "scratch")
SCRATCH_EPOCHS = 30  # of at most 60, for the time
TREES, FROZEN, MEAN = "trees on raw series", "frozen", "mean of frozen and trees"


def splits() -> dict[str, tuple[str, Any]]:
    """Name -> task, and a function that gives the number of the left-out part of each row; -1: never left."""
    return {
        "A random": ("A", lambda f: f["random_fold"].to_numpy()),
        "A across tiles": ("A", lambda f: (f["tile"] == "30UYU").to_numpy().astype(int)),
        "D 4 classes, 2016": ("D4", lambda f: np.where(f["harvest_year"] == 2016, 0, -1)),
        "E Fergana, 2017-2018": ("E3", lambda f: np.where(f["year"] >= 2017, 0, -1)),
    }


def fergana(e: Task) -> Task:
    """Three classes of one region."""
    region = e.frame["region"].str.contains("Ferg").to_numpy()
    return e.take(region & np.isin(e.series["label"].values, FERGANA))


def quick(task: Task, part: Array, inputs: dict[str, tuple[Array, Any]]) -> dict[str, Array]:
    """Left-out probabilities of frozen encoder, trees, and their mean."""
    made = {name: np.zeros((len(part), len(task.classes))) for name in inputs}
    for name, (columns, head) in inputs.items():
        for one in np.unique(part[part >= 0]):
            test = part == one
            trained = fit_head(head, columns[~test], task.truth[~test])
            made[name][test] = probabilities([trained], columns[test], len(task.classes))
    made[MEAN] = np.mean(list(made.values()), axis=0)
    return made


def tuned(
    task: Task, part: Array, settings: CropTypeSettings, encoder: Any, decoder: Any, folder: Path
) -> Array:
    """Left-out probabilities of networks; the folder keeps those of each part until all are there."""
    from yieldcast.crop_types.fine_tuning import TunedLearner

    learner = TunedLearner(task.series, task.truth, len(task.classes), settings, encoder, decoder)
    made, kept = np.zeros((len(part), len(task.classes))), Unfinished(folder, fingerprint(task.series))

    def left_out(one: int) -> list[Array]:
        weights = learner.fit(np.flatnonzero(part != one), 0, lambda done, total: None)
        return [learner.probabilities(weights, np.flatnonzero(part == one))]

    for one in np.unique(part[part >= 0]):
        (made[part == one],) = kept.part(f"part_{one}", lambda number=one: left_out(number))  # type: ignore[misc]
    remove_parts(folder)
    return made


def score(task: Task, part: Array, made: Array) -> dict[str, Any]:
    """Scores of the left-out rows."""
    left = part >= 0
    found = crop_type_scores(made[left], task.truth[left], task.classes)
    return {"macro_f1": found.macro_f1, "samples": found.samples, "f1": found.f1}


def run(folder: Path, weights: Path, decoder_file: Path, file: Path) -> dict[str, Any]:
    """Scores of all splits and models; those in the file are not computed again."""
    from yieldcast.encoders.files import licence, load_decoder, load_encoder

    encoder, decoder = load_encoder(weights), load_decoder(decoder_file)
    tasks = read_tasks(folder)
    tasks["E3"] = fergana(tasks["E"])
    result: dict[str, Any] = {"licence": licence(encoder), "scores": {}}
    if file.is_file():
        result = json.loads(file.read_text(encoding="utf-8"))
    plan = [(name, mode) for mode in ("quick", *MODES) for name in splits()]
    for name, mode in plan:
        key, parts = splits()[name]
        task, of_split = tasks[key], result["scores"].setdefault(name, {})
        if (FROZEN if mode == "quick" else mode) in of_split:
            continue
        part, began = pd.Series(parts(task.frame)).to_numpy(), time.process_time()
        if mode == "quick":
            embedded = head_inputs(task.series, CropTypeSettings(), encoder)
            inputs = {FROZEN: (embedded, "linear"), TREES: (raw_columns(task.series)[0], "boosted")}
            made = quick(task, part, inputs)
        else:
            settings = CropTypeSettings(mode=mode, epochs=SCRATCH_EPOCHS if mode == "scratch" else None)  # type: ignore[arg-type]
            own = file.with_suffix("") / f"{mode} {name}"
            made = {mode: tuned(task, part, settings, encoder, decoder, own)}
        seconds = round(time.process_time() - began)
        for model, probability in made.items():
            of_split[model] = {**score(task, part, probability), "cpu_seconds": seconds}
            print(f"{name}: {model} {of_split[model]['macro_f1']:.3f}, {seconds} s", flush=True)
        atomic_text(file, json.dumps(result, indent=2) + "\n")
    return result


def document(result: dict[str, Any]) -> list[str]:
    """The parts of crop-type-modes.md."""
    models = (FROZEN, *MODES, TREES, MEAN)
    parts = heading("Crop types: when to train the encoder too")
    parts.append(
        f"Encoder: Presto, {result['licence']}; its published decoder for the training without labels. "
        "Macro-F1 of left-out rows. A: France 2023, Sentinel with weather, 4 classes, folds that divide "
        "no location, and one tile by the other three and the reverse; D: Mato Grosso, MODIS, harvest 2016 "
        "by the harvests before; E: Fergana, Landsat NDVI, 3 classes, 2017 and 2018 by the years before. "
        "One network for each split (seed 0), a linear head on the embeddings of all steps, no location. "
        f"Networks lose an eighth of the training places to the block that tells when to stop. "
        f"Scratch: {SCRATCH_EPOCHS} epochs at most."
    )
    rows = []
    for name, of_split in result["scores"].items():
        count = of_split[FROZEN]["samples"]
        cells = [f"{of_split[m]['macro_f1']:.3f}" if m in of_split else "not run" for m in models]
        rows.append([f"{name} ({count})", *cells, f"{error(result, name):.3f}"])
    parts.append(markdown_table(["split (rows tested)", *models, "standard error"], rows))
    parts.append("## What the table says\n\n" + "\n".join(f"- {line}" for line in said(result)))
    if any(mode not in of_split for of_split in result["scores"].values() for mode in MODES):
        parts.append("Not run: the command was stopped for the time; given again, it continues from there.")
    seconds = [
        [name, *(str(of_split[m]["cpu_seconds"]) if m in of_split else "not run" for m in MODES)]
        for name, of_split in result["scores"].items()
    ]
    parts += ["## Processor seconds of the trainings", markdown_table(["split", *MODES], seconds)]
    return parts


def error(result: dict[str, Any], name: str) -> float:
    """Standard error of the frozen encoder's score of a split."""
    frozen = result["scores"][name][FROZEN]
    return standard_error(frozen["macro_f1"], frozen["samples"])


def said(result: dict[str, Any]) -> list[str]:
    """One sentence for each way: how often it is better or worse than the frozen encoder."""
    lines = []
    for model in (*MODES, MEAN, TREES):
        gains = {
            name: of_split[model]["macro_f1"] - of_split[FROZEN]["macro_f1"]
            for name, of_split in result["scores"].items() if model in of_split
        }  # fmt: skip
        if not gains:
            continue
        clear = {name: gain for name, gain in gains.items() if abs(gain) > 2 * error(result, name)}
        better, worse = ([n for n, g in clear.items() if g * sign > 0] for sign in (1, -1))
        lines.append(
            f"{model}, against the frozen encoder: {np.mean(list(gains.values())):+.3f} macro-F1 on "
            f"average of {len(gains)} splits; better by more than two standard errors: "
            f"{', '.join(better) or 'nowhere'}; worse: {', '.join(worse) or 'nowhere'}."
        )
    return lines


def main() -> None:
    """Write both files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    for name in ("data", "encoder", "decoder"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--write", type=Path, default=Path("experiments/results"))
    given = parser.parse_args()
    load_tensorflow()
    result = run(given.data, given.encoder, given.decoder, given.write / "crop-type-modes.json")
    print(f"written: {write(given.write / 'crop-type-modes.md', document(result))}")


if __name__ == "__main__":
    with short_errors():
        main()
