"""A plain address on this machine that leads to the page over verified TLS: no browser has to trust a private CA.

Browsers treat `http://localhost` as secure, so the page's cookies, which are for TLS only, work there.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

__all__ = ["Door", "Forward", "Straight", "TunnelError", "serve"]

LOOPBACK = "127.0.0.1"
MAX_CONNECTIONS = 128
_CONNECT_SECONDS = 15.0
_CHUNK = 64 * 1024
_FORWARDING = re.compile(r"Forwarding from [\d.]+:(\d+) ->")


class TunnelError(Exception):
    """The page cannot be reached; the message says why, in the words of who refused."""


@dataclass(frozen=True, slots=True)
class Door:
    """Whose certificate is expected behind the tunnel: its name, and who vouches for it (PEM; None: the usual ones)."""

    server_name: str
    ca: str | None


class Route(Protocol):
    """How to come to the door."""

    async def address(self) -> tuple[str, int]:
        """Host and port to connect to now. Raises TunnelError."""

    async def aclose(self) -> None:
        """Give up what it holds."""


@dataclass(frozen=True, slots=True)
class Straight:
    """The door can be reached from here as it is."""

    host: str
    port: int

    async def address(self) -> tuple[str, int]:
        """Always the same."""
        return self.host, self.port

    async def aclose(self) -> None:
        """Nothing is held."""


class Forward:
    """`kubectl port-forward`, started when somebody connects, and again when its pod has gone."""

    def __init__(self, command: Sequence[str]) -> None:
        """With the whole command; its local port must be left to kubectl (`:PORT`)."""
        self._command = tuple(command)
        self._process: asyncio.subprocess.Process | None = None
        self._drains: list[asyncio.Task[None]] = []
        self._port = 0
        self._turn = asyncio.Lock()

    async def address(self) -> tuple[str, int]:
        """The local end of the running port-forward."""
        async with self._turn:
            if self._process is None or self._process.returncode is not None:
                await self._start()
        return LOOPBACK, self._port

    async def aclose(self) -> None:
        """End it."""
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            await self._process.wait()

    async def _start(self) -> None:
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(*self._command, stdout=pipe, stderr=pipe)
        self._process = process
        try:
            line = await asyncio.wait_for(_line(process.stdout), _CONNECT_SECONDS)
        except TimeoutError:
            await self.aclose()
            raise TunnelError(f"kubectl port-forward: no answer within {_CONNECT_SECONDS:.0f} s") from None
        found = _FORWARDING.match(line)
        if found is None:
            _, said = await process.communicate()
            raise TunnelError(said.decode(errors="replace").strip().removeprefix("error: ") or "kubectl ended at once")
        self._port = int(found[1])
        # kubectl writes a line per connection and stops when nobody reads them
        self._drains = [asyncio.create_task(_discard(end)) for end in (process.stdout, process.stderr) if end]


async def serve(route: Route, door: Door, port: int, ready: Callable[[int], None]) -> None:
    """Pass connections on until cancelled.

    Args:
        port: local port; 0 takes a free one.
        ready: called with the port once the way has been tried and people may come.

    Raises:
        TunnelError: the first try fails: no way, or not the certificate that was expected.
    """
    trust = ssl.create_default_context(cadata=door.ca)

    async def dial() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        host, there = await route.address()
        try:
            return await asyncio.wait_for(
                asyncio.open_connection(host, there, ssl=trust, server_hostname=door.server_name), _CONNECT_SECONDS
            )
        except (OSError, TimeoutError) as error:
            raise TunnelError(f"{door.server_name} at {host}:{there}: {error or type(error).__name__}") from error

    try:
        _, writer = await dial()
        writer.close()
        server = await asyncio.start_server(_passer(dial), LOOPBACK, port)
        async with server:
            ready(server.sockets[0].getsockname()[1])
            await server.serve_forever()
    finally:
        await route.aclose()


def _passer(
    dial: Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]],
) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    """What happens to each connection: bytes both ways until one end has enough."""
    places = asyncio.Semaphore(MAX_CONNECTIONS)

    async def passed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with places, _closing(writer):
            try:
                far_reader, far_writer = await dial()
            except TunnelError as error:
                await reader.read(_CHUNK)  # an answer before the question would be taken for a reset
                writer.write(_unavailable(str(error)))
                return
            async with _closing(far_writer):
                ways = [asyncio.create_task(_copy(*way)) for way in ((reader, far_writer), (far_reader, writer))]
                _, rest = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                for way in rest:
                    way.cancel()

    return passed


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError, ssl.SSLError):  # the other side went away: that is the end
        while chunk := await reader.read(_CHUNK):
            writer.write(chunk)
            await writer.drain()


async def _line(reader: asyncio.StreamReader | None) -> str:
    return (await reader.readline()).decode(errors="replace") if reader else ""


async def _discard(reader: asyncio.StreamReader) -> None:
    while await reader.read(_CHUNK):
        pass


@contextlib.asynccontextmanager
async def _closing(writer: asyncio.StreamWriter) -> AsyncIterator[None]:
    try:
        yield
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError, ssl.SSLError, TimeoutError):
            await asyncio.wait_for(writer.wait_closed(), 1.0)


def _unavailable(why: str) -> bytes:
    body = f"The page cannot be reached: {why}\nReload to try again.\n".encode()
    head = f"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {len(body)}"
    return f"{head}\r\nConnection: close\r\n\r\n".encode() + body
