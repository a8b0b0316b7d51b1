"""Which learner to map with, and whether to show the location: sentences by rule from paired differences.

Two models differ where the 95 % interval of the difference of their macro-F1, by blocks, lies on one side
of 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from yieldcast.language import Language, Sentence, sentence
from yieldcast.transfer.crop_types.learners import (
    CATBOOST,
    RANDOM,
    RAW_RUN,
    RUN,
    RUN_WITH,
    RUN_WITHOUT,
    TREES,
)
from yieldcast.transfer.crop_types.scores import CropTypeScore, Key, Paired
from yieldcast.transfer.crop_types.tuned import TUNED
from yieldcast.transfer.scores import ALL

RUINED = 0.1  # loss of macro-F1 in one domain that is told by itself (our choice)
_WHERE = {
    "in_domain": sentence("in random folds"),
    "out_of_domain": sentence("out of domain"),
    "out_plus_k": sentence("out of domain with local labels"),
    "k_alone": sentence("with local labels alone"),
}
_OPTIONS = {
    TREES: "--encoder none --head boosted", CATBOOST: "--encoder none --head catboost",
    RUN_WITH: "--location yes", RUN_WITHOUT: "--location no",
}  # fmt: skip


def advice(scores: Sequence[CropTypeScore], pairs: Sequence[Paired], words: Language) -> list[Sentence]:
    """What to map with, what the location does, and whether the encoder's weights are worth anything.

    The way of training that decides is the hardest that was tested: out of domain; with few labels, those of
    the largest k. Of boosted trees and CatBoost the better one is named.

    Args:
        scores, pairs: of the study.
        words: language of the numbers.
    """
    keys = list(dict.fromkeys((one.training, one.k) for one in scores if one.domain == ALL))
    if not keys:
        return []
    key = _deciding(keys)
    read = _Read(
        {one.model: one for one in scores if one.domain == ALL and (one.training, one.k) == key},
        {(one.a, one.b): one for one in pairs if (one.training, one.k) == key}, _WHERE[key[0]], words,
        {(one.domain, one.model): one.macro_f1 for one in scores if (one.training, one.k) == key},
    )  # fmt: skip
    return [
        one
        for one in (read.learner(), read.tuning(), read.location(), read.ruined(), read.weights())
        if one is not None
    ]


def _deciding(keys: Sequence[Key]) -> Key:
    for training in ("out_plus_k", "k_alone", "out_of_domain"):
        own = [key for key in keys if key[0] == training]
        if own:
            return max(own, key=lambda key: key[1] or 0)
    return keys[0]


@dataclass(frozen=True)
class _Read:
    """Scores and differences of the way of training that decides."""

    scores: Mapping[str, CropTypeScore]
    pairs: Mapping[tuple[str, str], Paired]
    where: Sentence
    words: Language
    by_domain: Mapping[tuple[str, str], float]

    def learner(self) -> Sentence | None:
        """The run's classifier against the better trees."""
        ours = self._setting()
        trees = max((name for name in (TREES, CATBOOST) if name in self.scores), key=self._macro, default="")
        pair = self.pairs.get((ours, trees))
        if pair is None:
            return None
        about = {
            "where": self.where, "model": ours, "trees": trees, "ours": self._f1(ours),
            "theirs": self._f1(trees), "interval": self._interval(pair),
        }  # fmt: skip
        if not pair.difference.excludes_zero:
            return sentence(
                "No real difference {where} between {model} and {trees} on the raw series: macro-F1 {ours} "
                "and {theirs}, difference {interval}. Either will do for a map; {higher} is a little higher "
                "here.",
                higher=max(ours, trees, key=self._macro), **about,
            )  # fmt: skip
        if pair.difference.difference < 0:
            return sentence(
                "Boosted trees on the raw series are better {where}: {trees} has macro-F1 {theirs}, {model} "
                "{ours}, difference {interval}. Map with trees: crop-type train {options}.",
                options=_OPTIONS[trees], **about,
            )  # fmt: skip
        options = _OPTIONS.get(ours)
        what = "crop-type train " + options if options else sentence("this run")
        return sentence(
            "{model} is better {where} than {trees} on the raw series: macro-F1 {ours} against {theirs}, "
            "difference {interval}. Map with it: {what}.",
            what=what, **about,
        )  # fmt: skip

    def location(self) -> Sentence | None:
        """What latitude and longitude do to the encoder."""
        other = RUN_WITH if RUN_WITH in self.scores else RUN_WITHOUT
        pair = self.pairs.get((other, RUN))
        if pair is None:
            return None
        seen, blind = (RUN_WITH, RUN) if other == RUN_WITH else (RUN, RUN_WITHOUT)
        sign = 1 if other == seen else -1
        about = {
            "where": self.where, "yes": self._f1(seen), "no": self._f1(blind),
            "interval": self._interval(pair, sign),
        }  # fmt: skip
        if not pair.difference.excludes_zero:
            return sentence(
                "With latitude and longitude shown to the encoder macro-F1 is {yes} {where}, without {no}: "
                "no real difference ({interval}); --location no is the safer choice for other regions.",
                **about,
            )
        if sign * pair.difference.difference > 0 and self.ruined() is None:
            return sentence(
                "With latitude and longitude shown to the encoder macro-F1 is {yes} {where}, without {no} "
                "(difference {interval}): --location yes helps here.",
                **about,
            )
        return sentence(
            "With latitude and longitude shown to the encoder macro-F1 is {yes} {where}, without {no} "
            "(difference {interval}): train with --location no.",
            **about,
        )

    def ruined(self) -> Sentence | None:
        """The domain that latitude and longitude harm most, whatever they do to all together."""
        pairs = ((RUN_WITH, RUN), (RUN, RUN_WITHOUT))
        seen, blind = next((two for two in pairs if set(two) <= set(self.scores)), ("", ""))
        names = [
            domain
            for domain, model in self.by_domain
            if model == seen and domain != ALL and (domain, blind) in self.by_domain
        ]
        lost = {name: self.by_domain[name, blind] - self.by_domain[name, seen] for name in names}
        worst = max(lost, key=lambda name: lost[name], default=None)
        if worst is None or lost[worst] < RUINED:
            return None
        yes, no = (self.words.number(self.by_domain[worst, model], 3) for model in (seen, blind))
        return sentence(
            "Latitude and longitude ruin {domain}: macro-F1 {yes} with them, {no} without. Do not show them "
            "to the encoder for places that were not trained on.",
            domain=worst, yes=yes, no=no,
        )  # fmt: skip

    def weights(self) -> Sentence | None:
        """Whether random weights of the same architecture do as well."""
        pair = self.pairs.get((RUN, RANDOM))
        if pair is None:
            return None
        about = {"where": self.where, "f1": self._f1(RANDOM), "interval": self._interval(pair)}
        if pair.difference.excludes_zero and pair.difference.difference > 0:
            return sentence(
                "The weights of the encoder matter: with random ones macro-F1 is {f1} {where} (difference "
                "{interval}).",
                **about,
            )
        return sentence(
            "The weights of the encoder do NOT matter here: with random ones macro-F1 is {f1} {where} "
            "(difference {interval}).",
            **about,
        )

    def tuning(self) -> Sentence | None:
        """What training the encoder too is worth."""
        tuned = self._tuned()
        pair = self.pairs.get((tuned, RUN))
        if pair is None:
            return None
        about = {
            "model": tuned, "where": self.where, "ours": self._f1(tuned), "theirs": self._f1(RUN),
            "interval": self._interval(pair),
        }  # fmt: skip
        if not pair.difference.excludes_zero:
            return sentence(
                "{model} has macro-F1 {ours} {where}, the head on the frozen encoder {theirs}: no real "
                "difference ({interval}); the frozen encoder is the cheaper choice.",
                **about,
            )
        return sentence(
            "{model} has macro-F1 {ours} {where}, the head on the frozen encoder {theirs}: difference "
            "{interval}.",
            **about,
        )

    def _tuned(self) -> str:
        return next((name for name in TUNED.values() if name in self.scores), "")

    def _setting(self) -> str:
        """The run's classifier, fine-tuned where that is the run.

        Of a frozen encoder it has the other setting of the location only where that is really better.
        """
        if self._tuned():
            return self._tuned()
        for other in (RUN_WITH, RUN_WITHOUT) if self.ruined() is None else (RUN_WITHOUT,):
            pair = self.pairs.get((other, RUN))
            if pair is not None and pair.difference.excludes_zero and pair.difference.difference > 0:
                return other
        return RUN if RUN in self.scores else RAW_RUN

    def _macro(self, name: str) -> float:
        return self.scores[name].macro_f1

    def _f1(self, name: str) -> str:
        return self.words.number(self._macro(name), 3)

    def _interval(self, pair: Paired, sign: int = 1) -> str:
        found = pair.difference
        value, low, high = (
            None if one is None else sign * one for one in (found.difference, found.low, found.high)
        )
        return interval(value, low, high, self.words)


def interval(value: float | None, low: float | None, high: float | None, words: Language) -> str:
    """A difference with its interval, as "+0.031 [+0.012, +0.050]"; without one where there is none.

    Args:
        value, low, high: of the difference.
        words: language of the numbers.
    """
    if value is None:
        return "–"
    written = words.number(value, 3, signed=True)
    if low is None or high is None:
        return written
    bounds = [words.number(one, 3, signed=True) for one in sorted((low, high))]
    return f"{written} [{'; '.join(bounds)}]"
