"""Ports: chosen once, kept, and given up only when somebody else has them."""

from __future__ import annotations

import socket
from pathlib import Path

from external.layout import PORTS, Layout, part_of, port_is_free


def test_ports_are_distinct_and_kept(tmp_path: Path) -> None:
    layout = Layout.of("one", tmp_path)
    first = layout.choose_ports(())
    assert set(first) == set(PORTS)
    assert len(set(first.values())) == len(PORTS)
    assert layout.choose_ports(()) == first == layout.ports()


def test_a_taken_port_is_replaced_unless_it_is_held_by_us(tmp_path: Path) -> None:
    layout = Layout.of("one", tmp_path)
    before = layout.choose_ports(())
    with socket.socket() as other:
        other.bind(("127.0.0.1", before["loki"]))
        other.listen()
        assert not port_is_free(before["loki"])
        assert layout.choose_ports({"loki"})["loki"] == before["loki"]
        assert layout.choose_ports(())["loki"] != before["loki"]


def test_the_gateways_port_never_changes_silently(tmp_path: Path) -> None:
    layout = Layout.of("one", tmp_path)
    before = layout.choose_ports(())
    with socket.socket() as other:
        other.bind(("127.0.0.1", before["gateway"]))
        assert layout.choose_ports(())["gateway"] == before["gateway"]
    assert layout.choose_ports((), wanted_gateway=8443)["gateway"] == 8443


def test_a_damaged_record_counts_as_none(tmp_path: Path) -> None:
    layout = Layout.of("one", tmp_path)
    layout.choose_ports(())
    (layout.folder / "ports.json").write_text("{")
    assert layout.ports() == {}
    assert set(layout.choose_ports(())) == set(PORTS)


def test_every_port_belongs_to_a_part() -> None:
    assert {part_of(port) for port in PORTS} == {"gateway", "analysis", "prometheus", "loki", "s3"}
