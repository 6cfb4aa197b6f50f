"""What an annotated decision becomes. Pure: AdmissionReview in, AdmissionReview out.

The same changes as ``rbac/admission/decisions.yaml`` makes from 1.36 on. It judges nothing: whether this person may say
this, about this plan, now, is asked afterwards by the ValidatingAdmissionPolicy iirp-approvals, which sees the entry as
it would be stored. So a webhook that lies can refuse a decision, but cannot make one in somebody else's name.
"""

from __future__ import annotations

import base64
import json
from typing import Any

from pydantic import Field

from controllers.webhook.review import Request, Wire, answer
from crds import GROUP
from crds.v1alpha1.approval import DECISION_ANNOTATION, REASON_ANNOTATION, DecisionVerdict
from crds.v1alpha1.quorum import GROUP_PREFIX

VERDICTS = frozenset(verdict.value for verdict in DecisionVerdict)


class Metadata(Wire):
    """What of an object's metadata matters."""

    annotations: dict[str, str] | None = None


class ApprovalObject(Wire):
    """An Approval as the request would leave it; its types are the API server's business."""

    metadata: Metadata
    spec: dict[str, Any] = Field(default_factory=dict)


def patch_for(request: Request[ApprovalObject]) -> list[dict[str, Any]]:
    """JSON patch that makes an entry of the annotation; empty when there is none, or one that is no verdict.

    Other words are left where they are: the policy refuses them and tells the person what may be said.
    """
    resource = request.resource
    ours = (resource.group, resource.resource, request.sub_resource) == (GROUP, "approvals", "")
    if not ours or request.operation != "UPDATE" or request.object is None:
        return []
    annotations = request.object.metadata.annotations or {}
    verdict = annotations.get(DECISION_ANNOTATION, "")
    if verdict not in VERDICTS:
        return []
    entry = {
        "by": request.user_info.username,
        "verdict": verdict,
        "reason": annotations.get(REASON_ANNOTATION, ""),
        "planDigest": str(request.object.spec.get("planDigest", "")),
    } | ({"group": group} if (group := _group(request)) else {})
    first = request.object.spec.get("decisions") is None
    add = {"op": "add", "path": "/spec/decisions", "value": [entry]} if first else {
        "op": "add", "path": "/spec/decisions/-", "value": entry,
    }  # fmt: skip
    gone = [name for name in (DECISION_ANNOTATION, REASON_ANNOTATION) if name in annotations]
    return [add, *({"op": "remove", "path": f"/metadata/annotations/{_escaped(name)}"} for name in gone)]


def _group(request: Request[ApprovalObject]) -> str:
    """The first group of theirs that the approval names, unless it names them; as the MutatingAdmissionPolicy does."""
    named = request.object.spec.get("approvers") if request.object is not None else None
    approvers = [str(name) for name in named] if isinstance(named, list) else []
    if request.user_info.username in approvers:
        return ""
    groups = (name.removeprefix(GROUP_PREFIX) for name in approvers if name.startswith(GROUP_PREFIX))
    return next((name for name in groups if name in request.user_info.groups), "")


def record(request: Request[ApprovalObject]) -> tuple[str, dict[str, Any]]:
    """What was done, for the counter, and the answer: always allowed, for judging is the policies' business."""
    patch = patch_for(request)
    if not patch:
        return "left", answer(request.uid, allowed=True)
    encoded = base64.b64encode(json.dumps(patch).encode()).decode()
    return "entry", answer(request.uid, allowed=True, patchType="JSONPatch", patch=encoded)


def _escaped(name: str) -> str:
    """A key within a JSON pointer."""
    return name.replace("~", "~0").replace("/", "~1")
