"""Inventories and mlx.launch host files, right and wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from clusters.errors import InventoryError
from clusters.inventory import Inventory, load, parse
from sweep.errors import SpecError
from sweep.spec.parse import load as load_study

EXAMPLE = Path(__file__).parents[2] / "clusters" / "lab.example.yaml"
LAB = """\
name: lab
nodes:
  - {name: a, ssh: me@a.local, ip: 10.0.0.1}
  - {name: b, ssh: me@b.local, ip: 10.0.0.2, slots: 2, tags: [fast], reserve: 8 GB}
"""


def read(text: str) -> Inventory:
    return parse(text, Path("lab.yaml"))


def refused(text: str) -> list[str]:
    with pytest.raises(InventoryError) as caught:
        read(text)
    return str(caught.value).splitlines()


def test_the_example_is_a_right_inventory() -> None:
    lab = load(EXAMPLE)
    assert lab.head.name == "studio1"
    assert [node.name for node in lab.workers] == ["studio2", "mini1"]
    assert lab.node("mini1").reserve_bytes == 12 * 10**9
    assert lab.address == "192.168.1.11:6379"


def test_the_first_node_is_the_head_unless_another_one_says_so() -> None:
    assert read(LAB).head.name == "a"
    assert read(LAB.replace("slots: 2", "role: head")).head.name == "b"


def test_the_environment_is_ours_unless_a_python_is_named() -> None:
    assert (read(LAB).python, read(LAB).own_environment) == ("~/.sweep/env/bin/python", True)
    named = read(LAB + "environment: {python: /opt/python}\n")
    assert (named.python, named.own_environment) == ("/opt/python", False)


@pytest.mark.parametrize(
    "text",
    [
        '[{"ssh": "me@a.local", "ips": ["10.0.0.1"]},\n {"ssh": "b", "ips": ["10.0.0.2", "10.0.1.2"]}]',
        '{"backend": "ring", "hosts": [{"ssh": "me@a.local", "ips": ["10.0.0.1"]},'
        ' {"ssh": "b", "ips": ["10.0.0.2"], "rdma": [null, "rdma_en5"]}]}',
    ],
    ids=["list", "object"],
)
def test_a_host_file_of_mlx_launch_is_an_inventory(text: str) -> None:
    lab = parse(text, Path("hosts.json"))
    assert [(node.name, node.ssh, node.ip) for node in lab.nodes] == [
        ("a", "me@a.local", "10.0.0.1"),
        ("b", "b", "10.0.0.2"),
    ]
    assert lab.head.name == "a"


def test_a_host_file_may_leave_addresses_out() -> None:
    assert parse('[{"ssh": "a", "ips": []}, {"ssh": "b"}]', Path("hosts.json")).nodes[1].ip is None


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "slots: 2",
            "slot: 2",
            "lab.yaml:4: nodes[1].slot: unknown key. Did you mean `slots`?",
        ),
        ("slots: 2", "slots: 0", "lab.yaml:4: nodes[1].slots: must be at least 1, got 0"),
        ("8 GB", "lots", "lab.yaml:4: nodes[1].reserve: must be a size"),
        ("10.0.0.2", "127.0.0.1", "lab.yaml:4: nodes[1].ip: must be an address that the other Macs reach"),
        ("10.0.0.2", "169.254.3.4", "lab.yaml:4: nodes[1].ip: must be an address that the other Macs reach"),
        ("10.0.0.2", "mini.local", "lab.yaml:4: nodes[1].ip: must be an IP address"),
        ("10.0.0.2", "'fe80::1'", "lab.yaml:4: nodes[1].ip: must be an IP"),
        (
            "10.0.0.2",
            "10.0.0.1",
            "lab.yaml:4: nodes[1].ip: must differ from that of a, got `10.0.0.1`. Two entries",
        ),
        ("me@b.local", "me@a.local", "lab.yaml:4: nodes[1].ssh: must differ from that of a"),
        ("name: b", "name: a", "lab.yaml:4: nodes[1].name: must be one node's alone"),
        ("me@b.local", "-oProxyCommand=x", "lab.yaml:4: nodes[1].ssh: must be an SSH target"),
        ("me@b.local", "'b; rm -r /'", "lab.yaml:4: nodes[1].ssh: must be an SSH target"),
        ("nodes:", "hold: nobody\nnodes:", "lab.yaml:2: hold: must be one of ssh, daemon"),
        ("nodes:", "ports: {gcs: 80}\nnodes:", "lab.yaml:2: ports.gcs: must be at least 1024, got 80"),
        ("nodes:", "ports: {gcs: 6380}\nnodes:", "must differ from `ports.gcs`"),
        ("nodes:", "ports: {gcs: 20500}\nnodes:", "must lie outside of the workers' ports"),
        ("nodes:", "environment: {folder: here}\nnodes:", "lab.yaml:2: environment.folder: must be a path"),
        ("nodes:", "auth: {tls: on}\nnodes:", "lab.yaml:2: auth.tls: must be one of auto, off, got `on`"),
        ("name: lab", "name: [", "must be YAML"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(old: str, new: str, said: str) -> None:
    assert LAB.count(old) == 1
    assert any(said in line for line in refused(LAB.replace(old, new)))


def test_every_problem_is_said_at_once() -> None:
    assert len(refused(LAB.replace("slots: 2", "slots: 0").replace("10.0.0.2", "::"))) == 2


def test_two_heads_are_one_too_many() -> None:
    text = LAB.replace("slots: 2", "role: head").replace("10.0.0.1}", "10.0.0.1, role: head}")
    assert refused(text) == [
        "lab.yaml:4: nodes[1].role: must be one node's alone, and a is the head, got `head`. "
        "Write role: worker"
    ]


def test_a_node_must_be_reached_somehow() -> None:
    assert "must have `ssh`, `ip` or both" in refused("nodes:\n  - {name: a}\n")[0]


def test_an_inventory_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InventoryError, match=r"none\.yaml: must be a file that can be read, .*lab\.example"):
        load(tmp_path / "none.yaml")


def test_a_study_file_in_place_of_an_inventory_is_one_line_and_the_other_way_round() -> None:
    root = Path(__file__).parents[2]
    with pytest.raises(InventoryError) as raised:
        load(root / "examples/digits/study.yaml")
    (problem,) = raised.value.problems
    assert "is a study file, not an inventory" in str(problem)
    with pytest.raises(SpecError) as refused_study:
        load_study(root / "clusters/lab.example.yaml")
    (problem,) = refused_study.value.problems
    assert "is an inventory of machines, not a study" in str(problem)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[]", "must name at least one host"),
        ('[{"ip": "10.0.0.1"}]', "must be a host of an mlx.launch host file"),
        ('[{"ssh": "a", "ips": ["lo"]}]', "must be an IP address"),
        ('[{"ssh": "a"}, {"ssh": "a"}]', "must be one node's alone"),
    ],
)
def test_a_wrong_host_file_says_so(text: str, said: str) -> None:
    assert said in "\n".join(refused(text))


def test_a_list_whose_only_node_is_wrong_is_not_called_empty() -> None:
    with pytest.raises(InventoryError) as raised:
        parse("nodes: [{name: a, ip: 127.0.0.1}]\n", Path("lab.yaml"))
    assert [problem.key for problem in raised.value.problems] == ["nodes[0].ip"]


def test_when_a_mac_is_its_owners() -> None:
    hours = 'quiet: ["22:00-07:00", "12:30 - 13:00"]'
    lab = read(LAB.replace("tags: [fast]", f"{hours}, owner_first: {{idle: 10m}}"))
    assert lab.node("b").quiet == ((1320, 420), (750, 780))
    assert lab.node("b").idle_s == 600.0
    assert (lab.node("a").quiet, lab.node("a").idle_s) == ((), None)


@pytest.mark.parametrize(
    ("new", "said"),
    [
        ('quiet: ["22-7"]', "quiet[0]: must be two times of day such as 22:00-07:00, got `22-7`"),
        ('quiet: ["24:00-07:00"]', "quiet[0]: must be two times of day such as 22:00-07:00"),
        ('quiet: ["07:00-07:00"]', "quiet[0]: must end at another time than it begins"),
        ("quiet: at night", "quiet: must be a list"),
        ("owner_first: {idle: soon}", "owner_first.idle: must be a duration above zero"),
        ("owner_first: {idel: 10m}", "owner_first.idel: unknown key. Did you mean `idle`?"),
        ("owner_first: true", "owner_first: must be a mapping"),
    ],
)
def test_a_bad_time_is_one_line(new: str, said: str) -> None:
    found = refused(LAB.replace("tags: [fast]", new))
    assert any(f"lab.yaml:4: nodes[1].{said}" in line for line in found), found
