"""What watching a large cluster costs: pods listed and watched from a local server, in memory and CPU seconds.

The server, in a process of its own, speaks the API server's list (paged) and watch (events, bookmark) with pods of the
usual size; the client side is the production code of the detection controller.
"""

from __future__ import annotations

import argparse
import gzip
import json
import multiprocessing
import resource
import threading
import time
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from typing import Any
from urllib.parse import parse_qs, urlparse

from kubernetes import client as kubernetes_client

from controllers.detection.inventory import Cluster
from controllers.detection.signals import api_signals
from controllers.detection.topology import Owners, PodStore, build_topology, topology_digest
from controllers.detection.upload import Look, Upload
from controllers.kube.client import KubeClient
from controllers.kube.reflector import Reflector
from controllers.kube.resources import PODS

PODS_PER_OWNER, NODES, NAMESPACES = 5, 5000, 500
FILLER: dict[str, dict[str, str]] = {"f:" + "x" * 20 + str(index): {} for index in range(40)}
"""Managed fields are a third of a usual pod."""


def pod(index: int, version: int) -> dict[str, Any]:
    """A pod of about 5 kB, as the API server serves them."""
    owner = index // PODS_PER_OWNER
    space = f"team-{owner % NAMESPACES}"
    name = f"service-{owner}-6b8f9c7d5-{index % 46656:05x}"
    started = {"running": {"startedAt": "2026-11-01T00:00:00Z"}}
    return {
        "metadata": {
            "name": name, "namespace": space, "uid": f"{index:08x}-0000-4000-8000-{index:012x}",
            "resourceVersion": str(version), "creationTimestamp": "2026-11-01T00:00:00Z",
            "labels": {"app.kubernetes.io/name": f"service-{owner}", "pod-template-hash": "6b8f9c7d5"},
            "annotations": {"checksum/config": "0" * 64, "prometheus.io/scrape": "true"},
            "ownerReferences": [{
                "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": f"service-{owner}-6b8f9c7d5",
                "uid": f"rs-{owner}", "controller": True,
            }],
            "managedFields": [{"manager": "kubelet", "operation": "Update", "fieldsV1": FILLER}],
        },
        "spec": {
            "nodeName": f"node-{index % NODES}",
            "containers": [{
                "name": "app", "image": f"registry.example/service-{owner}:v1",
                "env": [{"name": f"SETTING_{number}", "value": "value" * 4} for number in range(20)],
                "resources": {"limits": {"memory": "256Mi", "cpu": "500m"}},
            }],
            "volumes": [{"name": "token", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}],
        },
        "status": {
            "phase": "Running", "startTime": "2026-11-01T00:00:00Z",
            "conditions": [{"type": kind, "status": "True"} for kind in ("PodScheduled", "Ready", "Initialized")],
            "containerStatuses": [{"name": "app", "restartCount": index % 7 == 0, "ready": True, "state": started}],
        },
    }  # fmt: skip


class Handler(BaseHTTPRequestHandler):
    """List in pages, watch with one event per changed pod and a bookmark at the end."""

    pods = 0
    churn = 0
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        query = {name: values[0] for name, values in parse_qs(urlparse(self.path).query).items()}
        if query.get("watch"):
            self._watch()
        else:
            self._list(int(query.get("continue") or 0), int(query["limit"]))

    def _list(self, start: int, limit: int) -> None:
        end = min(start + limit, self.pods)
        metadata = {"resourceVersion": "1000000", "continue": str(end) if end < self.pods else ""}
        body = json.dumps({"metadata": metadata, "items": [pod(index, 1) for index in range(start, end)]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _watch(self) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for index in range(self.churn):
            self._event("MODIFIED", pod(index * (self.pods // max(self.churn, 1)), 1_000_001 + index))
        self._event("BOOKMARK", {"metadata": {"resourceVersion": str(2_000_000)}})
        self.wfile.write(b"0\r\n\r\n")

    def _event(self, kind: str, body: dict[str, Any]) -> None:
        line = json.dumps({"type": kind, "object": body}).encode() + b"\n"
        self.wfile.write(f"{len(line):x}\r\n".encode() + line + b"\r\n")

    def log_message(self, *_: Any) -> None:
        """Quiet."""


def serve(pods: int, churn: int, tell: Connection) -> None:
    """The server's process."""
    Handler.pods, Handler.churn = pods, churn
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    tell.send(server.server_address[1])
    server.serve_forever()


class Stopwatch:
    """CPU and wall seconds of this process since the last lap, and its memory now."""

    def __init__(self) -> None:
        self._cpu, self._wall = time.process_time(), time.perf_counter()

    def lap(self, what: str) -> None:
        """Print one line."""
        cpu, wall = time.process_time(), time.perf_counter()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            f"{what:44} {cpu - self._cpu:7.2f} s CPU {wall - self._wall:7.2f} s   {rss():5.0f} MiB now {peak:5.0f} peak"
        )
        self._cpu, self._wall = time.process_time(), time.perf_counter()


def rss() -> float:
    """Resident memory of this process in MiB."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 2**20


def measure(pods: int, churn: int, port: int) -> None:
    """List, watch, one round as the controller makes it."""
    kube = KubeClient(kubernetes_client.ApiClient(kubernetes_client.Configuration(host=f"http://127.0.0.1:{port}")))
    now = datetime(2026, 11, 22, tzinfo=UTC)
    store = PodStore(lambda: now)
    store.fed = True
    reflector = Reflector(kube, PODS, None, store)
    watch = Stopwatch()
    watch.lap("start")
    reflector.step()
    watch.lap(f"list {pods} pods")
    reflector.step()
    watch.lap(f"watch {churn} changes")
    owners = Owners(kube)
    _learn(owners, store)
    watch.lap("owners")
    for number in (1, 2):
        found = store.snapshot()
        digest = topology_digest(found, owners.workload, Cluster())
        signals = api_signals(found, owners.workload, now)
        watch.lap(f"round {number}: digest, {len(signals)} signals")
    upload = Upload(owners.workload)
    upload.accepted(Look(found, Cluster(), digest, now))
    text = build_topology(found, owners.workload, Cluster(), digest).model_dump_json().encode()
    watch.lap(f"topology, {len(text) / 2**20:.1f} MiB")
    packed = gzip.compress(text, 1)
    watch.lap(f"gzip, {len(packed) / 2**20:.1f} MiB")
    upload.whole(Look((), Cluster(), digest, now))
    for index in range(churn):  # as many pods again are replaced by others
        store.observe("DELETED", pod(index, 3_000_000 + index))
        store.observe("ADDED", pod(pods + index, 3_000_000 + index))
    _learn(owners, store)
    found = store.snapshot()
    look = Look(found, Cluster(), topology_digest(found, owners.workload, Cluster()), now)
    watch.lap(f"{churn} pods replaced, and their digest")
    part = upload.part(look)
    size = len(part.model_dump_json()) if part is not None else 0
    watch.lap(f"{type(part).__name__}, {size / 2**20:.2f} MiB")


def _learn(owners: Owners, store: PodStore) -> None:
    for record in store.snapshot():
        if record.owner is not None:
            owners.remember(record.owner.uid, record.owner)


def run(argv: list[str]) -> int:
    """``python -m benchmarks watch``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks watch", description=__doc__)
    parser.add_argument("--pods", type=int, default=150_000)
    parser.add_argument("--churn", type=float, default=0.01, help="share of the pods that change")
    options = parser.parse_args(argv)
    churn = int(options.pods * options.churn)
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=serve, args=(options.pods, churn, theirs), daemon=True
    )
    process.start()
    worker = threading.Thread(target=measure, args=(options.pods, churn, ours.recv()))
    worker.start()
    worker.join()
    process.terminate()
    return 0
