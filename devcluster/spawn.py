"""Starts one detached process, optionally inside the namespaces of another: `python -m devcluster.spawn < request`.

A program of its own, because entering a PID namespace concerns only children (so it takes a fork) and forking a caller
that has threads, such as a progress display, is unsafe. Uses the standard library alone, so that it starts at once.

Request, JSON on stdin: argv, env, cwd, log (a path), namespaces_of (a PID or null), cgroups (cgroup.procs files).
Answer, JSON on stdout: {"pid": N}, N as the caller's PID namespace sees it, or {"error": "…"}.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import sys
from typing import Any

__all__ = ["main"]

# In the order of entering; the user namespace is never entered. Values from <linux/sched.h>.
_NAMESPACES = (("ipc", 0x08000000), ("uts", 0x04000000), ("net", 0x40000000), ("pid", 0x20000000), ("mnt", 0x00020000))


def main() -> None:
    """Reads the request, starts the process, prints the answer."""
    request: dict[str, Any] = json.load(sys.stdin)
    try:
        answer: dict[str, Any] = {"pid": spawn(request)}
    except OSError as error:
        answer = {"error": f"{error.strerror}: {error.filename}" if error.filename else str(error)}
    json.dump(answer, sys.stdout)


def spawn(request: dict[str, Any]) -> int:
    """Forks, and returns when the child has executed its program or raises OSError when it could not."""
    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
    if (target := request.get("namespaces_of")) is not None:
        _enter(int(target))
    read, write = os.pipe()  # both close on exec: end of file says that exec succeeded
    pid = os.fork()
    if pid == 0:
        try:
            _become(request, log)
        except OSError as error:
            os.write(write, f"{error.errno} {error.filename or request['argv'][0]}".encode())
        finally:
            os._exit(127)
    os.close(write)
    with os.fdopen(read) as pipe:
        failure = pipe.read()
    if failure:
        os.waitpid(pid, 0)
        number, _, name = failure.partition(" ")
        raise OSError(int(number), os.strerror(int(number)), name)
    return pid


def _enter(target: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    # All descriptors first: after the mount namespace is entered /proc shows other processes.
    opened = [
        (name, os.open(f"/proc/{target}/ns/{name}", os.O_RDONLY | os.O_CLOEXEC), kind) for name, kind in _NAMESPACES
    ]
    for name, descriptor, kind in opened:
        if libc.setns(descriptor, kind) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), f"{name} namespace of {target}")


def _become(request: dict[str, Any], log: int) -> None:
    os.setsid()
    for procs in request.get("cgroups", ()):
        with open(procs, "w") as file:
            file.write("0")  # "the writer": independent of which PID namespace is looking
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 65_536)), hard))
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.chdir(request.get("cwd") or "/")
    os.umask(0o022)
    os.execvpe(request["argv"][0], request["argv"], request["env"])  # noqa: S606  no shell is what is meant


if __name__ == "__main__":
    main()
