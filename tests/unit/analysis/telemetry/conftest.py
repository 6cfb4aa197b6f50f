from __future__ import annotations

from tests.unit.analysis.detect.conftest import rules as rules
