"""Studies of crop types: the law of dates, scores against scikit-learn, what is kept, sentences by rule."""

import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import f1_score

from yieldcast import language
from yieldcast.comparison.bootstrap import Difference
from yieldcast.crop_types.classifier import CropTypeSettings
from yieldcast.encoders.presto_inputs import raw_columns
from yieldcast.errors import ConfigError, SchemaError
from yieldcast.pixels import pixel_series
from yieldcast.transfer.crop_types import learners as learning
from yieldcast.transfer.crop_types.advice import advice
from yieldcast.transfer.crop_types.learners import BOTH, RUN, RUN_WITH, TREES, HeadLearner, Source, learners
from yieldcast.transfer.crop_types.results import run_study, write_result
from yieldcast.transfer.crop_types.rows import rows_of
from yieldcast.transfer.crop_types.scores import CropTypeScore, Paired, gap
from yieldcast.transfer.crop_types.splits import FewLabels
from yieldcast.transfer.crop_types.study import CropTypeStudy, predictions
from yieldcast.transfer.crop_types.tables import crop_type_tables
from yieldcast.transfer.scores import ALL

CLASSES = ("maize", "pasture", "soybean")
WORDS = language.of("en")


def series_of(places=36, seed=0):
    """NDVI of three crops, three groups two degrees apart, each place in 2015, 2016 and 2017."""
    rng, count = np.random.default_rng(seed), 3 * places
    place = np.arange(count) // 3
    kind, group = place % 3, place // 3 % 3
    ndvi = 0.3 + 0.4 * np.exp(-((np.arange(6) - 1 - 1.5 * kind[:, None] - 0.4 * group[:, None]) ** 2) / 2)
    return pixel_series.create(
        {"NDVI": ndvi + rng.normal(0, 0.15, ndvi.shape)}, np.tile(np.arange(6), (count, 1)),
        -12.0 - group * 2, -55 - place / 9, np.arange(count), "month",
        label=np.array(CLASSES)[kind], group=[f"g{g}" for g in group], season=2015 + np.arange(count) % 3,
    )  # fmt: skip


def study_of(series, protocol, **options):
    """Two linear heads stand for the run and for trees: they are quick."""
    rows = rows_of(series)
    values = raw_columns(rows.series)[0]
    made = (
        HeadLearner(RUN, "linear", Source("all", lambda: values)),
        HeadLearner(TREES, "linear", Source("three", lambda: values[:, :3])),
    )
    return CropTypeStudy(rows, protocol, made, **options)


@pytest.fixture(scope="module")
def series():
    return series_of()


def test_a_season_is_predicted_from_earlier_seasons_only(series, tmp_path):
    """The law of dates: labels and values of the test season and after are changed, no prediction moves."""
    changed = series.copy(deep=True)
    labels = changed["label"].values.copy()
    later = changed["season"].values.astype(int) >= 2016
    test = changed["season"].values == "2016"
    changed["values"].values[later & ~test] += 0.3
    labels[later] = np.roll(labels[later], 5)
    changed["label"] = ("sample", labels)
    found = []
    for number, one in enumerate((series, changed)):
        every = predictions(study_of(one, "temporal", test_seasons=("2016",)), tmp_path / f"kept{number}")
        found.append({p.model: p.values[p.tested] for p in every if p.training == "out_of_domain"})
    assert set(found[0]) == {RUN, TREES, BOTH}
    for model, values in found[0].items():
        assert len(values) == 36
        np.testing.assert_array_equal(values, found[1][model])


def test_scores_inside_and_outside_are_of_the_same_rows(series, tmp_path):
    study = study_of(series, "geographic")
    result = run_study(study, tmp_path)
    every = predictions(study, tmp_path / "fits")
    by = {(one.domain, one.training, one.model): one for one in result.scores}
    for one in every:
        assert one.tested.all()
        for domain, mask in ((ALL, study.domain != ""), ("g1", study.domain == "g1")):
            truth, predicted = study.rows.truth[mask], one.values[mask].argmax(axis=1)
            score = by[domain, one.training, one.model]
            assert score.macro_f1 == pytest.approx(f1_score(truth, predicted, average="macro"))
            assert score.accuracy == pytest.approx((truth == predicted).mean())
            assert score.low <= score.macro_f1 <= score.high
            assert score.n == mask.sum()
    assert gap(result.scores, ALL, RUN) == pytest.approx(
        by[ALL, "in_domain", RUN].macro_f1 - by[ALL, "out_of_domain", RUN].macro_f1
    )
    pair = next(one for one in result.pairs if (one.training, one.a, one.b) == ("out_of_domain", RUN, TREES))
    assert pair.difference.difference == pytest.approx(
        by[ALL, "out_of_domain", RUN].macro_f1 - by[ALL, "out_of_domain", TREES].macro_f1
    )
    assert "squares with sides of 1°" in result.notes[1]
    document = json.loads(write_result(result, tmp_path)[0].read_text())
    assert document["advice"] == result.advice(WORDS)
    titles = [one.title for one in crop_type_tables(result, WORDS)]
    assert len(titles) == 3
    assert all("held-out places" in one for one in titles)


def test_a_second_call_fits_only_what_is_missing(series, tmp_path, monkeypatch):
    study = study_of(series, "random")
    first = run_study(study, tmp_path)
    sorted((tmp_path / "fits").iterdir())[0].unlink()
    fitted, fit = [], learning.fit_heads
    monkeypatch.setattr(learning, "fit_heads", lambda *a: fitted.append(a) or fit(*a))
    assert run_study(study, tmp_path).scores == first.scores
    assert len(fitted) == 1
    # other labels are other fits
    other = study_of(series.assign(label=("sample", np.roll(series["label"].values, 3))), "random")
    run_study(other, tmp_path)
    assert len(fitted) == 11


def test_few_labels_are_means_over_draws(series, tmp_path):
    study = study_of(series, "few-shot", few=FewLabels((0, 3), 2, "class"), hold_out="group")
    result = run_study(study, tmp_path)
    every = [one for one in predictions(study, tmp_path / "fits") if one.model == RUN]
    score = {(one.training, one.k): one for one in result.scores if (one.domain, one.model) == (ALL, RUN)}
    assert list(score) == [
        ("in_domain", None), ("out_of_domain", 0), ("out_plus_k", 3), ("k_alone", 3),
    ]  # fmt: skip
    draws = [
        f1_score(study.rows.truth[one.tested], one.values[one.tested].argmax(axis=1), average="macro")
        for one in every
        if (one.training, one.k) == ("k_alone", 3)
    ]
    assert score["k_alone", 3].draws == 2
    assert score["k_alone", 3].macro_f1 == pytest.approx(np.mean(draws))
    assert score["k_alone", 3].macro_f1_sd == pytest.approx(np.std(draws, ddof=1))
    assert score["k_alone", 3].train_rows == 9
    tables = crop_type_tables(result, WORDS)
    assert [line[0] for line in tables[0].lines][:3] == ["all: encoder", "all: trees", "all: encoder + trees"]
    assert tables[0].heads[1:] == ("ID", "OOD", "OOD + 3", "3 alone")


def test_series_are_embedded_once_for_each_setting(series, tmp_path):
    class Encoder:
        """Has weights, as far as names of files go."""

        positions = 24

        def get_weights(self):
            return [np.ones(3)]

    rows = rows_of(series)
    made = learners(rows, CropTypeSettings(pool="global"), Encoder(), tmp_path, ["run", "location"])
    assert [one.name for one in made] == [RUN, RUN_WITH]
    assert len({one.mark for one in made}) == 2
    kept = {one.name: np.random.default_rng(k).normal(size=(108, 4)) for k, one in enumerate(made)}
    # what an earlier call left is taken as it is
    (tmp_path / "inputs").mkdir()
    for one in made:
        np.save(tmp_path / "inputs" / f"{one.source.mark[:16]}.npy", kept[one.name].astype(np.float32))
    for one in made:
        np.testing.assert_allclose(one.source.values, kept[one.name], rtol=1e-6)
    study = CropTypeStudy(rows, "random", made)
    assert {one.model for one in predictions(study, tmp_path / "fits")} == {RUN, RUN_WITH}


def _score(model, macro_f1):
    return CropTypeScore(
        ALL, "out_of_domain", None, model, 1, 90, 80, macro_f1, macro_f1, None, 0.1, 0.9, {}, {}
    )


def _pair(a, b, value, half):
    found = Difference(value, 12, value - half, value + half, "bootstrap", None, None)
    return Paired("out_of_domain", None, a, b, found)


def test_sentences_follow_the_rule():
    scores = [_score(RUN, 0.84), _score(RUN_WITH, 0.38), _score(TREES, 0.9)]
    pairs = [_pair(RUN, TREES, -0.06, 0.05), _pair(RUN_WITH, RUN, -0.46, 0.1)]
    learner, location = advice(scores, pairs, WORDS)
    assert learner.startswith("Boosted trees on the raw series are better out of domain: trees has macro-F1")
    assert "-0.060 [-0.110; -0.010]" in learner
    assert learner.endswith("crop-type train --encoder none --head boosted.")
    assert "macro-F1 is 0.380 out of domain, without 0.840" in location
    assert location.endswith("train with --location no.")
    assert "0,380" in language.of("pt-BR").said(advice(scores, pairs, language.of("pt-BR"))[1])
    # one region that is lost outweighs a gain of all together
    lost = [replace(_score(name, f1), domain="Khorezm") for name, f1 in ((RUN, 0.85), (RUN_WITH, 0.64))]
    gain = [_pair(RUN, TREES, -0.06, 0.05), _pair(RUN_WITH, RUN, 0.04, 0.01)]
    _, all_together, region = advice([*scores, *lost], gain, WORDS)
    assert region.startswith("Latitude and longitude ruin Khorezm: macro-F1 0.640 with them, 0.850 without.")
    assert all_together.endswith("train with --location no.")
    assert advice(scores, gain, WORDS)[-1].endswith("--location yes helps here.")
    level = advice(scores, [_pair(RUN, TREES, -0.06, 0.07), *pairs[1:]], WORDS)[0]
    assert level.startswith("No real difference out of domain between encoder and trees")
    better = advice([replace(scores[0], macro_f1=0.95), *scores[1:]], [_pair(RUN, TREES, 0.05, 0.01)], WORDS)
    assert better[0].endswith("Map with it: this run.")


def test_what_a_study_cannot_use_is_refused(series):
    with pytest.raises(ConfigError, match="nothing would be out of domain"):
        study_of(series, "geographic", hold_out="none")
    with pytest.raises(ConfigError, match="a number of labels above 0"):
        study_of(series, "few-shot", few=FewLabels((0,), 2, "class"))
    with pytest.raises(ConfigError, match="no series of the season 2031"):
        study_of(series, "temporal", test_seasons=("2031",)).splits()
    with pytest.raises(SchemaError, match="a season before 2015"):
        study_of(series, "temporal", test_seasons=("2015",)).splits()
    one = series.isel(sample=np.flatnonzero(series["season"].values == "2016"))
    with pytest.raises(SchemaError, match="two seasons or more") as caught:
        study_of(one, "temporal").check()
    assert caught.value.exit_code == 5


@pytest.mark.slow
def test_a_fine_tuned_run_is_trained_anew_for_each_split(tmp_path):
    """Labels of tested places are changed: networks that were trained without them say the same."""
    few = series_of(places=18)
    few = few.isel(sample=np.flatnonzero(few["season"].values != "2017"))
    settings = CropTypeSettings(pool="global", mode="scratch", epochs=1)
    changed = few["label"].values.copy()
    test = few["season"].values == "2016"
    changed[test] = np.roll(changed[test], 1)
    found = []
    for number, one in enumerate((few, few.assign(label=("sample", changed)))):
        rows = rows_of(one)
        made = learners(rows, settings, None, tmp_path / f"{number}", ["run", "trees"])
        assert [learner.name for learner in made] == ["from scratch", TREES]
        split = CropTypeStudy(rows, "temporal", made).splits()[0]
        found.append(made[0].fit(rows.take(split.train))(rows.take(split.test)))
    np.testing.assert_array_equal(*found)
    np.testing.assert_allclose(found[0].sum(axis=1), 1, rtol=1e-5)
