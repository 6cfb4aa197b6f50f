"""List, watch, and what is done when either goes wrong, against a scripted API server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from controllers.kube.errors import Expired, Forbidden, KubeError, Unavailable
from controllers.kube.reflector import REFUSED_DELAY, SERVER_SECONDS, Reflector, Reflectors
from controllers.kube.resources import NODES, PODS, ResourceType
from controllers.kube.transport import WATCH_TIMEOUT
from controllers.kube.wire import MAX_LINE, lines


def pod(uid: str, version: int = 1) -> dict[str, Any]:
    return {"metadata": {"name": uid, "namespace": "shop", "uid": uid, "resourceVersion": str(version)}}


class Server:
    """Pages by token, and one script per watch; an error in either is raised."""

    def __init__(self) -> None:
        self.pages: dict[str, tuple[list[Any], str, str] | KubeError] = {"": ([], "10", "")}
        self.watches: list[list[dict[str, Any] | KubeError]] = []
        self.asked: list[str] = []

    def page(
        self, resource: ResourceType, namespace: str | None, *, limit: int = 500, token: str = ""
    ) -> tuple[list[Any], str, str]:
        self.asked.append(f"list {token}".strip())
        answer = self.pages[token]
        if isinstance(answer, KubeError):
            raise answer
        return answer

    def stream(self, resource: ResourceType, namespace: str | None, version: str, seconds: int) -> Iterator[Any]:
        self.asked.append(f"watch {version}")
        for event in self.watches.pop(0):
            if isinstance(event, KubeError):
                raise event
            yield event


class Sink:
    def __init__(self) -> None:
        self.uids: set[str] = set()

    def observe(self, event_type: str | None, body: dict[str, Any]) -> None:
        uid = body["metadata"]["uid"]
        self.uids = self.uids - {uid} if event_type == "DELETED" else self.uids | {uid}

    def retain(self, namespace: str | None, uids: set[str]) -> None:
        self.uids &= uids


@pytest.fixture
def server() -> Server:
    return Server()


def reflector(server: Server, sink: Sink) -> Reflector:
    return Reflector(server, PODS, None, sink, clock=lambda: 0.0)


def test_pages_then_events_then_a_watch_from_the_last_bookmark(server: Server) -> None:
    server.pages = {"": ([pod("a"), pod("b")], "10", "t"), "t": ([pod("c")], "10", "")}
    server.watches = [
        [
            {"type": "ADDED", "object": pod("d", 11)},
            {"type": "DELETED", "object": pod("a", 12)},
            {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "40"}}},
        ],
        [{"type": "MODIFIED", "object": pod("b", 41)}],
    ]
    sink = Sink()
    watched = reflector(server, sink)
    assert not watched.settled.is_set()
    assert [watched.step() for _ in range(3)] == [0.0, 0.0, 0.0]
    assert sink.uids == {"b", "c", "d"}
    assert server.asked == ["list", "list t", "watch 10", "watch 40"]
    assert watched.settled.is_set()


def test_a_kind_in_which_nothing_happens_is_heard_of_whenever_the_server_ends_the_watch(server: Server) -> None:
    server.pages[""] = ([], "10", "")
    server.watches = [[]]
    clock = iter([0.0, 0.0, 10.0, 130.0, 130.0, 130.0, 131.0])  # made, listed, watch begins, ends
    watched = Reflector(server, PODS, None, Sink(), clock=lambda: next(clock))
    assert [watched.step(), watched.step()] == [0.0, 0.0], "no error, no backoff"
    assert watched.silent_for() < 10


def test_the_server_ends_a_silent_watch_before_the_client_takes_it_for_broken() -> None:
    assert max(SERVER_SECONDS) < WATCH_TIMEOUT


EXPIRED = {"type": "ERROR", "object": {"code": 410, "reason": "Expired", "message": "too old resource version"}}


@pytest.mark.parametrize("answer", [EXPIRED, Expired("Expired", "too old")])
def test_a_version_that_is_too_old_means_a_new_list_which_also_removes_what_is_gone(
    server: Server, answer: dict[str, Any] | KubeError
) -> None:
    server.pages[""] = ([pod("a"), pod("b")], "10", "")
    server.watches = [[answer]]
    sink = Sink()
    watched = reflector(server, sink)
    watched.step()
    watched.step()
    server.pages[""] = ([pod("b")], "90", "")
    watched.step()
    assert sink.uids == {"b"}
    assert server.asked == ["list", "watch 10", "list"]


def test_a_broken_watch_goes_on_from_where_it_was_after_a_while(server: Server) -> None:
    server.watches = [[{"type": "ADDED", "object": pod("a", 11)}, Unavailable("WatchBroken", "reset")], [EXPIRED]]
    watched = reflector(server, Sink())
    watched.step()
    assert watched.step() > 0, "backoff"
    watched.step()
    assert server.asked == ["list", "watch 10", "watch 11"]


def test_an_expired_page_token_begins_the_list_anew_and_nothing_is_removed_meanwhile(server: Server) -> None:
    sink = Sink()
    sink.uids = {"old"}
    server.pages = {"": ([pod("a")], "10", "t"), "t": Expired("Expired", "token")}
    watched = reflector(server, sink)
    assert watched.step() > 0
    assert sink.uids == {"old", "a"}
    assert not watched.settled.is_set()
    server.pages[""] = ([pod("a")], "11", "")
    watched.step()
    assert sink.uids == {"a"}


def test_a_watch_that_ends_at_once_is_not_repeated_at_once(server: Server) -> None:
    server.watches = [[]]
    watched = reflector(server, Sink())
    watched.step()
    assert watched.step() > 0


def test_what_we_may_not_see_does_not_hold_up_the_rest(server: Server) -> None:
    server.pages[""] = Forbidden("Forbidden", "nodes")
    watched = Reflector(server, NODES, None, Sink())
    assert watched.step() == REFUSED_DELAY
    assert watched.settled.is_set()


UNKNOWN = {"kind": "Pod", "metadata": {"uid": "odd"}}


class PickySink(Sink):
    def observe(self, event_type: str | None, body: dict[str, Any]) -> None:
        super().observe(event_type, {"metadata": {"uid": body["metadata"]["name"]}})


def test_an_object_that_no_parser_understands_hides_none_of_the_others(server: Server) -> None:
    server.pages[""] = ([pod("a"), UNKNOWN, pod("b")], "10", "")
    server.watches = [[{"type": "ADDED", "object": UNKNOWN}, {"type": "ADDED", "object": pod("c", 11)}]]
    sink = PickySink()
    watched = reflector(server, sink)
    assert [watched.step(), watched.step()] == [0.0, 0.0]
    assert watched.settled.is_set()
    assert sink.uids == {"a", "b", "c"}
    assert server.asked == ["list", "watch 10"]


def test_an_answer_of_another_shape_ends_nothing_for_good(server: Server) -> None:
    server.pages[""] = ([{"kind": "Pod"}], "10", "")
    watched = reflector(server, Sink())
    assert watched.step() > 0
    server.pages[""] = ([pod("a")], "10", "")
    assert watched.step() == 0.0


def test_a_version_that_is_always_too_old_is_listed_less_and_less_often(server: Server) -> None:
    server.watches = [[EXPIRED] for _ in range(8)] + [[{"type": "BOOKMARK", "object": pod("a", 11)}], [EXPIRED]]
    watched = reflector(server, Sink())
    waits = [watched.step() for _ in range(19)]
    assert waits[:16] == [0.0, 1.0, 0.0, 2.0, 0.0, 4.0, 0.0, 8.0, 0.0, 16.0, 0.0, 32.0, 0.0, 60.0, 0.0, 60.0]
    assert waits[16:] == [0.0, 0.0, 1.0], "what was heard ends the backoff"


def test_each_namespace_is_watched_by_itself_and_cluster_scoped_kinds_once(server: Server) -> None:
    found = Reflectors(server, [(PODS, Sink()), (NODES, Sink())], ("shop", "bank"))
    assert [one.name for one in found.all] == ["shop/pods", "bank/pods", "nodes"]
    assert found.waiting() == ["shop/pods", "bank/pods", "nodes"]


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
def test_events_are_cut_at_line_ends_however_the_chunks_fall(size: int) -> None:
    text = b'{"a":1}\n{"b":"\xc3\xa9"}\n\n{"c":3}\n'
    chunks = [text[at : at + size] for at in range(0, len(text), size)]
    assert list(lines(chunks)) == [b'{"a":1}', b'{"b":"\xc3\xa9"}', b'{"c":3}']


def test_a_line_without_end_is_refused() -> None:
    with pytest.raises(ValueError, match="more than"):
        list(lines([b"x" * (MAX_LINE // 2 + 1)] * 2))
