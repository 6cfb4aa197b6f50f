"""What can come next on a command line, for kubectl's completion of plugins."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from cli.plugin.arguments import NAMES
from cli.plugin.kube import Kubectl, PluginError

__all__ = ["candidates"]

_COMMANDS = ("incidents", "show", "timeline", "approve", "reject", "modify", "logs", "completion")


def candidates(words: Sequence[str]) -> list[str]:
    """Commands, then names of the kind that the command is about; nothing when the cluster does not answer.

    Args:
        words: what is typed so far; the last one is the one to complete.
    """
    last = words[-1] if words else ""
    if len(words) <= 1:
        return [name for name in _COMMANDS if name.startswith(last)]
    plural = NAMES.get(words[0])
    if plural is None or last.startswith("-"):
        return []
    try:
        kubectl = Kubectl(_place(words[1:-1]))
        names = kubectl.run("get", f"{plural}.iirp.io", "-o", "name", "--request-timeout=3s").split()
    except PluginError:
        return []
    return [name for path in names if (name := path.rsplit("/", 1)[-1]).startswith(last)]


def _place(words: Sequence[str]) -> list[str]:
    flags = {"-n": "--namespace", "--namespace": "--namespace", "--context": "--context"}
    place = [f"{flags[flag]}={value}" for flag, value in pairwise(words) if flag in flags]
    return place + [word for word in words if word.startswith(("--namespace=", "--context="))]
