import keras
import pytest
from keras import layers, ops
from model_archives import saved


def _small():
    """Two inputs, layers and an operation: what the rules are tried on."""
    image, static = keras.Input((4, 4, 1), name="image"), keras.Input((3,), name="static")
    made = layers.Conv2D(
        2, 3, activation="relu", kernel_regularizer=keras.regularizers.L2(0.1), name="conv2d"
    )(image)
    made = layers.Dense(3, name="dense")(layers.Flatten()(layers.Dropout(0.1)(made)))
    made = layers.Add()([made, ops.nan_to_num(static[:, 0:3])])
    return keras.Model(
        {"image": image, "static": static}, layers.Dense(2, name="classes")(made), name="small"
    )


@pytest.fixture(scope="session")
def small_file(tmp_path_factory):
    """A valid file."""
    keras.utils.set_random_seed(1)
    return saved(_small(), tmp_path_factory.mktemp("model") / "small.keras")


@pytest.fixture(scope="session")
def small_content(small_file):
    return small_file.read_bytes()
