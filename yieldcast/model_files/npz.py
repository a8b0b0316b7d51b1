"""Arrays of a file of weights in npz: plain arrays only, sizes checked before they are made."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yieldcast.model_files.archive import read_members
from yieldcast.model_files.hdf5 import Weights
from yieldcast.model_files.refusal import RefusedModel, quoted

_HINT = "Save the model with its weights in HDF5, which is what model.save('model.keras') does."
_LONGEST_HEADER = 2000
_MAGIC = b"\x93NUMPY\x01\x00"
_LENGTH = re.compile(rb"\d{1,12}")
_HEADER = re.compile(
    rb"\x93NUMPY\x01\x00(?s:..)\{'descr': '(?P<kind>[<|][fiu][1248])', "
    rb"'fortran_order': (?P<order>True|False), 'shape': \((?P<shape>(?:\d{1,12}, ?)*(?:\d{1,12})?)\), \} *\n"
)


def read_npz(content: bytes, most: int) -> Weights:
    """All arrays of a file, as views of its bytes.

    Args:
        content: of the file.
        most: bytes of all members together.

    Returns:
        as `hdf5.read_hdf5`; a member is called ``layers/dense/vars/0.npy``.

    Raises:
        RefusedModel: Python objects, other members, or sizes that are not those of the stored bytes. The npz
            files of Keras itself hold Python objects.
    """
    found: Weights = {}
    for name, member in read_members(content, "the file of weights", most).items():
        layer, _, number = name.removesuffix(".npy").rpartition("/")
        plain = name.endswith(".npy") and number.isdigit() and (layer == "vars" or layer.endswith("/vars"))
        array = _array(member, name)
        if not plain or ".." in name or name.startswith("/") or "\\" in name:
            raise RefusedModel(f"file of weights: unexpected member {quoted(name)}", _HINT, "npz")
        found.setdefault(layer.removesuffix("vars").removesuffix("/"), {})[number] = array
    return found


def _array(content: bytes, name: str) -> NDArray[Any]:
    """An array of the format npy 1.0. Its header is matched, not evaluated as Python as NumPy does."""
    found = _HEADER.match(content)
    if found is None:
        if b"'|O'" in content[:_LONGEST_HEADER]:
            raise RefusedModel(f"{quoted(name)} holds Python objects, which can run code", _HINT, "pickle")
        rule = "dtype" if content.startswith(_MAGIC) else "npz"
        raise RefusedModel(f"{quoted(name)} is not an array of numbers as NumPy writes it", _HINT, rule)
    kind, shape = np.dtype(found["kind"].decode()), tuple(int(one) for one in _LENGTH.findall(found["shape"]))
    length = int.from_bytes(content[8:10], "little")
    begin = len(_MAGIC) + 2 + length
    if found.end() != begin or math.prod(shape) * kind.itemsize != len(content) - begin or len(shape) > 8:
        raise RefusedModel(
            f"{quoted(name)} declares the shape {quoted(str(shape))}, stores {len(content) - begin:,} bytes",
            _HINT, "size",
        )  # fmt: skip
    values = np.frombuffer(content, kind, math.prod(shape), begin)
    return values.reshape(shape, order="F" if found["order"] == b"True" else "C")
