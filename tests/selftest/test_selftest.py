"""`python -m sweep selftest`: what it finds, how it says it, and that it tells nothing personal."""

from __future__ import annotations

import getpass
import json
import platform
import signal
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import mlx.core as mx
import pytest

from selftest import (
    exactness,
    groups,
    machine,
    memory,
    page,
    population,
    records,
    speed,
    studies,
    suite,
    table,
)
from selftest.models import MODELS
from selftest.results import Result, Status, agreement
from train_core import device

ROOT = Path(__file__).parents[2]


def found(*results: Result) -> dict[str, Any]:
    return {
        "format": 1,
        "date": "2026-01-02",
        "quick": True,
        "seconds": 61.5,
        "machine": {
            "chip": "Apple M4 <Pro>",
            "device": "gpu",
            "memory_gb": 24,
            "cores": 12,
            "architecture": "arm64",
            "system": "macOS 26.1",
        },
        "versions": {"python": "3.13.5", "mlx": "0.32.4"},
        "results": [result.as_json() for result in results],
    }


GREEN = Result("lanes", "dense", "lanes equal", Status.GREEN, "bit for bit", 0.0, "relative difference")
RED = Result("study", "report", "it is written", Status.RED, "<script>no</script>")


@pytest.mark.parametrize(
    ("difference", "exact", "status"),
    [
        (0.0, True, Status.GREEN),
        (0.0, False, Status.GREEN),
        (1e-6, True, Status.RED),
        (1e-6, False, Status.AMBER),
        (0.5, False, Status.RED),
        (float("nan"), False, Status.RED),
    ],
)
def test_a_difference_is_red_where_none_is_allowed(difference: float, exact: bool, status: Status) -> None:
    assert agreement(difference, exact=exact, tolerance=1e-3)[0] is status


def test_keys_have_their_recorded_values_and_others_are_red(monkeypatch: pytest.MonkeyPatch) -> None:
    (result,) = exactness.key_values(quick=True)
    assert result.status is Status.GREEN
    monkeypatch.setattr(records, "keys", lambda: {**exactness.recorded_values(), "key": [0, 1]})
    (result,) = exactness.key_values(quick=True)
    assert (result.status, result.saw) == (Status.RED, "differ: key")


def test_the_rules_of_lanes_agree() -> None:
    results = list(exactness.rules(quick=True))
    assert len(results) == 8
    assert all(result.status is not Status.RED for result in results), results


@pytest.mark.slow
def test_a_study_that_fails_is_said_with_its_reason_and_not_with_where_its_results_are(
    tmp_path: Path,
) -> None:
    place = studies.Study(tmp_path, trials=2)
    (tmp_path / "said").write_text(
        "study: 2 failed\nno trial ended well\nresults: runs/x\ntables:  python -c\n"
    )
    assert place._last_line() == "no trial ended well"


def test_ctrl_c_is_heeded_where_a_script_s_ampersand_has_it_ignored() -> None:
    """Else its study would run to its end, and the check be red."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        studies.heed_ctrl_c()
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_memory_is_guarded_and_cached_within_limits() -> None:
    results = [*memory.guard(quick=True), *memory.cache(quick=True)]
    assert [result.status for result in results] == [Status.GREEN, Status.GREEN], results


def test_a_group_that_breaks_is_red_and_ends_nothing_else() -> None:
    (result,) = groups.run("nothing", quick=True)
    assert result.status is Status.RED
    assert "invalid choice: 'nothing'" in result.saw
    assert suite.is_red([GREEN, result])
    assert not suite.is_red([GREEN])


def test_results_and_their_page_say_the_same(tmp_path: Path) -> None:
    held = json.loads(json.dumps(found(GREEN, RED)))
    assert suite.results_of(held) == [GREEN, RED]
    text = page.html(held, [found(GREEN)])
    assert "<script>" not in text
    assert "&lt;script&gt;no&lt;/script&gt;" in text
    assert "Apple M4 &lt;Pro&gt;, GPU, macOS 26.1" in text
    assert "1 green, 0 amber, 1 red" in text
    assert "http" not in text, "nothing is fetched from elsewhere"
    for status in ("green", "red"):
        assert f'class="status {status}">{status}<' in text, "colours are said in words"
    parser = HTMLParser()
    parser.feed(text)
    parser.close()


def test_nothing_personal_is_told() -> None:
    text = json.dumps([machine.describe(), machine.versions()])
    for secret in (platform.node(), str(Path.home()), str(ROOT)):
        assert secret not in text
    assert not (len(getpass.getuser()) > 3 and getpass.getuser() in text)
    assert device.kind() in text


def test_every_recorded_chip_can_be_shown() -> None:
    chips = records.chips()
    assert chips
    for chip in chips:
        assert suite.results_of(chip)
        assert records.label(chip) in page.html(chip, chips)


@pytest.mark.slow
def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    command = [sys.executable, "-m", "sweep", "selftest", "--into", str(tmp_path / "file" / "x")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.endswith("Pass --into DIR\n")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.slow
def test_what_is_found_is_printed_written_and_tells_nothing_personal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By two of its groups, each in its process; the others are run below."""
    monkeypatch.setattr(groups, "GROUPS", {name: groups.GROUPS[name] for name in ("keys", "cache")})
    monkeypatch.setattr(sys, "argv", ["selftest", "--quick", "--json", "--into", str(tmp_path)])
    assert suite.main() == 0
    said, progress = capsys.readouterr()
    assert progress == "checking: keys\nchecking: cache\n"
    found = json.loads(said)
    assert json.loads((tmp_path / "selftest.json").read_text()) == found
    assert [(result.group, result.name) for result in suite.results_of(found)] == [
        ("keys", "keys"),
        ("memory", "cache"),
    ]
    assert "</html>" in (tmp_path / "selftest.html").read_text()
    for secret in (platform.node(), str(Path.home()), str(ROOT), str(tmp_path)):
        assert secret not in said
    table.show(found, records.chips())
    assert "2 green, 0 amber, 0 red" in capsys.readouterr().out


@pytest.mark.slow
def test_trials_agree_in_lanes_resumed_and_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exactness, "MODELS", {"dense": MODELS["dense"]})
    results = list(exactness.lanes(quick=True))
    assert [result.name for result in results] == ["dense", "dense", "dense in lanes"]
    assert all(result.status is not Status.RED for result in results), results


@pytest.mark.slow
def test_speeds_are_measured_and_never_red(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "MODELS", {"dense": MODELS["dense"]})
    monkeypatch.setattr(speed, "STEPS", 2)
    results = [*speed.gain(quick=True), *speed.overhead(quick=True)]
    assert [result.name for result in results] == ["gain, dense", "step"]
    assert all(result.value and result.status is not Status.RED for result in results), results


@pytest.mark.slow
def test_invariant_13_a_study_on_ray_listens_on_loopback_only_and_loses_nothing_to_a_kill_and_ctrl_c(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever the shell has set: with this variable Ray binds to the address of the network."""
    monkeypatch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "1")
    monkeypatch.setenv("MLX_DISABLE_COMPILE", "1")
    results = {result.name: result for result in studies.study(quick=True)}
    assert list(results) == ["loopback", "Ctrl-C", "killed worker", "report"]
    assert all(result.status is not Status.RED for result in results.values()), results
    assert results["loopback"].status is Status.GREEN
    assert "no worker process was found" not in results["killed worker"].saw


@pytest.mark.slow
def test_a_population_that_is_killed_keeps_its_members_and_its_lineage(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLX_DISABLE_COMPILE", "1")
    results = list(population.population(quick=True))
    assert [result.name for result in results] == ["killed driver", "lineage", "replay"]
    assert all(result.status is not Status.RED for result in results), results


@pytest.mark.parametrize("other", [float("nan"), float("inf")])
def test_a_result_that_is_not_finite_is_red(other: float) -> None:
    difference = exactness._relative(mx.array([1.0, 1.0]), mx.array([1.0, other]))
    assert agreement(difference, exact=False, tolerance=1e-3)[0] is Status.RED
