"""Cluster records and the choice of addresses."""

from __future__ import annotations

import json
from ipaddress import IPv4Network
from itertools import pairwise
from pathlib import Path

import pytest

from devcluster.errors import ClusterError, DamagedRecord
from devcluster.state import BLOCKS, ClusterRecord, Store, block, check_name, choose_index


@pytest.mark.parametrize(
    ("taken", "routed", "expected"),
    [
        (set(), [], 0),
        ({0, 1}, [], 2),
        (set(), ["10.64.0.0/24"], 1),
        ({1}, ["10.64.7.1/32", "192.0.2.0/24"], 2),
        (set(), ["0.0.0.0/0"], 0),
        (set(), ["10.64.0.0/11"], 32),
    ],
)
def test_the_first_block_that_nobody_uses_is_taken(taken: set[int], routed: list[str], expected: int) -> None:
    assert choose_index(taken, [IPv4Network(route) for route in routed]) == expected


def test_a_machine_whose_routes_cover_all_blocks_is_told_so() -> None:
    with pytest.raises(ClusterError, match="no free address block"):
        choose_index(set(), [IPv4Network("10.0.0.0/8")])


def test_blocks_are_disjoint() -> None:
    blocks = [block(index) for index in range(BLOCKS)]
    assert len(set(blocks)) == BLOCKS
    assert not any(a.overlaps(b) for a, b in pairwise(blocks))


@pytest.mark.parametrize("index", [-1, BLOCKS])
def test_there_is_no_block_outside_the_range(index: int) -> None:
    with pytest.raises(ValueError, match="no block"):
        block(index)


@pytest.mark.parametrize("name", ["dev", "a", "e2e-2", "0", "x" * 30])
def test_good_names_pass(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize("name", ["", "Dev", "-a", "a-", "a/b", "..", "a b", "x" * 31, "a\n"])
def test_names_that_would_be_paths_or_worse_are_refused(name: str) -> None:
    with pytest.raises(ClusterError, match="no cluster name"):
        check_name(name)


def test_a_record_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    store = Store(tmp_path)
    record = ClusterRecord("dev", "embedded", index=3)
    store.save(record)
    assert store.load("dev") == record
    assert store.names() == ["dev"]
    assert store.indexes() == {3}
    assert sorted(path.name for path in store.folder("dev").iterdir()) == ["cluster.json"]


def test_an_unknown_cluster_has_no_record(tmp_path: Path) -> None:
    assert Store(tmp_path / "nothing").load("dev") is None
    assert Store(tmp_path / "nothing").names() == []


@pytest.mark.parametrize("content", ["", "{", "[]", json.dumps({"name": "dev", "unknown": 1})])
def test_a_damaged_record_names_its_file_and_the_way_out(tmp_path: Path, content: str) -> None:
    store = Store(tmp_path)
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev" / "cluster.json").write_text(content)
    with pytest.raises(DamagedRecord, match=r"dev/cluster\.json is damaged.*iirp cluster down --name dev"):
        store.load("dev")


def test_a_damaged_record_does_not_keep_others_from_finding_addresses(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.save(ClusterRecord("good", "embedded", index=1))
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "cluster.json").write_text("{")
    assert store.indexes() == {1}
