"""Whether a PNG file is whole: GDAL reads a truncated one without an error, with whatever is in memory.

The layout is that of the PNG Specification, Third Edition (W3C 2025), Sections 5 (chunks) and 11.2.1 (IHDR).
"""

from __future__ import annotations

import zlib
from pathlib import Path

from yieldcast.errors import SchemaError

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # of a pixel, by colour type
_MOST_FILE_BYTES = 2**27


def check_png(path: Path) -> None:
    """Check signature, chunks with their checksums, and that the pixels are all there.

    Args:
        path: of a file that exists.

    Raises:
        SchemaError: anything of it is not so, or the file is interlaced.
    """
    if path.stat().st_size > _MOST_FILE_BYTES:
        raise _error(path, f"of more than {_MOST_FILE_BYTES // 2**20} MiB")
    content = path.read_bytes()
    if not content.startswith(_SIGNATURE):
        raise _error(path, "of another format")
    header, packed, at = b"", bytearray(), len(_SIGNATURE)
    while True:
        size = int.from_bytes(content[at : at + 4], "big")
        kind, end = content[at + 4 : at + 8], at + 8 + size
        if len(content) < end + 4:
            raise _error(path, "that ends too early")
        if zlib.crc32(content[at + 4 : end]) != int.from_bytes(content[end : end + 4], "big"):
            raise _error(path, "with a wrong checksum")
        if kind == b"IHDR":
            header = content[at + 8 : end]
        elif kind == b"IDAT":
            packed += content[at + 8 : end]
        elif kind == b"IEND":
            break
        at = end + 4
    _check_pixels(path, header, bytes(packed))


def _check_pixels(path: Path, header: bytes, packed: bytes) -> None:
    if len(header) != 13 or header[9] not in _SAMPLES:
        raise _error(path, "without a header")
    if header[12]:
        raise _error(path, "that is interlaced")
    width, height = (int.from_bytes(header[k : k + 4], "big") for k in (0, 4))
    expected = height * (1 + (width * _SAMPLES[header[9]] * header[8] + 7) // 8)
    if expected > 2 * _MOST_FILE_BYTES:
        raise _error(path, f"of {width} x {height} pixels")
    unpacking = zlib.decompressobj()
    try:
        size = len(unpacking.decompress(packed, expected + 1))
    except zlib.error as error:
        raise _error(path, f"with damaged pixels ({error})") from None
    if size != expected:
        raise _error(path, "with pixels missing or too many")


def _error(path: Path, text: str) -> SchemaError:
    return SchemaError(
        f"{path}: not a PNG or GeoTIFF that can be used: expected a whole PNG file, received one {text}",
        "Save the tile again, or leave it out.",
    )
