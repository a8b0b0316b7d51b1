"""A stand-in for the API server of Kubernetes: Jobs and NetworkPolicies over HTTP on this machine.

It answers with the codes and objects of the real one, as far as yieldcast uses it: created, listed by label
in pages, watched, patched and deleted objects; 409 for a name that is taken, 410 for a list or a watch that
is too old, 403 for pods that break the profile Restricted, 400 for unknown fields. What it takes is checked
by the models of the official client. Faults are put in a list: the next requests get them instead.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from kubernetes import client

_KINDS = {"jobs": ("batch", "Job"), "networkpolicies": ("networking.k8s.io", "NetworkPolicy")}
_SECCOMP = ("RuntimeDefault", "Localhost")
TOKEN = "a-token-of-the-test"


@dataclass
class Fault:
    """One answer that is given instead of the right one; code 0: the connection is cut."""

    code: int
    headers: dict[str, str] = field(default_factory=dict)
    method: str = ""


class RefusedError(Exception):
    """An answer that is no success."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.status = {
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": message, "reason": reason, "code": code,
        }  # fmt: skip


class Api:
    """The state: objects, their history, and the faults to come."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.objects: dict[tuple[str, str, str], dict[str, Any]] = {}
        self.history: list[tuple[int, str, str, dict[str, Any]]] = []
        self.oldest = 0  # versions before it are forgotten
        self.faults: list[Fault] = []
        self.requests: list[str] = []
        self.forget_pages = 0  # how many continued lists still get 410
        self._version = 100

    def put(self, kind: str, namespace: str, body: dict[str, Any], event: str) -> dict[str, Any]:
        """Store an object under a new version and tell those who watch."""
        with self.changed:
            self._version += 1
            body["metadata"]["resourceVersion"] = str(self._version)
            key = (kind, namespace, body["metadata"]["name"])
            if event == "DELETED":
                del self.objects[key]
            else:
                self.objects[key] = body
            self.history.append((self._version, kind, event, json.loads(json.dumps(body))))
            self.changed.notify_all()
        return body

    @property
    def version(self) -> str:
        """Of the whole state."""
        return str(self._version)

    def job(self, name: str) -> dict[str, Any]:
        """A Job by its name, in the only namespace."""
        return self.objects["jobs", "yieldcast", name]

    def names(self) -> list[str]:
        """Names of all Jobs."""
        return sorted(name for kind, _, name in self.objects if kind == "jobs")

    def end(self, name: str, how: str, reason: str = "", message: str = "") -> None:
        """What the Job controller writes at the end of a Job."""
        job = json.loads(json.dumps(self.job(name)))
        job["status"] = {
            "conditions": [{"type": how, "status": "True", "reason": reason, "message": message}]
        }
        self.put("jobs", "yieldcast", job, "MODIFIED")

    def remove(self, name: str) -> None:
        """Somebody deletes a Job by hand."""
        self.put("jobs", "yieldcast", self.job(name), "DELETED")


def _check(body: dict[str, Any], kind: str) -> None:
    """Refuse what the typed models of the client do not know, or would read as something else."""
    model = getattr(client, f"V1{kind}")
    try:
        read = _without_none(model.from_dict(body).to_dict(serialize=True))
    except ValueError as error:
        raise RefusedError(400, "BadRequest", f"strict decoding error: {error}") from None
    if read != _without_none(body):
        raise RefusedError(400, "BadRequest", "strict decoding error: unknown field")


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(each) for key, each in value.items() if each is not None}
    return [_without_none(each) for each in value] if isinstance(value, list) else value


def _admit_pod(pod: dict[str, Any]) -> None:
    """Pod Security admission, profile Restricted, and what a Job asks of its pods."""
    if pod.get("restartPolicy") not in ("Never", "OnFailure"):
        raise RefusedError(422, "Invalid", 'spec.template.spec.restartPolicy: Unsupported value: "Always"')
    whole = pod.get("securityContext", {})
    for container in pod["containers"]:
        own = container.get("securityContext", {})
        wrong = [
            name
            for name, right in {
                "allowPrivilegeEscalation != false": own.get("allowPrivilegeEscalation") is False,
                "unrestricted capabilities": own.get("capabilities", {}).get("drop") == ["ALL"],
                "runAsNonRoot != true": whole.get("runAsNonRoot") or own.get("runAsNonRoot"),
                "runAsUser=0": whole.get("runAsUser") != 0,
                "seccompProfile": whole.get("seccompProfile", {}).get("type") in _SECCOMP,
            }.items()
            if not right
        ]  # fmt: skip
        if wrong:
            message = f'violates PodSecurity "restricted:latest": {", ".join(wrong)}'
            raise RefusedError(403, "Forbidden", message)


class Handler(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"
    wbufsize = 65536  # head and body in one packet; otherwise each answer waits for an acknowledgement
    api: Api

    def log_message(self, *_: Any) -> None:
        """Silent."""

    def _act(self) -> None:
        url = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else {}
        self.api.requests.append(f"{self.command} {url.path.rpartition('/')[2]}")
        fault = next((f for f in self.api.faults if f.method in ("", self.command)), None)
        if fault is not None:
            self.api.faults.remove(fault)
            self._fail(fault)
            return
        try:
            if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                raise RefusedError(401, "Unauthorized", "Unauthorized")
            code, answer = self._answer(url.path, query, body)
        except RefusedError as refused:
            code, answer = refused.code, refused.status
        if answer is not None:
            self._send(code, answer)

    do_GET = do_POST = do_DELETE = do_PATCH = _act

    def _fail(self, fault: Fault) -> None:
        if fault.code == 0:
            self.close_connection = True
            self.connection.close()
            return
        reason = {429: "TooManyRequests", 403: "Forbidden", 410: "Expired"}.get(fault.code, "InternalError")
        self._send(fault.code, RefusedError(fault.code, reason, f"fault {fault.code}").status, fault.headers)

    def _answer(self, path: str, query: dict[str, str], body: dict[str, Any]) -> tuple[int, Any]:
        _, _, group, _, _, namespace, kind, *rest = path.split("/")
        if kind not in _KINDS or _KINDS[kind][0] != group:
            raise RefusedError(404, "NotFound", "the server could not find the requested resource")
        if namespace != "yieldcast":
            raise RefusedError(404, "NotFound", f'namespaces "{namespace}" not found')
        if self.command == "POST":
            return 201, self._create(kind, namespace, body)
        if not rest:
            return (
                self._watch(kind, query) if query.get("watch") == "true" else (200, self._list(kind, query))
            )
        found = self.api.objects.get((kind, namespace, rest[0]))
        if found is None:
            raise RefusedError(404, "NotFound", f'{kind} "{rest[0]}" not found')
        if self.command == "PATCH":
            return 200, self._patch(kind, namespace, found, body)
        if self.command == "DELETE":
            return 200, self._delete(kind, namespace, found, body)
        return 200, found

    def _create(self, kind: str, namespace: str, body: dict[str, Any]) -> dict[str, Any]:
        _check(body, _KINDS[kind][1])
        name = body["metadata"]["name"]
        if (kind, namespace, name) in self.api.objects:
            raise RefusedError(409, "AlreadyExists", f'{kind} "{name}" already exists')
        if kind == "jobs":
            _admit_pod(body["spec"]["template"]["spec"])
        made = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        body["metadata"] |= {"uid": str(uuid.uuid4()), "creationTimestamp": made}
        body["status"] = {} if kind == "jobs" else None
        return self.api.put(kind, namespace, _without_none(body), "ADDED")

    def _list(self, kind: str, query: dict[str, str]) -> dict[str, Any]:
        with self.api.changed:
            found = [
                item
                for (k, _, _), item in sorted(self.api.objects.items())
                if k == kind and _has(item, query)
            ]
            version = self.api.version
        first, limit = 0, int(query.get("limit", "0")) or len(found)
        if "continue" in query:
            if self.api.forget_pages:
                self.api.forget_pages -= 1
                raise RefusedError(410, "Expired", "The provided continue parameter is too old")
            first = int(query["continue"])
        about: dict[str, Any] = {"resourceVersion": version}
        if first + limit < len(found):
            about["continue"] = str(first + limit)
        group, name = _KINDS[kind]
        return {
            "kind": f"{name}List", "apiVersion": f"{group}/v1", "metadata": about,
            "items": found[first : first + limit],
        }  # fmt: skip

    def _watch(self, kind: str, query: dict[str, str]) -> tuple[int, None]:
        since, until = int(query["resourceVersion"]), time.monotonic() + float(query["timeoutSeconds"])
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")  # as the real one: each event arrives at once
        self.end_headers()
        self.close_connection = True
        try:
            self._events(kind, query, since, until)
            self.wfile.write(b"0\r\n\r\n")
        except OSError:  # the client has gone
            pass
        return 200, None

    def _events(self, kind: str, query: dict[str, str], since: int, until: float) -> None:
        if since < self.api.oldest:
            gone = RefusedError(410, "Expired", f"too old resource version: {since} ({self.api.oldest})")
            self._line({"type": "ERROR", "object": gone.status})
            return
        while time.monotonic() < until:
            with self.api.changed:
                new = [h for h in self.api.history if h[0] > since and h[1] == kind and _has(h[3], query)]
                if not new:
                    self.api.changed.wait(max(0.0, min(0.2, until - time.monotonic())))
            for version, _, event, item in new:
                since = version
                self._line({"type": event, "object": item})

    def _patch(self, kind: str, namespace: str, old: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
        if self.headers.get("Content-Type") != "application/merge-patch+json":
            raise RefusedError(415, "UnsupportedMediaType", "only merge patches here")
        _check(body, _KINDS[kind][1])
        merged = _merged(old, body)
        return self.api.put(kind, namespace, merged, "MODIFIED")

    def _delete(self, kind: str, namespace: str, old: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
        wanted = body.get("preconditions", {}).get("uid")
        if wanted not in (None, old["metadata"]["uid"]):
            raise RefusedError(409, "Conflict", "the UID in the precondition does not match")
        self.api.put(kind, namespace, old, "DELETED")
        return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}

    def _line(self, event: dict[str, Any]) -> None:
        line = json.dumps(event).encode() + b"\n"
        self.wfile.write(f"{len(line):x}\r\n".encode() + line + b"\r\n")
        self.wfile.flush()

    def _send(self, code: int, answer: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        content = json.dumps(answer).encode()
        self.send_response(code)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def _has(item: dict[str, Any], query: dict[str, str]) -> bool:
    wanted = dict(pair.split("=") for pair in query.get("labelSelector", "").split(",") if pair)
    labels = item["metadata"].get("labels", {})
    return all(labels.get(key) == value for key, value in wanted.items())


def _merged(old: Any, patch: Any) -> Any:
    """JSON merge patch, RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    base = dict(old) if isinstance(old, dict) else {}
    for key, value in patch.items():
        if value is None:
            base.pop(key, None)
        else:
            base[key] = _merged(base.get(key), value)
    return base


@contextmanager
def api_server() -> Iterator[tuple[Api, Any]]:
    """The state of a running stand-in, and an `ApiClient` of the official client that knows its token."""
    api = Api()
    handler = type("BoundHandler", (Handler,), {"api": api})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    options = client.Configuration(host=f"http://127.0.0.1:{server.server_port}")
    options.api_key = {"authorization": f"Bearer {TOKEN}"}
    options.retries = False
    connected = client.ApiClient(options)
    try:
        yield api, connected
    finally:
        connected.rest_client.pool_manager.clear()
        server.shutdown()
        server.server_close()
        thread.join()
