"""How large a model file and what it describes may be."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 2**20


@dataclass(frozen=True)
class Limits:
    """Bounds that are checked before memory is taken.

    Args:
        file_bytes: of the archive, and of all its members unpacked.
        json_bytes: of config.json, and of metadata.json.
        json_nodes: values, objects and lists in one of them.
        json_depth: of objects and lists within each other.
        layers: of the network, those of networks inside it included.
        nesting: of networks and wrappers within each other.
        parameters: of all weights together. A vision transformer ViT-B/16 has 86 million.
        elements: numbers of one sample, of every input and of every output of a layer.
    """

    file_bytes: int = 1024 * MIB
    json_bytes: int = 16 * MIB
    json_nodes: int = 1_000_000
    json_depth: int = 100
    layers: int = 5_000
    nesting: int = 12
    parameters: int = 200_000_000
    elements: int = 2**26
