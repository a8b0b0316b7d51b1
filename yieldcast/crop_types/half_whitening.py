"""Half-whitened principal components: inputs in which a logistic regression on many columns converges."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import PCA

# Components with a smaller share of the largest standard deviation are rounding errors of float32.
_NOISE = 1e-5


class HalfWhitening(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Principal components, each divided by the square root of its standard deviation.

    Embeddings of the steps of a series are strongly correlated: with the components as they are, logistic
    regression needs thousands of rounds of its optimiser. Divided by their whole standard deviation
    (whitened) it needs a few, but the ridge penalty then favours noise. Half way (our choice) it needs about
    a hundred, and scored highest on folds of training data (the samples of experiments/crop_type.py).

    Args:
        components: at most so many; those that are only rounding errors are left out.
    """

    def __init__(self, components: int = 1024) -> None:
        self.components = components

    def fit(self, inputs: NDArray[Any], classes: NDArray[Any] | None = None) -> Self:
        """Find the components of (sample, column) inputs, finite and scaled; classes are not used."""
        with np.errstate(invalid="ignore"):  # shares of the variance, where there is none
            self.pca_ = PCA(min(self.components, *inputs.shape), random_state=0).fit(inputs)
        spread = np.sqrt(self.pca_.explained_variance_)
        self.kept_ = spread > _NOISE * spread[0]
        self.kept_[0] = True  # of inputs that do not differ at all
        self.scale_ = np.sqrt(np.where(self.kept_ & (spread > 0), spread, 1.0))[self.kept_]
        return self

    def transform(self, inputs: NDArray[Any]) -> NDArray[np.float64]:
        """(sample, component) in double precision, which the optimiser needs."""
        made: NDArray[np.float64] = (
            self.pca_.transform(inputs)[:, self.kept_].astype(np.float64) / self.scale_
        )
        return made
