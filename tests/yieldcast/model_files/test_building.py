import json

import keras
import numpy as np
from numpy.testing import assert_array_equal

from yieldcast.model_files import build, check


def test_the_network_of_a_file_gives_the_same_bits_as_with_keras(small_file):
    checked = check(small_file)
    assert checked.inputs == {"image": (None, 4, 4, 1), "static": (None, 3)}
    assert checked.outputs == ("classes",)
    made, expected = build(checked), keras.models.load_model(small_file, compile=False)
    rng = np.random.default_rng(0)
    rows = {"image": rng.random((5, 4, 4, 1), np.float32), "static": rng.random((5, 3), np.float32)}
    assert_array_equal(made(rows, training=False), expected(rows, training=False))
    assert json.dumps(made.get_config()) == json.dumps(expected.get_config())
    assert checked.parameters == expected.count_params()
