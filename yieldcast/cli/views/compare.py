"""The comparison of two models for a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Group
from rich.table import Table
from rich.text import Text

from yieldcast import language
from yieldcast.cli.views.scores import crop_name, scores_table
from yieldcast.comparison.bootstrap import FEW_BLOCKS, Difference
from yieldcast.comparison.compare import Comparison, MetricResult
from yieldcast.comparison.paired import MACRO_F1
from yieldcast.comparison.verdict import METRIC_NAMES
from yieldcast.language import Language, message

HEADS = {"year": message("years"), "region": message("regions")}


def comparison_view(found: Comparison, lang: str = "en") -> Group:
    """Tables of the metrics, of their scores by block, and lines of the tests.

    Args:
        found: of `yieldcast.comparison.compare.compare`.
        lang: language; names of models are those of the files.
    """
    words = language.of(lang)
    parts: list[Table | Text] = [_metrics(found, words), _blocks(found, words)]
    parts += [Text(line, style="dim") for line in (*_rows(found, words), *_tests(found, words))]
    return Group(*parts)


def _metrics(found: Comparison, words: Language) -> Table:
    text = message("A: {a}, B: {b}")
    if found.synthetic:
        text = message("A: {a}, B: {b} (synthetic data)")
    title = words.gettext(text, a=found.names[0], b=found.names[1])
    if found.crop:
        title = f"{crop_name(found.crop, words)}. {title}"
    kinds = list(found.metrics[0].differences)
    table = scores_table(
        title, words.gettext("score"), "A", "B", "A − B",
        *(words.gettext("95% by {blocks}", blocks=words.gettext(HEADS[kind])) for kind in kinds),
    )  # fmt: skip
    for one in found.metrics:
        table.add_row(
            words.gettext(METRIC_NAMES[one.name]), _number(one, one.a, words), _number(one, one.b, words),
            _number(one, one.a - one.b, words, signed=True),
            *(_interval(one, one.differences[kind], words) for kind in kinds),
        )  # fmt: skip
    return table


def _number(one: MetricResult, value: float, words: Language, signed: bool = False) -> str:
    return words.number(value, 3 if one.name == MACRO_F1 else 1, signed=signed)


def _interval(one: MetricResult, found: Difference, words: Language) -> str:
    if found.low is None or found.high is None:
        return "–"
    low, high = (_number(one, end, words, signed=True) for end in (found.low, found.high))
    return words.gettext("{low} to {high}", low=low, high=high)


def _blocks(found: Comparison, words: Language) -> Table:
    """Scores of the first metric by block."""
    first = found.metrics[0]
    heads = {"year": message("harvest year"), "region": message("state")}
    name = words.gettext(METRIC_NAMES[first.name])
    table = scores_table("", words.gettext(heads[found.by]), f"{name} A", f"{name} B", "A − B")
    groups: Mapping[str, tuple[float, float]] = first.groups[found.by]
    for block, (a, b) in groups.items():
        table.add_row(
            block,
            _number(first, a, words),
            _number(first, b, words),
            _number(first, a - b, words, signed=True),
        )
    return table


def _rows(found: Comparison, words: Language) -> list[str]:
    lines = [
        words.gettext(
            "{rows} common rows; left out because only one has them: A {only_a}, B {only_b}. Both say the "
            "same in {share}%.",
            rows=words.number(found.rows), only_a=words.number(found.only_a),
            only_b=words.number(found.only_b), share=words.number(100 * found.identical_share, 1),
        )
    ]  # fmt: skip
    counts = found.metrics[0].differences
    listed = ", ".join(
        words.gettext("{n} {blocks}", n=one.blocks, blocks=words.gettext(HEADS[kind]))
        for kind, one in counts.items()
    )
    lines.append(
        words.gettext(
            "Whole blocks are drawn: {listed}. With fewer than {few} blocks a bootstrap is too narrow; the "
            "interval is then that of Student's t with the jackknife over blocks.",
            listed=listed, few=FEW_BLOCKS,
        )
    )  # fmt: skip
    if not any(one.name == MACRO_F1 for one in found.metrics):
        lines.append(
            words.gettext("No classes in both: yieldcast evaluate --task risk writes rows with classes.")
        )
    return lines


def _tests(found: Comparison, words: Language) -> list[str]:
    lines = []
    for one in found.metrics:
        test = one.diebold_mariano
        if test is not None:
            lines.append(
                words.gettext(
                    "Diebold-Mariano of {metric} by year: {n} years, lag {lag}, p {p}.",
                    metric=words.gettext(METRIC_NAMES[one.name]), n=test.years, lag=test.lag,
                    p="–" if test.p_value is None else words.number(test.p_value, 3),
                )
            )  # fmt: skip
    test_of_classes = found.mcnemar
    if test_of_classes is not None:
        lines.append(
            words.gettext(
                "McNemar: only A right {b}, only B right {c}, p {p} ({method}); it takes rows of one year "
                "for independent, which they are not.",
                b=words.number(test_of_classes.only_a), c=words.number(test_of_classes.only_b),
                p=words.number(test_of_classes.p_value, 3),
                method=words.gettext(_METHODS[test_of_classes.method]),
            )
        )  # fmt: skip
    return lines


_METHODS = {
    "exact": message("exact"), "chi2": message("chi-squared, corrected"),
    "no_discordant_rows": message("both right on the same rows"),
}  # fmt: skip
