"""300 canaries in 20 encodings: none of them, nor the encoded form, is left in what would be sent."""

from __future__ import annotations

import base64
import json
import random
import string
from collections.abc import Callable
from urllib.parse import quote

import pytest

from analysis.llm.redact import Redactor, neutral, redact

ALNUM = string.ascii_letters + string.digits
PER_KIND = 20


def pick(source: random.Random, alphabet: str, length: int) -> str:
    return "".join(source.choice(alphabet) for _ in range(length))


def card(source: random.Random) -> str:
    body = "4" + pick(source, string.digits, 14)
    total = sum(int(c) if at % 2 else sum(divmod(2 * int(c), 10)) for at, c in enumerate(body))
    return body + str(-total % 10)


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


JWT_HEAD = b64('{"alg":"HS256"}').rstrip("=")

Kind = Callable[[random.Random], tuple[str, str]]
"""A secret, and the text in which it appears."""
KINDS: dict[str, Kind] = {
    "aws": lambda r: (s := "AKIA" + pick(r, string.ascii_uppercase + "234567", 16), f"key {s}"),
    "aws-secret": lambda r: (s := pick(r, ALNUM, 40), f"aws_secret_access_key = {s}"),
    "github": lambda r: (s := "ghp_" + pick(r, ALNUM, 36), f"clone with {s}"),
    "gitlab": lambda r: (s := "glpat-" + pick(r, ALNUM, 20), f"token {s} refused"),
    "slack": lambda r: (s := f"xoxb-{pick(r, string.digits, 12)}-{pick(r, ALNUM, 24)}", f"posting as {s}"),
    "stripe": lambda r: (s := "sk_live_" + pick(r, ALNUM, 24), f"charge with {s}"),
    "google": lambda r: (s := "AIza" + pick(r, ALNUM, 35), f"maps?key={s}"),
    "jwt": lambda r: (s := f"{JWT_HEAD}.{b64(pick(r, ALNUM, 20)).rstrip('=')}.{pick(r, ALNUM, 43)}", f"got {s}"),
    "bearer": lambda r: (s := pick(r, ALNUM, 24), f"Authorization: Bearer {s}"),
    "basic": lambda r: (s := pick(r, ALNUM, 12), f"Authorization: Basic {b64('admin:' + s)}"),
    "password": lambda r: (s := pick(r, string.ascii_lowercase, 9) + "!7", f"DB_PASSWORD={s}"),
    "url": lambda r: (s := pick(r, ALNUM, 11), f"postgres://app:{s}@db:5432/shop"),
    "email": lambda r: (s := f"{pick(r, string.ascii_lowercase, 8)}@example.org", f"login of {s} failed"),
    "card": lambda r: (s := card(r), f"declined {s} by bank"),
    "hex": lambda r: (s := pick(r, "0123456789abcdef", 64), f"seed {s}"),
}

ENCODINGS: dict[str, Callable[[str], str]] = {
    "plain": lambda t: t,
    "json": lambda t: json.dumps({"msg": t}),
    "json in json": lambda t: json.dumps({"log": json.dumps({"msg": t})}),
    "unicode escapes": lambda t: "".join(f"\\u{ord(c):04x}" for c in t),
    "byte escapes": lambda t: "".join(f"\\x{ord(c):02x}" for c in t),
    "url": lambda t: quote(t, safe=""),
    "url, every byte": lambda t: "".join(f"%{ord(c):02X}" for c in t),
    "url twice": lambda t: quote(quote(t, safe=""), safe=""),
    "query": lambda t: f"GET /cb?state=1&x={quote(t, safe='')}&y=2 HTTP/1.1",
    "base64": b64,
    "base64 url": lambda t: base64.urlsafe_b64encode(t.encode()).decode(),
    "base64 unpadded": lambda t: b64(t).rstrip("="),
    "base64 twice": lambda t: b64(b64(t)),
    "base64 in url": lambda t: quote(b64(t), safe=""),
    "base64 in json": lambda t: json.dumps({"data": b64(t)}),
    "base32": lambda t: base64.b32encode(t.encode()).decode(),
    "hex": lambda t: t.encode().hex(),
    "entities": lambda t: "".join(f"&#{ord(c)};" for c in t),
    "zero width": lambda t: "\u200b".join(t),
    "full width": lambda t: "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in t),
}


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("kind", KINDS)
def test_no_canary_leaves(kind: str, encoding: str) -> None:
    source = random.Random(f"{kind}")
    for _ in range(PER_KIND):
        secret, text = KINDS[kind](source)
        encoded = ENCODINGS[encoding](text)
        sent = neutral(f"2026-01-02 ERROR handler said {encoded} and gave up", 4000)
        assert secret not in sent, sent
        assert ENCODINGS[encoding](secret) not in sent, sent
        assert encoded not in sent, sent


def test_that_is_three_hundred_canaries_in_twenty_encodings() -> None:
    assert (len(KINDS) * PER_KIND, len(ENCODINGS)) == (300, 20)


@pytest.mark.parametrize(
    "text",
    [
        "deployment payments-7c9d8f6b5d-abcde rolled out rev 7 at 14:02:10 (image v1.8 -> v1.9)",
        "order 9f1c2b3a-0000-4000-8000-1234567890ab failed after 1500 ms: java.lang.IllegalStateException",
        "org.apache.hadoop.mapreduce.lib.output.FileOutputCommitterV2Factory: using FileOutputCommitter",
        "GET /api/v1/namespaces/shop/pods?limit=500&labelSelector=app%3Dpayments took 3.2s",
        "requests -2 % (8.0 to 7.8 per second), 95th percentile 0.05 s before",
        "secretName not found: mounting volume failed",
        "2026-01-02T03:04:05.678901Z took 1700000000123 ns",
        "OutOfMemoryError in CacheLoadingWorkerThreadPool",
    ],
)
def test_what_a_diagnosis_needs_stays(text: str) -> None:
    assert redact(text) == text


def test_pseudonyms_tell_apart_hold_and_turn_back() -> None:
    redactor = Redactor()
    first = redactor.neutral("10.0.0.7 called 10.0.0.8 for ann@example.org from fe80::1")
    second = redactor.neutral("10.0.0.8 refused")
    assert first == "[ip-1] called [ip-2] for [email-1] from [ip-3]"
    assert second == "[ip-2] refused"
    assert (
        redactor.restore("it is [ip-2], not [ip-9] nor [redacted:key]")
        == "it is 10.0.0.8, not [ip-9] nor [redacted:key]"
    )


def test_a_secret_is_never_restored() -> None:
    redactor = Redactor()
    assert "hunter22" not in redactor.restore(redactor.redact("password=hunter22"))


def test_a_number_that_is_no_card_stays() -> None:
    assert redact("id 4111111111111112") == "id 4111111111111112"
    assert redact("id 4111 1111 1111 1111") == "id [card-1]"


def test_hostile_text_takes_bounded_time() -> None:
    for text in (
        "%41" * 100_000,
        "a" * 500_000,
        "QUFB" * 100_000,
        "password=" * 50_000,
        "&#65;" * 50_000,
        "1:" * 50_000,
    ):
        assert len(redact(text)) <= 60_000
