"""Runs the server of a workspace until it is asked to stop."""

from __future__ import annotations

import errno
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from yieldcast.errors import ConfigError, MissingDataError

if TYPE_CHECKING:
    from fastapi import FastAPI

_CONNECTIONS = 500
_LAST_SECONDS = 10  # for requests that are being answered when the server is asked to stop


@dataclass(frozen=True)
class Tls:
    """Certificate and key, PEM files.

    Raises:
        MissingDataError: a file is not there.
    """

    certificate: Path
    key: Path

    def __post_init__(self) -> None:
        for file in (self.certificate, self.key):
            if not file.is_file():
                raise MissingDataError(f"no file {file}", "Give --tls-cert and --tls-key, PEM files.")


def listen(host: str, port: int) -> socket.socket:
    """A socket that is bound to an address, before anything else is started.

    Args:
        host: name or address.
        port: 0 takes a free one.

    Raises:
        ConfigError: the port is in use, or the address is not one of this machine.
    """
    try:
        family, kind, number, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        opened = socket.socket(family, kind, number)
        try:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            opened.bind(address)
            opened.listen(_CONNECTIONS)
        except OSError:
            opened.close()
            raise
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            message, hint = f"port {port} of {host} is in use", "Give another one: --port 8801."
        else:
            message = f"cannot listen on {host}, port {port}: {error.strerror or error}"
            hint = "Give an address of this machine."
        raise ConfigError(message, hint) from None
    return opened


def address(opened: socket.socket, tls: Tls | None) -> str:
    """Where a socket is reached, e.g. ``http://127.0.0.1:8800``."""
    host, port = opened.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    return f"{'https' if tls else 'http'}://{shown}:{port}"


def run(app: FastAPI, opened: socket.socket, tls: Tls | None = None, behind_proxy: bool = False) -> None:
    """Answer requests until SIGINT or SIGTERM; both are raised again afterwards, as KeyboardInterrupt.

    Args:
        app: what answers.
        opened: see `listen`.
        tls: None for http.
        behind_proxy: addresses of clients come from ``X-Forwarded-For`` of a proxy on this machine.
    """
    import uvicorn

    config = uvicorn.Config(
        app, log_config=None, access_log=False, server_header=False, proxy_headers=behind_proxy,
        limit_concurrency=_CONNECTIONS, timeout_graceful_shutdown=_LAST_SECONDS,
        ssl_certfile=tls.certificate if tls else None, ssl_keyfile=tls.key if tls else None,
    )  # fmt: skip
    uvicorn.Server(config).run(sockets=[opened])
