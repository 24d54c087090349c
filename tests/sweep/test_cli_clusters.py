"""`cluster:` in a study file: what is said where the inventory is not there, is wrong, or is not up."""

from __future__ import annotations

from tests.sweep.conftest import Folder


def write(folder: Folder, inventory: str | None) -> None:
    folder.write(("executor: inline\n", "cluster: lab.yaml\n"))
    if inventory is not None:
        (folder.path / "lab.yaml").write_text(inventory)


def test_invariant_10_an_inventory_that_is_not_there_is_said_with_the_studys_line(folder: Folder) -> None:
    write(folder, None)
    for verb in ("run", "check"):
        ended = folder.sweep(verb, "study.yaml")
        assert (ended.returncode, ended.stdout) == (2, "")
        line = folder.study.read_text().splitlines().index("cluster: lab.yaml") + 1
        assert f"study.yaml:{line}: cluster: must" in ended.stderr
        assert "Traceback" not in ended.stderr
    assert not folder.runs.exists()


def test_invariant_10_what_is_wrong_in_an_inventory_is_said_with_its_own_line(folder: Folder) -> None:
    write(folder, "nodes:\n  - {name: a, ip: 10.0.0.1}\n  - {name: a, ip: 10.0.0.2}\n")
    for verb in ("run", "check"):
        ended = folder.sweep(verb, "study.yaml")
        assert (ended.returncode, ended.stdout) == (2, "")
        assert "lab.yaml:3: nodes[1].name: must be one node's alone" in ended.stderr


def test_invariant_10_a_cluster_that_is_not_up_is_one_line_that_says_what_to_type(folder: Folder) -> None:
    # An inventory may not type 127.0.0.1; a name that is looked up may well be this machine.
    write(folder, "nodes: [{name: a, ssh: localhost}]\n")
    ended = folder.sweep("run", "study.yaml")
    assert ended.returncode == 2
    assert ended.stderr == "a: Ray is not up here; type: python -m sweep cluster up lab.yaml\n"
