"""Calls to the CDS test server that several test files make."""

import socket

KEY = "secret-token-123"
DATASET = "test-dataset"
REQUEST = {"year": ["2020"], "month": ["01", "02"], "variable": "2m_temperature"}
POST = f"POST /api/retrieve/v1/processes/{DATASET}/execution"


def posts(server) -> list[dict]:
    return [row for row in server.log() if row["method"] == "POST" and row["path"].endswith("/execution")]


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def problem(title, detail="", **more):
    return {"type": title, "title": title, "detail": detail, **more}
