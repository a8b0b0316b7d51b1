"""Model files of strangers: read as data against closed lists, and built from what was understood.

``check(path)`` reads a ``.keras`` file without importing Keras and raises `RefusedModel`; ``build(checked)``
makes the network. What is refused and why: ``refusal.RULES``.
"""

from __future__ import annotations

from yieldcast.model_files.building import build
from yieldcast.model_files.checking import CheckedModel, check
from yieldcast.model_files.limits import Limits
from yieldcast.model_files.refusal import RULES, RefusedModel

__all__ = ["RULES", "CheckedModel", "Limits", "RefusedModel", "build", "check"]
