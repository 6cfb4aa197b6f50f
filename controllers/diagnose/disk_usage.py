"""What fills a volume: its largest folders and files, and where was written last. Reads names and sizes, no contents.

File names are somebody else's text: what cannot be printed is escaped, and the report is bounded.
"""

from __future__ import annotations

import heapq
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

MAX_ENTRIES = 2_000_000
MAX_SECONDS = 200.0
"""Below the Job's own deadline: half an answer is better than none."""
DEPTH = 3
"""Folders deeper than this count for the one above."""
TOP = 8
MAX_NAME = 120
MAX_REPORT = 3500
"""Bytes; a kubelet passes on 4096."""
RECENT_SECONDS = 3600.0
MIB = 1 << 20
_ESCAPES = {code: f"\\x{code:02x}" for code in (*range(32), 127)}


@dataclass
class Usage:
    """Bytes on disk, by folder (relative, ``.`` is the volume) and for the largest files."""

    folders: Counter[str] = field(default_factory=Counter)
    recent: Counter[str] = field(default_factory=Counter)
    """Of files written within the last hour."""
    largest: list[tuple[int, str, float]] = field(default_factory=list)
    """Heap of (bytes, path, time of the last write)."""
    files: int = 0
    unreadable: int = 0
    complete: bool = True


def measure(root: Path, now: float, clock: Callable[[], float] = time.monotonic) -> Usage:
    """Walk one file system; symbolic links and other mounts are not followed."""
    usage, deadline = Usage(), clock() + MAX_SECONDS
    for number, (path, entry) in enumerate(_walk(root, usage)):
        if number >= MAX_ENTRIES or clock() > deadline:
            usage.complete = False
            break
        size, written = entry.st_blocks * 512, entry.st_mtime
        usage.files += 1
        heapq.heappush(usage.largest, (size, path, written))
        if len(usage.largest) > TOP:
            heapq.heappop(usage.largest)
        for folder in _folders(path):
            usage.folders[folder] += size
            if now - written <= RECENT_SECONDS:
                usage.recent[folder] += size
    return usage


def report(root: Path, usage: Usage, now: float) -> str:
    """A page for people, at most ``MAX_REPORT`` bytes."""
    room = os.statvfs(root)
    total, used = room.f_blocks * room.f_frsize, (room.f_blocks - room.f_bfree) * room.f_frsize
    share = f"{100 * used / total:.0f} %" if total else "?"
    inodes = f"{100 * (room.f_files - room.f_ffree) / room.f_files:.0f} %" if room.f_files else "?"
    lines = [f"{_size(used)} of {_size(total)} used ({share}), inodes {inodes}; {usage.files} files seen"]
    if usage.unreadable:
        lines.append(f"{usage.unreadable} folders could not be read: they belong to another user")
    if not usage.complete:
        lines.append("stopped early: too many files; what follows is what was seen until then")
    lines.append("largest folders (of it written within the hour):")
    for folder, size in usage.folders.most_common(TOP):
        lines.append(f"  {_size(size):>10}  {_size(usage.recent[folder]):>10}  {_name(folder)}")
    lines.append("largest files (last written):")
    for size, path, written in sorted(usage.largest, reverse=True):
        lines.append(f"  {_size(size):>10}  {max(0.0, now - written) / 60:>6.0f} min ago  {_name(path)}")
    return "\n".join(lines).encode("ascii", "replace")[:MAX_REPORT].decode() + "\n"


def main(root: str = "/subject", result: str = "/dev/termination-log") -> int:
    """Entry point of the Job; the report goes to its log and to its termination message."""
    now = time.time()
    text = report(Path(root), measure(Path(root), now), now)
    sys.stdout.write(text)
    Path(result).write_text(text, encoding="ascii")
    return 0


def _walk(root: Path, usage: Usage) -> Iterator[tuple[str, os.stat_result]]:
    device, waiting = root.stat().st_dev, [str(root)]
    while waiting:
        try:
            entries = os.scandir(waiting.pop())
        except OSError:
            usage.unreadable += 1
            continue
        with entries:
            for entry in entries:
                try:
                    found = entry.stat(follow_symlinks=False)
                except OSError:
                    continue  # deleted meanwhile
                if found.st_dev != device:
                    continue
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                else:
                    yield os.path.relpath(entry.path, root), found


def _folders(path: str) -> Iterator[str]:
    parts = path.split(os.sep)[:-1][:DEPTH]
    yield "."
    for depth in range(1, len(parts) + 1):
        yield os.sep.join(parts[:depth])


def _size(count: float) -> str:
    return f"{count / MIB:.1f} MiB"


def _name(path: str) -> str:
    return path.encode("utf-8", "surrogateescape").decode("ascii", "backslashreplace").translate(_ESCAPES)[:MAX_NAME]
