"""An upload: parts of a form are read as they arrive, the model goes to a file."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from yieldcast.workspace.server.problems import RequestError

if TYPE_CHECKING:
    from fastapi import Request

ABOUT_BYTES = 1 << 16  # a declaration with a thousand output names has some 20 kB
PREFIX = "upload-"  # of temporary files
_FRAME_BYTES = 1 << 14  # boundaries and headers of two parts


@dataclass(frozen=True)
class Upload:
    """A model that has arrived whole.

    Args:
        path: temporary file; who takes the upload removes it.
        size: bytes.
        about: the part ``about``, JSON as it was sent.
    """

    path: Path
    size: int
    about: bytes


async def receive(request: Request, folder: Path, limit: int, seconds: float) -> Upload:
    """Read a form with the parts ``model`` (a file) and ``about`` (JSON).

    Args:
        request: its body has not been read.
        folder: for the temporary file; exists.
        limit: bytes of the model at most.
        seconds: time until the whole form must be here.

    Raises:
        RequestError: 413 too large, 408 too slow, 400 no such form or cut off; no file is left.
    """
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limit + ABOUT_BYTES + _FRAME_BYTES:
        raise too_large(limit)
    path = folder / f"{PREFIX}{secrets.token_hex(8)}.tmp"
    file = os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb")
    whole = False
    try:
        with file:
            form = _Form(_boundary(request), file, limit)
            async with asyncio.timeout(seconds):
                await _feed(form, request.stream())
            await asyncio.to_thread(_flush, file)
        if form.counts != {"model": 1, "about": 1} or not form.ended:
            raise RequestError(
                HTTPStatus.BAD_REQUEST,
                f"expected a form with one part model and one part about, received {sorted(form.counts)}"
                + ("" if form.ended else ", cut off"),
                "Send it again: yieldcast workspace submit.",
            )
        whole = True
        return Upload(path, form.size, bytes(form.about))
    except TimeoutError:
        message = f"expected the whole model within {seconds:.0f} s"
        raise RequestError(
            HTTPStatus.REQUEST_TIMEOUT, message, "Send it again, on a faster connection."
        ) from None
    finally:
        if not whole:
            path.unlink(missing_ok=True)


def too_large(limit: int) -> RequestError:
    """413: the model has more bytes than allowed."""
    return RequestError(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        f"expected a model of at most {limit:,} bytes, received more",
        "Save it without the state of the optimizer, or submit a smaller model.",
    )


def _flush(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())


async def _feed(form: _Form, chunks: AsyncIterator[bytes]) -> None:
    from python_multipart.exceptions import FormParserError
    from starlette.requests import ClientDisconnect

    try:
        async for chunk in chunks:
            form.feed(chunk)
    except FormParserError as error:
        raise RequestError(HTTPStatus.BAD_REQUEST, f"expected multipart/form-data: {error}") from None
    except ClientDisconnect:
        raise RequestError(
            HTTPStatus.BAD_REQUEST, "the connection was lost before the model was whole"
        ) from None


def _boundary(request: Request) -> bytes:
    from python_multipart.multipart import parse_options_header

    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if kind != b"multipart/form-data" or not 1 <= len(options.get(b"boundary", b"")) <= 70:
        raise RequestError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f"expected multipart/form-data, received {kind.decode('latin-1')[:60]!r}",
            "Send the parts model and about: yieldcast workspace submit.",
        )
    return options[b"boundary"]


class _Form:
    """The parts of a form as they come: ``model`` into a file, ``about`` into memory.

    Args:
        boundary: between the parts.
        file: gets the model.
        limit: bytes of the model at most.
    """

    def __init__(self, boundary: bytes, file: IO[bytes], limit: int) -> None:
        from python_multipart.multipart import MultipartParser

        self.size, self.about = 0, bytearray()
        self.counts: dict[str, int] = {}
        self.ended = False
        self._file, self._limit = file, limit
        self._part, self._field, self._value, self._disposition = "", b"", b"", b""
        calls: dict[str, Callable[..., Any]] = {
            "on_part_begin": self._begin, "on_header_field": self._on_field,
            "on_header_value": self._on_value, "on_header_end": self._on_header,
            "on_headers_finished": self._on_headers, "on_part_data": self._on_data, "on_end": self._end,
        }  # fmt: skip
        self._parser = MultipartParser(boundary, calls)  # type: ignore[arg-type]

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the body."""
        self._parser.write(chunk)

    def _begin(self) -> None:
        self._part, self._field, self._value, self._disposition = "", b"", b"", b""

    def _on_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header(self) -> None:
        if self._field.lower() == b"content-disposition":
            self._disposition = self._value
        self._field = self._value = b""

    def _on_headers(self) -> None:
        from python_multipart.multipart import parse_options_header

        _, options = parse_options_header(self._disposition)
        self._part = options.get(b"name", b"").decode("utf-8", "replace")[:40]
        self.counts[self._part] = self.counts.get(self._part, 0) + 1
        if self._part not in ("model", "about") or self.counts[self._part] > 1:
            raise RequestError(
                HTTPStatus.BAD_REQUEST, f"expected one part model and one part about, received {self._part!r}"
            )

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        piece = data[start:end]
        if self._part == "about":
            self.about += piece
            if len(self.about) > ABOUT_BYTES:
                message = f"expected a part about of at most {ABOUT_BYTES:,} bytes"
                raise RequestError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, message)
            return
        self.size += len(piece)
        if self.size > self._limit:
            raise too_large(self._limit)
        self._file.write(piece)

    def _end(self) -> None:
        self.ended = True
