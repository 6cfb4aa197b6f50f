"""Starts one detached process, optionally inside the namespaces of another: `python spawn.py < request`.

A program of its own, because entering a PID namespace concerns only children (so it takes a fork) and forking a caller
that has threads, such as a progress display, is unsafe. Uses the standard library alone, so that it starts at once.

The process is on record before it executes anything: if this program or its caller is killed at any moment, there is
either no process or one that the record leads to.

Request, JSON on stdin: argv, env, cwd, log (a path), namespaces_of (a PID or null), cgroups (cgroup.procs files),
record (a path) and identity (what the record holds besides pid and ticks).
Answer, JSON on stdout: the record, or {"error": "…"}.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import sys
from pathlib import Path
from typing import Any

__all__ = ["main"]

# In the order of entering; the user namespace is never entered. Values from <linux/sched.h>.
_NAMESPACES = (("ipc", 0x08000000), ("uts", 0x04000000), ("net", 0x40000000), ("pid", 0x20000000), ("mnt", 0x00020000))
_GO = b"."


def main() -> None:
    """Reads the request, starts the process, prints the answer."""
    request: dict[str, Any] = json.load(sys.stdin)
    try:
        answer = spawn(request)
    except OSError as error:
        answer = {"error": f"{error.strerror}: {error.filename}" if error.filename else str(error)}
    json.dump(answer, sys.stdout)


def spawn(request: dict[str, Any]) -> dict[str, Any]:
    """Forks twice, records the grandchild, lets it execute. Raises OSError when it could not."""
    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
    go_read, go_write = os.pipe()
    back_read, back_write = os.pipe()  # closes on exec: end of file after the PID says that exec succeeded
    if os.fork() == 0:
        os.close(go_write)
        os.close(back_read)
        _middle(request, log, go_read, back_write)
    os.close(go_read)
    os.close(back_write)
    with os.fdopen(back_read, "rb") as back:
        first = back.readline().decode().split()
        if first[:1] != ["pid"]:
            raise _failure(first, back.read().decode())
        record = {**request["identity"], "pid": int(first[1]), "ticks": _ticks(int(first[1]))}
        _write_atomic(Path(request["record"]), json.dumps(record))
        os.write(go_write, _GO)
        if rest := back.read().decode():
            Path(request["record"]).unlink(missing_ok=True)
            raise _failure(rest.split(), "")
    return record


def _middle(request: dict[str, Any], log: int, go: int, back: int) -> None:
    """Enters the namespaces and forks the process itself, whose PID it sees as the caller does; never returns."""
    try:
        if (target := request.get("namespaces_of")) is not None:
            _enter(int(target))
        pid = os.fork()
        if pid:
            os.write(back, f"pid {pid}\n".encode())
            os._exit(0)
        # Without the word, the caller died before it could record this process, which then must not become one.
        if os.read(go, 1) == _GO:
            _become(request, log)
    except OSError as error:
        os.write(back, f"errno {error.errno} {error.filename or request['argv'][0]}\n".encode())
    finally:
        os._exit(127)


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


def _failure(words: list[str], rest: str) -> OSError:
    if words[:1] == ["errno"]:
        return OSError(int(words[1]), os.strerror(int(words[1])), " ".join(words[2:]))
    return OSError(f"the process ended before it began {' '.join(words)} {rest}".strip())


def _ticks(pid: int) -> int:
    stat = Path(f"/proc/{pid}/stat").read_text()
    return int(stat[stat.rindex(")") + 2 :].split()[19])


def _write_atomic(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text)
    temporary.replace(path)


if __name__ == "__main__":
    main()
