"""Tools for agents, asked by the SDK's own client over standard input and output."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from sweep.api.agents import launching
from sweep.api.agents.server import STARTING, server
from sweep.api.agents.tools import Reading
from sweep.api.steering import verbs
from sweep.errors import SweepError
from tests.processes import wait_until
from tests.sweep.conftest import ROOT

mcp = pytest.importorskip("mcp", reason="the extra mcp is not installed")

STUDY = """\
name: study
command: [python, train.py, "{x}"]
objective: {metric: loss, direction: minimize}
executor: inline
space: {x: {low: 0.0, high: 1.0}}
sampler: {name: random}
budget: {trials: 3}
"""

SCRIPT = """\
import json, sys
print("a line that is no report")
print(json.dumps({"examples": 1, "loss": float(sys.argv[1])}), flush=True)
"""

WAITS = "import time; time.sleep(1000)\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "study.yaml").write_text(STUDY)
    (tmp_path / "train.py").write_text(SCRIPT)
    return tmp_path


def asked(server: Any, ask: Callable[[Any], Awaitable[None]]) -> None:
    """Have the client ask a server: one in this process, or one that it starts."""

    async def session() -> None:
        async with mcp.Client(server, read_timeout_seconds=120) as client:
            await ask(client)

    asyncio.run(session())


async def answer(client: Any, tool: str, **arguments: Any) -> Any:
    """What a tool answers; its error as text."""
    result = await client.call_tool(tool, arguments)
    if result.is_error:
        return result.content[0].text
    found = result.structured_content
    return found["result"] if set(found) == {"result"} else found


@pytest.mark.slow
def test_a_client_checks_starts_watches_and_reads_the_best(folder: Path) -> None:
    async def ask(client: Any) -> None:
        tools = {tool.name for tool in (await client.list_tools()).tools}
        assert tools == {
            "list", "status", "best", "show", "compare", "tables", "check", *STARTING,
        }  # fmt: skip
        assert await answer(client, "list") == []
        checked = await answer(client, "check", study=str(folder / "study.yaml"))
        assert checked["trials"] == 3
        begun = await answer(client, "start", study=str(folder / "study.yaml"))
        assert begun["run"] == "study"
        while (status := await answer(client, "status", run="study"))["closed"] is None:
            await asyncio.sleep(0.05)
        assert status["trials"]["COMPLETE"] == 3
        best = await answer(client, "best", run="study")
        assert best["values"]["loss"] == best["hyperparameters"]["x"]
        shown = await answer(client, "show", run="study", trial=best["trial"])
        assert shown["rank"] == 1
        table = await answer(client, "tables", run="study", table="metrics", first=1, count=1)
        assert (table["total"], len(table["rows"])) == (3, 1)
        (listed,) = await answer(client, "list")
        assert (listed["run"], listed["best"]["number"]) == ("study", best["trial"])
        assert "does not run, so there is nothing to stop" in await answer(client, "stop", run="study")
        assert (await answer(client, "note", run="study", text="done", trial=0))["answer"] == "noted"
        assert "x: must be within space.x" in await answer(client, "enqueue", run="study", point={"x": 9.0})
        assert "is no name of a run" in await answer(client, "status", run="../study")
        (folder / "study.yaml").write_text(STUDY.replace("{x}", "{y}"))
        assert "{y} names no hyperparameter" in await answer(
            client, "check", study=str(folder / "study.yaml")
        )

    started = mcp.StdioServerParameters(
        command=sys.executable,
        args=["-m", "sweep", "mcp", "--runs", str(folder / "runs"), "--allow-start"],
        cwd=str(folder),
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    asked(started, ask)


@pytest.mark.slow
def test_without_leave_nothing_is_started(folder: Path) -> None:
    async def ask(client: Any) -> None:
        tools = (await client.list_tools()).tools
        assert {tool.name for tool in tools} & set(STARTING) == set()
        assert all(tool.annotations.read_only_hint for tool in tools)
        assert "start" in str(await answer(client, "start", study="study.yaml"))

    asked(server(folder / "runs", allow_start=False), ask)
    assert not (folder / "runs").exists()


@pytest.mark.slow
def test_what_was_started_is_stopped_in_order(folder: Path) -> None:
    (folder / "train.py").write_text(WAITS)
    runs = folder / "runs"
    begun = launching.launch(folder / "study.yaml", runs=runs)
    with pytest.raises(SweepError, match="runs already, in the process"):
        launching.launch(folder / "study.yaml", runs=runs)
    reading = Reading(runs)
    wait_until(lambda: reading.status("study")["trials"].get("RUNNING"))
    assert verbs.stop(begun.run_dir).answered
    wait_until(lambda: reading.status("study")["pid"] is None)
    assert reading.status("study")["closed"] == "interrupted"
    json.dumps(reading.listed())


@pytest.mark.slow
def test_invariant_10_what_cannot_be_started_says_why_in_its_own_words(folder: Path) -> None:
    (folder / "study.yaml").write_text(STUDY.replace("train.py", "none.py"))
    with pytest.raises(SweepError, match=r"there is no file .*none\.py"):
        launching.launch(folder / "study.yaml", runs=folder / "runs")
