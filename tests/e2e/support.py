"""What the end-to-end tests share: the cluster handle, kubectl as any person, polling with a deadline."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml

T = TypeVar("T")


def eventually(probe: Callable[[], T | None], *, within: float, what: str, every: float = 0.5) -> T:
    """Poll ``probe`` until it returns something truthy.

    Raises:
        AssertionError: nothing truthy after ``within`` seconds; says ``what`` was awaited and the last thing seen.
    """
    deadline = time.monotonic() + within
    pause = threading.Event()
    while True:
        seen = probe()
        if seen:
            return seen
        if time.monotonic() > deadline:
            raise AssertionError(f"after {within:.0f} s still waiting for {what}; last seen: {seen!r}")
        pause.wait(every)


@dataclass(frozen=True)
class Cluster:
    """A running cluster, addressed with the administrator's kubeconfig; people are impersonated."""

    name: str
    kubeconfig: Path

    def kubectl(
        self,
        *args: str,
        as_user: str | None = None,
        as_groups: Sequence[str] = (),
        stdin: str | None = None,
        token: str | None = None,
        timeout: float = 60,
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl; never raises on a non-zero exit."""
        command = ["kubectl", "--kubeconfig", str(self.kubeconfig)]
        if as_user:
            command += ["--as", as_user]
        for group in as_groups:
            command += ["--as-group", group]
        env = dict(os.environ)
        if token:
            command = ["kubectl", "--kubeconfig", str(self.token_kubeconfig(token))]
        return subprocess.run(
            [*command, *args], input=stdin, capture_output=True, text=True, timeout=timeout, env=env, check=False
        )

    def token_kubeconfig(self, token: str) -> Path:
        """A kubeconfig with only this token: a client certificate would win over ``--token``."""
        config = yaml.safe_load(self.kubeconfig.read_text())
        for user in config["users"]:
            user["user"] = {"token": token}
        path = self.kubeconfig.with_name(f"token-{abs(hash(token))}.kubeconfig")
        path.touch(mode=0o600)
        path.write_text(yaml.safe_dump(config))
        return path

    def ok(self, *args: str, **options: Any) -> str:
        """Run kubectl and return its output; an error fails the test with kubectl's own words."""
        done = self.kubectl(*args, **options)
        assert done.returncode == 0, f"kubectl {' '.join(args)}: {done.stderr.strip()}"
        return done.stdout

    def denied(self, *args: str, **options: Any) -> str:
        """Run kubectl, require that it is refused, and return the message."""
        done = self.kubectl(*args, **options)
        assert done.returncode != 0, f"kubectl {' '.join(args)} was allowed: {done.stdout.strip()}"
        return done.stderr

    def get(self, kind: str, name: str, namespace: str | None = None) -> dict[str, Any] | None:
        """One object, or None when it does not exist."""
        scope = ["-n", namespace] if namespace else []
        done = self.kubectl("get", kind, name, *scope, "-o", "json")
        if done.returncode != 0:
            assert "NotFound" in done.stderr, done.stderr
            return None
        loaded: dict[str, Any] = json.loads(done.stdout)
        return loaded

    def list(self, kind: str, namespace: str | None = None, selector: str = "") -> list[dict[str, Any]]:
        """All objects of a kind, in one namespace or everywhere."""
        scope = ["-n", namespace] if namespace else ["-A"]
        items: list[dict[str, Any]] = json.loads(self.ok("get", kind, *scope, "-l", selector, "-o", "json"))["items"]
        return items

    def whoami(self) -> str:
        """Username of the administrator's own credential."""
        name: str = json.loads(self.ok("auth", "whoami", "-o", "json"))["status"]["userInfo"]["username"]
        return name

    def apply(self, *objects: dict[str, Any], **options: Any) -> str:
        """Apply manifests."""
        return self.ok("apply", "-f", "-", stdin=yaml.safe_dump_all(objects), **options)

    def wait_state(self, kind: str, name: str, namespace: str, states: Iterable[str], within: float) -> dict[str, Any]:
        """Poll until ``status.state`` is one of ``states``; the object is returned."""
        wanted = tuple(states)

        def probe() -> dict[str, Any] | None:
            body = self.get(kind, name, namespace)
            return body if body and body.get("status", {}).get("state") in wanted else None

        return eventually(probe, within=within, what=f"{kind}/{name} to be {' or '.join(wanted)}")


def kill_container(cluster: Cluster, namespace: str, selector: str) -> None:
    """Send SIGKILL to the first process of the pod's containers, and wait until the kubelet has started it again.

    On a cluster whose node shares this machine's process table the process itself is killed; elsewhere the pod is
    deleted without grace, which is the nearest that the API offers.
    """
    (pod,) = cluster.list("pods", namespace, selector)
    name, uid = pod["metadata"]["name"], pod["metadata"]["uid"]
    pids = [pid for pid in _pids_of(uid) if _command(pid) and "pause" not in _command(pid)]
    if not pids:
        cluster.ok("delete", "pod", name, "-n", namespace, "--grace-period=0", "--force")
        return
    before = sum(status["restartCount"] for status in pod["status"]["containerStatuses"])
    for pid in pids:
        os.kill(pid, signal.SIGKILL)

    def restarted() -> bool:
        body = cluster.get("pod", name, namespace)
        return bool(body) and sum(s["restartCount"] for s in body["status"].get("containerStatuses", [])) > before

    eventually(restarted, within=120, what=f"pod {name} to be restarted by the kubelet")


def _pids_of(pod_uid: str) -> list[int]:
    """Processes in the control groups of one pod, as this machine sees them."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cgroup"):
        try:
            groups = path.read_text()
        except OSError:
            continue  # ended meanwhile
        if pod_uid in groups or pod_uid.replace("-", "_") in groups:
            found.append(int(path.parent.name))
    return found


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""
