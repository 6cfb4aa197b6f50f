"""What the browser runs: third-party files as they were published, ours without anything the policy forbids."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

import analysis.web
from analysis.web.pages import STATIC

FOLDER = Path(analysis.web.__file__).parent / "static"
PUBLISHED = {
    "vendor/htmx.min.js": "a0abb04f2f45a1f89d1d4844023245537e5e6014c87b144553e0607b4cc32130",
    "vendor/hx-sse.min.js": "18ef2761356ec1fe0bb6d92612315b37517a7c1e9856b661c5ae81fef239d103",
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_third_party_files_are_unchanged(name: str) -> None:
    assert hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() == PUBLISHED[name]


def test_what_is_served_is_there_and_what_is_there_is_accounted_for() -> None:
    files = {
        path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*") if path.suffix in {".js", ".css", ".svg"}
    }
    assert files == set(STATIC)


def test_our_script_writes_text_only() -> None:
    text = (FOLDER / "app.js").read_text()
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function", text)
