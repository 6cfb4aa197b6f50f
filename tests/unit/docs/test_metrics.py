"""Every metric of ours has its row in the reference, with its labels and the words that it is exported with."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from tests.unit.docs.pages import DOCS, ROOT

PAGE = (DOCS / "reference" / "metrics.md").read_text()


def exported() -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Name, help and labels, from the calls (and tables) that make them."""
    for folder in ("controllers", "analysis", "notifications"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                given = node.args if isinstance(node, ast.Call) else node.elts if isinstance(node, ast.Tuple) else []
                texts = [one.value for one in given[:2] if isinstance(one, ast.Constant)]
                if len(texts) == 2 and isinstance(texts[1], str) and str(texts[0]).startswith("iirp_"):
                    found = given[2] if len(given) > 2 and isinstance(given[2], ast.List) else ast.List([])
                    yield str(texts[0]), texts[1], tuple(ast.literal_eval(ast.Expression(found)))


EXPORTED = {name: (text, labels) for name, text, labels in exported()}


def test_the_search_finds_them() -> None:
    assert {"iirp_reconcile_total", "iirp_queue_depth", "iirp_analysis_requests_total"} <= EXPORTED.keys()


@pytest.mark.parametrize("name", EXPORTED)
def test_a_metric_is_in_the_reference(name: str) -> None:
    text, labels = EXPORTED[name]
    (row,) = [line for line in PAGE.splitlines() if line.startswith(f"| `{name}` |")]
    _, _, told, words, _ = (cell.strip() for cell in row.split("|"))
    assert told == ", ".join(f"`{one}`" for one in labels) or not labels
    assert words == text


def test_the_reference_has_no_others() -> None:
    assert {line.split("`")[1] for line in PAGE.splitlines() if line.startswith("| `")} == EXPORTED.keys()
