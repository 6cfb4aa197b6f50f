"""`iirp ui` leads to the page that the cluster's controllers use, and only to that one."""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cli.plugin.kube import Kubectl
from cli.tunnel import Door, Forward, Route, Straight, TunnelError, serve
from cli.ui import Page, find_page, ui
from devcluster.pki import Authority, Identity

PAGE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi"
KUBECTL = """#!{python}
import pathlib, sys, time
began = pathlib.Path({begun!r})
began.write_text(began.read_text() + "x" if began.exists() else "x")
if {refusal!r}:
    sys.exit("error: " + {refusal!r})
print("Forwarding from 127.0.0.1:{port} -> 8443", flush=True)
time.sleep(600)
"""


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """The CA of a release."""
    return Authority(tmp_path / "pki", "ca")


@asynccontextmanager
async def page(authority: Authority, name: str = "iirp-analysis.iirp-system.svc") -> AsyncIterator[int]:
    """An analysis server on loopback, which answers everything with `hi`; its port."""
    certificate, key = authority.issue("server", Identity("server", hosts=(name,)))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)
        writer.write(PAGE)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context) as server:
        yield server.sockets[0].getsockname()[1]


async def fetch(port: int) -> bytes:
    """What a browser gets at the local address."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    answer = await asyncio.wait_for(reader.read(), 30)
    writer.close()
    return answer


async def visiting(route: Route, door: Door, visit: Callable[[int], Awaitable[Any]]) -> Any:
    """Serve as long as the visit takes."""
    ready: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(serve(route, door, 0, ready.set_result))
    try:
        await asyncio.wait((serving, ready), timeout=30, return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            serving.result()
        return await visit(ready.result())
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


def pem(authority: Authority) -> str:
    """Its certificate."""
    return authority.certificate.read_text()


def test_a_browser_needs_no_certificate(authority: Authority) -> None:
    async def story() -> bytes:
        async with page(authority) as port:
            door = Door("iirp-analysis.iirp-system.svc", pem(authority))
            answer: bytes = await visiting(Straight("127.0.0.1", port), door, fetch)
            return answer

    assert asyncio.run(story()) == PAGE


@pytest.mark.parametrize(
    ("expected", "trusted"), [("somebody-else.svc", True), ("iirp-analysis.iirp-system.svc", False)]
)
def test_another_servers_page_is_never_shown(
    authority: Authority, tmp_path: Path, expected: str, trusted: bool
) -> None:
    other = Authority(tmp_path / "other", "ca")

    async def story() -> None:
        async with page(authority) as port:
            door = Door(expected, pem(authority if trusted else other))
            await visiting(Straight("127.0.0.1", port), door, fetch)

    with pytest.raises(TunnelError, match="certificate verify failed"):
        asyncio.run(story())


def port_forward(tmp_path: Path, port: int = 0, refusal: str = "") -> Forward:
    """With a kubectl that forwards nothing: its local end is the server's own port."""
    program = tmp_path / "kubectl"
    begun = str(tmp_path / "begun")
    program.write_text(KUBECTL.format(python=sys.executable, begun=begun, refusal=refusal, port=port))
    program.chmod(0o755)
    return Forward([str(program)])


def test_a_port_forward_that_ended_is_begun_again(authority: Authority, tmp_path: Path) -> None:
    async def story() -> bytes:
        async with page(authority) as port:
            route = port_forward(tmp_path, port)

            async def visit(local: int) -> bytes:
                assert await fetch(local) == PAGE
                await route.aclose()  # its pod is gone
                return await fetch(local)

            answer: bytes = await visiting(route, Door("iirp-analysis.iirp-system.svc", pem(authority)), visit)
            return answer

    assert asyncio.run(story()) == PAGE
    assert (tmp_path / "begun").read_text() == "xx"


def test_an_outage_is_said_in_the_browser(authority: Authority) -> None:
    async def story() -> bytes:
        async with page(authority) as port:
            route = Straight("127.0.0.1", port)
            door = Door("iirp-analysis.iirp-system.svc", pem(authority))

            async def visit(local: int) -> bytes:
                object.__setattr__(route, "port", 1)
                return await fetch(local)

            answer: bytes = await visiting(route, door, visit)
            return answer

    answer = asyncio.run(story())
    assert answer.startswith(b"HTTP/1.1 503")
    assert b"Reload to try again" in answer


def test_a_refused_port_forward_is_told_in_its_own_words(tmp_path: Path) -> None:
    refusal = 'pods "iirp-analysis-0" is forbidden: User "eve" cannot create resource "pods/portforward"'
    with pytest.raises(TunnelError, match="cannot create resource"):
        asyncio.run(visiting(port_forward(tmp_path, refusal=refusal), Door("x", None), fetch))


class Answers(Kubectl):
    """The Deployment of a controller, and the ConfigMap with the CA."""

    def __init__(self, url: str, *, ca: bool) -> None:
        super().__init__([])
        volumes = [{"name": "external-ca", "configMap": {"name": "iirp-external-ca"}}] if ca else []
        pod = {"containers": [{"env": [{"name": "IIRP_ANALYSIS_URL", "value": url}]}], "volumes": volumes}
        self.answers = {"deployment": {"spec": {"template": {"spec": pod}}}, "configmap": {"data": {"ca.crt": "PEM"}}}

    def run(self, *arguments: str, stdin: str = "") -> str:
        return json.dumps(self.answers[arguments[1]])


@pytest.mark.parametrize(
    ("url", "ca", "in_cluster"),
    [
        ("https://iirp-analysis.iirp-system.svc:8443", True, ("iirp-analysis", "iirp-system")),
        ("https://iirp-analysis.iirp-system.svc.cluster.local:8443", True, ("iirp-analysis", "iirp-system")),
        ("https://iirp.example.com:8443", False, None),
        ("https://10.64.0.1:8443", True, None),
    ],
)
def test_the_page_is_where_the_controllers_find_it(url: str, ca: bool, in_cluster: tuple[str, str] | None) -> None:
    found = find_page(Answers(url, ca=ca), "iirp-system")
    assert found == Page(url, "PEM" if ca else None)
    assert found.in_cluster == in_cluster


def test_an_unknown_cluster_is_named() -> None:
    result = CliRunner().invoke(ui, ["--name", "gone"])
    assert (result.exit_code, result.output) == (1, "Error: there is no cluster gone: iirp cluster up --name gone\n")
