"""Text hidden in an encoding: what a secret may be wrapped in when it stands in a log line."""

from __future__ import annotations

import base64
import binascii
import html
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

Decode = Callable[[str], str | None]


@dataclass(frozen=True, slots=True)
class Encoding:
    """Where a kind of encoded text may stand, and how to read it. ``readable`` text can be shown decoded."""

    pattern: re.Pattern[str]
    decode: Decode
    readable: bool


def plain(text: str) -> str:
    """Compatibility forms (full-width letters and the like) made ordinary, invisible characters removed."""
    composed = unicodedata.normalize("NFKC", text)
    return "".join(char for char in composed if unicodedata.category(char) != "Cf")


def _printable(data: bytes) -> str | None:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return text if text and all(char.isprintable() or char in "\r\n\t" for char in text) else None


def _base64(text: str) -> str | None:
    body = text.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return _printable(base64.b64decode(body + "=" * (-len(body) % 4), validate=True))
    except binascii.Error:
        return None


def _base32(text: str) -> str | None:
    body = text.rstrip("=").upper()
    try:
        return _printable(base64.b32decode(body + "=" * (-len(body) % 8)))
    except binascii.Error:
        return None


def _hex(text: str) -> str | None:
    return _printable(bytes.fromhex(text)) if len(text) % 2 == 0 else None


_ESCAPE: Final = re.compile(r"\\+(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2}))")


def _escapes(text: str) -> str:
    return _ESCAPE.sub(lambda found: chr(int(found[1] or found[2], 16)), text)


ENCODINGS: Final[tuple[Encoding, ...]] = (
    Encoding(re.compile(r"(?<!\S)\S*%[0-9a-fA-F]{2}\S*"), unquote, readable=True),
    Encoding(re.compile(r"(?<!\S)\S*&#?\w{1,8};\S*"), html.unescape, readable=True),
    Encoding(re.compile(r"(?<!\S)\S*\\(?:u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2})\S*"), _escapes, readable=True),
    Encoding(re.compile(r"(?<![0-9a-zA-Z])(?:[0-9a-fA-F]{2}){6,}(?![0-9a-zA-Z])"), _hex, readable=False),
    Encoding(re.compile(r"(?<![A-Za-z0-9])[A-Z2-7]{12,}={0,6}(?![A-Za-z0-9])"), _base32, readable=False),
    Encoding(re.compile(r"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{10,}={0,2}"), _base64, readable=False),
)
