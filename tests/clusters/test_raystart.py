"""What `ray start` is told, on a Mac and on Linux."""

from __future__ import annotations

from pathlib import Path

from clusters.facts.node import Facts
from clusters.inventory import parse
from clusters.lifecycle.raystart import arguments, labels, ports_of, resources

LAB = parse(
    "nodes:\n"
    "  - {name: studio1, ssh: me@studio1.local, ip: 192.168.1.11}\n"
    "  - {name: mini1, ip: 192.168.1.21, slots: 3, reserve: 12 GB}\n",
    Path("lab.yaml"),
)
STUDIO, MINI = LAB.nodes
MAC = Facts("Darwin", chip="Apple M2 Ultra", memory_bytes=64 * 2**30, fast_cores=16, version="15.1")


def test_a_head_listens_and_a_worker_joins_it() -> None:
    head, worker = arguments(LAB, STUDIO, MAC), arguments(LAB, MINI, MAC)
    assert {"--head", "--port=6379", "--dashboard-host=127.0.0.1", "--dashboard-port=8265"} <= set(head)
    assert "--no-monitor" in head
    assert head[head.index("--temp-dir") + 1] == "~/.sweep/r"
    assert "--address=192.168.1.11:6379" in worker
    assert not {"--head", "--no-monitor"} & set(worker)
    for found in (head, worker):
        assert {"--block", "--node-manager-port=6380", "--object-manager-port=6381"} <= set(found)
        assert "--num-gpus=1" in found
    assert "--node-ip-address=192.168.1.21" in worker


def test_linux_counts_its_gpus_itself_and_a_node_has_a_core_a_slot() -> None:
    found = arguments(LAB, MINI, Facts("Linux", fast_cores=2))
    assert not any(argument.startswith("--num-gpus") for argument in found)
    assert "--num-cpus=3" in found


def test_what_is_reserved_is_no_resource() -> None:
    assert resources(MINI, MAC) == {"mlx_slot": 3, "mem_gb": 56}
    assert resources(MINI, Facts("Linux", memory_bytes=10**9)) == {"mlx_slot": 3, "mem_gb": 0}


def test_labels_are_as_ray_takes_them() -> None:
    assert labels(STUDIO, MAC) == {
        "sweep.node": "studio1",
        "sweep.chip": "M2-Ultra",
        "sweep.os": "macos-15",
    }
    odd = Facts("Linux", chip="Intel(R) Xeon(R) CPU @ 2.2GHz (" + "x" * 60, version="rolling")
    assert labels(STUDIO, odd)["sweep.chip"].startswith("Intel-R-Xeon-R-CPU-2.2GHz-")
    assert len(labels(STUDIO, odd)["sweep.chip"]) <= 63
    assert labels(STUDIO, odd)["sweep.os"] == "linux"


def test_no_port_is_left_to_chance() -> None:
    ports = ports_of(LAB, STUDIO)
    assert ports == [6379, 6380, 6381, 20000, 20996, 20997, 20998, 20999]
    told = " ".join(arguments(LAB, STUDIO, MAC))
    assert all(f"={port}" in told for port in ports)
    assert "--max-worker-port=20995" in told
