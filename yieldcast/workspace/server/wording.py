"""Names and numbers of scores, states and acts as readers see them."""

from __future__ import annotations

import math
from decimal import Decimal

from yieldcast.language import Language, message
from yieldcast.workspace.scoring.measures import (
    ACCURACY,
    BIAS,
    CRPS,
    MACRO_F1,
    RARE_RECALL,
    RECALL,
    RMSE,
    SKILL,
)

_MEASURES = {
    ACCURACY: message("accuracy"),
    MACRO_F1: message("macro-F1"),
    RARE_RECALL: message("rare-class recall"),
    RMSE: message("RMSE"),
    BIAS: message("bias"),
    CRPS: message("CRPS"),
}
STATES = {
    "received": message("received"),
    "queued": message("in the queue"),
    "running": message("running"),
    "done": message("done"),
    "refused": message("refused"),
    "failed": message("failed"),
    "stopped": message("stopped"),
}
# How a state looks: its class in the style sheet.
LOOKS = {"done": "done-state", "running": "running", "refused": "bad", "failed": "bad", "stopped": "bad"}
ENDED = ("done", "refused", "failed", "stopped")
AUGMENTATIONS = {
    "flips": message("flips"),
    "rotations": message("rotations"),
    "shifts": message("shifts"),
    "noise": message("noise"),
}
BASELINES = {"majority class": message("majority class")}
STAGES = {
    "reading": message("the model is read"),
    "baseline": message("scored as submitted"),
    "training": message("fine-tuning"),
    "scoring": message("scored after fine-tuning"),
}
PHASES = {1: message("as submitted"), 2: message("after fine-tuning")}


def measure_name(measure: str, words: Language) -> str:
    """The name of a measure, such as "accuracy" or "recall of rye"."""
    if measure.startswith(RECALL):
        return words.gettext("recall of {name}", name=measure.removeprefix(RECALL))
    if measure.startswith(SKILL):
        return words.gettext("skill against {name}", name=measure.removeprefix(SKILL))
    return words.gettext(_MEASURES.get(measure, measure))


def is_yield(measure: str) -> bool:
    """Whether a measure is in kg/ha; any other is a share."""
    return measure.endswith("kg_ha")


def unit(measure: str, *, difference: bool = False) -> str:
    """Its unit, in the heading of a table; "" where the percent sign stands beside the number."""
    if is_yield(measure):
        return "kg/ha"
    return message("percentage points") if difference else ""


def score_text(value: Decimal | None, measure: str, words: Language) -> str:
    """A rounded score with the digits of its step, without the unit kg/ha; an en dash for None."""
    if value is None:
        return "–"
    digits = _digits(value)
    if is_yield(measure):
        return words.number(float(value), digits)
    return words.percent(float(value), max(digits - 2, 0))


def difference_text(value: Decimal | None, measure: str, words: Language) -> str:
    """A difference of rounded scores with its sign, in the unit of `unit`; an en dash for None."""
    if value is None:
        return "–"
    digits = _digits(value)
    if is_yield(measure):
        return words.number(float(value), digits, signed=True)
    return words.number(float(100 * value), max(digits - 2, 0), signed=True)


def _digits(value: Decimal) -> int:
    if value == value.to_integral_value() and abs(value) > 1:  # a step of 10.0 kg/ha gives 300.0
        return 0
    exponent = value.as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def three_digits(value: float, words: Language) -> str:
    """A number of three significant digits: "0.0312", "1,240"; an en dash for NaN."""
    if math.isnan(value):
        return "–"
    text = f"{value:.3g}"
    plain = f"{float(text):.12f}".rstrip("0").rstrip(".")
    return words.number(float(text), len(plain.partition(".")[2]))


def compute_text(pflop: float, words: Language) -> str:
    """Compute in the unit in which it reads well: "71.3 PFLOP", "2 TFLOP", "0.766 GFLOP".

    Args:
        pflop: 1e15 floating-point operations, 0 or more.
        words: of the reader.
    """
    unit, size = next(
        (pair for pair in (("PFLOP", 1.0), ("TFLOP", 1e-3)) if pflop >= pair[1] / 100 or not pflop),
        ("GFLOP", 1e-6),
    )
    return f"{three_digits(pflop / size, words)} {unit}"
