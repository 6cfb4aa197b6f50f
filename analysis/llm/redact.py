"""What leaves for a model is redacted and neutralised: secrets out, fences and control characters out."""

from __future__ import annotations

import re
from typing import Final

_RULES: Final[tuple[tuple[str, re.Pattern[str]], ...]] = (
    ("jwt", re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*")),
    ("key", re.compile(r"-----BEGIN [A-Z ]+-----.*?(-----END [A-Z ]+-----|$)", re.DOTALL)),
    ("key", re.compile(r"\b(AKIA|ASIA)[A-Z0-9]{12,}\b|\b(sk|pk|ghp|gho|glpat|xox[a-z])[-_][A-Za-z0-9_-]{12,}")),
    ("bearer", re.compile(r"(?i)\bbearer\s+[A-Za-z0-9._~+/=-]{8,}")),
    ("credentials", re.compile(r"(?<=://)[^/\s:@]+:[^/\s@]+(?=@)")),
    (
        "secret",
        re.compile(
            r"(?i)\b([\w.-]*(?:passw(?:or)?d|passphrase|secret|token|api[_-]?key|access[_-]?key|authorization|cookie)[\w.-]*)"
            r"(\"?\s*[=:]\s*\"?)([^\s\"',;&]{3,})"
        ),
    ),
    ("email", re.compile(r"\b[\w.+-]+@[\w-]+\.[\w.-]+\b")),
    ("hex", re.compile(r"\b[0-9a-fA-F]{40,}\b")),
)


def redact(text: str) -> str:
    """Replace what looks like a credential or a person's address by ``[redacted:kind]``."""
    for kind, pattern in _RULES:
        if kind == "secret":
            text = pattern.sub(r"\1\2[redacted:secret]", text)
        else:
            text = pattern.sub(f"[redacted:{kind}]", text)
    return text


def neutral(text: str, length: int = 400) -> str:
    """Redacted, one line, without characters that could end a fence or pose as markup; cut to ``length``."""
    clean = redact(text)
    clean = "".join(char if char.isprintable() else " " for char in clean)
    clean = clean.replace("<", "‹").replace(">", "›").replace("`", "'")
    return " ".join(clean.split())[:length]
