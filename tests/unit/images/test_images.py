"""Images: keys follow content, nothing is built twice, and the Dockerfile makes the same."""

from __future__ import annotations

import ast
import io
import json
import re
import sys
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import metadata
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from devcluster.errors import ClusterError
from devcluster.images import ImageConfig
from images.build import Builder
from images.catalogue import IMAGES, Image
from images.layers import PythonLayer, SourceLayer, WheelsLayer, _narrowed, project_root


@dataclass
class CountingLayer:
    """Writes one file and counts how often it was made."""

    name: str
    content: str = "x"
    made: list[str] = field(default_factory=list)

    def key(self) -> str:
        return f"{hash(self.content) & 0xFFFFFFFFFFFFFFFF:016x}"

    def stage(self, folder: Path, log: Path) -> None:
        self.made.append(self.name)
        (folder / f"{self.name}.txt").write_text(self.content)


def image(*layers: CountingLayer) -> Image:
    return Image("sample", layers, ImageConfig(entrypoint=("/x",), user="65532:65532"))


def test_an_archive_has_its_layers_in_order_and_names_itself(tmp_path: Path) -> None:
    built = Builder(tmp_path).build(image(CountingLayer("base"), CountingLayer("app")))
    with tarfile.open(built.archive) as archive:
        manifest = json.load(archive.extractfile("manifest.json") or io.BytesIO())[0]
        names = [
            tarfile.open(fileobj=archive.extractfile(layer)).getnames()  # noqa: SIM115
            for layer in manifest["Layers"]
        ]
    assert manifest["RepoTags"] == [f"localhost/iirp/sample:{built.tag}"]
    assert names == [["base.txt"], ["app.txt"]]


def test_a_layer_is_made_once_for_all_images_and_a_change_makes_only_its_own(tmp_path: Path) -> None:
    base = CountingLayer("base")
    builder = Builder(tmp_path)
    first = builder.build(image(base, CountingLayer("app")))
    second = builder.build(image(base, CountingLayer("app", "changed")))
    assert base.made == ["base"]
    assert first.tag != second.tag


def test_what_is_in_the_cache_is_not_made_again(tmp_path: Path) -> None:
    layer = CountingLayer("base")
    first = Builder(tmp_path).build(image(layer))
    assert Builder(tmp_path).build(image(layer)) == first
    assert layer.made == ["base"]


def test_an_interrupted_build_leaves_nothing_that_looks_finished(tmp_path: Path) -> None:
    class Broken(CountingLayer):
        def stage(self, folder: Path, log: Path) -> None:
            super().stage(folder, log)
            raise ClusterError("no network")

    with pytest.raises(ClusterError, match="no network"):
        Builder(tmp_path).build(image(Broken("base")))
    assert list((tmp_path / "images").rglob("*.tar")) == []
    assert Builder(tmp_path).build(image(CountingLayer("base"))).archive.exists()


def test_old_archives_go_and_the_newest_stay(tmp_path: Path) -> None:
    builder = Builder(tmp_path)
    archives = [builder.build(image(CountingLayer("base", str(number)))).archive for number in range(6)]
    assert [path.exists() for path in archives][-1]
    assert sum(path.exists() for path in archives) == 3


def test_a_source_layer_changes_with_a_byte_and_not_with_byte_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("images.layers.project_root", lambda: tmp_path)
    (tmp_path / "room/__pycache__").mkdir(parents=True)
    (tmp_path / "room/a.py").write_text("a = 1\n")
    layer = SourceLayer("app", ("room",))
    before = layer.key()
    (tmp_path / "room/__pycache__/a.pyc").write_text("code")
    assert layer.key() == before
    (tmp_path / "room/a.py").write_text("a = 2\n")
    assert layer.key() != before
    with pytest.raises(ClusterError, match="gone is missing"):
        SourceLayer("app", ("gone",)).key()


def test_a_narrowed_lock_keeps_whole_entries_with_their_hashes() -> None:
    lock = "# by uv\na==1 \\\n    --hash=sha256:1 \\\n    --hash=sha256:2\nb-c==2 \\\n    --hash=sha256:3\n"
    assert _narrowed(lock, ["b-c"]) == "b-c==2 \\\n    --hash=sha256:3\n"
    assert _narrowed(lock, []) == lock


def test_the_shop_has_one_dependency() -> None:
    wheels = [layer for layer in IMAGES["shop"].layers if isinstance(layer, WheelsLayer)]
    entries = re.findall(
        r"^(\S+)==", _narrowed((project_root() / wheels[0].lock).read_text(), wheels[0].only), re.MULTILINE
    )
    assert entries == ["prometheus-client"]


def stages() -> dict[str, str]:
    """Dockerfile text by stage."""
    text = (project_root() / "images/Dockerfile").read_text()
    parts = re.split(r"^FROM (\S+) AS (\S+)$", text, flags=re.MULTILINE)
    return dict(zip(parts[2::3], parts[3::3], strict=True))


@pytest.mark.parametrize("name", IMAGES)
def test_the_dockerfile_makes_the_same_image(name: str) -> None:
    made, stage = IMAGES[name], stages()[name]
    entrypoint = re.search(r"^ENTRYPOINT (.+)$", stage, re.MULTILINE)
    assert entrypoint is not None
    assert tuple(json.loads(entrypoint[1])) == made.config.entrypoint
    for layer in made.layers:
        if isinstance(layer, SourceLayer):
            copied = [
                source for line in re.findall(r"^COPY (?!--)(.+) \S+$", stage, re.MULTILINE) for source in line.split()
            ]
            assert sorted(copied) == sorted(layer.sources)


@pytest.mark.parametrize("name", IMAGES)
def test_every_image_runs_as_nobody_in_particular(name: str) -> None:
    assert IMAGES[name].config.user == "65532:65532"


FIRST_PARTY = ("analysis", "controllers", "crds", "demo", "notifications")
OPTIONAL = {"distributed"}
"""Looked for before it is imported, and named where it is missing."""


def imported(path: Path) -> set[str]:
    """Modules that a file imports when it runs, late imports too; with a package come its `__init__` files."""
    tree = ast.parse(path.read_text())
    guarded = [node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)]
    unused = {id(inner) for node in guarded for inner in ast.walk(node)}
    found: set[str] = set()
    for node in (node for node in ast.walk(tree) if id(node) not in unused):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def file_of(module: str) -> Path | None:
    """Of one of our modules, relative to the project; None for a name within a module."""
    base = Path(*module.split("."))
    found = [path for path in (base.with_suffix(".py"), base / "__init__.py") if (project_root() / path).is_file()]
    return found[0] if found else None


@pytest.mark.parametrize("name", ["controllers", "analysis", "notifications", "shop"])
def test_an_image_holds_all_that_its_program_imports(name: str) -> None:
    made = IMAGES[name]
    (sources,) = [set(layer.files()) for layer in made.layers if isinstance(layer, SourceLayer)]
    (wheels,) = [layer for layer in made.layers if isinstance(layer, WheelsLayer)]
    locked = set(re.findall(r"^([\w.-]+)==", _narrowed((project_root() / wheels.lock).read_text(), wheels.only), re.M))
    providers = packages_distributions()
    waiting, seen = [f"{made.config.entrypoint[-1]}.__main__"], set[str]()
    while waiting:
        module = waiting.pop()
        top = module.split(".")[0]
        if module in seen or top in {*sys.stdlib_module_names, *OPTIONAL}:
            continue
        seen.add(module)
        if top not in FIRST_PARTY:
            assert {re.sub(r"[-_.]+", "-", one).lower() for one in providers[top]} & locked, module
        elif path := file_of(module):
            assert path in sources, f"{module} is not in the image"
            waiting += imported(project_root() / path)
    assert len(seen) > 10


def needs_cxx(lock: Path, only: Sequence[str]) -> list[str]:
    """Packages of a lock file whose compiled modules ask for libstdc++, as they are installed here."""
    names = only or re.findall(r"^([A-Za-z0-9._-]+)(?:\[.*\])?==", lock.read_text(), re.MULTILINE)
    found = []
    for name in names:
        files = metadata.files(name) or []
        modules = [Path(str(item.locate())) for item in files if ".so" in item.suffixes]
        if any(b"libstdc++.so.6" in path.read_bytes() for path in modules if path.exists()):
            found.append(name)
    return found


@pytest.mark.parametrize("name", ["controllers", "analysis", "notifications", "shop"])
def test_compiled_wheels_find_the_cxx_library_that_they_ask_for(name: str) -> None:
    """Without it CEL does not load, and every policy with a condition is invalid in the cluster and nowhere else."""
    base, wheels = IMAGES[name].layers[:2]
    assert isinstance(base, PythonLayer)
    assert isinstance(wheels, WheelsLayer)
    asking = needs_cxx(project_root() / wheels.lock, wheels.only)
    assert bool(asking) is ("libstdc++6" in base.further), asking
