"""docker-archives: the same bytes for the same files, and readable as such."""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
from pathlib import Path

import pytest

from devcluster.images import ImageConfig, build_archive

CONFIG = ImageConfig(entrypoint=("/bin/a",), cmd=("--x",), env={"B": "2", "A": "1"}, user="65532:65532")


def _root(folder: Path) -> Path:
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "a").write_bytes(b"program")
    (folder / "bin" / "a").chmod(0o755)
    os.link(folder / "bin" / "a", folder / "bin" / "hard")
    (folder / "bin" / "soft").symlink_to("a")
    (folder / "lib64").symlink_to("usr/lib64")
    (folder / "etc").mkdir()
    (folder / "etc" / "conf").write_text("x")
    return folder


def _members(archive: Path) -> dict[str, bytes]:
    with tarfile.open(archive) as tar:
        return {m.name: file.read() for m in tar.getmembers() if (file := tar.extractfile(m)) is not None}


def test_the_archive_is_a_function_of_the_files(tmp_path: Path) -> None:
    first = build_archive(tmp_path / "1.tar", "x:1", _root(tmp_path / "a"), CONFIG)
    os.utime(tmp_path / "a" / "etc" / "conf", (1, 1))
    second = build_archive(tmp_path / "2.tar", "x:1", _root(tmp_path / "b"), CONFIG)
    assert first.read_bytes() == second.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1.tar", "2.tar", "a", "b"]


def test_manifest_config_and_layer_agree_by_digest(tmp_path: Path) -> None:
    members = _members(build_archive(tmp_path / "1.tar", "x:1", _root(tmp_path / "a"), CONFIG))
    (manifest,) = json.loads(members["manifest.json"])
    assert manifest["RepoTags"] == ["x:1"]
    config = json.loads(members[manifest["Config"]])
    assert manifest["Config"] == hashlib.sha256(members[manifest["Config"]]).hexdigest() + ".json"
    (layer,) = manifest["Layers"]
    assert config["rootfs"]["diff_ids"] == ["sha256:" + hashlib.sha256(members[layer]).hexdigest()]
    assert config["config"]["Env"] == ["A=1", "B=2"]
    assert config["config"]["Entrypoint"] == ["/bin/a"]
    assert config["config"]["User"] == "65532:65532"


def test_links_and_modes_survive(tmp_path: Path) -> None:
    archive = build_archive(tmp_path / "1.tar", "x:1", _root(tmp_path / "a"), CONFIG)
    members = _members(archive)
    (layer,) = json.loads(members["manifest.json"])[0]["Layers"]
    (tmp_path / "layer.tar").write_bytes(members[layer])
    with tarfile.open(tmp_path / "layer.tar") as tar:
        entries = {member.name: member for member in tar.getmembers()}
    assert entries["bin/a"].mode & 0o777 == 0o755
    assert entries["bin/hard"].islnk()
    assert entries["bin/hard"].linkname == "bin/a"
    assert entries["bin/soft"].linkname == "a"
    assert entries["lib64"].issym()
    assert all(member.mtime == 0 for member in entries.values())
    names = list(entries)
    assert all(names.index(str(Path(n).parent)) < names.index(n) for n in names if "/" in n)


def test_files_by_path_need_no_folder(tmp_path: Path) -> None:
    program = tmp_path / "p"
    program.write_bytes(b"x")
    program.chmod(0o755)
    members = _members(build_archive(tmp_path / "1.tar", "x:1", {"/usr/bin/p": program}, ImageConfig()))
    (layer,) = json.loads(members["manifest.json"])[0]["Layers"]
    (tmp_path / "layer.tar").write_bytes(members[layer])
    with tarfile.open(tmp_path / "layer.tar") as tar:
        assert tar.getnames() == ["usr", "usr/bin", "usr/bin/p"]


def test_a_failure_leaves_no_half_archive(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        build_archive(tmp_path / "1.tar", "x:1", {"/p": tmp_path / "missing"}, ImageConfig())
    assert list(tmp_path.iterdir()) == []
