"""A study of transfer: every learner on the same rows, in domain and out of domain, by one protocol.

In domain means random folds of all rows: places and years of the tested rows are among those trained on. Out
of domain are years, places or both that the learner has not seen. Scores of both are of the same rows, so
that their difference, the gap, is the price of the transfer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from yieldcast.errors import ConfigError
from yieldcast.features.samples import SampleSet
from yieldcast.risk.classes import terciles
from yieldcast.transfer import splits
from yieldcast.transfer.fits import Fit, KeptFits
from yieldcast.transfer.learners import REFERENCE, Climatology, Learner
from yieldcast.transfer.places import HoldOut
from yieldcast.transfer.rows import TransferRows
from yieldcast.transfer.splits import Split

Protocol = Literal["random", "temporal", "geographic", "few-shot"]
Training = Literal["in_domain", "out_of_domain", "out_plus_k", "k_alone"]
Floats = NDArray[np.float64]
Progress = Callable[[int, int], None]
KS, DRAWS = (0, 10, 100, 900), 5  # Chang et al., Table 3; Butsko et al. do not draw
OWN_RECORD = "mean_5y_public"  # not learnt: the place's own published yields


@dataclass(frozen=True)
class Study:
    """What to compare.

    Args:
        rows: all rows.
        protocol: how they are split.
        hold_out: by which `rows.domain` was made; used by the protocols geographic and few-shot.
        learners: `Climatology` is added where it is missing: skill is measured against it.
        test_years: harvest years whose rows are scored.
        ks, draws: numbers of local rows, and draws of each; of the protocol few-shot.
        seed: of folds, blocks and draws.
    """

    rows: TransferRows
    protocol: Protocol
    hold_out: HoldOut
    learners: tuple[Learner[SampleSet], ...]
    test_years: tuple[int, ...]
    ks: tuple[int, ...] = KS
    draws: int = DRAWS
    seed: int = 1

    def __post_init__(self) -> None:
        if REFERENCE not in [one.name for one in self.learners]:
            object.__setattr__(self, "learners", (*self.learners, Climatology()))
        if 0 not in self.ks and self.protocol == "few-shot":
            raise ConfigError(
                f"expected 0 among the numbers of local rows, received {', '.join(map(str, self.ks))}",
                "Without local rows there is nothing to compare with: for example --k 0,10,100.",
            )

    @property
    def tested(self) -> NDArray[np.bool_]:
        """(row,) rows of the test years."""
        return np.isin(self.rows.samples.harvest_year, self.test_years)

    @property
    def later_years(self) -> bool:
        """Whether rows of later harvest years train, so that nothing scored is a forecast."""
        return self.protocol != "temporal"

    def folds(self) -> list[Split]:
        """The random folds: in domain, whatever the protocol."""
        return splits.random_splits(len(self.rows.samples), seed=self.seed)

    def splits(self) -> list[Split]:
        """The splits out of domain; none by the protocol random.

        Raises:
            SchemaError, ConfigError: no split is possible.
        """
        rows = self.rows
        if self.protocol == "temporal":
            year = rows.samples.harvest_year
            newest = {y: int(rows.newest_public[year == y].min()) for y in self.test_years}
            return splits.forward_splits(year, newest, self.test_years)
        if self.protocol == "geographic":
            return splits.geographic_splits(rows.domain, rows.keys, self.tested)
        if self.protocol == "few-shot":
            return splits.few_shot_splits(
                rows.domain, rows.block, rows.keys, self.tested, self.ks, self.draws, self.seed
            )
        return []


@dataclass(frozen=True)
class Prediction:
    """What a learner says of rows, by how it was trained.

    Args:
        training: see `Training`.
        model: name of the learner.
        domain: what was tested; "" for the random folds, which know no domain.
        k, draw: of the split.
        rows: positions of the tested rows.
        values: (tested row,) kg/ha; None where the learner cannot be trained on so few rows.
        train_rows: how many rows it was trained on.
        borders_kg_ha: (2,) borders of the thirds of their yields; None where nothing was trained on.
    """

    training: Training
    model: str
    domain: str
    k: int | None
    draw: int
    rows: splits.Ints
    values: Floats | None
    train_rows: int
    borders_kg_ha: Floats | None = None


def predictions(
    study: Study, folder: Path, progress: Progress = lambda done, total: None
) -> list[Prediction]:
    """Fit every learner on every split, or take what the folder keeps.

    Args:
        study: what to compare.
        folder: keeps the predictions of each fit.
        progress: called with the number of fits done and of all fits.

    Raises:
        YieldcastError: no split is possible, or a learner cannot be trained.
    """
    kept = KeptFits(folder, study.rows.samples)
    target = study.rows.samples.target_kg_ha.astype(np.float64)
    wanted = _wanted(study)
    found: list[Prediction] = []
    for learner in study.learners:
        for training, split in wanted:
            fit = Fit(learner, split, alone=training == "k_alone")
            values, trained = kept.predictions(fit), np.concatenate(fit.parts)
            domain = "" if training == "in_domain" else split.domain
            about = (training, learner.name, domain, split.k, split.draw, split.test)
            found.append(Prediction(*about, values, len(trained), terciles(target[None, trained])[0]))
            progress(len(found), len(wanted) * len(study.learners))
    return found + _own_record(study, found)


def _wanted(study: Study) -> list[tuple[Training, Split]]:
    """All splits, and how each trains."""
    wanted: list[tuple[Training, Split]] = [
        ("in_domain", split) for split in _only_tested(study.folds(), study.tested)
    ]
    for split in study.splits():
        if split.k:
            wanted += [("out_plus_k", split), ("k_alone", split)]
        else:
            wanted.append(("out_of_domain", split))
    return wanted


def _only_tested(folds: Sequence[Split], tested: NDArray[np.bool_]) -> list[Split]:
    """Folds without the rows that are not tested; they train all the same."""
    return [replace(fold, test=own) for fold in folds if (own := fold.test[tested[fold.test]]).size]


def _own_record(study: Study, found: Sequence[Prediction]) -> list[Prediction]:
    """The mean of the place's own public yields on all rows that are scored, where all of them have one."""
    outside = [one.rows for one in found if one.domain]
    rows = np.unique(np.concatenate(outside)) if outside else np.flatnonzero(study.tested)
    values = study.rows.mean_5y_public_kg_ha[rows]
    if study.protocol == "few-shot" or not np.isfinite(values).all():
        return []
    training: Training = "out_of_domain" if outside else "in_domain"
    return [Prediction(training, OWN_RECORD, "", None, 0, rows, values, 0)]


def domain_names(study: Study, found: Sequence[Prediction]) -> list[str]:
    """What was tested out of domain, in the order of the splits; the test years by the protocol random."""
    names = dict.fromkeys(one.domain for one in found if one.domain)
    return list(names) or [str(year) for year in study.test_years]


def rows_of_domain(study: Study, found: Sequence[Prediction], domain: str) -> NDArray[np.bool_]:
    """(row,) rows that are scored in a domain: those tested out of domain, or those of a test year."""
    mask = np.zeros(len(study.rows.samples), dtype=bool)
    mine = [one.rows for one in found if one.domain == domain]
    if not mine:
        return np.asarray(study.tested & (study.rows.samples.harvest_year.astype(str) == domain))
    mask[np.concatenate(mine)] = True
    return mask


def merged(found: Sequence[Prediction], count: int) -> dict[tuple[Training, str, int | None, int], Floats]:
    """Predictions of all rows by training, model, k and draw; NaN where a row was not tested.

    Args:
        found: of `predictions`.
        count: number of rows.
    """
    whole: dict[tuple[Training, str, int | None, int], Floats] = {}
    for one in found:
        values = whole.setdefault((one.training, one.model, one.k, one.draw), np.full(count, np.nan))
        if one.values is not None:
            values[one.rows] = one.values
    return whole


def merged_borders(found: Sequence[Prediction], count: int) -> dict[tuple[Training, int | None, int], Floats]:
    """(row, 2) borders of the thirds by training, k and draw; NaN where a row was not tested.

    Args:
        found: of `predictions`.
        count: number of rows.
    """
    whole: dict[tuple[Training, int | None, int], Floats] = {}
    for one in found:
        if one.model == REFERENCE and one.borders_kg_ha is not None:
            borders = whole.setdefault((one.training, one.k, one.draw), np.full((count, 2), np.nan))
            borders[one.rows] = one.borders_kg_ha
    return whole


def score_keys(found: Sequence[Prediction]) -> list[tuple[Training, int | None, int]]:
    """How the predictions were trained, each once: training, k, draw."""
    order: dict[str, int] = {"in_domain": 0, "out_of_domain": 1, "out_plus_k": 2, "k_alone": 3}
    keys: dict[Any, None] = dict.fromkeys((one.training, one.k, one.draw) for one in found)
    return sorted(keys, key=lambda key: (order[key[0]], key[1] or 0, key[2]))
