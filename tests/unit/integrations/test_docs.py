"""The docs lead somewhere: the site's pages exist, links between files hold."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.plugin.arguments import parse
from tests.unit.integrations.support import ROOT

DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), *(ROOT / "integrations").rglob("*.md")])


def leaves(node: Any) -> list[str]:
    """All files of the navigation."""
    if isinstance(node, str):
        return [node]
    return [leaf for child in (node.values() if isinstance(node, dict) else node) for leaf in leaves(child)]


def test_the_sites_pages_exist() -> None:
    listed = leaves(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"])
    assert len(set(listed)) == len(listed)
    assert set(listed) <= {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_hold(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text()):
        if not link.startswith(("http:", "https:")):
            assert (page.parent / link).exists(), link


def test_every_picture_is_shown_and_small() -> None:
    shown = {name for page in PAGES for name in re.findall(r"!\[[^]]+\]\(\S*pictures/(\S+?)\)", page.read_text())}
    there = {path.name: path.stat().st_size for path in (DOCS / "pictures").iterdir()}
    assert shown == set(there)
    assert max(there.values()) < 120_000


def test_the_plugins_commands_are_as_documented() -> None:
    lines = re.findall(
        r"^\$ kubectl iirp (.+?)(?:\s{2,}#.*)?$", (DOCS / "how-to" / "kubectl.md").read_text(), re.MULTILINE
    )
    assert len(lines) >= 7
    for line in lines:
        assert parse(re.findall(r'"[^"]*"|\S+', line)).command == line.split()[0]
