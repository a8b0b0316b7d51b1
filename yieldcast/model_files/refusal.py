"""The refusal of a model file: which rule, what was expected and received, and what to do."""

from __future__ import annotations

from yieldcast.errors import SchemaError

# Every rule by which a file is refused, with one line for readers.
RULES = {
    "archive": "the file is a whole zip archive, by its content",
    "member": "the archive holds config.json, metadata.json and one file of weights, and nothing else",
    "link": "no member of the archive is a link",
    "encrypted": "no member of the archive is encrypted",
    "duplicate": "no member of the archive and no key of a JSON object is there twice",
    "size": "sizes stay within the limits, and nothing is larger than what is stored",
    "json": "config.json and metadata.json are plain JSON of bounded depth, without NaN or infinity",
    "keras-version": "the file was written by Keras 3",
    "lambda": "no Lambda layer and no lambda function, at any depth",
    "function": "no function by name where the value is not one of a closed list",
    "module": "every module is one of a closed list",
    "class": "every class is one of a closed list",
    "path": "no text looks like a path or an address",
    "vocabulary": "no layer that reads a vocabulary",
    "foreign-code": "no layer that wraps a module of PyTorch, Flax or JAX",
    "external-model": "no layer that loads another model",
    "argument": "every argument of a layer is known, of its type and within its range",
    "graph": "the layers make one graph without loops, which Keras can build",
    "hdf5": "the file of weights is HDF5 as Keras writes it",
    "hdf5-link": "the file of weights has hard links only, each object once",
    "hdf5-storage": "weights are stored in the file itself, in one piece, without filters",
    "npz": "a file of weights in npz holds plain arrays",
    "pickle": "a file of weights in npz holds no Python objects",
    "dtype": "weights are floating-point or whole numbers of a known size",
    "not-finite": "no weight is NaN or infinite",
    "unexpected": "the check itself does not fail",
    "weights": "the weights are those of the network: the same names and shapes",
}


class RefusedModel(SchemaError):  # noqa: N818  (what other rooms call it)
    """A model file that is not read.

    Args:
        message: what was expected and received.
        hint: what to do.
        rule: one of `RULES`.
    """

    def __init__(self, message: str, hint: str = "", rule: str = "archive") -> None:
        super().__init__(message, hint)
        self.rule = rule


def quoted(value: object, longest: int = 80) -> str:
    """A value of a file for a message: short, in one line, whatever it holds."""
    text = ascii(value) if not isinstance(value, (dict, list)) else f"a {type(value).__name__}"
    return text if len(text) <= longest else text[:longest] + "..."
