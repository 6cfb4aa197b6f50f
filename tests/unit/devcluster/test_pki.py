"""Certificates as Kubernetes reads them."""

from __future__ import annotations

import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from devcluster.pki import Authority, Identity, signing_key


def _read(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def test_a_user_is_the_common_name_and_groups_are_organisations(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "ca")
    crt, key = authority.issue("alice", Identity("alice", groups=["dev", "ops"]))
    certificate = _read(crt)
    certificate.verify_directly_issued_by(_read(authority.certificate))
    assert [a.value for a in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)] == ["alice"]
    organisations = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    assert sorted(str(a.value) for a in organisations) == ["dev", "ops"]
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert key.stat().st_mode & 0o777 == 0o600


def test_a_server_has_names_and_addresses_and_may_not_act_as_a_client(tmp_path: Path) -> None:
    crt, _ = Authority(tmp_path, "ca").issue("api", Identity("api", hosts=["api.local", "10.64.0.2"], client=False))
    certificate = _read(crt)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["api.local"]
    assert names.get_values_for_type(x509.IPAddress) == [ipaddress.ip_address("10.64.0.2")]
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.SERVER_AUTH]


def test_a_second_run_keeps_everything(tmp_path: Path) -> None:
    for _ in range(2):
        Authority(tmp_path, "ca").issue("a", Identity("a"))
        signing_key(tmp_path, "sa")
        content = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    Authority(tmp_path, "ca").issue("a", Identity("a"))
    signing_key(tmp_path, "sa")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == content


def test_a_half_written_pair_is_written_anew(tmp_path: Path) -> None:
    crt, key = Authority(tmp_path, "ca").issue("a", Identity("a"))
    key.unlink()
    Authority(tmp_path, "ca").issue("a", Identity("a"))
    assert key.exists()
    assert _read(crt).public_key() is not None
