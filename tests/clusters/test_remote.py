"""Commands on nodes: deadlines, and what ssh says turned into one line with a fix."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from clusters.errors import HostError
from clusters.inventory import Node, parse
from clusters.remote import Completed, Local, Ssh, is_own_address, on_all, runner, shell_path, ssh_error


def test_a_script_gives_its_code_and_both_outputs() -> None:
    done = Local("here").run("cat; echo no >&2; exit 3", deadline_s=10, stdin=b"yes")
    assert done == Completed(3, "yes", "no\n")


@pytest.mark.slow
def test_a_script_that_hangs_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    with pytest.raises(HostError, match=r"here: sh: did not end within 0 s"):
        Local("here").run(f"(sleep 2; touch {mark}) & wait", deadline_s=0.3)
    time.sleep(2.2)
    assert not mark.exists()


def test_the_script_reaches_no_login_shell_and_no_option_parser() -> None:
    command = Ssh("a", "me@a.local", Path("cfg")).command("echo '$HOME' \"x\"")
    assert command[:3] == ["ssh", "-F", "cfg"]
    assert command[-2:] == ["me@a.local", "exec /bin/sh -c 'echo '\"'\"'$HOME'\"'\"' \"x\"'"]
    assert {"BatchMode=yes", "StrictHostKeyChecking=yes", "ConnectTimeout=5"} <= set(command)


def test_this_machine_is_reached_without_ssh() -> None:
    lab = parse("nodes: [{name: a, ip: 10.255.1.1}, {name: b, ssh: me@b, ip: 10.255.1.2}]", Path("lab.yaml"))
    assert runner(lab, lab.nodes[0]) == Ssh("a", "10.255.1.1")
    assert runner(lab, lab.nodes[1]) == Ssh("b", "me@b")
    assert is_own_address("127.0.0.1")
    assert isinstance(runner(lab, Node("here", "me@here", "127.0.0.1")), Local)


def test_home_is_expanded_on_the_node_and_nothing_else() -> None:
    assert shell_path("~/.sweep/env") == '"$HOME"/.sweep/env'
    assert shell_path("/opt/a b") == "'/opt/a b'"


@pytest.mark.parametrize(
    ("said", "saw", "fix"),
    [
        ("ssh: Could not resolve hostname a.local: nodename nor servname provided, or not known",
         "the name cannot be resolved here", "correct `ssh`"),
        ("me@a.local: Permission denied (publickey,password,keyboard-interactive).",
         "accepts none of your keys", "ssh-copy-id me@a.local"),
        ("me@a.local: Permission denied (password,keyboard-interactive).",
         "accepts passwords only", "PubkeyAuthentication"),
        ("me@a.local: Permission denied (keyboard-interactive).",
         "accepts passwords only", "ssh-copy-id me@a.local"),
        ("Host key verification failed.", "host key is not known", "compare the key"),
        ("@@@@\n@  WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!  @\n@@@@\nHost key verification failed.",
         "not the one known here", "ssh-keygen -R a.local"),
        ("ssh: connect to host a.local port 22: Connection refused", "no SSH server", "Remote Login on"),
        ("ssh: connect to host a.local port 22: Operation timed out", "did not answer", "awake"),
        ("ssh: connect to host a.local port 22: Connection timed out", "did not answer", "awake"),
        ("ssh: connect to host a.local port 22: No route to host", "no route to it", "Local Network"),
        ("kex_exchange_identification: Connection reset by peer", "ended before", "ssh me@a.local true"),
        ("", "no output", "ssh me@a.local true"),
    ],
)  # fmt: skip
def test_what_ssh_says_becomes_one_line_that_names_node_and_fix(said: str, saw: str, fix: str) -> None:
    text = str(ssh_error("a", "me@a.local", said))
    assert text.startswith("a: ssh me@a.local: ")
    assert saw in text
    assert fix in text
    assert "\n" not in text


def test_a_host_error_of_one_node_does_not_hide_the_answers_of_others() -> None:
    def act(node: Node) -> str:
        if node.name == "b":
            raise HostError("b", "x", "y", "z")
        return node.name.upper()

    answers, errors = on_all([Node("a", None, None), Node("b", None, None)], act)
    assert answers == {"a": "A"}
    assert str(errors["b"]) == "b: x: y; z"


def test_all_nodes_are_asked_at_once() -> None:
    import threading

    together = threading.Barrier(4, timeout=300)
    nodes = [Node(str(number), None, None) for number in range(4)]
    assert len(on_all(nodes, lambda node: together.wait())[0]) == 4
