"""The docs lead somewhere: pages of the site, links and their anchors, paths and settings named in running text."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel
from pydantic.alias_generators import to_camel

from analysis.config import Config
from external.settings import Settings
from tests.unit.docs.pages import DOCS, PAGES, ROOT

VALUES: dict[str, Any] = yaml.safe_load((ROOT / "charts/iirp/values.yaml").read_text())
FOLDERS = (
    "analysis|benchmarks|charts|cli|config|controllers|crds|demo|devcluster|docs|external|images|integrations|"
    "notifications|rbac|tests|tools"
)

KINDS_OF_RECORDS = {"audit.pruned", "audit.sealed"}
"""Of the audit log; they look like settings and are none."""


def name(page: Path) -> str:
    """Within the project."""
    return page.relative_to(ROOT).as_posix()


def leaves(node: Any) -> list[str]:
    """All files of the navigation."""
    if isinstance(node, str):
        return [node]
    return [leaf for child in (node.values() if isinstance(node, dict) else node) for leaf in leaves(child)]


def test_the_site_lists_every_page_once() -> None:
    listed = leaves(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"])
    assert len(set(listed)) == len(listed)
    assert set(listed) == {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_hold(page: Path) -> None:
    for link, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)]*))?\)", page.read_text()):
        if link.startswith(("http:", "https:")):
            continue
        target = page.parent / link if link else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), f"{link}#{anchor}"


@cache
def anchors(page: Path) -> frozenset[str]:
    """What headings are called by Python-Markdown and, for these characters, by GitHub."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return frozenset(re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", text).strip().lower()) for text in headings)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_paths_in_running_text_exist(page: Path) -> None:
    for path in re.findall(rf"`((?:{FOLDERS})/[\w./-]*\w)`", page.read_text()):
        assert (ROOT / path).exists() or (page.parent / path).exists(), path


@pytest.mark.parametrize("page", [page for page in PAGES if page.parent.name != "reference"], ids=name)
def test_settings_in_running_text_exist(page: Path) -> None:
    for path in re.findall(r"`([a-z]\w*(?:\.[a-z]\w*)+)`", page.read_text()):
        first, *rest = path.split(".")
        if path in KINDS_OF_RECORDS:
            continue
        places = [place for place in (VALUES, fields(Config), fields(Settings)) if first in place]
        assert not places or any(has(place[first], rest) for place in places), path


def fields(model: type[BaseModel]) -> dict[str, Any]:
    """A model as a tree of the keys that its file has."""
    return {to_camel(key): tree(field.annotation) for key, field in model.model_fields.items()}


def tree(annotation: Any) -> Any:
    """The model below a field, also of `Model | None`; {} where there is none."""
    options = (annotation, *getattr(annotation, "__args__", ()))
    models = [kind for kind in options if isinstance(kind, type) and issubclass(kind, BaseModel)]
    return fields(models[0]) if models else {}


def has(node: Any, path: list[str]) -> bool:
    """Whether the path is there, or ends in a map that the values leave open."""
    for step in path:
        if node in ({}, [], None):
            return True
        if not isinstance(node, dict) or step not in node:
            return False
        node = node[step]
    return True


def test_every_picture_is_shown_and_small() -> None:
    shown = {found for page in PAGES for found in re.findall(r"!\[[^]]+\]\(\S*pictures/(\S+?)\)", page.read_text())}
    there = {path.name: path.stat().st_size for path in (DOCS / "pictures").iterdir()}
    assert shown == set(there)
    assert max(there.values()) < 120_000
