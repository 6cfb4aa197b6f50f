from __future__ import annotations

import pytest

from analysis.config import DATA_ROOT
from analysis.detect.rulebook import load_rules
from analysis.detect.rules import RuleSet


@pytest.fixture(scope="session")
def rules() -> RuleSet:
    """The rules that are shipped."""
    return load_rules(DATA_ROOT / "rules")
