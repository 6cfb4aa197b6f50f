"""Entry point of `kubectl iirp`. Exit codes: 0 done, 1 refused or failed, 2 bad arguments, 130 interrupted."""

from __future__ import annotations

import json
import pydoc
import sys
import time
from argparse import Namespace
from collections.abc import Sequence

from cli.plugin import decide, story
from cli.plugin.arguments import KUBECTL_FLAGS, parse
from cli.plugin.completion import candidates
from cli.plugin.kube import Body, Kubectl, PluginError
from cli.plugin.words import harmless, moment, when

_DECISION_SECONDS = 20.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] == ["__complete"]:
        sys.stdout.write("\n".join(candidates(words[1:])) + "\n:4\n")  # 4: no file names
        return 0
    options = parse(words)
    try:
        return int(COMMANDS[options.command](options))
    except PluginError as error:
        sys.stderr.write(f"kubectl iirp: {error}\n")
        return error.code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 0


def client(options: Namespace) -> Kubectl:
    """kubectl with the flags that were given here."""
    flags = [f"--{name}={value}" for name in KUBECTL_FLAGS if (value := getattr(options, name.replace("-", "_")))]
    return Kubectl(flags)


def incidents(options: Namespace) -> int:
    """`incidents`."""
    everywhere = ("--all-namespaces",) if options.all_namespaces else ()
    selector = ("--selector", options.selector) if options.selector else ()
    if options.output != "table":
        _print(options, client(options).run("get", "incidents.iirp.io", *everywhere, *selector, "-o", options.output))
        return 0
    found = client(options).items("incidents", *everywhere, *selector)
    _print(options, story.incidents(found, story.now(), namespaces=options.all_namespaces, ended=options.all))
    return 0


def show(options: Namespace) -> int:
    """`show`."""
    if options.output == "yaml":
        _print(options, client(options).run("get", "incidents.iirp.io", options.name, "-o", "yaml"))
        return 0
    chain = client(options).chain(options.name)
    if options.output == "json":
        parts = {"incident": chain.incident, "reports": chain.reports, "plans": chain.plans}
        _print(options, json.dumps({**parts, "approvals": chain.approvals}, indent=2))
    else:
        _print(options, story.show(chain, story.now()))
    return 0


def timeline(options: Namespace) -> int:
    """`timeline`; with ``--watch`` until the incident has ended."""
    kubectl, shown = client(options), 0
    while True:
        incident = kubectl.get("incidents", options.name)
        entries = (incident.get("status") or {}).get("timeline") or []
        if options.output != "table":
            _print(options, _entries(kubectl, options, entries))
            return 0
        text = story.timeline(incident, local=options.local)
        if not options.watch:
            _print(options, text)
            return 0
        lines = text.splitlines()[: 1 + len(entries)]
        sys.stdout.write("".join(f"{line}\n" for line in lines[shown:]))
        sys.stdout.flush()
        shown = len(lines)
        if (incident.get("status") or {}).get("state") in {"Resolved", "Escalated", "Recovered", "Closed"}:
            return 0
        time.sleep(2.0)


def verdict(options: Namespace) -> int:
    """`approve` and `reject`."""
    kubectl = client(options)
    approval = decide.find_approval(kubectl, options.name)
    spec, name = approval["spec"], approval["metadata"]["name"]
    if options.digest and options.digest != spec["planDigest"]:
        raise PluginError(f"{name} is about {spec['planDigest']}, not about {options.digest}")
    sys.stderr.write(
        f"{options.command} {harmless(spec['summary'])} in {approval['metadata']['namespace']}\n"
        f"  {spec['planDigest']}, asked by {harmless(spec['requestedBy'])}, "
        f"expires {when(moment(spec['expiresAt']), story.now())}\n"
    )
    if not options.yes and not _sure():
        raise PluginError("nothing was decided")
    decide.decide(kubectl, approval, options.command, options.reason)
    sys.stdout.write(f"{name}: {'approved' if options.command == 'approve' else 'rejected'}\n")
    return 0


def modify(options: Namespace) -> int:
    """`modify`: a plan in place of another."""
    kubectl = client(options)
    plan, chain = decide.find_plan(kubectl, options.name)
    me = json.loads(kubectl.run("auth", "whoami", "-o", "json"))["status"]["userInfo"]["username"]
    if options.set:
        actions = decide.with_parameters(plan, options.set, options.action)
    else:
        actions = decide.instead(plan, options.scale)
    wanted = decide.superseding(plan, chain, me, actions)
    created = decide.submit(kubectl, wanted, dry_run=options.dry_run)
    if options.output != "table":
        _print(options, json.dumps(created, indent=2))
        return 0
    name = created["metadata"]["name"]
    would = "would be created" if options.dry_run else "created"
    sys.stdout.write(
        f"{name} {would}: {harmless(created['spec']['summary'])}, in place of {plan['metadata']['name']}\n"
    )
    sys.stdout.write(f"asked by {harmless(me)}, who cannot approve it; approvals start anew\n")
    if not options.dry_run:
        _tell_decision(kubectl, created)
    return 0


def logs(options: Namespace) -> int:
    """`logs`: of the target's pods as they are now, from a minute before the onset."""
    kubectl = client(options)
    incident = kubectl.get("incidents", options.name)
    ref, started = incident["spec"]["target"], incident["spec"]["startedAt"]
    if ref["kind"] not in {"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Pod", "Job"}:
        raise PluginError(f"{story.target(ref)} has no logs of its own")
    where = f"--namespace={incident['metadata']['namespace']}"
    common = ["logs", f"{ref['kind'].lower()}/{ref['name']}", where, "--all-containers", "--prefix", "--timestamps"]
    if ref["kind"] != "Pod":
        common.append("--all-pods")
    window = ["--since-time", started, f"--tail={options.tail}"]
    if options.follow:
        return kubectl.stream(*common, *window, "--follow")
    # A pod that cannot start has none, and its siblings' still tell something.
    text = kubectl.run(*common, *window, "--ignore-errors")
    told = text.splitlines()
    if told and all(line.startswith("error: ") for line in told):
        raise PluginError(f"{harmless(told[0].removeprefix('error: '))}; older lines: iirp logs {where} --since 2h")
    _print(options, "\n".join(harmless(line) for line in text.splitlines()) or f"no lines since {started}")
    return 0


def completion(_options: Namespace) -> int:
    """`completion`: the program that kubectl calls for candidates."""
    sys.stdout.write(
        '#!/bin/sh\n# Save as kubectl_complete-iirp on your PATH, executable.\nexec kubectl iirp __complete "$@"\n'
    )
    return 0


COMMANDS = {
    "incidents": incidents,
    "show": show,
    "timeline": timeline,
    "approve": verdict,
    "reject": verdict,
    "modify": modify,
    "logs": logs,
    "completion": completion,
}


def _entries(kubectl: Kubectl, options: Namespace, entries: list[Body]) -> str:
    if options.output == "json":
        return json.dumps(entries, indent=2)
    return kubectl.run("get", "incidents.iirp.io", options.name, "-o", "yaml")


def _tell_decision(kubectl: Kubectl, plan: Body) -> None:
    """What policy says of it, if it says so soon."""
    name, deadline = plan["metadata"]["name"], time.monotonic() + _DECISION_SECONDS
    while time.monotonic() < deadline:
        decision = (kubectl.get("actionplans", name).get("status") or {}).get("decision")
        if decision:
            sys.stdout.write(f"policy: {decision['tier']}: {harmless(decision['message'])}\n{decision['planDigest']}\n")
            return
        time.sleep(0.5)
    sys.stdout.write("policy has not decided yet: kubectl get aplan " + name + "\n")


def _sure() -> bool:
    if not sys.stdin.isatty():
        raise PluginError("not a terminal: say --yes to decide without being asked", 2)
    sys.stderr.write("Sure? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def _print(options: Namespace, text: str) -> None:
    if getattr(options, "pager", False) and sys.stdout.isatty():
        pydoc.pager(text)
    else:
        sys.stdout.write(text.rstrip("\n") + "\n")


if __name__ == "__main__":
    sys.exit(main())
