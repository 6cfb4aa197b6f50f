"""TLS of the server's own: a renewed certificate is taken, a broken one changes nothing."""

from __future__ import annotations

import os
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509
from fastapi import FastAPI

from analysis.config import Listen, Tls
from analysis.configfile import ConfigError
from analysis.serving import renew, serve, stamp
from devcluster.pki import Authority, Identity
from devcluster.processes import poll


def issued(folder: Path, name: str) -> Tls:
    """A certificate of a new authority."""
    return Tls.model_validate(
        dict(zip(("cert_file", "key_file"), Authority(folder, "ca").issue("server", Identity(name)), strict=True))
    )


def served(context: ssl.SSLContext) -> str:
    """Whose certificate a client is shown."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        answering = threading.Thread(target=lambda: context.wrap_socket(theirs, server_side=True).close())
        answering.start()
        asking = ssl.create_default_context()
        asking.check_hostname, asking.verify_mode = False, ssl.CERT_NONE
        with asking.wrap_socket(ours) as connection:
            der = connection.getpeercert(binary_form=True) or b""
        answering.join(30)
    (name,) = x509.load_der_x509_certificate(der).subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return str(name.value)


@contextmanager
def renewing(tls: Tls, every: float) -> Iterator[ssl.SSLContext]:
    """A server's context whose certificate is looked at so often, in seconds."""
    seen, context, stop = stamp(tls), ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), threading.Event()
    context.load_cert_chain(tls.cert_file, tls.key_file)
    watching = threading.Thread(target=renew, args=(context, tls, seen, stop, every))
    watching.start()
    try:
        yield context
    finally:
        stop.set()
        watching.join(30)


def test_a_renewed_certificate_is_taken_and_a_broken_one_is_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tls = issued(tmp_path / "old", "old")
    with renewing(tls, 0.01) as context:
        assert served(context) == "old"
        new = issued(tmp_path / "new", "new")
        os.replace(new.cert_file, tls.cert_file)
        assert poll(lambda: "the old one stays" in caplog.text, 30)
        assert served(context) == "old"  # its key has not come yet
        os.replace(new.key_file, tls.key_file)
        assert poll(lambda: served(context) == "new", 30)
        tls.cert_file.write_text("half a file")
        assert served(context) == "new"


def test_no_connection_is_refused_while_certificates_are_renewed(tmp_path: Path) -> None:
    tls = issued(tmp_path / "0", "0")
    with renewing(tls, 0.0005) as context:
        for number in range(1, 6):
            new = issued(tmp_path / str(number), str(number))
            for made, old in ((new.key_file, tls.key_file), (new.cert_file, tls.cert_file)):
                os.replace(made, old)
            assert poll(lambda wanted=str(number): served(context) == wanted, 30, 0.0)  # each of these is a handshake


def test_a_certificate_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    listen = Listen(tls=Tls(cert_file=tmp_path / "none.crt", key_file=tmp_path / "none.key"))
    with pytest.raises(ConfigError, match=r"listen\.tls"):
        serve(FastAPI(), listen)
