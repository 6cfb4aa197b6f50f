"""What leaves for a model is redacted and neutralised: secrets out, people out, fences and control characters out.

Secrets are gone for good. E-mail addresses, IP addresses and card numbers get pseudonyms that hold within one prompt,
so that the model can still tell two of them apart, and that are turned back only on this side.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from itertools import pairwise
from typing import Final

from analysis.llm.encoded import ENCODINGS, Encoding, plain

MAX_DEPTH: Final = 4
"""Encodings within encodings that are unwrapped."""
MAX_CHARS: Final = 8_000
"""Longer texts are cut before anything else: looking into encodings takes time."""

_KEY: Final = (
    r"(?:passw(?:or)?d|passwd|pwd|passphrase|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credential"
    r"|authorization|cookie|session[_-]?id|signature)[\w.-]{0,64}"
)
_SECRETS: Final[tuple[tuple[str, re.Pattern[str]], ...]] = (
    ("key", re.compile(r"-----BEGIN [A-Z ]+-----.*?(-----END [A-Z ]+-----|$)", re.DOTALL)),
    ("jwt", re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)?")),
    (
        "key",
        re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{12,}\b|\bAIza[\w-]{30,}|\bya29\.[\w-]{10,}|\bSG\.[\w-]{10,}\.[\w-]{10,}"),
    ),
    ("key", re.compile(r"\b(?:sk|pk|rk|gh[oprsu]|github_pat|glpat|xox[a-z]|npm|hf|dop_v1|hvs)[-_.][\w.-]{12,}")),
    ("bearer", re.compile(r"(?i)\b(?:bearer|basic)\s+[A-Za-z0-9._~+/=-]{6,}")),
    ("credentials", re.compile(r"(?<=://)[^/\s:@]{0,128}:[^/\s]{1,256}(?=@)")),
    ("hex", re.compile(r"\b[0-9a-fA-F]{40,}\b")),
)
_NAMED: Final = re.compile(
    rf"(?i)({_KEY}\\*[\"']?\s*(?:=>|[=:]|\s(?:is|was)\s)\s*|--[\w-]{{0,32}}{_KEY}\s+)"
    r"(\\*\"(?:[^\"\\]|\\[^\"])*\\*\"|'[^']*'|[^\s\"',;&]{3,})"
)
"""A name that says that a secret follows, and the secret."""
_RANDOM: Final = re.compile(r"(?<![\w+-])[\w+=-]{20,}")
_EMAIL: Final = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}\.[\w.-]{0,190}\w")
_CARD: Final = re.compile(r"(?<![\d.-])\d(?:[ -]?\d){12,18}(?![\d.-])")
_ADDRESS: Final = re.compile(
    r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.])|(?<![\w:.])[0-9a-fA-F]{0,4}(?::[0-9a-fA-F]{0,4}){2,7}(?![\w:])"
)
_PSEUDONYM: Final = re.compile(r"\[(?:email|card|ip)-\d+\]")


class Redactor:
    """Redacts the texts of one prompt alike. Not safe for use by several threads at once."""

    def __init__(self) -> None:
        self._pseudonyms: dict[tuple[str, str], str] = {}
        self._originals: dict[str, str] = {}

    def redact(self, text: str) -> str:
        """Secrets replaced by ``[redacted:kind]``, people's data by pseudonyms, in encodings too."""
        return self._clean(plain(text[:MAX_CHARS]), 0)

    def neutral(self, text: str, length: int = 400) -> str:
        """Redacted, one line, without characters that could end a fence or pose as markup; cut to ``length``."""
        return _flat(self.redact(text))[:length]

    def restore(self, text: str) -> str:
        """Pseudonyms that this redactor gave turned back; for eyes on this side only."""
        return _PSEUDONYM.sub(lambda found: self._originals.get(found[0], found[0]), text)

    def _clean(self, text: str, depth: int) -> str:
        if depth < MAX_DEPTH:
            for one in ENCODINGS:
                text = self._unwrap(text, one, depth)
        for kind, pattern in _SECRETS:
            text = pattern.sub(f"[redacted:{kind}]", text)
        text = _NAMED.sub(_named, text)
        text = _RANDOM.sub(_random, text)
        text = _EMAIL.sub(lambda found: self._pseudonym("email", found[0]), text)
        text = _CARD.sub(lambda found: self._pseudonym("card", found[0]) if _luhn(found[0]) else found[0], text)
        return _ADDRESS.sub(lambda found: self._pseudonym("ip", found[0]) if _address(found[0]) else found[0], text)

    def _unwrap(self, text: str, encoding: Encoding, depth: int) -> str:
        """Encoded stretches that hold something to redact are replaced; all others stay as they are."""

        def replaced(found: re.Match[str]) -> str:
            decoded = encoding.decode(found[0])
            if decoded is None or decoded == found[0]:
                return found[0]
            decoded = plain(decoded)
            cleaned = self._clean(decoded, depth + 1)
            if cleaned == decoded:
                return found[0]
            return cleaned if encoding.readable else "[redacted:encoded]"

        return encoding.pattern.sub(replaced, text)

    def _pseudonym(self, kind: str, original: str) -> str:
        known = self._pseudonyms.get((kind, original))
        if known is None:
            number = sum(one == kind for one, _ in self._pseudonyms) + 1
            known = self._pseudonyms[kind, original] = f"[{kind}-{number}]"
            self._originals[known] = original
        return known


def redact(text: str) -> str:
    """Redact one text for good."""
    return Redactor().redact(text)


def neutral(text: str, length: int = 400) -> str:
    """Redact and neutralise one text for good; see :meth:`Redactor.neutral`."""
    return Redactor().neutral(text, length)


def _flat(text: str) -> str:
    clean = "".join(char if char.isprintable() else " " for char in text)
    clean = clean.replace("<", "‹").replace(">", "›").replace("`", "'")
    return " ".join(clean.split())


def _named(found: re.Match[str]) -> str:
    return found[0] if found[2].startswith("[redacted:") else f"{found[1]}[redacted:secret]"


def _random(found: re.Match[str]) -> str:
    """Redacts what only a random generator writes: three classes of characters that change all the time.

    Names change class where their words begin, random text at six of ten characters.
    """
    classes = ["d" if char.isdigit() else "u" if char.isupper() else "l" for char in found[0] if char.isalnum()]
    changes = sum(one != other for one, other in pairwise(classes))
    random = len(set(classes)) == 3 and changes >= 0.4 * len(classes)
    return "[redacted:random]" if random else found[0]


def _luhn(text: str) -> bool:
    digits = [int(char) for char in reversed(text) if char.isdigit()]
    doubled = (sum(divmod(2 * digit, 10)) for digit in digits[1::2])
    return len(set(digits)) > 1 and (sum(digits[::2]) + sum(doubled)) % 10 == 0


def _valid(parse: Callable[[str], object], text: str) -> bool:
    try:
        parse(text)
    except ValueError:
        return False
    return True


def _address(text: str) -> bool:
    return _valid(ipaddress.ip_address, text) and text != "::"
