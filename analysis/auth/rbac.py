"""What the API server says of a person's rights, asked with the person's own token: we may not ask about others."""

from __future__ import annotations

from analysis.kube import ApiServer
from crds import GROUP


async def may_list(api: ApiServer, token: str, plural: str, namespace: str = "") -> bool:
    """SelfSubjectAccessReview: whether the person may list a kind of ours there; empty: in the whole cluster.

    Raises:
        ApiServerError: the token is not valid (401), or there is no answer.
    """
    asked = {"group": GROUP, "resource": plural, "verb": "list", "namespace": namespace}
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": asked},
    }
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    answer = await api.request("POST", path, token=token, body=body)
    return bool((answer.get("status") or {}).get("allowed"))
