from __future__ import annotations

from pathlib import Path

import pytest

from analysis.configfile import MAX_FILE_BYTES, ConfigError, read_yaml
from analysis.detect.check import RuleCases
from analysis.detect.rulebook import RuleFile
from analysis.detect.series import Learning
from analysis.rca.catalogue import CauseFile


@pytest.mark.parametrize("content", [b"\xff\xfe", b"[", b"- 1", b"text", b" " * (MAX_FILE_BYTES + 1)])
def test_a_file_of_rules_or_causes_that_cannot_be_used_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(content)
    for model in (RuleFile, CauseFile, RuleCases, Learning):
        with pytest.raises(ConfigError, match=str(path)):
            read_yaml(path, model)
