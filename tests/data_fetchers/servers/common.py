"""What all stand-in servers share: faults on demand, a log of requests, ranges, one process each.

    python SERVER.py [--port N]        prints "ready http://127.0.0.1:PORT" and serves until killed

Control (not logged):
    POST /_control/faults   [{"match": "part of path?query", "kind": KIND, "times": 1, ...}, ...] replaces all
    GET  /_control/log      [{"method", "path", "status", "fault", "token", "time" of arrival, ...}, ...]
    POST /_control/reset    forgets log and faults
    POST /_control/set      {"name": value}: settings of the server at hand

KINDs for every server: status (status, headers, body, type), sleep (seconds), cut (share of the body that
is sent before the connection breaks), lost (the request is carried out, its reply is not sent), html, empty,
redirect (to), huge (announces `bytes`, default 10 GB), body (text in place of the body).
Other kinds are left to the server's own `answer` as `request.fault`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import socket
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

HTML = b"<!DOCTYPE html><html><body><h1>Em manuten\xc3\xa7\xc3\xa3o</h1></body></html>"


@dataclass
class Request:
    method: str
    path: str  # decoded, without query
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes
    fault: dict | None = None

    def json(self):
        return json.loads(self.body or b"null")


@dataclass
class Reply:
    status: int = 200
    body: bytes = b""
    type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)


def as_json(value, status=200, **headers) -> Reply:
    return Reply(status, json.dumps(value).encode(), "application/json", headers)


class World:
    """A server's state; subclasses write `answer`. `ranges` servers honour Range on GET."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.faults: list[dict] = []
        self.log: list[dict] = []
        self.settings: dict = {}
        self.base = ""

    def answer(self, request: Request) -> Reply:
        raise NotImplementedError

    def take_fault(self, target: str) -> dict | None:
        with self.lock:
            for fault in self.faults:
                if fault["match"] in target and fault.get("times", 1) > 0:
                    fault["times"] = fault.get("times", 1) - 1
                    return dict(fault)
        return None

    def control(self, request: Request) -> Reply:
        with self.lock:
            what = request.path.rsplit("/", 1)[1]
            if what == "log":
                return as_json(self.log)
            if what == "faults":
                self.faults = request.json()
            elif what == "set":
                self.settings.update(request.json())
            elif what == "reset":
                self.faults, self.log = [], []
            return as_json({"ok": True})


def ranged(reply: Reply, headers: dict[str, str]) -> Reply:
    """The part of the body that a Range header asks for."""
    reply.headers.setdefault("Accept-Ranges", "bytes")
    wanted = headers.get("range", "")
    if not wanted.startswith("bytes=") or reply.status != 200:
        return reply
    first, _, last = wanted[6:].split(",")[0].partition("-")
    size = len(reply.body)
    start = int(first) if first else max(0, size - int(last))
    end = min(int(last), size - 1) if first and last else size - 1
    if start >= size:
        return Reply(416, b"", reply.type, {"Content-Range": f"bytes */{size}"})
    extra = {**reply.headers, "Content-Range": f"bytes {start}-{end}/{size}"}
    return Reply(206, reply.body[start : end + 1], reply.type, extra)


def handler_of(world: World):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, *_):
            pass

        def do_GET(self):
            self._serve()

        do_POST = do_PUT = do_DELETE = do_HEAD = do_GET

        def _serve(self):
            arrived = time.time()
            url = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {k.lower(): v for k, v in self.headers.items()}
            request = Request(self.command, unquote(url.path), parse_qs(url.query), headers, body)
            if request.path.startswith("/_control/"):
                return self._send(world.control(request))
            target = unquote(self.path)
            request.fault = fault = world.take_fault(f"{self.command} {target}")
            reply = self._reply(request, fault)
            with world.lock:
                world.log.append(
                    {
                        "method": self.command, "path": target, "status": reply.status if reply else 0,
                        "fault": fault["kind"] if fault else "", "token": headers.get("private-token", ""),
                        "range": headers.get("range", ""), "bytes": len(reply.body) if reply else 0,
                        "time": arrived,
                    }
                )  # fmt: skip
            if reply is None:
                return self._break()
            self._send(reply, fault)

        def _reply(self, request, fault):
            kind = fault["kind"] if fault else ""
            if kind == "status":
                body = fault.get("body", "")
                body = body if isinstance(body, str) else json.dumps(body)
                kind_of = fault.get("type", "application/json")
                return Reply(fault["status"], body.encode(), kind_of, fault.get("headers", {}))
            if kind == "sleep":
                time.sleep(fault["seconds"])
            if kind == "html":
                return Reply(200, HTML, "text/html")
            if kind == "empty":
                return Reply(200, b"")
            if kind == "body":
                return Reply(200, fault["body"].encode(), fault.get("type", "application/json"))
            if kind == "redirect":
                return Reply(302, b"", headers={"Location": fault["to"]})
            reply = world.answer(request)
            return None if kind == "lost" else reply

        def _send(self, reply, fault=None):
            kind = fault["kind"] if fault else ""
            self.send_response(reply.status)
            length = fault.get("bytes", 10**10) if kind == "huge" else len(reply.body)
            self.send_header("Content-Type", reply.type)
            self.send_header("Content-Length", str(length))
            for name, value in reply.headers.items():
                self.send_header(name, str(value))
            self.end_headers()
            if self.command == "HEAD":
                return
            body = reply.body
            if kind == "cut":
                body = body[: int(len(body) * fault.get("share", 0.5))]
            try:
                self.wfile.write(body)
                self.wfile.flush()
            except OSError:
                return self._break()
            if kind in ("cut", "huge"):
                self._break()

        def _break(self):
            self.close_connection = True
            with contextlib.suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)

    return Handler


class Server(ThreadingHTTPServer):
    request_queue_size = 64
    daemon_threads = True

    def handle_error(self, request, client_address):
        """Nothing: clients are killed in the middle on purpose."""


def main(world: World) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    server = Server(("127.0.0.1", parser.parse_args().port), handler_of(world))
    world.base = f"http://127.0.0.1:{server.server_address[1]}"
    print(f"ready {world.base}", flush=True)
    server.serve_forever()
