"""The models of the demo: better than the majority class, and better still with fine-tuning."""

import pytest

from yieldcast.workspace.scoring.scores import class_scores
from yieldcast.workspace.tasks.example_models import pretrained, small_cnn
from yieldcast.workspace.tasks.synthetic_tiles import CLASSES, SHARES, synthetic_tiles

pytestmark = pytest.mark.slow

RARE = ("corn", "potato", "rapeseed", "sugar beet")


@pytest.fixture(scope="module")
def regions():
    """Tiles of the contributors' own region, and training set and holdout of the workspace's."""
    own = synthetic_tiles(600, seed=1, side=32)
    return own, *(synthetic_tiles(count, seed=2 + count, side=32, shift=1.0) for count in (600, 400))


def test_fine_tuning_lifts_the_scores(regions):
    """Of the smallest model; the demo does it with all three."""
    own, training, holdout = regions
    model = pretrained(small_cnn, own.images, own.labels, classes=9, epochs=8)

    def scored():
        outputs = model.predict(holdout.images, batch_size=64, verbose=0)
        return class_scores(holdout.labels, outputs, CLASSES, RARE)

    before = scored()
    model.compile("adam", "sparse_categorical_crossentropy")
    model.optimizer.learning_rate = 2e-3
    model.fit(training.images, training.labels, epochs=4, batch_size=32, verbose=0)
    after = scored()
    assert before.main > SHARES.max() + 3 * before.errors["accuracy"]
    assert after.main > before.main
    assert after.values["log_score"] < before.values["log_score"]
    assert after.values["rare_recall"] > before.values["rare_recall"]
