"""Real TLS on loopback: who trusts the CA is answered, what is not understood is an error, and certificates renew."""

from __future__ import annotations

import http.client
import json
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from controllers.runtime.errors import Terminal
from controllers.runtime.settings import Settings
from controllers.webhook.certificates import LIFETIME, Issued, Serving
from controllers.webhook.run import source_of
from controllers.webhook.server import MAX_BODY, Webhook
from tests.unit.controllers.webhook.test_decide import review
from tests.unit.controllers.webhook.test_policies import review as policy_review
from tests.unit.controllers.webhook.test_policies import when

NAME = "iirp-webhook.iirp-system.svc"


def authority(folder: Path, days: float = 3650) -> Path:
    """A CA as Helm's genCA makes it: RSA."""
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "iirp-webhook")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    folder.mkdir(exist_ok=True)
    (folder / "tls.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    (folder / "tls.key").write_bytes(pem)
    return folder


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def server(ca: Path, told: list[str]) -> Iterator[Webhook]:
    with Webhook(0, Serving(Issued(ca, (NAME, "localhost"))), told.append, "127.0.0.1") as running:
        threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield running
        running.shutdown()


def connect(server: Webhook, ca: Path) -> http.client.HTTPSConnection:
    context = ssl.create_default_context(cafile=str(ca / "tls.crt"))
    return http.client.HTTPSConnection("localhost", server.server_address[1], timeout=10, context=context)


def post(server: Webhook, ca: Path, body: bytes, path: str = "/decisions") -> tuple[int, dict[str, object]]:
    connection = connect(server, ca)
    connection.request("POST", path, body)
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


def test_decision_is_answered_over_tls(server: Webhook, ca: Path, told: list[str]) -> None:
    status, body = post(
        server, ca, json.dumps(review({"iirp.io/decision": "approve"})).encode(), "/decisions?timeout=5s"
    )
    assert status == 200
    assert body["response"]["patchType"] == "JSONPatch"  # type: ignore[index]
    assert told == ["entry"]


def test_policies_are_judged_over_tls(server: Webhook, ca: Path, told: list[str]) -> None:
    status, body = post(server, ca, json.dumps(policy_review(when("severity >"))).encode(), "/policies?timeout=5s")
    assert status == 200
    assert body["response"]["allowed"] is False  # type: ignore[index]
    assert told == ["invalid"]


@pytest.mark.parametrize(
    ("body", "path", "status"),
    [
        (b"", "/decisions", 400),
        (b"{", "/decisions", 400),
        (b"{", "/policies", 400),
        (b"{}", "/decisions", 400),
        (b"[]", "/decisions", 400),
        (b"\xff\xfe", "/decisions", 400),
        (json.dumps(review({})).encode(), "/other", 404),
    ],
)
def test_what_is_not_understood_is_an_error(server: Webhook, ca: Path, body: bytes, path: str, status: int) -> None:
    assert post(server, ca, body, path)[0] == status


@pytest.mark.parametrize("length", [str(MAX_BODY + 1), "x", "-1"])
def test_length_is_bounded_before_anything_is_read(server: Webhook, ca: Path, length: str) -> None:
    connection = connect(server, ca)
    connection.putrequest("POST", "/decisions")
    connection.putheader("Content-Length", length)
    connection.endheaders()
    assert connection.getresponse().status == 413


def test_a_client_that_does_not_speak_tls_keeps_nobody_waiting(server: Webhook, ca: Path) -> None:
    plain = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=10)
    plain.connect()  # and says nothing
    assert post(server, ca, json.dumps(review({})).encode())[0] == 200
    plain.close()


def test_certificate_renews_before_it_ends_and_when_the_ca_changes(tmp_path: Path) -> None:
    folder = authority(tmp_path / "ca")
    clock = [datetime.now(UTC)]
    serving = Serving(Issued(folder, (NAME,)), lambda: clock[0])
    first, began = serving.context(), serving.not_after
    assert began - clock[0] == LIFETIME
    clock[0] += LIFETIME / 2
    assert serving.context() is first
    clock[0] += LIFETIME / 4
    second = serving.context()
    assert second is not first
    assert serving.not_after > began
    authority(folder)
    clock[0] += timedelta(seconds=11)
    assert serving.context() is not second


def test_certificate_never_outlives_its_ca_and_a_lost_ca_stops_nothing(tmp_path: Path) -> None:
    folder = authority(tmp_path / "ca", days=3)
    clock = [datetime.now(UTC)]
    serving = Serving(Issued(folder, (NAME,)), lambda: clock[0])
    assert serving.not_after - clock[0] <= timedelta(days=3)
    context = serving.context()
    (folder / "tls.key").unlink()
    clock[0] += timedelta(minutes=1)
    assert serving.context() is context


def test_without_a_certificate_it_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(Terminal, match="set IIRP_WEBHOOK_CA_DIR"):
        source_of(Settings())
    with pytest.raises(Terminal, match=r"mount a Secret with tls\.crt"):
        source_of(Settings(webhook_ca_dir=tmp_path))(datetime.now(UTC))


def test_given_certificates_are_served_as_they_are(ca: Path) -> None:
    source = source_of(Settings(webhook_cert_dir=ca, webhook_ca_dir=ca))
    assert source(datetime.now(UTC)).certificate == (ca / "tls.crt").read_bytes()
