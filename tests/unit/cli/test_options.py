"""Commands look at the cluster that there is, without being told its name."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.options import default_name


@pytest.mark.parametrize(
    ("folders", "env", "expected"),
    [
        ([], {}, "dev"),
        (["demo"], {}, "demo"),
        (["demo", "e2e"], {}, "dev"),
        (["demo", ".old.lock"], {}, "demo"),
        (["demo"], {"IIRP_CLUSTER": "e2e"}, "e2e"),
    ],
)
def test_the_only_cluster_is_meant(folders: list[str], env: dict[str, str], expected: str, tmp_path: Path) -> None:
    for folder in folders:
        (tmp_path / folder).mkdir()
    assert default_name(tmp_path, env) == expected
