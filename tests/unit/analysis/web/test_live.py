"""Live pages: changes arrive as events, silence keeps the line open, an outage is told, and streams are bounded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from analysis.kube import ApiServerError
from analysis.web import live
from analysis.web.live import Streams, chain_paths, changes, list_paths


class Watched:
    """An API server whose watches a test drives."""

    def __init__(self) -> None:
        self.events: dict[str, asyncio.Queue[ApiServerError | None]] = {}

    def queue(self, path: str) -> asyncio.Queue[ApiServerError | None]:
        return self.events.setdefault(path, asyncio.Queue())

    async def watch(self, path: str, *, token: str) -> AsyncIterator[None]:
        assert token == "alice-token"
        while True:
            item = await self.queue(path).get()
            if item is not None:
                raise item
            yield None


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "COALESCE_SECONDS", 0.0)
    monkeypatch.setattr(live, "HEARTBEAT_SECONDS", 0.05)
    monkeypatch.setattr(live, "RETRY_SECONDS", (0.0,))


async def collect(
    watched: Watched,
    paths: tuple[str, ...],
    until: Callable[[list[str]], bool],
    alive: Callable[[], bool] | None = None,
) -> list[str]:
    """Words of a stream until they suffice."""
    seen: list[str] = []
    stream = changes(watched, paths, "alice-token", alive or (lambda: True))  # type: ignore[arg-type]
    async with asyncio.timeout(10):
        async for word in stream:
            seen.append(word)
            if until(seen):
                break
    await stream.aclose()  # type: ignore[attr-defined]
    return seen


def test_a_change_of_any_part_is_an_event_and_silence_is_a_heartbeat() -> None:
    async def scenario() -> list[str]:
        watched = Watched()

        def until(seen: list[str]) -> bool:
            if seen == ["changed", ""]:
                watched.queue("/b").put_nowait(None)
            return seen.count("changed") == 2

        return await collect(watched, ("/a", "/b"), until)

    seen = asyncio.run(scenario())
    assert seen[:2] == ["changed", ""]
    assert seen[-1] == "changed"


def test_an_outage_is_told_once_and_its_end_brings_the_page_up_to_date() -> None:
    async def scenario() -> list[str]:
        watched = Watched()

        def until(seen: list[str]) -> bool:
            if seen == ["changed"]:
                for _ in range(3):
                    watched.queue("/a").put_nowait(ApiServerError("no answer"))
            if seen[-1] == "stale":
                watched.queue("/a").put_nowait(None)
            return "fresh" in seen and seen[-1] == "changed"

        return await collect(watched, ("/a",), until)

    words = [word for word in asyncio.run(scenario()) if word]
    assert words == ["changed", "stale", "fresh", "changed"]


@pytest.mark.parametrize(("status", "last"), [(401, "signin"), (403, "")])
def test_a_dead_token_ends_the_stream_and_a_missing_right_only_that_part(status: int, last: str) -> None:
    async def scenario() -> list[str]:
        watched = Watched()
        watched.queue("/a").put_nowait(ApiServerError("refused", status))
        return await collect(watched, ("/a", "/b"), lambda seen: len(seen) > 3)

    seen = asyncio.run(scenario())
    assert seen[-1] == last
    assert "stale" not in seen


def test_the_end_of_the_session_ends_the_stream() -> None:
    lives = iter((True, False, False))
    seen = asyncio.run(collect(Watched(), ("/a",), lambda _: False, lambda: next(lives)))
    assert seen == ["changed", "signin"]


def test_streams_are_bounded_per_person_and_in_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "MAX_STREAMS", 3)
    monkeypatch.setattr(live, "MAX_STREAMS_PER_PERSON", 2)
    streams = Streams()
    assert [streams.admit("alice"), streams.admit("alice"), streams.admit("alice")] == [True, True, False]
    assert [streams.admit("bob"), streams.admit("bob")] == [True, False]
    streams.leave("alice")
    assert streams.admit("bob")


def test_paths_select_one_incident_and_its_chain_and_nothing_else() -> None:
    paths = chain_paths("shop", "payments-1")
    assert paths[0].endswith("/namespaces/shop/incidents?fieldSelector=metadata.name%3Dpayments-1")
    assert all("labelSelector=iirp.io%2Fincident%3Dpayments-1" in path for path in paths[1:])
    assert list_paths("shop") == ("/apis/iirp.io/v1alpha1/namespaces/shop/incidents?",)
