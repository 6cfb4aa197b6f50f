"""Whether an ActionPolicy can be understood, told before it is stored. Pure: AdmissionReview in, AdmissionReview out.

The API server cannot compile a CEL condition for us; the rest is in the type's schema. A policy that gets past this
(the webhook was away, or is not installed) is found by the policy controller, which shows why and lets a person decide
wherever the policy names the namespace.
"""

from __future__ import annotations

from typing import Any

from controllers.policy.validity import read_policy
from controllers.webhook.review import Request, answer
from crds import GROUP

MAX_MESSAGE = 1000


def judge(request: Request[dict[str, Any]]) -> tuple[str, dict[str, Any]]:
    """What was done, for the counter, and the answer: refused with every problem, each with its place."""
    resource = request.resource
    if (resource.group, resource.resource) != (GROUP, "actionpolicies") or request.sub_resource:
        return "left", answer(request.uid, allowed=True)
    problems = read_policy(request.object or {}).problems
    if not problems:
        return "valid", answer(request.uid, allowed=True)
    message = f"{'; '.join(problems)[:MAX_MESSAGE]} (`iirp policy lint FILE` says the same of a file)"
    return "invalid", answer(request.uid, allowed=False, status={"code": 422, "reason": "Invalid", "message": message})
