"""Integrated gradients: what each input adds to the output of a network, from a baseline on.

Sundararajan, Taly & Yan 2017, "Axiomatic attribution for deep networks", ICML, eq. 1: the difference of an
input from its baseline times the mean gradient on the straight line between them. Their sum is the difference
of the outputs (completeness, Proposition 1), up to the error of the sum that replaces the integral.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
# (point, ...) inputs -> (point,) outputs and (point, ...) their gradients
WithGradient = Callable[[Floats], tuple[Floats, Floats]]

FIRST_STEPS, MOST_STEPS = 16, 512
TOLERANCE_SHARE, TOLERANCE = 0.01, 1.0  # of the difference of the outputs, or kg/ha


@dataclass(frozen=True)
class Attribution:
    """What each input adds.

    Args:
        values: as the inputs, in units of the output.
        difference: of the outputs at the inputs and at the baseline.
        steps: points of the sum.
    """

    values: Floats
    difference: float
    steps: int

    @property
    def error(self) -> float:
        """By how much the values miss the difference."""
        return float(self.values.sum() - self.difference)


def attribute(both: WithGradient, inputs: Floats, baseline: Floats) -> Attribution:
    """Integrated gradients by the midpoint rule, with more points until the sum is complete.

    Complete is an error of at most 1 % of the difference or 1 kg/ha; with 512 points it is taken as it is,
    and `Attribution.error` says how large it is.

    Args:
        both: outputs and gradients of many points.
        inputs, baseline: of one point.
    """
    ends, _ = both(np.stack((baseline, inputs)))
    difference, steps = float(ends[1] - ends[0]), FIRST_STEPS
    while True:
        way = (np.arange(steps) + 0.5) / steps
        points = baseline + way.reshape((-1,) + (1,) * inputs.ndim) * (inputs - baseline)
        found = Attribution((inputs - baseline) * both(points)[1].mean(axis=0), difference, steps)
        enough = abs(found.error) <= max(TOLERANCE, TOLERANCE_SHARE * abs(difference))
        if enough or steps >= MOST_STEPS:
            return found
        steps *= 2


def mean_of_members(models: Sequence[Any], static: NDArray[np.float32]) -> WithGradient:
    """Mean yield of members and scenarios at one place, with gradients; runs on TensorFlow.

    Args:
        models: Keras members of physical units to kg/ha.
        static: (feature,) of the place.

    Returns:
        (point, scenario, step, variable) to (point,) kg/ha.
    """
    import tensorflow as tf

    def both(points: Floats) -> tuple[Floats, Floats]:
        count, scenarios = points.shape[:2]
        weather = tf.constant(points.reshape((-1, *points.shape[2:])), tf.float32)
        places = tf.tile(tf.constant(static[None], tf.float32), (len(weather), 1))
        total, gradients = np.zeros(len(weather)), np.zeros(weather.shape)
        for model in models:
            with tf.GradientTape() as tape:
                tape.watch(weather)
                told = model({"weather": weather, "static": places}, training=False)[:, 0]
            gradients += tape.gradient(told, weather).numpy() / len(models)
            total += told.numpy() / len(models)
        shape = (count, scenarios, *points.shape[2:])
        return total.reshape(count, scenarios).mean(axis=1), gradients.reshape(shape) / scenarios

    return both


def from_months(both: WithGradient, summed: int) -> WithGradient:
    """The same function of weather whose accumulated variable is given month by month.

    Args:
        both: of weather (..., step, variable) with one variable accumulated.
        summed: position of that variable.
    """

    def of_months(points: Floats) -> tuple[Floats, Floats]:
        whole = points.copy()
        whole[..., summed] = np.cumsum(points[..., summed], axis=-1)
        values, gradients = both(whole)
        own = gradients.copy()  # a month counts in its own sum and in all later ones
        own[..., summed] = np.cumsum(gradients[..., ::-1, summed], axis=-1)[..., ::-1]
        return values, own

    return of_months


def in_months(weather: Floats, summed: int) -> Floats:
    """Weather (..., step, variable) with the accumulated variable month by month."""
    months = weather.copy()
    months[..., summed] = np.diff(weather[..., summed], axis=-1, prepend=0.0)
    return months
