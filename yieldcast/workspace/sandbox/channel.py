"""Messages with open files between a worker and its sandbox, over a socket that both have from the start."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping
from typing import Any

_MOST_BYTES = 2**17
_MOST_FILES = 64


def send(channel: socket.socket, message: Mapping[str, Any], files: Mapping[str, int] | None = None) -> None:
    """Send a message, with open files by name.

    Raises:
        OSError: nobody reads any more.
    """
    named = dict(files or {})
    text = json.dumps({**message, "files": list(named)}).encode()
    socket.send_fds(channel, [text], list(named.values()))


def receive(channel: socket.socket) -> tuple[dict[str, Any], dict[str, int]] | None:
    """The next message and its files, or None when the other side has ended.

    Raises:
        OSError: the message is cut off.
    """
    text, files, flags, _ = socket.recv_fds(channel, _MOST_BYTES, _MOST_FILES)
    if not text:
        return None
    if flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
        for number in files:
            os.close(number)
        raise OSError("a message of the sandbox is cut off")
    message = json.loads(text)
    return message, dict(zip(message.pop("files"), files, strict=True))
