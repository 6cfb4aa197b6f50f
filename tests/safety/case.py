"""One request and what must come of it; who refused is read from the API server's own words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from tests.safety.api import ADMIN, Api, Body, Reply, Who

ALLOWED = "allowed"
RBAC = "RBAC"
SCHEMA = "schema"
EXECUTOR = "policy iirp-executor"
ROLLBACK = "policy iirp-executor-rollback"
JOBS = "policy iirp-executor-jobs"
JOB_NAMES = "policy iirp-job-names"
STOP = "policy iirp-executor-stop"
APPROVALS = "policy iirp-approvals"
GRANTS = "policy iirp-grants"
PLANS = "policy iirp-actionplans"
INCIDENTS = "policy iirp-incidents"
_POLICY = re.compile(r"ValidatingAdmissionPolicy '([a-z-]+)'")
_WEBHOOK = re.compile(r'admission webhook "([^"]+)" denied')


@dataclass(frozen=True)
class Case:
    """``by``: which refusals count as the right one; empty: any honest one. What is allowed runs dry."""

    area: str
    name: str
    method: str
    path: str
    body: Body | None = None
    patch: str = "merge"
    who: Who = ADMIN
    by: tuple[str, ...] = ()
    says: str = ""
    allowed: bool = False
    dry: bool = False


@dataclass(frozen=True)
class Result:
    """What came of a case. ``seen``: who refused, or ``allowed``."""

    case: Case
    seen: str
    message: str
    ok: bool


def refusal(reply: Reply) -> str:
    """Who said no: RBAC, schema, a policy or webhook by name; ``allowed``; else ``HTTP nnn``, which proves nothing."""
    if reply.code < 300:
        return ALLOWED
    if found := _POLICY.search(reply.message):
        return f"policy {found[1]}"
    if found := _WEBHOOK.search(reply.message):
        return f"webhook {found[1]}"
    if reply.code == 403 and ("is forbidden: User" in reply.message or "attempting to grant" in reply.message):
        return RBAC
    if reply.code == 403 and "forbidden: User" in reply.message:  # of a path that is no resource
        return RBAC
    if reply.code == 422:
        return SCHEMA
    return f"HTTP {reply.code}"


def judge(case: Case, reply: Reply) -> Result:
    """Right only when allowed or refused as expected, by whom and in the words expected."""
    seen = refusal(reply)
    if case.allowed:
        ok = seen == ALLOWED
    else:
        honest = seen != ALLOWED and not seen.startswith("HTTP")
        ok = honest and (not case.by or seen in case.by) and case.says in reply.message
    return Result(case, seen, reply.message, ok)


def run(api: Api, cases: Iterable[Case]) -> Iterator[Result]:
    """Each case in turn."""
    for case in cases:
        dry = case.dry or case.allowed
        reply = api.send(case.method, case.path, who=case.who, body=case.body, patch=case.patch, dry=dry)
        yield judge(case, reply)


def each(cases: Iterable[Case], who: Who) -> list[Case]:
    """The same requests by somebody."""
    return [replace(case, who=who) for case in cases]
