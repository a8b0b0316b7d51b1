"""Operations counted by hand, and by TensorFlow's own profiler."""

import math

import keras
import pytest
import tensorflow as tf

from yieldcast.workspace.sandbox import flop

layers = keras.layers


def model(shape, *parts):
    return keras.Sequential([keras.Input(shape), *parts])


def profiled(built):
    """Operations of one row by the profiler of TensorFlow's graphs."""
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    given = tf.TensorSpec((1, *built.inputs[0].shape[1:]), tf.float32)
    traced = tf.function(lambda rows: built(rows, training=False)).get_concrete_function(given)
    graph = convert_variables_to_constants_v2(traced).graph
    options = tf.compat.v1.profiler.ProfileOptionBuilder.float_operation()
    options["output"] = "none"
    return tf.compat.v1.profiler.profile(graph, options=options).total_float_ops


def test_dense_costs_two_for_each_weight_one_for_each_bias_and_activation():
    counted = flop.of_model(model((5,), layers.Dense(7, activation="relu"), layers.Dense(3, use_bias=False)))
    assert counted.forward == 2 * 5 * 7 + 7 + 7 + 2 * 7 * 3
    # gradients of the weights of both, and of the inputs of the second one
    assert counted.backward == (2 * 5 * 7 + 14) + 2 * (2 * 7 * 3)


def test_a_convolution_costs_its_kernel_at_each_place():
    counted = flop.of_model(model((8, 8, 3), layers.Conv2D(4, 3, padding="same")))
    assert counted.forward == 8 * 8 * 4 * (2 * 3 * 3 * 3) + 8 * 8 * 4
    counted = flop.of_model(model((8, 8, 4), layers.Conv2D(4, 3, strides=2, groups=2, use_bias=False)))
    assert counted.forward == 3 * 3 * 4 * (2 * 3 * 3 * 2)


@pytest.mark.parametrize(
    "part",
    [
        layers.Dense(6), layers.Conv2D(4, 3), layers.Conv2D(4, 3, strides=2, padding="same"),
        layers.DepthwiseConv2D(3, depth_multiplier=2, use_bias=False),
        layers.SeparableConv2D(5, 3, use_bias=False),
    ],
    ids=lambda part: part.name,
)  # fmt: skip
def test_the_profiler_counts_the_same(part):
    built = model((9, 9, 3), part)
    assert flop.of_model(built).forward == profiled(built)


def test_recurrent_layers_cost_all_gates_at_each_step():
    lstm = flop.of_model(model((6, 3), layers.LSTM(5)))
    gru = flop.of_model(model((6, 3), layers.GRU(5)))
    # and one for each bias and activation of the output
    assert lstm.forward == 6 * 2 * 4 * 5 * (3 + 5) + 2 * 5
    assert gru.forward == 6 * 2 * 3 * 5 * (3 + 5) + 2 * 5
    both = flop.of_model(model((6, 3), layers.Bidirectional(layers.LSTM(5))))
    assert both.forward == pytest.approx(2 * lstm.forward, abs=20)


def test_attention_costs_projections_scores_and_means():
    given = keras.Input((10, 8))
    built = keras.Model(given, layers.MultiHeadAttention(2, key_dim=4, value_dim=3)(given, given))
    projections = 10 * 8 * 2 * (4 + 4 + 3)
    attention = 2 * 10 * 10 * (4 + 3)
    out = 10 * 2 * 3 * 8
    assert flop.of_model(built).forward == 2 * (projections + attention + out) + 10 * 8


def test_a_layer_for_each_step_counts_each_step():
    counted = flop.of_model(model((4, 5), layers.TimeDistributed(layers.Dense(3))))
    assert counted.forward == 4 * (2 * 5 * 3 + 3)


def test_a_model_inside_a_model_counts_as_its_layers_and_twice_where_it_is_used_twice():
    inner = model((5,), layers.Dense(5, use_bias=False))
    given = keras.Input((5,))
    assert flop.of_model(keras.Model(given, inner(inner(given)))).forward == 2 * (2 * 5 * 5)


def test_frozen_layers_before_all_trained_ones_cost_no_backward_pass():
    built = model((5,), layers.Dense(5, use_bias=False), layers.Dense(2, use_bias=False))
    built.layers[0].trainable = False
    assert flop.of_model(built).backward == 2 * 5 * 2
    built.layers[0].trainable, built.layers[1].trainable = True, False
    assert flop.of_model(built).backward == 2 * 5 * 5 + 2 * 5 * 2


def test_other_layers_cost_one_for_each_element():
    counted = flop.of_model(model((6, 6, 2), layers.MaxPooling2D(2), layers.Flatten()))
    assert counted.forward == math.prod((6, 6, 2)) + 3 * 3 * 2
    assert counted.backward == 0
