"""Diagnostic Jobs: one field at a time is made other than what was reviewed and granted, with the executor's token."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

from tests.e2e.objects import SYSTEM
from tests.safety.api import ADMIN, Api, Body, Who, path_of
from tests.safety.case import EXECUTOR, JOB_NAMES, JOBS, RBAC, SCHEMA, Case
from tests.safety.thief import AREA
from tests.safety.world import account, grant, soon

LOOK, OTHER = (f"act-{number:016x}" for number in (0xD7, 0xD8))
CLAIM = "data"
TEMPLATE = "iirp-job-disk-usage"
Spoil = Callable[[dict[str, Any]], Any]


def make(api: Api, namespace: str, executor: Who) -> dict[str, Any]:
    """A grant to look at the claim ``data``, in force, and the Job that it lets through."""
    template = api.get(path_of("v1", SYSTEM, "podtemplates", TEMPLATE))["template"]
    job = body(template)
    grant(api, namespace, LOOK, f"run-job.disk-usage.{CLAIM}.{LOOK}")
    soon(lambda: api.send("POST", _path(namespace), who=executor, body=job, dry=True), "a diagnostic Job to be granted")
    return job


def body(template: dict[str, Any]) -> dict[str, Any]:
    """As the executor sends it."""
    pod = copy.deepcopy(template)
    pod["metadata"].pop("creationTimestamp", None)
    pod["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"] = CLAIM
    labels = {"iirp.io/job-template": "disk-usage", "app.kubernetes.io/managed-by": "iirp"}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": f"iirp-job-{LOOK}", "labels": labels, "annotations": {"iirp.io/action-id": LOOK}},
        "spec": {
            "backoffLimit": 0, "activeDeadlineSeconds": 300, "ttlSecondsAfterFinished": 86400, "template": pod,
        },
    }  # fmt: skip


def _pod(**changes: Any) -> Spoil:
    return lambda job: job["spec"]["template"]["spec"].update(changes)


def _container(**changes: Any) -> Spoil:
    return lambda job: job["spec"]["template"]["spec"]["containers"][0].update(changes)


def _security(**changes: Any) -> Spoil:
    return lambda job: job["spec"]["template"]["spec"]["containers"][0]["securityContext"].update(changes)


def _volume(**source: Any) -> Spoil:
    return lambda job: job["spec"]["template"]["spec"]["volumes"].append({"name": "more", **source})


def _instead(**source: Any) -> Spoil:
    return lambda job: job["spec"]["template"]["spec"].update(volumes=[{"name": "subject", **source}])


def _spec(**changes: Any) -> Spoil:
    return lambda job: job["spec"].update(changes)


def _metadata(**changes: Any) -> Spoil:
    return lambda job: job["metadata"].update(changes)


def _marks(where: str, **changes: Any) -> Spoil:
    return lambda job: job["metadata"].setdefault(where, {}).update(changes)


def _claim(**changes: Any) -> dict[str, Any]:
    return {"persistentVolumeClaim": {"claimName": CLAIM, "readOnly": True, **changes}}


MORE = {"name": "more", "image": "example.invalid/evil:1"}
TOKEN = {"projected": {"sources": [{"serviceAccountToken": {"path": "token", "expirationSeconds": 3600}}]}}
IGNORE = {"action": "Ignore", "onExitCodes": {"operator": "In", "values": [1]}}
SPOILED: dict[str, Spoil] = {
    "image": _container(image="example.invalid/evil:1"),
    "command": _container(command=["sh", "-c", "id"]),
    "args": _container(args=["execution"]),
    "env": _container(env=[{"name": "A", "value": "b"}]),
    "env of a secret": _container(envFrom=[{"secretRef": {"name": "s"}}]),
    "working directory": _container(workingDir="/subject"),
    "pull policy": _container(imagePullPolicy="Always"),
    "no limits": _container(resources={}),
    "ports": _container(ports=[{"containerPort": 80}]),
    "lifecycle hook": _container(lifecycle={"preStop": {"exec": {"command": ["id"]}}}),
    "probe": _container(livenessProbe={"exec": {"command": ["id"]}}),
    "writable mount": _container(volumeMounts=[{"name": "subject", "mountPath": "/subject"}]),
    "device": _container(volumeDevices=[{"name": "subject", "devicePath": "/dev/xvda"}]),
    "termination log": _container(terminationMessagePath="/subject/x"),
    "privileged": _security(privileged=True, allowPrivilegeEscalation=True),
    "root": _security(runAsUser=0, runAsNonRoot=False),
    "capabilities": _security(capabilities={"add": ["SYS_ADMIN"]}),
    "escalation": _security(allowPrivilegeEscalation=True),
    "writable root": _security(readOnlyRootFilesystem=False),
    "seccomp": _security(seccompProfile={"type": "Unconfined"}),
    "root, of the pod": _pod(securityContext={"runAsUser": 0}),
    "fsGroup": _pod(securityContext={"fsGroup": 0}),
    "no security context": _pod(securityContext={}),
    "token": _pod(automountServiceAccountToken=True),
    "account": _pod(serviceAccountName="admin"),
    "host network": _pod(hostNetwork=True),
    "host PID": _pod(hostPID=True),
    "host IPC": _pod(hostIPC=True),
    "shared processes": _pod(shareProcessNamespace=True),
    "node": _pod(nodeName="x"),
    "node selector": _pod(nodeSelector={"a": "b"}),
    "tolerations": _pod(tolerations=[{"operator": "Exists"}]),
    "priority": _pod(priorityClassName="system-node-critical"),
    "runtime class": _pod(runtimeClassName="x"),
    "pull secret": _pod(imagePullSecrets=[{"name": "s"}]),
    "host aliases": _pod(hostAliases=[{"ip": "10.0.0.1", "hostnames": ["x"]}]),
    "DNS": _pod(dnsPolicy="None", dnsConfig={"nameservers": ["10.0.0.1"]}),
    "restarts": _pod(restartPolicy="OnFailure"),
    "grace": _pod(terminationGracePeriodSeconds=600),
    "service links": _pod(enableServiceLinks=True),
    "init container": _pod(initContainers=[MORE]),
    "second container": lambda job: job["spec"]["template"]["spec"]["containers"].append(MORE),
    "host path": _volume(hostPath={"path": "/"}),
    "secret": _volume(secret={"secretName": "s"}),
    "config map": _volume(configMap={"name": "c"}),
    "projected token": _volume(**TOKEN),
    "scratch space": _volume(emptyDir={}),
    "second claim": _volume(**_claim(claimName="other")),
    "the same claim again": _volume(**_claim()),
    "host path for the claim": _instead(hostPath={"path": "/"}),
    "secret for the claim": _instead(secret={"secretName": "s"}),
    "claim for writing": _instead(**_claim(readOnly=False)),
    "claim that nobody granted": _instead(**_claim(claimName="other")),
    "claim under another name": _instead(ephemeral={"volumeClaimTemplate": {"spec": {}}}),
    "label of the pod": lambda job: job["spec"]["template"]["metadata"]["labels"].update(app="web"),
    "annotation of the pod": lambda job: job["spec"]["template"]["metadata"].update(annotations={"inject": "yes"}),
    "parallelism": _spec(parallelism=5),
    "completions": _spec(completions=5),
    "indexed": _spec(completionMode="Indexed", completions=1),
    "retries": _spec(backoffLimit=6),
    "no retries said": lambda job: job["spec"].pop("backoffLimit"),
    "an hour": _spec(activeDeadlineSeconds=3600),
    "no deadline": lambda job: job["spec"].pop("activeDeadlineSeconds"),
    "kept for ever": lambda job: job["spec"].pop("ttlSecondsAfterFinished"),
    "gone at once": _spec(ttlSecondsAfterFinished=0),
    "kept for a year": _spec(ttlSecondsAfterFinished=31536000),
    "suspended": _spec(suspend=True),
    "managed by another": _spec(managedBy="example.com/x"),
    "failure policy": _spec(podFailurePolicy={"rules": [IGNORE]}),
    "name of its own": _metadata(name="innocent"),
    "another action's name": _metadata(name=f"iirp-job-{OTHER}"),
    "another action": _metadata(name=f"iirp-job-{OTHER}", annotations={"iirp.io/action-id": OTHER}),
    "no action": _metadata(annotations={}),
    "more annotations": _marks("annotations", other="x"),
    "more labels": _marks("labels", app="web"),
    "another template": _marks("labels", **{"iirp.io/job-template": "shell"}),
    "no template": _metadata(labels={"app.kubernetes.io/managed-by": "iirp"}),
    "finalizer": _metadata(finalizers=["example.com/x"]),
    "owner": _metadata(ownerReferences=[{"apiVersion": "v1", "kind": "Pod", "name": "x", "uid": "x"}]),
}  # fmt: skip


def cases(namespace: str, job: dict[str, Any], who: Who) -> Iterator[Case]:
    """Spoiled Jobs, the right one elsewhere or by others, and the granted one as the one that is allowed."""
    area, path = f"{AREA}: diagnostic Jobs", _path(namespace)
    yield Case(area, "as granted", "POST", path, job, who=who, allowed=True)
    for name, spoil in SPOILED.items():
        spoiled: Body = copy.deepcopy(job)
        spoil(spoiled)
        yield Case(area, name, "POST", path, spoiled, who=who, by=(EXECUTOR, JOBS, SCHEMA), dry=True)
    for elsewhere in ("default", "kube-system", SYSTEM):
        yield Case(area, f"in {elsewhere}", "POST", _path(elsewhere), job, who=who, by=(RBAC,), dry=True)
    for other in (ADMIN, account("iirp-approval"), account("iirp-policy")):
        yield Case(area, "under the executor's name", "POST", path, job, who=other, by=(JOB_NAMES, RBAC), dry=True)
    template = path_of("v1", SYSTEM, "podtemplates", TEMPLATE)
    for method, what in (("PATCH", {"template": {"spec": {"hostNetwork": True}}}), ("DELETE", {})):
        yield Case(area, f"{method} the reviewed template", method, template, what, who=who, by=(RBAC,), dry=True)


def _path(namespace: str) -> str:
    return path_of("batch/v1", namespace, "jobs")
