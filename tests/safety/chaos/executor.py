"""The executor as a process of this machine, with its real ServiceAccount token, watching one namespace."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import yaml

from images.layers import project_root


class Executor:
    """``python -m controllers execution`` behind a proxy; killed and frozen by signals, as a kernel or a node would."""

    def __init__(self, folder: Path, name: str, namespace: str, token: str, server: str, ca: Path) -> None:
        self._log = folder / f"{name}.log"
        self._environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(project_root()),
            "HOME": str(folder),
            "KUBECONFIG": str(_kubeconfig(folder / f"{name}.kubeconfig", token, server, ca)),
            "OPENBLAS_NUM_THREADS": "1",
            "IIRP_WATCH_NAMESPACES": namespace,
            "IIRP_METRICS_PORT": "0",
            "IIRP_HEALTH_PORT": "0",
            "IIRP_RESYNC_INTERVAL": "2",
            "IIRP_WORKERS": "2",
        }
        self._process: subprocess.Popen[bytes] | None = None
        self.starts = 0

    @property
    def alive(self) -> bool:
        """Whether it runs (a frozen one does)."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """A fresh process: it knows nothing of the one before."""
        self.starts += 1
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "controllers", "execution"], env=self._environment, stdout=log, stderr=log
            )

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(timeout=30)

    def freeze(self) -> None:
        """SIGSTOP: a node that hangs, a machine that is being moved."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def last_words(self) -> str:
        """End of its log, for a run that went wrong."""
        return self._log.read_text(errors="replace")[-2000:] if self._log.exists() else ""


def _kubeconfig(path: Path, token: str, server: str, ca: Path) -> Path:
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": server, "certificate-authority": str(ca)}}],
        "users": [{"name": "u", "user": {"token": token}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path
