"""A STAC API (1.0.0, item search) and the files that its items list, with ranges and ETags.

Settings: folder (items.json, a list of features, and the files; {base} in a link is this server), page (most
items of a page, default 2), post (false: no POST), sign (files need the token of /token/COLLECTION), bearer
(files need this Authorization), matched (false: no numberMatched).
Faults of its own: changed (another ETag), loop (the next link is the same page), elsewhere (it is at another
host), lose (an item of the page is not sent).
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from common import Reply, Request, World, as_json, main, ranged

TOKEN = "sig=local"


class Stac(World):
    def control(self, request: Request) -> Reply:
        if request.path.endswith("/reset"):
            with self.lock:
                self.settings = {}
        return super().control(request)

    def answer(self, request: Request) -> Reply:
        path = request.path.rstrip("/")
        if path == "":
            return as_json(self.landing())
        if path == "/search":
            return self.search(request)
        if path.startswith("/token/"):
            return as_json({"token": TOKEN, "msft:expiry": "2100-01-01T00:00:00Z"})
        if path.startswith("/files/"):
            return self.file(path.removeprefix("/files/"), request)
        return as_json({"code": "NotFound", "description": path}, 404)

    def landing(self) -> dict:
        links = [
            {"rel": "self", "href": self.base, "type": "application/json"},
            {"rel": "root", "href": self.base, "type": "application/json"},
            *({"rel": "search", "href": f"{self.base}/search", "type": "application/geo+json", "method": m}
              for m in ("GET", "POST")),
        ]  # fmt: skip
        classes = ["core", "item-search"]
        return {
            "type": "Catalog", "id": "local", "description": "local", "stac_version": "1.0.0", "links": links,
            "conformsTo": [f"https://api.stacspec.org/v1.0.0/{one}" for one in classes],
        }  # fmt: skip

    def search(self, request: Request) -> Reply:
        if request.method == "POST":
            if self.settings.get("post") is False:
                return as_json({"code": "MethodNotAllowed"}, 405)
            query = request.json()
        else:
            query = {name: texts[0] for name, texts in request.query.items()}
            query["collections"] = query["collections"].split(",")
            query["bbox"] = [float(one) for one in query["bbox"].split(",")]
        features = json.loads(self.path("items.json").read_text().replace("{base}", self.base))
        found = [one for one in features if fits(one, query)]
        start = int(query.get("token", 0))
        end = start + min(int(query.get("limit", 10)), self.settings.get("page", 2))
        kind = request.fault["kind"] if request.fault else ""
        page = found[start:end]
        page = page[1:] if kind == "lose" else page
        answer = {"type": "FeatureCollection", "features": page, "links": []}
        if self.settings.get("matched") is not False:
            answer["numberMatched"] = len(found)
        if end < len(found) or kind in ("loop", "elsewhere"):
            token = start if kind == "loop" else end
            base = "http://elsewhere.invalid" if kind == "elsewhere" else self.base
            answer["links"] = [self.following(request.method, base, token, query)]
        return Reply(200, json.dumps(answer).encode(), "application/geo+json")

    def following(self, method: str, base: str, token: int, query: dict) -> dict:
        if method == "POST":
            body = {"token": str(token)}
            return {"rel": "next", "href": f"{base}/search", "method": "POST", "body": body, "merge": True}
        texts = {**query, "token": token, "collections": ",".join(query["collections"])}
        texts["bbox"] = ",".join(map(str, query["bbox"]))
        text = "&".join(f"{name}={value}" for name, value in texts.items())
        return {"rel": "next", "href": f"{base}/search?{text}"}

    def file(self, name: str, request: Request) -> Reply:
        if self.settings.get("sign") and request.query.get("sig") != ["local"]:
            return Reply(403, b"no token", "text/plain")
        wanted = self.settings.get("bearer")
        if wanted and request.headers.get("authorization") != f"Bearer {wanted}":
            return Reply(401, b"no login", "text/plain")
        path = self.path(name)
        if not path.is_file():
            return Reply(404, b"not here", "text/plain")
        body = path.read_bytes()
        mark = hashlib.md5(body).hexdigest()
        if request.fault and request.fault["kind"] == "changed":
            mark = "another"
        return ranged(Reply(200, body, "image/tiff", {"ETag": f'"{mark}"'}), request.headers)

    def path(self, name: str) -> Path:
        return Path(self.settings["folder"]) / Path(name).name


def fits(feature: dict, query: dict) -> bool:
    west, south, east, north = query["bbox"]
    its = feature["bbox"]
    if feature["collection"] not in query["collections"] or its[3] < south or its[1] > north:
        return False
    # west above east crosses the 180th meridian (GeoJSON, RFC 7946, section 5.2)
    sides = [(its[0], its[2])] if its[0] <= its[2] else [(its[0], 180), (-180, its[2])]
    if all(right < west or left > east for left, right in sides):
        return False
    if "datetime" not in query:
        return True
    first, last = query["datetime"].split("/")
    about = feature["properties"]
    start = about["datetime"] or about["start_datetime"]
    end = about["datetime"] or about["end_datetime"]
    return start <= last and end >= first


if __name__ == "__main__":
    main(Stac())
