"""A cluster's certificates: one authority for the API, one for its aggregation layer, P-256 keys, idempotent files.

Everything is written once and kept: an `up` after a crash must meet the authority that etcd's tokens were signed under.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from devcluster.errors import ClusterError

__all__ = ["Authority", "Identity", "signing_key"]

_VALID = datetime.timedelta(days=3650)
_SKEW = datetime.timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a certificate speaks for: a user and groups as Kubernetes reads them; names and addresses of servers."""

    name: str
    groups: Sequence[str] = ()
    hosts: Sequence[str] = ()
    client: bool = True


class Authority:
    """A certificate authority kept in `<folder>/<name>.crt` and `.key`."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._name = name
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not (self.certificate.exists() and self._key.exists()):
            self._create()

    @property
    def certificate(self) -> Path:
        """The authority's certificate."""
        return self._folder / f"{self._name}.crt"

    @property
    def key(self) -> Path:
        """The authority's key, for the controller that signs certificate requests."""
        return self._key

    def issue(self, file: str, identity: Identity) -> tuple[Path, Path]:
        """Certificate and key as `<file>.crt` and `<file>.key`, unless they are there."""
        crt, key = self._folder / f"{file}.crt", self._folder / f"{file}.key"
        if crt.exists() and key.exists():
            return crt, key
        private = ec.generate_private_key(ec.SECP256R1())
        names = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in identity.groups]
        subject = x509.Name([*names, x509.NameAttribute(NameOID.COMMON_NAME, identity.name)])
        signer = x509.load_pem_x509_certificate(self.certificate.read_bytes())
        usages = [ExtendedKeyUsageOID.CLIENT_AUTH] if identity.client else []
        if identity.hosts:
            usages.append(ExtendedKeyUsageOID.SERVER_AUTH)
        builder = (
            _builder(subject, signer.subject, private.public_key())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        )
        if identity.hosts:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([_host(host) for host in identity.hosts]), critical=False
            )
        authority = serialization.load_pem_private_key(self._key.read_bytes(), None)
        if not isinstance(authority, ec.EllipticCurvePrivateKey):
            raise ClusterError(f"{self._key} is not the key that this program wrote")
        _write_key(key, private)
        _write(crt, builder.sign(authority, hashes.SHA256()).public_bytes(serialization.Encoding.PEM), 0o644)
        return crt, key

    @property
    def _key(self) -> Path:
        return self._folder / f"{self._name}.key"

    def _create(self) -> None:
        private = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"iirp {self._name}")])
        usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
        builder = (
            _builder(subject, subject, private.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(usage, critical=True)
        )
        _write_key(self._key, private)
        _write(self.certificate, builder.sign(private, hashes.SHA256()).public_bytes(serialization.Encoding.PEM), 0o644)


def signing_key(folder: Path, file: str) -> tuple[Path, Path]:
    """A key pair for ServiceAccount tokens: (public, private), written once."""
    public, private = folder / f"{file}.pub", folder / f"{file}.key"
    if not (public.exists() and private.exists()):
        key = ec.generate_private_key(ec.SECP256R1())
        _write_key(private, key)
        pem = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        _write(public, pem, 0o644)
    return public, private


def _builder(subject: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + _VALID)
    )


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    _write(path, pem, 0o600)


def _write(path: Path, content: bytes, mode: int) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
    temporary.replace(path)
