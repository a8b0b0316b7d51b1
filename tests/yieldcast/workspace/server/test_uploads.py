import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from yieldcast.workspace.server.problems import RequestError
from yieldcast.workspace.server.uploads import ABOUT_BYTES, receive

BOUNDARY = "frontier"


class Request:
    """Headers and pieces of a body, as Starlette's request gives them."""

    def __init__(self, pieces, kind=f"multipart/form-data; boundary={BOUNDARY}", **headers):
        self.pieces, self.headers = pieces, {"content-type": kind, **headers}

    async def stream(self):
        for piece in self.pieces:
            if piece is None:
                await asyncio.sleep(30)
            yield piece


def part(name, content, more=""):
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'
    return head.encode() + content + b"\r\n"


def form(model=b"PK model \r\n--frontie", about=b'{"name": "B"}'):
    return (
        part("about", about) + part("model", model, '; filename="m.keras"') + f"--{BOUNDARY}--\r\n".encode()
    )


def got(request, folder, limit=1000, seconds=5.0):
    with ThreadPoolExecutor(1) as other:  # in this thread a browser may hold the loop of its driver
        return other.submit(asyncio.run, receive(request, folder, limit, seconds)).result()


@pytest.mark.parametrize("size", [1, 7, 64, 10_000])
def test_a_model_arrives_in_pieces(tmp_path, size):
    body, model = form(), b"PK model \r\n--frontie"
    upload = got(Request([body[at : at + size] for at in range(0, len(body), size)]), tmp_path)
    assert upload.path.read_bytes() == model
    assert upload.path.stat().st_mode & 0o777 == 0o600
    assert (upload.size, upload.about) == (len(model), b'{"name": "B"}')


CUT = form()[:-20]
REFUSED = {
    "too large": (Request([form(b"x" * 1001)]), 413, "at most 1,000 bytes"),
    "declared too large": (Request([], **{"content-length": "99999999"}), 413, "at most 1,000 bytes"),
    "much said about it": (Request([form(about=b"x" * (ABOUT_BYTES + 1))]), 413, "part about"),
    "cut off": (Request([CUT]), 400, "cut off"),
    "no model": (Request([part("about", b"{}") + b"--frontier--\r\n"]), 400, "about"),
    "two models": (Request([part("model", b"1") + part("model", b"2") + b"--frontier--"]), 400, "'model'"),
    "another part": (Request([part("code", b"import os") + b"--frontier--"]), 400, "'code'"),
    "a long header": (Request([part("model" * 2000, b"") + b"--frontier--"]), 400, "header size"),
    "no form": (Request([b"{}"], kind="application/json"), 415, "application/json"),
    "no boundary": (Request([b"{}"], kind="multipart/form-data"), 415, "multipart"),
    "garbage": (Request([b"\x00garbage"]), 400, "multipart/form-data"),
    "nothing": (Request([]), 400, "cut off"),
    "too slow": (Request([form()[:50], None]), 408, "within 0 s"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_other_bodies_are_refused_and_no_file_is_left(tmp_path, case):
    request, status, text = REFUSED[case]
    with pytest.raises(RequestError, match=text) as refused:
        got(request, tmp_path, seconds=0.2 if case == "too slow" else 5.0)
    assert refused.value.status == status
    assert not list(tmp_path.iterdir())
