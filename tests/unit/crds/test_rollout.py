from __future__ import annotations

import pytest

from crds.v1alpha1 import rollout

ANNOTATION = rollout.REVISION_ANNOTATION


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("7", 7), ("12", 12), ("", 0), ("0", 0), ("007", 0), ("-1", 0), (" 7", 0), ("7\n", 0),
        ("\u00b2", 0), ("\u0663", 0), ("9" * 18, 10**18 - 1), ("9" * 19, 0), ("9" * 5000, 0),
    ],
)  # fmt: skip
def test_a_revision_is_whatever_somebody_wrote_there(text: str, number: int) -> None:
    assert rollout.revision({"metadata": {"annotations": {ANNOTATION: text}}}) == number


@pytest.mark.parametrize("metadata", [{}, {"annotations": None}, {"annotations": {}}])
def test_an_object_without_one_has_none(metadata: dict[str, object]) -> None:
    assert rollout.revision({"metadata": metadata}) == 0
