from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path

import pytest

from analysis.auth.identity import (
    Authenticator,
    Secret,
    Unauthenticated,
    Unavailable,
    bearer,
    expiry,
    read_secrets,
)
from analysis.config import Auth, StaticCaller
from analysis.configfile import ConfigError

RCA = "system:serviceaccount:iirp-system:iirp-rca"


class Vouching:
    """A TokenReview that knows some tokens, and can be down."""

    def __init__(self, **known: str) -> None:
        self.known = known
        self.calls: list[str] = []
        self.down = False

    async def review(self, token: str) -> str | None:
        self.calls.append(token)
        await asyncio.sleep(0)
        if self.down:
            raise Unavailable("API server https://10.0.0.1 does not answer")
        return self.known.get(token)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def authenticator(reviewer: Vouching, clock: Clock, *, secrets: tuple[Secret, ...] = (), **settings) -> Authenticator:
    return Authenticator(Auth(**settings), secrets, reviewer, clock)


def jwt(exp: float) -> str:
    body = base64.urlsafe_b64encode(json.dumps({"exp": exp}).encode()).decode().rstrip("=")
    return f"h.{body}.s"


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer ", "Basic abc", "Bearer a b", "Bearer a\x00", "Bearer é", "Bearer " + "x" * 9000],
)
def test_what_is_no_bearer_token_is_refused(header: str | None) -> None:
    with pytest.raises(Unauthenticated):
        bearer(header)


def test_a_valid_token_is_asked_about_once_within_its_time() -> None:
    reviewer, clock = Vouching(good=RCA), Clock()
    auth = authenticator(reviewer, clock)

    async def scenario() -> None:
        assert await auth.identify("Bearer good") == RCA
        clock.now += 29
        assert await auth.identify("bearer good") == RCA
        assert len(reviewer.calls) == 1
        clock.now += 2
        await auth.identify("Bearer good")
        assert len(reviewer.calls) == 2

    asyncio.run(scenario())


def test_a_withdrawn_token_stops_working_when_the_memory_ends() -> None:
    reviewer, clock = Vouching(good=RCA), Clock()
    auth = authenticator(reviewer, clock)

    async def scenario() -> None:
        await auth.identify("Bearer good")
        reviewer.known.clear()
        clock.now += 31
        with pytest.raises(Unauthenticated):
            await auth.identify("Bearer good")

    asyncio.run(scenario())


def test_the_memory_never_outlives_the_token() -> None:
    clock = Clock()
    token = jwt(clock.now + 10)
    reviewer = Vouching(**{token: RCA})
    auth = authenticator(reviewer, clock)

    async def scenario() -> None:
        await auth.identify(f"Bearer {token}")
        clock.now += 11
        await auth.identify(f"Bearer {token}")
        assert len(reviewer.calls) == 2

    asyncio.run(scenario())
    assert expiry("not.a.jwt") == float("inf")


def test_an_api_server_that_is_down_is_never_a_yes() -> None:
    reviewer, clock = Vouching(good=RCA), Clock()
    auth = authenticator(reviewer, clock)

    async def scenario() -> None:
        reviewer.down = True
        for _ in range(2):
            with pytest.raises(Unavailable, match=r"10\.0\.0\.1"):
                await auth.identify("Bearer good")
        reviewer.down = False
        assert await auth.identify("Bearer good") == RCA
        reviewer.down = True
        clock.now += 31
        with pytest.raises(Unavailable):
            await auth.identify("Bearer good")

    asyncio.run(scenario())


def test_many_callers_with_one_token_share_one_question() -> None:
    reviewer = Vouching(good=RCA)
    auth = authenticator(reviewer, Clock())

    async def scenario() -> list[str]:
        return await asyncio.gather(*(auth.identify("Bearer good") for _ in range(20)))

    assert asyncio.run(scenario()) == [RCA] * 20
    assert reviewer.calls == ["good"]


def test_the_memory_is_bounded() -> None:
    reviewer = Vouching()
    auth = authenticator(reviewer, Clock(), cache_entries=16)

    async def scenario() -> None:
        for number in range(100):
            with pytest.raises(Unauthenticated):
                await auth.identify(f"Bearer guess-{number}")

    asyncio.run(scenario())
    assert len(auth._cache) == 16


def test_shared_secrets_are_the_alternative(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("s" * 32 + "\n")
    secrets = read_secrets((StaticCaller(username=RCA, secret_file=file),))
    reviewer = Vouching()
    auth = authenticator(reviewer, Clock(), secrets=secrets)
    assert asyncio.run(auth.identify("Bearer " + "s" * 32)) == RCA
    assert reviewer.calls == []


@pytest.mark.parametrize("text", ["", "short", None])
def test_weak_or_missing_secrets_are_named(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "secret"
    if text is not None:
        file.write_text(text)
    with pytest.raises(ConfigError, match="secret"):
        read_secrets((StaticCaller(username=RCA, secret_file=file),))
