"""The server of a workspace on this machine, in a thread, for clients that open real connections."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager

import uvicorn
from scored_workspace import account_of, scored_workspace

from yieldcast.workspace.database.accounts import digest
from yieldcast.workspace.server.run import listen

TOKENS = {name: f"the-token-of-{name}" for name in ("owner", "Alpha", "Beta", "Gamma")}


def write_scored(path):
    """Make a workspace with the owner and Alpha, Beta and Gamma, whose tokens are known."""
    with scored_workspace(path) as made, made.write() as session:
        for name, token in TOKENS.items():
            account_of(session, name).token_hash = digest(token)
    return path


@contextmanager
def running(app, port=0, **settings):
    """Answer at 127.0.0.1 as long as the block runs; gives the address."""
    with listen("127.0.0.1", port) as opened:
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, **settings))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [opened]})
        thread.start()
        try:
            while not server.started:
                time.sleep(0.005)
            scheme = "https" if "ssl_certfile" in settings else "http"
            yield f"{scheme}://127.0.0.1:{opened.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()
