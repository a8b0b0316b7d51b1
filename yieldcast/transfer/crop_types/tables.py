"""Tables of a study of crop types, laid out as Butsko et al., Tables 1 to 5, and Chang et al., Table 3."""

from __future__ import annotations

from collections.abc import Sequence

from yieldcast.evaluation.accuracy_tables import ScoreTable
from yieldcast.language import Language, Sentence, message, sentence
from yieldcast.transfer.crop_types.results import CropTypeResult
from yieldcast.transfer.crop_types.scores import CropTypeScore, gap
from yieldcast.transfer.generalise import Training
from yieldcast.transfer.scores import ALL

PROTOCOLS = {
    "random": sentence("random folds of places"),
    "temporal": sentence("latest season"),
    "geographic": sentence("held-out places"),
    "few-shot": sentence("few local labels"),
}
HELD = {
    "group": sentence("one group at a time"),
    "country": sentence("one country at a time"),
    "region": sentence("one region at a time"),
    "block": sentence("blocks in five groups"),
    "none": sentence("nothing held out"),
}
MODEL, ROWS, CLASS = message("model"), message("series"), message("class")
ALL_CLASSES = message("macro-F1")


def crop_type_tables(result: CropTypeResult, words: Language) -> list[ScoreTable]:
    """The tables of a result.

    Args:
        result: of a study.
        words: language of the numbers; texts are English, see `ScoreTable`.
    """
    if result.study.protocol == "few-shot":
        what = (("macro_f1", sentence("macro-F1")), ("accuracy", sentence("overall accuracy")))
        return [_few_labels(result, words, name, text) for name, text in what]
    training: Training = "in_domain" if result.study.protocol == "random" else "out_of_domain"
    tables = [_models(result, words)]
    if len({one.domain for one in result.scores}) > 1:
        tables.append(_domains(result, training, words))
    return [*tables, _classes(result, training, words)]


def title(result: CropTypeResult, what: str) -> Sentence:
    """Title of a table: protocol, and what it shows."""
    study = result.study
    protocol = PROTOCOLS[study.protocol]
    if study.protocol in ("geographic", "few-shot"):
        return sentence(
            "Crop types, {protocol}, {held}: {what}", protocol=protocol, held=HELD[study.hold_out], what=what
        )
    return sentence("Crop types, {protocol}: {what}", protocol=protocol, what=what)


def _models(result: CropTypeResult, words: Language) -> ScoreTable:
    """All series by model (Butsko et al., Tables 1 and 3), with the interval and the gap."""
    mine = [one for one in result.scores if one.domain == ALL]
    outside: Training = "in_domain" if result.study.protocol == "random" else "out_of_domain"
    lines = []
    for model in dict.fromkeys(one.model for one in mine):
        by = {one.training: one for one in mine if one.model == model}
        shown = by[outside]
        cells = [_f(by["in_domain"].macro_f1, words)] if outside == "out_of_domain" else []
        cells += [_f(shown.macro_f1, words), bounds(shown, words)]
        if outside == "out_of_domain":
            cells.append(_f(gap(mine, ALL, model), words, signed=True))
        lines.append((model, *cells, _f(shown.accuracy, words)))
    inner = (message("in\nF1"), message("out\nF1"), "95 %", message("gap"), message("out\naccuracy"))
    if outside == "in_domain":
        inner = (message("macro-F1"), "95 %", message("accuracy"))  # type: ignore[assignment]
    what = sentence("macro-F1") if outside == "in_domain" else sentence("macro-F1 in and out of domain")
    return ScoreTable(title(result, what), (MODEL, *inner), tuple(lines))


def _domains(result: CropTypeResult, training: Training, words: Language) -> ScoreTable:
    """Macro-F1 by domain, with the change against trees in brackets (Butsko et al., Table 4)."""
    heads, lines = _models_of(result), []
    for domain in dict.fromkeys(one.domain for one in result.scores if one.domain != ALL):
        own = _of(result, domain, training)
        if own:
            cells = _against({name: one.macro_f1 for name, one in own.items()}, heads, result, words)
            lines.append((domain, words.number(next(iter(own.values())).n), *cells))
    what = sentence("macro-F1, and the difference from trees")
    held = message("season") if result.study.protocol == "temporal" else message("held out")
    first = held if result.study.protocol != "random" else message("group")
    return ScoreTable(title(result, what), (first, ROWS, *heads), tuple(lines))


def _classes(result: CropTypeResult, training: Training, words: Language) -> ScoreTable:
    """F1 by class, with the change against trees in brackets (Butsko et al., Table 5)."""
    own, heads = _of(result, ALL, training), _models_of(result)
    some = next(iter(own.values()))
    lines = [
        (
            name, words.number(count),
            *_against({model: one.f1[name] for model, one in own.items()}, heads, result, words),
        )
        for name, count in some.counts.items()
    ]  # fmt: skip
    macro = _against({model: one.macro_f1 for model, one in own.items()}, heads, result, words)
    lines.append((ALL_CLASSES, words.number(some.n), *macro))
    what = sentence("F1 by class, and the difference from trees")
    return ScoreTable(title(result, what), (CLASS, ROWS, *heads), tuple(lines))


def _few_labels(result: CropTypeResult, words: Language, name: str, text: Sentence) -> ScoreTable:
    """A score by domain and model; columns as Chang et al., Table 3: out of domain, plus k, k alone."""
    ks = [k for k in sorted(result.study.few.ks) if k]
    columns: list[tuple[Training, int | None]] = [("in_domain", None), ("out_of_domain", 0)]
    columns += [("out_plus_k", k) for k in ks] + [("k_alone", k) for k in ks]
    by = {(one.domain, one.model, one.training, one.k): one for one in result.scores}
    columns = [one for one in columns if any(key[2:] == one for key in by)]
    lines = []
    for domain, model in dict.fromkeys(key[:2] for key in by):
        cells = [by.get((domain, model, *column)) for column in columns]
        lines.append((f"{domain}: {model}", *(_spread(one, name, words) for one in cells)))
    heads = (MODEL, *(_head(*column) for column in columns))
    of = sentence("each class") if result.study.few.counted == "class" else sentence("all classes together")
    what = sentence(
        "{score}, mean and sd of {draws} draws of k labels of {of}", score=text, draws=result.study.few.draws,
        of=of,
    )  # fmt: skip
    return ScoreTable(title(result, what), heads, tuple(lines))


def _head(training: Training, k: int | None) -> str:
    if training == "in_domain":
        return message("ID")
    if training == "out_of_domain":
        return message("OOD")
    return sentence("OOD + {k}", k=k) if training == "out_plus_k" else sentence("{k} alone", k=k)


def _of(result: CropTypeResult, domain: str, training: Training) -> dict[str, CropTypeScore]:
    return {one.model: one for one in result.scores if (one.domain, one.training) == (domain, training)}


def _models_of(result: CropTypeResult) -> tuple[str, ...]:
    """Trees first, as in the papers."""
    names = dict.fromkeys(one.model for one in result.scores)
    first = result.study.reference
    return tuple(sorted(names, key=lambda name: name != first))


def _against(
    values: dict[str, float], heads: Sequence[str], result: CropTypeResult, words: Language
) -> list[str]:
    base = values.get(result.study.reference or "")
    cells = []
    for name in heads:
        if name not in values:
            cells.append("–")
        elif base is None or name == result.study.reference:
            cells.append(_f(values[name], words))
        else:
            change = _f(values[name] - base, words, signed=True)
            cells.append(f"{_f(values[name], words)} ({change})")
    return cells


def _spread(one: CropTypeScore | None, name: str, words: Language) -> str:
    if one is None:
        return "–"
    spread = one.macro_f1_sd if name == "macro_f1" else None
    return _f(getattr(one, name), words) + ("" if spread is None else f" ± {_f(spread, words)}")


def bounds(one: CropTypeScore, words: Language) -> str:
    """The interval of macro-F1, as "0.71–0.78"."""
    if one.low is None or one.high is None:
        return "–"
    return f"{words.number(max(one.low, 0), 2)}–{words.number(min(one.high, 1), 2)}"


def _f(value: float | None, words: Language, signed: bool = False) -> str:
    return "–" if value is None else words.number(value, 3, signed=signed)
