"""The page's list with thousands of incidents on a real API server: server time, and first paint in a real browser.

``python -m benchmarks page --kubeconfig FILE``: a cluster with our kinds and without the platform, whose controllers
would answer five thousand incidents with five thousand reports::

    iirp cluster up --name bench && kubectl apply -f crds/yaml
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import re
import shutil
import socket
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI

from analysis.config import Kubernetes, Web
from analysis.kube import MERGE_PATCH, TABLE, ApiServer, ApiServerError
from analysis.web.pages import install
from benchmarks.data import Missing
from crds import API_VERSION
from crds.v1alpha1.base import format_time
from crds.v1alpha1.incident import IncidentState

NAMESPACE = "bench-page"
PATH = f"/apis/{API_VERSION}/namespaces/{NAMESPACE}/incidents"
RBAC = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
AT_A_TIME = 16
SERVER_LIMIT_MS, PAINT_LIMIT_MS = 300.0, 1000.0
STATES = list(IncidentState)


def run(argv: list[str]) -> int:
    """Fill, measure, clean up; 1 when a limit is not met."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks page", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kubeconfig", type=Path, required=True)
    parser.add_argument("--incidents", type=int, default=5000)
    parser.add_argument("--requests", type=int, default=30)
    parser.add_argument("--keep", action="store_true", help="leave the incidents for the next run")
    options = parser.parse_args(argv)
    settings = Kubernetes(kubeconfig=options.kubeconfig, timeout_seconds=60)
    try:
        token = asyncio.run(_fill(settings, options.incidents))
    except ApiServerError as error:
        raise Missing(f"{error}: a cluster with our kinds, and without the platform, is needed") from error
    try:
        with _serve(settings) as url:
            met = _measure(url, token, options.requests)
        share = statistics.median(asyncio.run(_tables(settings, token)))
        print(f"of which the API server's table and its transport: {share:.0f} ms median")
    finally:
        if not options.keep:
            asyncio.run(_clean(settings))
    return 0 if met else 1


def incident(number: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """An Incident of the usual size (4 kB), and its status."""
    began = datetime.now(tz=UTC) - timedelta(minutes=number)
    target = {"kind": "Deployment", "namespace": NAMESPACE, "name": f"service-{number % 300}", "uid": f"uid-{number}"}
    spec = {
        "fingerprint": f"{number:016x}", "type": ("MemoryLeak", "CrashLoop", "HighLatency")[number % 3],
        "scope": "Workload", "target": target, "startedAt": format_time(began), "detectedAt": format_time(began),
        "detectedBy": {"rule": "memory-leak", "confidencePercent": 83}, "severity": ("low", "high")[number % 2],
        "summary": f"working set of deploy/service-{number % 300} grows 3.1 MiB/min on 2 of 2 pods, siblings flat",
    }  # fmt: skip
    line = {"at": format_time(began), "source": "metric", "message": "working set grows 3.1 MiB/min on 2 of 2 pods"}
    status = {
        "state": STATES[number % len(STATES)].value, "severity": spec["severity"], "timeline": [line] * 20,
        "cause": "memory grows since rollout rev 7 (v1.9)", "action": "Roll back deploy/service to revision 6",
    }  # fmt: skip
    metadata = {"name": f"service-{number}-leak", "namespace": NAMESPACE}
    return {"apiVersion": API_VERSION, "kind": "Incident", "metadata": metadata, "spec": spec}, {"status": status}


async def _fill(settings: Kubernetes, count: int) -> str:
    """The incidents, and the token of somebody who may list them. Raises ApiServerError."""
    api = ApiServer(settings)
    gate = asyncio.Semaphore(AT_A_TIME)

    async def one(number: int) -> None:
        body, status = incident(number)
        async with gate:
            if await _create(api, PATH, body):
                path = f"{PATH}/{body['metadata']['name']}/status"
                await api.request("PATCH", path, body=status, content=MERGE_PATCH)

    try:
        await _create(api, "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
        accounts = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts"
        await _create(api, accounts, {"metadata": {"name": "looks"}})
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
        subject = {"kind": "ServiceAccount", "name": "looks", "namespace": NAMESPACE}
        await _create(api, RBAC, {"metadata": {"name": NAMESPACE}, "roleRef": reference, "subjects": [subject]})
        await one(0)  # what is refused is refused here, before five thousand others are on their way
        await asyncio.gather(*(one(number) for number in range(1, count)))
        answer = await api.request("POST", f"{accounts}/looks/token", body={"spec": {"expirationSeconds": 3600}})
    finally:
        await api.aclose()
    return str(answer["status"]["token"])


async def _create(api: ApiServer, path: str, body: dict[str, Any]) -> bool:
    """Whether it is new."""
    try:
        await api.request("POST", path, body=body)
    except ApiServerError as error:
        if error.status != 409:
            raise
        return False
    return True


async def _clean(settings: Kubernetes) -> None:
    api = ApiServer(settings)
    for path in (f"{RBAC}/{NAMESPACE}", f"/api/v1/namespaces/{NAMESPACE}"):
        await api.request("DELETE", path)
    await api.aclose()


@contextlib.contextmanager
def _serve(settings: Kubernetes) -> Iterator[str]:
    """The page on loopback, as ``python -m analysis`` serves it."""
    app = FastAPI()
    install(app, Web(cluster_name="bench"), ApiServer(settings))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error", access_log=False))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.05)
    yield f"http://localhost:{port}"
    server.should_exit = True
    thread.join()


def _measure(url: str, token: str, requests: int) -> bool:
    session, seconds, size = _ask(url, token, requests)
    milliseconds = sorted(1000 * one for one in seconds)
    median, worst = statistics.median(milliseconds), milliseconds[-1]
    print(f"list: {median:.0f} ms median, {worst:.0f} ms worst of {requests}, {size / 1024:.0f} KiB")
    met = median < SERVER_LIMIT_MS
    paints = _paints(url, session)
    if paints is None:
        print("first paint: not measured, there is no chromium here", file=sys.stderr)
    else:
        print(f"first paint: {statistics.median(paints):.0f} ms median, {max(paints):.0f} ms worst of {len(paints)}")
        met = met and statistics.median(paints) < PAINT_LIMIT_MS
    print(f"limits: list {SERVER_LIMIT_MS:.0f} ms, first paint {PAINT_LIMIT_MS:.0f} ms: {'met' if met else 'NOT MET'}")
    return met


def _ask(url: str, token: str, requests: int) -> tuple[str, list[float], int]:
    """Sign in, ask for the list so often; the session's cookie, seconds of each answer, and its size in bytes."""
    with httpx.Client(base_url=url, trust_env=False, timeout=60) as client:
        form = client.get("/login")
        nonce = re.search(r'name="nonce" value="([^"]+)"', form.text)
        if nonce is None:
            raise Missing("the sign-in has no form")
        # Over plain HTTP a client keeps Secure cookies to itself: they are carried by hand.
        answer = client.post("/login", data={"token": token, "nonce": nonce[1]}, headers={"Cookie": _cookie(form)})
        session = _cookie(answer)
        seconds = []
        for _ in range(requests):
            started = time.perf_counter()
            page = client.get("/", headers={"Cookie": session})
            seconds.append(time.perf_counter() - started)
            page.raise_for_status()
    return session, seconds, len(page.content)


async def _tables(settings: Kubernetes, token: str, times: int = 10) -> list[float]:
    """Milliseconds of what the list asks the API server, alone."""
    api = ApiServer(settings)
    found = []
    for _ in range(times):
        started = time.perf_counter()
        path = f"/apis/{API_VERSION}/incidents?includeObject=None&resourceVersion=0"
        await api.request("GET", path, token=token, accept=TABLE)
        found.append(1000 * (time.perf_counter() - started))
    await api.aclose()
    return found


def _cookie(answer: httpx.Response) -> str:
    return answer.headers.get_list("set-cookie")[0].split(";", 1)[0]


def _paints(url: str, session: str, times: int = 5) -> list[float] | None:
    """First contentful paint, milliseconds, each with an empty cache; None without a browser."""
    program = shutil.which("chromium")
    if program is None:
        return None
    from playwright.sync_api import sync_playwright

    name, _, value = session.partition("=")
    found = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        for _ in range(times):
            context = browser.new_context()
            context.add_cookies([{"name": name, "value": value, "url": url.replace("http:", "https:"), "secure": True}])
            page = context.new_page()
            page.goto(url)
            page.wait_for_function("performance.getEntriesByName('first-contentful-paint').length > 0")
            found.append(float(page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")))
            context.close()
        browser.close()
    return found
