"""The generator: what is committed is what it writes, and --check says which files are not."""

from __future__ import annotations

from pathlib import Path

import pytest

from crds import generate
from crds.chart import policy_template


def test_everything_generated_is_up_to_date() -> None:
    assert generate.differences(generate.generated_files()) == [], "run `python -m crds.generate`"


def test_differences_are_missing_changed_and_left_over_files(tmp_path: Path) -> None:
    files = {"crds/yaml/a.yaml": "a\n", "docs/b.md": "b\n"}
    left_over = tmp_path / "crds/yaml/old.yaml"
    left_over.parent.mkdir(parents=True)
    left_over.write_text("old")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/b.md").write_text("edited by hand")

    assert generate.differences(files, tmp_path) == ["crds/yaml/a.yaml", "crds/yaml/old.yaml", "docs/b.md"]
    assert generate.write(files, tmp_path) == ["crds/yaml/a.yaml", "crds/yaml/old.yaml", "docs/b.md"]

    assert generate.differences(files, tmp_path) == []
    assert not left_over.exists()


def test_check_exits_1_and_names_the_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(generate, "differences", lambda files: ["crds/yaml/incidents.yaml"])
    assert generate.main(["--check"]) == 1
    printed = capsys.readouterr()
    assert "differs: crds/yaml/incidents.yaml" in printed.out
    assert "python -m crds.generate" in printed.err


@pytest.mark.parametrize(
    "text",
    [
        "metadata:\n  name: x\nspec: {rules: [{match: {namespaces: [other]}}]}",
        "metadata:\n  name: x\nspec: {}",
        "metadata:\n  name: x\n  # namespaces: [shop] {{ . }}",
    ],
)
def test_a_default_policy_must_leave_its_namespaces_to_the_values(tmp_path: Path, text: str) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"policy\.yaml: every rule must say"):
        policy_template(path)
