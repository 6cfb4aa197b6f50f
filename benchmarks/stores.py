"""A real Prometheus and a real Loki on loopback, filled with one incident, for as long as a benchmark runs."""

from __future__ import annotations

import gzip
import json
import os
import random
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

from benchmarks.data import Missing
from devcluster.toolchain import Toolchain

SEED = 11
READY_SECONDS = 60.0
BATCH_BYTES = 2_000_000
LOKI = """
auth_enabled: false
analytics: {{reporting_enabled: false}}
server: {{http_listen_address: 127.0.0.1, http_listen_port: {port}, grpc_listen_address: 127.0.0.1, grpc_listen_port: {grpc}, log_level: error,
  grpc_server_max_recv_msg_size: 67108864, grpc_server_max_send_msg_size: 67108864}}
common:
  path_prefix: {folder}
  instance_addr: 127.0.0.1
  replication_factor: 1
  ring: {{kvstore: {{store: inmemory}}}}
  storage: {{filesystem: {{chunks_directory: {folder}/chunks, rules_directory: {folder}/rules}}}}
schema_config:
  configs: [{{from: "2024-01-01", store: tsdb, object_store: filesystem, schema: v13, index: {{prefix: index_, period: 24h}}}}]
ingester: {{chunk_encoding: snappy, lifecycler: {{min_ready_duration: 0s, final_sleep: 0s}}}}
frontend: {{scheduler_dns_lookup_period: 1s}}
frontend_worker: {{dns_lookup_duration: 1s}}
limits_config:
  reject_old_samples: false
  ingestion_rate_mb: 1024
  ingestion_burst_size_mb: 1024
  per_stream_rate_limit: 1GB
  per_stream_rate_limit_burst: 1GB
  max_entries_limit_per_query: 20000
  max_query_parallelism: 8
  discover_service_name: []
"""  # noqa: E501


@dataclass(frozen=True, slots=True)
class Stores:
    """Addresses of the two, and their processes."""

    prometheus: str
    loki: str
    processes: tuple[int, ...]

    def cpu_seconds(self) -> float:
        """That both have used since they started."""
        ticks = 0
        for process in self.processes:
            fields = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")


@contextmanager
def stores(metrics: str) -> Iterator[Stores]:
    """Start both; ``metrics`` is OpenMetrics text with timestamps that Prometheus begins with.

    Raises:
        Missing: a program is not in the cache.
    """
    programs = {name: _program(name) for name in ("loki", "prometheus", "promtool")}
    with tempfile.TemporaryDirectory(prefix="iirp-bench-") as name:
        folder = Path(name)
        (folder / "metrics.txt").write_text(metrics, encoding="utf-8")
        (folder / "prometheus.yml").write_text("global: {scrape_interval: 15s}\n", encoding="utf-8")
        loki, grpc, prometheus = _free_port(), _free_port(), _free_port()
        (folder / "loki.yaml").write_text(LOKI.format(port=loki, grpc=grpc, folder=folder / "loki"), encoding="utf-8")
        blocks = ["tsdb", "create-blocks-from", "openmetrics", str(folder / "metrics.txt"), str(folder / "tsdb")]
        subprocess.run([programs["promtool"], *blocks], check=True, capture_output=True, timeout=READY_SECONDS)
        with (
            _running(
                folder, [programs["loki"], f"-config.file={folder / 'loki.yaml'}"], f"http://127.0.0.1:{loki}"
            ) as first,
            _running(
                folder,
                [
                    programs["prometheus"], f"--config.file={folder / 'prometheus.yml'}",
                    f"--storage.tsdb.path={folder / 'tsdb'}", f"--web.listen-address=127.0.0.1:{prometheus}",
                    "--storage.tsdb.retention.time=30d", "--log.level=error",
                ],
                f"http://127.0.0.1:{prometheus}/-",
            ) as second,
        ):  # fmt: skip
            yield Stores(f"http://127.0.0.1:{prometheus}", f"http://127.0.0.1:{loki}", (first, second))


def _program(name: str) -> Path:
    found = Toolchain().find(name)
    if found is None:
        raise Missing(f"{name} is not built yet: `iirp demo` builds it")
    return found


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def _running(folder: Path, command: list[str | Path], url: str) -> Iterator[int]:
    """The program's process id, once it is ready."""
    log = folder / f"{Path(command[0]).name}.log"
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, start_new_session=True)
    try:
        deadline = time.monotonic() + READY_SECONDS
        while not _ready(url):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{command[0]} did not become ready: {log.read_text(errors='replace')[-800:]}")
            time.sleep(0.2)
        yield process.pid
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/ready", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False


def push_logs(url: str, pods: list[str], start: float, onset: float, end: float, size: int) -> int:
    """Write ``size`` bytes of log lines, evenly over the time; since the onset a failure shows. Returns the lines."""
    source = random.Random(SEED)  # noqa: S311 - text of log lines
    lines, at = 0, start
    step = (end - start) * 150 / size
    batch: list[list[str]] = []
    batch_bytes = 0
    with httpx.Client(timeout=60) as client:
        while at < end:
            for text in _record(source, failing=at >= onset):
                batch.append([str(int(at * 1e9) + lines), text])
                batch_bytes += len(text)
                lines += 1
            at += step
            if batch_bytes >= BATCH_BYTES or at >= end:
                _push(client, url, pods[lines % len(pods)], batch)
                batch, batch_bytes = [], 0
    return lines


USUAL = (
    "INFO request handled method=GET path=/api/v1/cart/{0} status=200 duration={1}ms bytes={2} user={0} region=eu-west",
    "INFO cache hit key=cart:{0} age={1}s size={2} ttl=300s shard={1} backend=redis-primary pool=default reused=true",
    "DEBUG sql rows={1} took={2}us statement=select id, price, currency from items where cart = {0} order by id",
    "INFO published event=order.updated id={0} partition={1} offset={2} topic=orders compression=snappy acks=all",
    "WARN slow downstream call service=catalogue took={1}ms id={0} attempt=1 timeout=2000ms circuit=closed bytes={2}",
)
FAILURE = (
    "ERROR charge failed order={0} bank=acme",
    "Traceback (most recent call last):",
    '  File "/app/payments/bank.py", line 42, in charge',
    "    reply = self.session.post(url, json=order)",
    '  File "/app/payments/session.py", line 7, in post',
    "    raise ConnectionError('bank refused')",
    "ConnectionError: bank refused",
)


def _record(source: random.Random, *, failing: bool) -> tuple[str, ...]:
    values = source.randrange(10**6), source.randrange(1000), source.randrange(10**5)
    if failing and values[1] < 20:
        return tuple(text.format(*values) for text in FAILURE)
    text = USUAL[source.randrange(len(USUAL))].format(*values)
    return (f"2026-01-02 03:04:05,678 [worker-{values[1] % 8}] {text}",)


def _push(client: httpx.Client, url: str, pod: str, values: list[list[str]]) -> None:
    labels = {"k8s_namespace_name": "shop", "k8s_pod_name": pod, "k8s_container_name": "app"}
    body = gzip.compress(json.dumps({"streams": [{"stream": labels, "values": values}]}).encode(), 1)
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    answer = client.post(f"{url}/loki/api/v1/push", content=body, headers=headers)
    if answer.is_error:
        raise RuntimeError(f"Loki takes no logs: HTTP {answer.status_code}: {answer.text[:300]}")
