"""`tls: auto`: certificates that hold what they should, and Ray over them between machines; a study, too."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography import x509

import analysis
from clusters.lifecycle.certificates import authority
from tests.clusters.drivers import ASK, driver
from tests.clusters.lab import Lab, reason_against
from tests.clusters.studylab import Laptop, StudyLab

KNOCK = """
import socket, ssl, sys
context = ssl.create_default_context(cafile=sys.argv[2])
plain = socket.create_connection((sys.argv[1], 6379), 5)
try:
    with context.wrap_socket(plain, server_hostname=sys.argv[1]) as door:
        print(door.version()[:3], end=": ")
        print("speaks" if door.read() else "closed")
except (ssl.SSLError, ConnectionResetError):
    print("closed")
"""


def test_an_authority_is_made_once_and_its_key_is_its_owners_alone(tmp_path: Path) -> None:
    made = authority(tmp_path, "lab")
    assert authority(tmp_path, "lab").pem == made.pem
    assert oct((tmp_path / "ca.key").stat().st_mode)[-3:] == "600"


def test_a_nodes_certificate_is_signed_and_names_its_address(tmp_path: Path) -> None:
    made = authority(tmp_path, "lab")
    issued = made.issue("studio1", "192.168.1.11")
    certificate = x509.load_pem_x509_certificate(issued.certificate.encode())
    certificate.verify_directly_issued_by(made.certificate)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == ["192.168.1.11", "127.0.0.1"]
    assert "PRIVATE KEY" in issued.key


@pytest.mark.cluster
@pytest.mark.skipif(reason_against() is not None, reason=str(reason_against()))
def test_drivers_join_by_tls_and_who_has_no_certificate_does_not() -> None:
    with Lab(("a", "b"), subnet="10.213.5") as lab, StudyLab(lab) as cluster:
        cluster.up("a", "b", changes=(("ssh: {config", "auth: {tls: auto}\nssh: {config"),))
        said = driver(lab, "b", ASK, str(lab.inventory)).stdout
        assert json.loads(said.splitlines()[-1]).keys() == {"a", "b"}
        status = json.loads(lab.cluster("status", "--json").stdout)
        assert status["is_up"]
        own = lab.tree("b") / "s" / "clusters" / "lab"
        assert oct((own / "tls" / "node.key").stat().st_mode)[-3:] == "600"
        assert knock(lab) == "TLS: closed"

        laptop = Laptop(cluster)
        run_dir = laptop.write("sealed", ("trials: 9", "trials: 4"))
        begun = laptop.sweep("run", "sealed.yaml", "--detach")
        assert begun.returncode == 0, begun.stderr
        ended = laptop.sweep("attach", "sealed.yaml")
        assert ended.returncode == 0, ended.stdout + ended.stderr
        table = analysis.load(run_dir)
        assert list(table.trials.state) == ["COMPLETE"] * 4
        assert set(table.metrics.host) == {"a", "b"}


def knock(lab: Lab) -> str:
    """What the head's port says to one who speaks TLS and trusts it, but has no certificate to show."""
    authority_file = str(lab.path / "laptop" / ".sweep" / "clusters" / "lab" / "ca.crt")
    command = lab.outside(sys.executable, "-c", KNOCK, lab.ip("a"), authority_file)
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
