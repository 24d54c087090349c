"""A server that speaks as much of W&B's protocol as its client needs to write runs: no network."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

KEY = "0123456789" * 4


@dataclass
class FakeRun:
    """What has arrived of a run: rows by their place, as W&B's file stream writes them."""

    name: str = ""
    group: str = ""
    config: str = "{}"
    tags: list[str] = field(default_factory=list)
    rows: list[str] = field(default_factory=list)
    summary: str = "{}"
    exit_codes: list[int] = field(default_factory=list)

    @property
    def history(self) -> list[dict[str, Any]]:
        """The rows without what W&B adds."""
        return [{k: v for k, v in json.loads(row).items() if k[0] != "_"} for row in self.rows]

    @property
    def summed(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.summary)
        return found

    @property
    def hyperparameters(self) -> dict[str, Any]:
        return {k: v["value"] for k, v in json.loads(self.config).items() if k != "_wandb"}


class FakeWandb:
    """The server; `runs` by id."""

    def __init__(self) -> None:
        self.runs: dict[str, FakeRun] = {}
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"] or 0))
                if self.headers["Content-Encoding"] == "gzip":
                    body = gzip.decompress(body)
                answer = json.dumps(server.answer(self.path, body)).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_PUT = do_POST

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._http.server_port}"

    def close(self) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def answer(self, path: str, body: bytes) -> dict[str, Any]:
        """The answer to one request."""
        if path.endswith("/graphql"):
            asked = json.loads(body)
            return {"data": self._query(asked["query"], asked.get("variables") or {})}
        if path.endswith("/file_stream"):
            self._stream(self.runs[path.split("/")[-2]], json.loads(body))
        return {}

    def _query(self, text: str, given: Mapping[str, Any]) -> dict[str, Any]:
        if "upsertBucket" in text:
            return self._upsert(given)
        if "RunResumeStatus" in text:
            return {"model": {"id": "P", "name": given["project"], "entity": _ENTITY, **self._resumed(given)}}
        if "CreateRunFiles" in text:
            files = [{"name": name, "uploadUrl": f"{self.url}/upload"} for name in given["files"]]
            return {"createRunFiles": {"runID": "R", "uploadHeaders": [], "files": files}}
        return {"viewer": {"id": "V", "entity": "me", "username": "me", "teams": {"edges": []}}}

    def _upsert(self, given: Mapping[str, Any]) -> dict[str, Any]:
        run = self.runs.setdefault(given["name"], FakeRun())
        run.name, run.group = given.get("displayName") or run.name, given.get("groupName") or run.group
        run.config, run.tags = given.get("config") or run.config, given.get("tags") or run.tags
        project = {"id": "P", "name": given.get("project"), "entity": _ENTITY}
        bucket = {"id": given["name"], "name": given["name"], "project": project, "config": run.config}
        return {"upsertBucket": {"bucket": {**bucket, "historyLineCount": len(run.rows)}, "inserted": False}}

    def _resumed(self, given: Mapping[str, Any]) -> dict[str, Any]:
        if (run := self.runs.get(given["name"])) is None:
            return {"bucket": None}
        counts = {"logLineCount": 0, "historyLineCount": len(run.rows), "eventsLineCount": 0}
        tails = {"historyTail": json.dumps(run.rows[-1:]), "eventsTail": "[]", "wandbConfig": '{"t": 1}'}
        known = {"summaryMetrics": run.summary, "config": run.config, "tags": run.tags}
        return {"bucket": {"id": given["name"], "name": given["name"], **counts, **tails, **known}}

    def _stream(self, run: FakeRun, sent: Mapping[str, Any]) -> None:
        for name, part in (sent.get("files") or {}).items():
            if name == "wandb-history.jsonl":
                run.rows[part["offset"] :] = part["content"]
            elif name == "wandb-summary.json":
                run.summary = part["content"][-1]
        if sent.get("exitcode") is not None:
            run.exit_codes.append(sent["exitcode"])


_ENTITY = {"id": "E", "name": "me"}
