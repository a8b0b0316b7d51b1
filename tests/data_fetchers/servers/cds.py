"""The Climate Data Store: catalogue, retrieve and profiles APIs and a store of files, as clients see them.

Shapes and the order of checks follow the open server code (see docs of `data_fetchers.cds.account`). The
API's root is the server's address, with or without ``/api``. Dataset ``test-dataset`` is a small netCDF of
its own; all others come from cds_files.py and seas5_files.py.

Settings (POST /_control/set; a reset brings the defaults back):
    token            the only key that is known ("secret-token-123")
    polls_queued     polls that a job is queued for (0), then
    polls_running    polls that it runs for (1)
    queue_limit      unfinished jobs of one dataset above which a new one is rejected (none)
    cost_limit       largest product of the lists' lengths (100,000); {dataset: limit} for single ones
    licences         [[id, revision], ...] that datasets ask for ([["cc-by", 2]])
    accepted         the same, of the account (the same)
    disabled         {dataset: reason}
    latest           last day that is out, YYYY-MM-DD (none: everything is)
    extra            keys that the server adds to the requests that it keeps ({})
    now              creation time of jobs, ISO text in UTC without a time zone (none: the real time)

Kinds of faults besides those of common.py. On the POST of an execution, for the job that it makes:
fail_job, reject_job (text), no_data, expired_results, wrong_size, wrong_md5, no_md5, zip, zip_evil,
http_href, foreign_monitor (to), lost. On the same POST, for the answer: licence, cost, not_yet. Any kind
that is not known here goes to the maker of the files with the request.
"""

from __future__ import annotations

import hashlib
import json
import socketserver
import uuid

from cds_products import DATASETS, collection, cost, licence, listed, make, now, packed
from common import Reply, Request, World, as_json, main, ranged

DEFAULTS = {
    "token": "secret-token-123", "polls_queued": 0, "polls_running": 1, "queue_limit": None,
    "cost_limit": 100_000,
    "licences": [["cc-by", 2]], "accepted": [["cc-by", 2]], "disabled": {}, "latest": None, "extra": {},
    "now": None,
}  # fmt: skip
NOT_YET = (
    "None of the data you have requested is available yet, please revise the period requested. "
    "The latest date available for this dataset is: {latest} 00:00"
)
CROWDED = (
    "Number queued requests for this dataset is temporarily limited. "
    "Please configure your scripts accordingly"
)
STORE = "/object-store/cci2-prod-cache-1/"


class Refused(Exception):  # noqa: N818
    def __init__(self, status, title, detail="", **more):
        super().__init__(title)
        self.status, self.body = status, {"type": title, "title": title, "status": status, **more}
        if detail:
            self.body["detail"] = detail


class Cds(World):
    def __init__(self) -> None:
        super().__init__()
        self.fresh()

    def fresh(self):
        self.settings = json.loads(json.dumps(DEFAULTS))
        self.jobs: dict[str, dict] = {}
        self.files: dict[str, bytes] = {}
        self.built: dict[str, tuple[str, bytes]] = {}

    def control(self, request: Request) -> Reply:
        if request.path.endswith("/reset"):
            with self.lock:
                self.fresh()
        return super().control(request)

    def answer(self, request: Request) -> Reply:
        try:
            with self.lock:  # also around the making of files: HDF5 is not thread-safe
                if request.path.startswith(STORE):
                    return self.stored(request)
                return self.api(request)
        except Refused as refused:
            refused.body |= {"instance": request.path, "trace_id": "0" * 32}
            return as_json(refused.body, refused.status)

    def api(self, request: Request) -> Reply:
        self.root = self.base + ("/api" if request.path.startswith("/api/") else "")
        path = request.path.removeprefix("/api")
        for prefix, service in (
            ("/catalogue/v1/", self.catalogue), ("/retrieve/v1/processes/", self.process),
            ("/retrieve/v1/jobs", self.job), ("/profiles/v1/account/", self.profile),
        ):  # fmt: skip
            if path.startswith(prefix):
                return service(request, path.removeprefix(prefix).strip("/").split("/"))
        return as_json({"detail": "Not Found"}, 404)

    def login(self, request):
        token = request.headers.get("private-token", "")
        if token != self.settings["token"]:
            detail = "operation not allowed" if token else "authentication required"
            raise Refused(401, "permission denied" if token else "authentication failed", detail)

    # catalogue

    def catalogue(self, request, parts):
        if parts == ["messages"]:
            return as_json({"messages": []})
        if parts == ["vocabularies", "licences"]:
            return as_json({"licences": [licence(self.base, x, r) for x, r in self.settings["licences"]]})
        if len(parts) == 2 and parts[0] == "collections" and parts[1] in DATASETS:
            return as_json(collection(self.base, self.root, parts[1], self.settings["licences"]))
        raise Refused(404, "not found")

    # profiles

    def profile(self, request, parts):
        self.login(request)
        if parts == ["verification", "pat"] and request.method == "POST":
            return as_json({"id": 7, "sub": "user-7", "role": "authenticated"})
        accepted = self.settings["accepted"]
        if parts[0] == "licences" and request.method == "PUT":
            wanted = [parts[1], request.json()["revision"]]
            if wanted not in self.settings["licences"]:
                raise Refused(404, "licence not found")
            accepted += [wanted] if wanted not in accepted else []
            return as_json({"id": wanted[0], "revision": wanted[1]})
        if parts == ["licences"]:
            return as_json({"licences": [{"id": x, "revision": r} for x, r in accepted]})
        raise Refused(404, "not found")

    # processes

    def process(self, request, parts):
        dataset, action = parts[0], parts[1] if len(parts) > 1 else ""
        if action == "execution":
            self.login(request)
        if dataset not in DATASETS:
            raise Refused(404, "process not found", f"dataset {dataset} not found")
        if not action:
            href = f"{self.root}/retrieve/v1/processes/{dataset}"
            links = [{"rel": "self", "href": href}, {"rel": "execute", "href": f"{href}/execution"}]
            described = {"id": dataset, "title": dataset, "version": "1.0.0", "inputs": {}, "outputs": {}}
            return as_json({**described, "links": links})
        inputs = request.json()["inputs"]
        if action == "costing":
            limit = self.limit(dataset)
            return as_json({"id": "size", "cost": cost(inputs), "limit": limit, "request_is_valid": True})
        if action == "constraints":
            if unknown := [key for key in inputs if key == "no_such_key"]:
                raise Refused(422, "invalid parameter", f"invalid param '{unknown[0]}'")
            return as_json({**listed(inputs), "month": [f"{m:02d}" for m in range(1, 13)]})
        return self.execution(request, dataset, inputs)

    def limit(self, dataset):
        limit = self.settings["cost_limit"]
        return limit.get(dataset, 100_000) if isinstance(limit, dict) else limit

    def execution(self, request, dataset, inputs):
        kind = request.fault["kind"] if request.fault else ""
        if reason := self.settings["disabled"].get(dataset):
            raise Refused(403, "permission denied", reason)
        inputs = listed(inputs)
        for key, values in inputs.items():
            if key not in ("area", "grid") and len(set(values)) < len(values):
                raise Refused(400, "invalid request", f"duplicate values for {key}")
        latest = self.settings["latest"]
        if kind == "not_yet" or (latest and self.product(dataset, inputs, request.fault or {}) is None):
            raise Refused(400, "invalid request", NOT_YET.format(latest=latest or "2026-01-01"))
        if kind == "cost" or cost(inputs) > self.limit(dataset):
            raise Refused(
                403, "cost limits exceeded", "Your request is too large, please reduce your selection."
            )
        missing = [x for x in self.settings["licences"] if x not in self.settings["accepted"]]
        if kind == "licence" or missing:
            raise Refused(
                403, "required licences not accepted",
                "Not all the required licences have been accepted; please visit "
                f"{self.base}/datasets/{dataset}?tab=download#manage-licences to accept them.",
            )  # fmt: skip
        if (most := self.settings["queue_limit"]) is not None:
            same = [job for job in self.jobs.values() if job["dataset"] == dataset and not job["dismissed"]]
            if sum(self.state(job) in ("accepted", "running") for job in same) >= most:
                request.fault = {"kind": "reject_job", "text": CROWDED}
        job_id = str(uuid.uuid4())
        self.jobs[job_id] = {
            "id": job_id, "dataset": dataset, "inputs": inputs, "polls": 0, "fault": request.fault or {},
            "created": self.settings["now"] or now(), "dismissed": False,
        }  # fmt: skip
        status = self.status(self.jobs[job_id], monitor=True)
        return as_json(status, 201, Location=f"{self.root}/retrieve/v1/jobs/{job_id}")

    # jobs

    def job(self, request, parts):
        self.login(request)
        if parts == ["delete"]:
            ids = request.json()["job_ids"]
            return as_json({"jobs": [self.dismissed(x) for x in ids]})
        if parts == [""]:
            return self.listing(request)
        job = self.jobs.get(parts[0])
        if job is None or job["dismissed"]:
            raise Refused(404, "job not found", f"job {parts[0]} not found")
        if request.method == "DELETE":
            return as_json(self.dismissed(parts[0]))
        if parts[1:] == ["results"]:
            return as_json(self.results(job, request))
        if "log" in request.query:
            job["polls"] += 1
        return as_json(self.status(job, full="request" in request.query))

    def dismissed(self, job_id):
        self.jobs[job_id]["dismissed"] = True
        return {**self.status(self.jobs[job_id]), "status": "dismissed"}

    def state(self, job):
        queued = self.settings["polls_queued"]
        if job["polls"] <= queued:
            return "accepted"
        if job["polls"] <= queued + self.settings["polls_running"]:
            return "running"
        kind = job["fault"].get("kind", "")
        return {"fail_job": "failed", "no_data": "failed", "reject_job": "rejected"}.get(kind, "successful")

    def status(self, job, monitor=False, full=False):
        state, href = self.state(job), f"{self.root}/retrieve/v1/jobs/{job['id']}"
        links = [{"rel": "self", "href": href, "type": "application/json"}]
        if monitor:
            foreign = job["fault"].get("kind") == "foreign_monitor"
            links.append({"rel": "monitor", "href": job["fault"]["to"] if foreign else href})
        if state in ("successful", "failed"):
            links.append({"rel": "results", "href": f"{href}/results"})
        info = {
            "processID": job["dataset"], "type": "process", "jobID": job["id"], "status": state,
            "created": job["created"], "updated": job["created"], "links": links,
            "metadata": {"origin": "api", "datasetMetadata": {"title": job["dataset"], "messages": []}},
        }  # fmt: skip
        if state != "accepted":
            info["started"] = job["created"]
        if full:
            kept = {**job["inputs"], **self.settings["extra"]}
            info["metadata"] |= {"request": {"ids": kept, "labels": {}}, "log": [[job["created"], "hello"]]}
        return info

    def listing(self, request):
        wanted, query = request.query.get("status", []), request.query
        jobs = [j for j in self.jobs.values() if not j["dismissed"]]
        jobs = [j for j in reversed(jobs) if not wanted or self.state(j) in wanted]
        start, size = int(query.get("cursor", ["0"])[0]), int(query.get("limit", ["10"])[0])
        links = [{"rel": "self", "href": f"{self.root}/retrieve/v1/jobs"}]
        if start + size < len(jobs):
            more = "".join(f"&status={x}" for x in wanted)
            href = f"{self.root}/retrieve/v1/jobs?cursor={start + size}&limit={size}{more}"
            links.append({"rel": "next", "href": href})
        page = [self.status(j) for j in jobs[start : start + size]]
        return as_json({"jobs": page, "links": links, "metadata": {"totalCount": len(jobs)}})

    def results(self, job, request):
        kind = (request.fault or job["fault"]).get("kind", "")
        state = self.state(job)
        if state in ("accepted", "running"):
            raise Refused(404, "job results not ready", f"status of {job['id']} is '{state}'")
        if state in ("failed", "rejected"):
            text = "MARS returned no data, please check your selection." if kind == "no_data" else ""
            title = "The job has failed" if state == "failed" else "The job has been rejected"
            raise Refused(400, title, traceback=job["fault"].get("text", text))
        if kind == "expired_results":
            raise Refused(404, "results expired", f"results of job {job['id']} expired")
        name, body = self.product(job["dataset"], job["inputs"], job["fault"])
        self.files[name] = body
        md5 = hashlib.md5(body).hexdigest()
        scheme_and_host = self.base.replace("http://", "ftp://") if kind == "http_href" else self.base
        value = {
            "type": "application/zip" if name.endswith(".zip") else "application/netcdf",
            "href": f"{scheme_and_host}{STORE}{name}", "file:checksum": md5, "file:size": len(body),
            "file:local_path": f"s3://cci2-prod-cache-1/{name}",
            "xarray:open_kwargs": {}, "xarray:storage_options": {},
        }  # fmt: skip
        if kind == "wrong_size":
            value["file:size"] += 1
        if kind == "wrong_md5":
            value["file:checksum"] = "0" * 32
        if kind == "no_md5":
            value["file:checksum"] = "sha256-of-some-kind"
        return {"asset": {"value": value}}

    # files

    def stored(self, request):
        body = self.files.get(request.path.removeprefix(STORE))
        if body is None:
            return Reply(404, b"<Error><Code>NoSuchKey</Code></Error>", "application/xml")
        kind = "application/zip" if body.startswith(b"PK") else "application/netcdf"
        return ranged(Reply(200, body, kind), request.headers)

    def product(self, dataset, inputs, fault):
        """(name, contents), made once; None when nothing of what is asked is out."""
        latest = self.settings["latest"]
        key = json.dumps([dataset, inputs, fault, latest])
        if key not in self.built:
            files = make(dataset, inputs, fault or None, latest)
            name = hashlib.md5(key.encode()).hexdigest()
            self.built[key] = packed(files, fault.get("kind"), name) if files else None
        return self.built[key]


if __name__ == "__main__":
    # Headers and body leave in two pieces; without this the second waits 40 ms for the client's kernel.
    socketserver.StreamRequestHandler.disable_nagle_algorithm = True
    main(Cds())
