"""`tls: auto`: certificates that hold what they should. Ray over them: test_detached, test_daemons."""

from __future__ import annotations

from pathlib import Path

from cryptography import x509

from clusters.lifecycle.certificates import authority


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
