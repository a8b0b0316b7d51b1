"""Random numbers that depend only on a member's seed and epoch, for all members of a block at once.

Keras, TensorFlow and JAX have no operation that draws for many seeds at once and gives the same numbers on
every backend. Threefry is counter-based: a number depends on key and counter only, so a member has the same
shuffles and noise alone, in a block of thirty, after a restart, and on both backends.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

Tensor = Any  # of the backend that Keras runs on

# Threefry-2x32, 20 rounds: Salmon, Moraes, Dror & Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3"
# (doi 10.1145/2063384.2063405), rotations of Table 2, parity constant of Section 3.3.
_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = 0x1BD11BDA

# Streams of one member and epoch. SEASONS is larger than any number of batches.
SHUFFLE = 0  # order of the rows; the noise of batch k has stream k + 1
SEASONS = 1 << 24  # mixed seasons of batch k have stream SEASONS + k


def bits(key: tuple[Tensor, Tensor], counter: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Two random words per counter.

    Args:
        key: two uint32 arrays.
        counter: two uint32 arrays; all four broadcast against each other.
    """
    keys = (*key, ops.bitwise_xor(ops.bitwise_xor(*key), _word(_PARITY)))
    first, second = (ops.add(c, k) for c, k in zip(counter, key, strict=True))
    for group in range(5):
        for turn in _ROTATIONS[group % 2]:
            first = ops.add(first, second)
            second = ops.bitwise_or(
                ops.bitwise_left_shift(second, turn), ops.bitwise_right_shift(second, 32 - turn)
            )
            second = ops.bitwise_xor(second, first)
        first = ops.add(first, keys[(group + 1) % 3])
        second = ops.add(second, ops.add(keys[(group + 2) % 3], _word(group + 1)))
    return first, second


def normal(seed: Tensor, epoch: Tensor, stream: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Standard normal numbers, (member, ``*shape``), by the inverse of the distribution function.

    Args:
        seed: (member,) int32.
        epoch: (member,) int32.
        stream: a scalar; each use of random numbers in an epoch has its own.
        shape: of the numbers of each member.
    """
    count = int(np.prod(shape))
    words = _words(seed, epoch, stream, count)
    # 23 bits in the middle of their cell, from -1 to 1 without the ends; exact in float32.
    cells = ops.cast(ops.bitwise_right_shift(words, 9), "float32")
    uniform = cells * np.float32(2.0**-22) + np.float32(2.0**-23 - 1)
    return ops.reshape(ops.erfinv(uniform) * np.float32(np.sqrt(2)), (-1, *shape))


def uniform(seed: Tensor, epoch: Tensor, stream: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Uniform numbers in [0, 1), (member, ``*shape``) float32; arguments as for `normal`."""
    words = _words(seed, epoch, stream, int(np.prod(shape)))
    # 24 bits: every value is exact in float32, and the largest stays below 1.
    cells = ops.cast(ops.bitwise_right_shift(words, 8), "float32") * np.float32(2.0**-24)
    return ops.reshape(cells, (-1, *shape))


def shuffles(seed: Tensor, epoch: Tensor, count: int, used: Tensor | None = None) -> Tensor:
    """A random order of 0 to count - 1 for every member, (member, count) int32.

    Args:
        seed, epoch: (member,) int32.
        count: length of the order.
        used: (member,) int32, the numbers below it come first, in random order; None for all.
    """
    words = _words(seed, epoch, ops.convert_to_tensor(SHUFFLE, "uint32"), count)
    keys = ops.cast(ops.bitwise_right_shift(words, 1), "int32")
    if used is not None:
        keys = ops.where(np.arange(count, dtype=np.int32)[None] < used[:, None], keys, np.int32(2**31 - 1))
    return ops.cast(ops.argsort(keys, axis=-1), "int32")


def _words(seed: Tensor, epoch: Tensor, stream: Tensor, count: int) -> Tensor:
    half = -(-count // 2)
    key = (ops.cast(seed, "uint32")[:, None], ops.cast(epoch, "uint32")[:, None])
    counter = (ops.convert_to_tensor(np.arange(half, dtype=np.uint32)[None]), ops.cast(stream, "uint32"))
    return ops.concatenate(bits(key, counter), axis=1)[:, :count]


def _word(value: int) -> Tensor:
    return ops.convert_to_tensor(np.uint32(value))
