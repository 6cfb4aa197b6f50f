"""The command line of `kubectl iirp`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Sequence

__all__ = ["KUBECTL_FLAGS", "NAMES", "parse"]

KUBECTL_FLAGS = ("context", "namespace", "kubeconfig", "cluster", "user", "as", "as-group", "request-timeout")
"""Handed to kubectl as they are."""
NAMES = {
    "show": "incidents", "timeline": "incidents", "logs": "incidents", "approve": "approvals", "reject": "approvals",
    "modify": "actionplans",
}  # fmt: skip
"""Commands that take a name, and the kind whose names are offered."""

_EXAMPLES = """\
  kubectl iirp incidents -A                        what is open
  kubectl iirp show payments-leak-x7k2q            what, why, what is proposed, who decides
  kubectl iirp approve payments-leak-x7k2q --reason "seen in staging"
"""


def parse(arguments: Sequence[str]) -> Namespace:
    """Parsed options; ``command`` is always set. Exits 2 on bad arguments."""
    parser = ArgumentParser(
        prog="kubectl iirp", description="Incidents, their story, and your decisions.", epilog=_EXAMPLES,
        formatter_class=RawDescriptionHelpFormatter,
    )  # fmt: skip
    common = _common()
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def add(name: str, text: str, *, named: str = "", outputs: bool = True) -> ArgumentParser:
        made = commands.add_parser(name, help=text, description=text, parents=[common])
        if named:
            made.add_argument("name", metavar=named)
        if outputs:
            made.add_argument("-o", "--output", choices=("table", "json", "yaml"), default="table")
        return made

    listed = add("incidents", "open incidents, newest first")
    listed.add_argument("-A", "--all-namespaces", action="store_true")
    listed.add_argument("-l", "--selector", default="", help="label selector")
    listed.add_argument("--all", action="store_true", help="also those that have ended")
    add("show", "what is wrong, why, what is proposed, who decides", named="INCIDENT")
    line = add("timeline", "what happened, oldest first", named="INCIDENT")
    line.add_argument("-w", "--watch", action="store_true", help="go on until it has ended")
    line.add_argument("--local", action="store_true", help="local time instead of UTC")
    for verb in ("approve", "reject"):
        made = add(verb, f"{verb} what waits for a decision, as yourself", named="INCIDENT|APPROVAL", outputs=False)
        made.add_argument("-r", "--reason", default="", help="why, for the record", required=verb == "reject")
        made.add_argument("--digest", default="", help="decide only about exactly this (sha256:…)")
        made.add_argument("-y", "--yes", action="store_true", help="do not ask")
    _changes(add("modify", "propose other parameters; approvals start anew", named="INCIDENT|PLAN"))
    lines = add("logs", "the target's log lines since the onset, from its pods", named="INCIDENT", outputs=False)
    lines.add_argument("-f", "--follow", action="store_true")
    lines.add_argument("--tail", type=int, default=200, metavar="N", help="the newest N of each container (200)")
    add("completion", "print kubectl's completion program for this plugin", outputs=False)
    return parser.parse_args(arguments)


def _changes(modify: ArgumentParser) -> None:
    kind = modify.add_mutually_exclusive_group(required=True)
    kind.add_argument("--scale", type=int, metavar="REPLICAS", help="scale to so many replicas instead")
    kind.add_argument("--set", action="append", metavar="KEY=VALUE", help="other parameters, same actions: replicas=3")
    kind.add_argument("--restart", action="store_true", help="restart instead")
    modify.add_argument("--action", default="", metavar="ID", help="which action, where the plan has several")
    modify.add_argument("--dry-run", action="store_true", help="let the API server check it; create nothing")


def _common() -> ArgumentParser:
    common = ArgumentParser(add_help=False)
    group = common.add_argument_group("which cluster, as whom (as for kubectl)")
    for name in KUBECTL_FLAGS:
        short = ("-n",) if name == "namespace" else ()
        group.add_argument(*short, f"--{name}", default="", metavar="X", dest=name.replace("-", "_"))
    common.add_argument("--pager", action="store_true", help="show it in a pager")
    return common
