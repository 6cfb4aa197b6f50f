"""The page's objects at the API server, always as the person who looks."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote

from pydantic import ValidationError

from analysis.auth.rbac import may_list
from analysis.kube import MERGE_PATCH, METADATA_LIST, TABLE, ApiServer, ApiServerError
from analysis.web.rows import Row, rows
from crds import API_VERSION
from crds.v1alpha1.actionplan import ActionPlan
from crds.v1alpha1.approval import DECISION_ANNOTATION, REASON_ANNOTATION, Approval, DecisionVerdict
from crds.v1alpha1.base import Resource
from crds.v1alpha1.incident import Incident
from crds.v1alpha1.labels import INCIDENT_LABEL
from crds.v1alpha1.rcareport import RCAReport

LIMIT = 500
MOST = 2500
"""Objects that a page looks through; a bound, not a promise."""
_DNS_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")

R = TypeVar("R", bound=Resource)


@dataclass(frozen=True, slots=True)
class Chain:
    """One incident and what belongs to it, newest plan first."""

    incident: Incident
    reports: tuple[RCAReport, ...]
    plans: tuple[ActionPlan, ...]
    approvals: tuple[Approval, ...]


def valid_name(text: str) -> bool:
    """Whether a path segment can be the name of an object or a namespace."""
    return _DNS_NAME.fullmatch(text) is not None


class Reader:
    """Lists and gets, and the two writes there are, a decision and a plan, always with the person's token."""

    def __init__(self, api: ApiServer) -> None:
        self._api = api

    async def username(self, token: str) -> str:
        """Who the API server says the owner of a token is.

        Raises:
            ApiServerError: the token is not valid (status 401), or there is no answer.
        """
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
        answer = await self._api.request("POST", path, token=token, body=body)
        return str(((answer.get("status") or {}).get("userInfo") or {}).get("username") or "")

    async def incidents(self, token: str, namespace: str = "") -> tuple[Row, ...]:
        """All incidents of a namespace or of the cluster, newest first.

        Read from the API server's cache (``resourceVersion=0``): what is shown may be milliseconds old, and thousands
        of incidents cost no read of etcd.
        """
        where = f"/namespaces/{quote(namespace, safe='')}" if namespace else ""
        path = f"/apis/{API_VERSION}{where}/incidents?includeObject=None&resourceVersion=0"
        return rows(await self._api.request("GET", path, token=token, accept=TABLE))

    async def known(
        self, token: str, namespace: str = ""
    ) -> tuple[tuple[Incident, ...], dict[tuple[str, str], RCAReport]]:
        """Whole incidents and their reports (by namespace and name), for questions about them."""
        where = f"/namespaces/{quote(namespace, safe='')}" if namespace else ""
        found, reports = await asyncio.gather(
            self._list(Incident, f"/apis/{API_VERSION}{where}/incidents?limit={LIMIT}", token),
            self._children(RCAReport, f"/apis/{API_VERSION}{where}/rcareports?limit={LIMIT}", token),
        )
        return tuple(found), {(one.metadata.namespace, one.spec.incident_ref.name): one for one in reports}

    async def chain(self, token: str, namespace: str, name: str) -> Chain:
        """One incident with its report, plans and approvals. Kinds that the person may not list are left out."""
        base = f"/apis/{API_VERSION}/namespaces/{quote(namespace, safe='')}"
        label = quote(f"{INCIDENT_LABEL}={name}", safe="")
        body = await self._api.request("GET", f"{base}/incidents/{quote(name, safe='')}", token=token)
        reports, plans, approvals = await asyncio.gather(
            self._children(RCAReport, f"{base}/rcareports?labelSelector={label}&limit=20", token),
            self._children(ActionPlan, f"{base}/actionplans?labelSelector={label}&limit=20", token),
            self._children(Approval, f"{base}/approvals?labelSelector={label}&limit=20", token),
        )
        try:
            incident = Incident.from_wire(body)
        except ValidationError as error:
            raise ApiServerError("this object is not a readable Incident") from error
        return Chain(incident, reports, plans, approvals)

    async def approval(self, token: str, namespace: str, name: str) -> Approval:
        """One Approval."""
        body = await self._api.request("GET", _approval(namespace, name), token=token)
        try:
            return Approval.from_wire(body)
        except ValidationError as error:
            raise ApiServerError("this object is not a readable Approval") from error

    async def decide(self, token: str, namespace: str, name: str, verdict: DecisionVerdict, reason: str) -> None:
        """Write the two annotations as the person; the API server's admission policies judge them.

        Raises:
            ApiServerError: it was refused (403, 422), or there was no answer.
        """
        annotations = {DECISION_ANNOTATION: verdict.value, **({REASON_ANNOTATION: reason} if reason else {})}
        body = {"metadata": {"annotations": annotations}}
        await self._api.request("PATCH", _approval(namespace, name), token=token, body=body, content=MERGE_PATCH)

    async def create_plan(self, token: str, namespace: str, body: dict[str, Any], *, dry_run: bool) -> ActionPlan:
        """Create an ActionPlan as the person, or have the API server only judge it.

        Raises:
            ApiServerError: it was refused (403, 422), there is one of that name (409), or there was no answer.
        """
        path = f"{_plans(namespace)}?dryRun=All" if dry_run else _plans(namespace)
        try:
            return ActionPlan.from_wire(await self._api.request("POST", path, token=token, body=body))
        except ValidationError as error:
            raise ApiServerError("the API server's answer is not a readable ActionPlan") from error

    async def plan(self, token: str, namespace: str, name: str) -> ActionPlan:
        """One ActionPlan."""
        body = await self._api.request("GET", f"{_plans(namespace)}/{quote(name, safe='')}", token=token)
        try:
            return ActionPlan.from_wire(body)
        except ValidationError as error:
            raise ApiServerError("this object is not a readable ActionPlan") from error

    async def replica_sets(self, token: str, namespace: str) -> list[dict[str, Any]]:
        """ReplicaSets of a namespace, as served; none where the person may not list them."""
        path = f"/apis/apps/v1/namespaces/{quote(namespace, safe='')}/replicasets?limit={LIMIT}"
        try:
            return list((await self._api.request("GET", path, token=token)).get("items") or ())
        except ApiServerError as error:
            if error.status in {403, 404}:
                return []
            raise

    async def everything(self, token: str, plural: str, namespace: str = "") -> list[dict[str, Any]]:
        """Objects of one of our kinds as served, in pages, at most :data:`MOST` of them."""
        where = f"/namespaces/{quote(namespace, safe='')}" if namespace else ""
        found: list[dict[str, Any]] = []
        proceed = ""
        while len(found) < MOST:
            path = f"/apis/{API_VERSION}{where}/{plural}?limit={LIMIT}{proceed}"
            answer = await self._api.request("GET", path, token=token)
            found += answer.get("items") or ()
            following = str((answer.get("metadata") or {}).get("continue") or "")
            if not following:
                break
            proceed = f"&continue={quote(following, safe='')}"
        return found

    async def namespace_labels(self, token: str) -> dict[str, dict[str, str]]:
        """Labels by namespace; none where the person may not list namespaces."""
        try:
            answer = await self._api.request(
                "GET", f"/api/v1/namespaces?limit={MOST}", token=token, accept=METADATA_LIST
            )
        except ApiServerError as error:
            if error.status == 403:
                return {}
            raise
        metadata = [item.get("metadata") or {} for item in answer.get("items") or ()]
        return {str(one.get("name")): dict(one.get("labels") or {}) for one in metadata}

    async def may_list(self, token: str, plural: str, namespace: str = "") -> bool:
        """Whether the person may list a kind of ours there; empty: in the whole cluster."""
        return await may_list(self._api, token, plural, namespace)

    async def _children(self, kind: type[R], path: str, token: str) -> tuple[R, ...]:
        try:
            found = await self._list(kind, path, token)
        except ApiServerError as error:
            if error.status in {403, 404}:
                return ()
            raise
        return tuple(sorted(found, key=_created, reverse=True))

    async def _list(self, kind: type[R], path: str, token: str) -> list[R]:
        answer = await self._api.request("GET", path, token=token)
        found = []
        for item in answer.get("items") or ():
            try:
                found.append(kind.from_wire(item))
            except ValidationError:
                continue  # an object of another version does not hide the others
        return found


def _plans(namespace: str) -> str:
    return f"/apis/{API_VERSION}/namespaces/{quote(namespace, safe='')}/actionplans"


def _approval(namespace: str, name: str) -> str:
    return f"/apis/{API_VERSION}/namespaces/{quote(namespace, safe='')}/approvals/{quote(name, safe='')}"


def _created(item: Resource) -> tuple[Any, str]:
    created = item.metadata.creation_timestamp
    return (created.timestamp() if created else 0.0, item.metadata.name)
