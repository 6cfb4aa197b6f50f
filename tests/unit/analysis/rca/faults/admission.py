"""What the API server does not admit, suddenly and in a rollout."""

from __future__ import annotations

from tests.unit.analysis.rca.faults.shop import Fault, event, rolled_out, told

REPLICA_SET = "ReplicaSet/payments-7c9d8f6b5d"


def refused(why: str) -> dict:
    """A ReplicaSet whose pods the API server does not take."""
    return {"events": (event("FailedCreate", f"Error creating: {why}", REPLICA_SET),), "pods": ()}


LIMIT_RANGE = 'pods "payments-x" is forbidden: maximum memory usage per Container is 512Mi, but limit is 2Gi'
POD_SECURITY = 'pods "payments-x" is forbidden: violates PodSecurity "restricted:latest": privileged'
DENIED = 'admission webhook "validate.kyverno.svc-fail" denied the request: image tag latest is not allowed'
UNREACHABLE = (
    'Internal error occurred: failed calling webhook "validate.kyverno.svc-fail": failed to call webhook: Post '
    '"https://kyverno-svc.kyverno.svc:443/validate?timeout=10s": dial tcp 10.96.0.9:443: connect: connection refused'
)
NO_ACCOUNT = (
    'pods "payments-x" is forbidden: error looking up service account shop/payer: serviceaccount "payer" not found'
)
EXCEEDED = 'pods "payments-x" is forbidden: exceeded quota: compute, requested: pods=1, used: pods=6, limited: pods=6'

FAULTS = {
    f"{name}, {'in a rollout' if changes else 'all of a sudden'}": Fault(
        told(kind, changes=changes, **refused(why)), cause
    )
    for name, why, cause in (
        ("a LimitRange", LIMIT_RANGE, "AdmissionDenied"),
        ("Pod Security", POD_SECURITY, "AdmissionDenied"),
        ("a policy", DENIED, "AdmissionDenied"),
        ("a webhook that is down", UNREACHABLE, "WebhookUnavailable"),
        ("a ServiceAccount that is missing", NO_ACCOUNT, "ConfigMissing"),
        ("a quota", EXCEEDED, "QuotaExceeded"),
    )
    for kind, changes in (
        ("QuotaExceeded" if name == "a quota" else "PodsRefused", ()),
        ("RolloutStalled", (rolled_out("image v1.8 -> v1.9"),)),
    )
}
