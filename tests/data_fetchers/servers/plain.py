"""Files of known contents, with ranges: /file/N is N kilobytes of JSON text; /other/N the same on request."""

from __future__ import annotations

import json

from common import Reply, Request, World, main, ranged


def content(kilobytes: int) -> bytes:
    return json.dumps({"kilobytes": kilobytes, "fill": "x" * (1024 * kilobytes)}).encode()


class Plain(World):
    def answer(self, request: Request) -> Reply:
        _, kind, number = request.path.split("/")
        if kind == "big" and int(number) > self.settings.get("limit", 10**9):
            return Reply(400, b"too many", "text/plain")
        reply = Reply(200, content(int(number)))
        return reply if kind == "whole" else ranged(reply, request.headers)


if __name__ == "__main__":
    main(Plain())
