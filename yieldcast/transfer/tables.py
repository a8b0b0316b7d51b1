"""Tables of a study of transfer, as in the papers, for a terminal or a page."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from yieldcast.data.summary import number_spans
from yieldcast.evaluation.accuracy_tables import ScoreTable
from yieldcast.language import Language, Sentence, message, sentence
from yieldcast.transfer.results import TransferResult
from yieldcast.transfer.scores import ALL, CurvePoint, Gap, TransferScore

PROTOCOLS = {
    "random": sentence("random folds"),
    "temporal": sentence("forward years"),
    "geographic": sentence("held-out places"),
    "few-shot": sentence("few local rows"),
}
HELD = {
    "state": sentence("one state at a time"),
    "region": sentence("one region at a time"),
    "climate-zone": sentence("one climate zone at a time"),
    "block": sentence("blocks in five groups"),
}
MODEL, DOMAIN, ROWS = message("model"), message("held out"), message("rows")


def transfer_tables(
    result: TransferResult, words: Language, name: Callable[[str], str] = str
) -> list[ScoreTable]:
    """The tables of a result.

    Args:
        result: of a study.
        words: language of the numbers; texts are English, see `ScoreTable`.
        name: gives the name of a crop.
    """
    if result.study.protocol == "few-shot":
        return few_shot_tables(result, words, name)
    tables = [_models(result, words, name)]
    return tables if result.study.protocol == "random" else [*tables, _domains(result, words, name)]


def title(result: TransferResult, what: str, name: Callable[[str], str] = str) -> Sentence:
    """Title of a table: crop, years, protocol, and what it shows."""
    study = result.study
    protocol = PROTOCOLS[study.protocol]
    about = {"crop": name(study.rows.crop), "years": number_spans(study.test_years), "what": what}
    if study.protocol in ("geographic", "few-shot"):
        return sentence(
            "{crop} {years}, {protocol}, {held}: {what}",
            protocol=protocol,
            held=HELD[study.hold_out],
            **about,
        )
    return sentence("{crop} {years}, {protocol}: {what}", protocol=protocol, **about)


def _models(result: TransferResult, words: Language, name: Callable[[str], str]) -> ScoreTable:
    """Scores of all rows by model: in domain, out of domain, gap."""
    mine = _of(result.gaps, ALL)
    inside = ("RMSE", "r", message("skill"), "F1")
    if result.study.protocol == "random":
        plain = [(one.model, *_numbers(one.inside, words)) for one in mine]
        return ScoreTable(
            title(result, sentence("RMSE in kg/ha; not a forecast"), name), (MODEL, *inside), tuple(plain)
        )
    scores = (message("in\nRMSE"), message("in\nr"), message("out\nRMSE"), message("out\nr"))
    heads = (MODEL, *scores, message("skill"), "F1", message("gap"))
    lines = [
        (
            one.model, *_numbers(one.inside, words)[:2], *_numbers(one.outside, words),
            _signed(one.gap_kg_ha, words),
        )
        for one in mine
    ]  # fmt: skip
    return ScoreTable(title(result, sentence("in and out of domain, kg/ha"), name), heads, tuple(lines))


def _domains(result: TransferResult, words: Language, name: Callable[[str], str]) -> ScoreTable:
    """RMSE out of domain with the gap in brackets, by domain and model (Butsko et al., Table 4)."""
    models = [one.model for one in _of(result.gaps, ALL) if one.outside is not None]
    lines = []
    for domain in dict.fromkeys(one.domain for one in result.gaps if one.domain != ALL):
        own = {one.model: one for one in _of(result.gaps, domain)}
        counts = [one.outside.n for one in own.values() if one.outside is not None]
        if counts:
            lines.append((domain, words.number(counts[0]), *(_with_gap(own.get(m), words) for m in models)))
    heads = (DOMAIN, ROWS, *models)
    return ScoreTable(title(result, sentence("RMSE out of domain (gap), kg/ha"), name), heads, tuple(lines))


def few_shot_tables(
    result: TransferResult, words: Language, name: Callable[[str], str] = str
) -> list[ScoreTable]:
    """RMSE by domain and model, columns as Chang et al., Table 3: out of domain, plus k, k alone.

    Args:
        result, words, name: as for `transfer_tables`.
    """
    points = {(one.domain, one.model, one.training, one.k): one for one in result.curve}
    ks = [k for k in result.study.ks if k]
    columns = [("out_of_domain", 0), *(("out_plus_k", k) for k in ks), *(("k_alone", k) for k in ks)]
    heads = (
        DOMAIN, MODEL, message("OOD"),
        *(sentence("OOD + {k}", k=k) for k in ks),
        *(sentence("{k} alone", k=k) for k in ks),
    )  # fmt: skip
    lines = []
    for domain, model in dict.fromkeys(key[:2] for key in points):
        cells = [_mean(points.get((domain, model, *column)), words) for column in columns]  # type: ignore[arg-type]
        lines.append((domain, model, *cells))
    what = sentence("RMSE in kg/ha, mean and sd of {draws} draws", draws=result.study.draws)
    return [ScoreTable(title(result, what, name), heads, tuple(lines))]


def _of(found: Sequence[Gap], domain: str) -> list[Gap]:
    return [one for one in found if one.domain == domain]


def _numbers(one: TransferScore | None, words: Language) -> tuple[str, str, str, str]:
    """RMSE, r, skill and macro-F1."""
    if one is None:
        return "-", "-", "-", "-"
    return (
        words.number(one.rmse_kg_ha),
        "-" if one.r is None else words.number(one.r, 2),
        "-" if one.skill is None else words.number(one.skill, 2),
        words.number(one.macro_f1, 2),
    )


def _signed(value: float | None, words: Language) -> str:
    return "-" if value is None else words.number(value, signed=True)


def _with_gap(one: Gap | None, words: Language) -> str:
    if one is None or one.outside is None:
        return "-"
    return f"{words.number(one.outside.rmse_kg_ha)} ({_signed(one.gap_kg_ha, words)})"


def _mean(point: CurvePoint | None, words: Language) -> str:
    if point is None:
        return "-"
    spread = "" if point.rmse_sd_kg_ha is None else f" ± {words.number(point.rmse_sd_kg_ha)}"
    return f"{words.number(point.rmse_kg_ha)}{spread}"
