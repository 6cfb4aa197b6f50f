"""The webhook's serving certificate: issued here from the release's own CA and renewed in memory, or read from files.

The CA's key is mounted from a Secret that only this pod mounts; what it signs is believed by nobody but the one webhook
configuration that carries its certificate. So rotation needs no right in the cluster: a right to patch a webhook
configuration would be a right to see and change every object of the cluster.
"""

from __future__ import annotations

import logging
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from controllers.runtime.errors import Terminal

LIFETIME = timedelta(days=30)
BACKDATED = timedelta(minutes=5)
"""Clocks differ."""
RECHECK = timedelta(seconds=10)
CERTIFICATE, KEY = "tls.crt", "tls.key"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Pair:
    """A certificate chain and its key, both PEM."""

    certificate: bytes
    key: bytes
    not_after: datetime


def issue(ca: Pair, names: tuple[str, ...], now: datetime) -> Pair:
    """A serving certificate for ``names``, of a fresh P-256 key; never outlives its CA."""
    issuer = x509.load_pem_x509_certificate(ca.certificate)
    signer = serialization.load_pem_private_key(ca.key, password=None)
    if not isinstance(signer, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise Terminal("BadCertificateAuthority", f"the CA's key must be RSA or EC, not {type(signer).__name__}")
    key = ec.generate_private_key(ec.SECP256R1())
    not_after = min(now + LIFETIME, issuer.not_valid_after_utc)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])]))
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(not_after)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    )
    certificate = builder.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return Pair(certificate, pem, not_after)


def read_pair(folder: Path) -> Pair:
    """``tls.crt`` and ``tls.key`` of a mounted Secret.

    Raises:
        Terminal: they are not there, or no certificate; names the file.
    """
    try:
        certificate, key = (folder / CERTIFICATE).read_bytes(), (folder / KEY).read_bytes()
        return Pair(certificate, key, x509.load_pem_x509_certificate(certificate).not_valid_after_utc)
    except (OSError, ValueError) as error:
        message = f"{error}: mount a Secret with {CERTIFICATE} and {KEY} at {folder}"
        raise Terminal("NoCertificate", message) from error


class Source(Protocol):
    """Where the pair of the moment comes from."""

    def __call__(self, now: datetime) -> Pair:
        """The same object as long as nothing has changed."""


class Issued:
    """Signed by the CA in ``folder``; anew when two thirds of its time are over, or the CA has changed."""

    def __init__(self, folder: Path, names: tuple[str, ...]) -> None:
        self._folder, self._names = folder, names
        self._ca: Pair | None = None
        self._pair: Pair | None = None
        self._due = datetime.min.replace(tzinfo=UTC)

    def __call__(self, now: datetime) -> Pair:
        """See :class:`Source`. Raises Terminal when there is no CA."""
        ca = read_pair(self._folder)
        if self._pair is None or ca != self._ca or now >= self._due:
            self._ca, self._pair = ca, issue(ca, self._names, now)
            self._due = now + (self._pair.not_after - now) * 2 / 3
        return self._pair


class Serving:
    """The TLS context of the moment; files are looked at every ``RECHECK``."""

    def __init__(self, source: Source, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._source, self._now = source, now
        self._lock = threading.Lock()
        self._checked = now()
        self._pair = source(self._checked)
        self._context = _context(self._pair)

    @property
    def not_after(self) -> datetime:
        """When the certificate that is served ends."""
        return self._pair.not_after

    def context(self) -> ssl.SSLContext:
        """For the next connection. What cannot be read now is looked at again later; the old one serves on."""
        with self._lock:
            now = self._now()
            if now - self._checked >= RECHECK:
                self._checked = now
                try:
                    pair = self._source(now)
                except Terminal as error:
                    log.error("certificate not renewed: %s", error)  # noqa: TRY400  the message says it all
                else:
                    if pair != self._pair:
                        self._pair, self._context = pair, _context(pair)
                        log.info("serving a new certificate until %s", pair.not_after)
            return self._context


def _context(pair: Pair) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # The ssl module reads files only.
    with TemporaryDirectory() as folder:
        certificate, key = Path(folder) / CERTIFICATE, Path(folder) / KEY
        certificate.write_bytes(pair.certificate)
        key.touch(mode=0o600)
        key.write_bytes(pair.key)
        context.load_cert_chain(certificate, key)
    return context
