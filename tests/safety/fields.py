"""One valid change of every field of a workload that the executor has no business with."""

from __future__ import annotations

from typing import Any

Change = dict[str, Any]

_APP = {"name": "app", "image": "example.invalid/app:1"}
_EXEC = {"exec": {"command": ["id"]}}
_TERM = {"matchExpressions": [{"key": "a", "operator": "Exists"}]}
_AFFINITY = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [_TERM]}}}
_SPREAD = {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}
_TOKEN = {"serviceAccountToken": {"path": "t", "audience": "https://kubernetes.default.svc"}}
_PROJECTED = {"sources": [_TOKEN]}

_POD: dict[str, Change] = {
    "affinity": {"affinity": _AFFINITY},
    "automount-token": {"automountServiceAccountToken": True},
    "dns-config": {"dnsConfig": {"nameservers": ["192.0.2.1"]}},
    "dns-policy": {"dnsPolicy": "Default"},
    "service-links": {"enableServiceLinks": False},
    "host-aliases": {"hostAliases": [{"ip": "192.0.2.1", "hostnames": ["db"]}]},
    "host-ipc": {"hostIPC": True},
    "host-network": {"hostNetwork": True},
    "host-pid": {"hostPID": True},
    "host-users": {"hostUsers": True},
    "hostname": {"hostname": "other"},
    "pull-secrets": {"imagePullSecrets": [{"name": "s"}]},
    "init-container": {"initContainers": [{**_APP, "name": "init"}]},
    "node-name": {"nodeName": "node-1"},
    "node-selector": {"nodeSelector": {"a": "b"}},
    "os": {"os": {"name": "linux"}},
    "preemption": {"preemptionPolicy": "Never"},
    "priority-class": {"priorityClassName": "system-cluster-critical"},
    "readiness-gate": {"readinessGates": [{"conditionType": "example.com/x"}]},
    "runtime-class": {"runtimeClassName": "other"},
    "scheduler": {"schedulerName": "other"},
    "run-as-user": {"securityContext": {"runAsUser": 0}},
    "sysctl": {"securityContext": {"sysctls": [{"name": "net.ipv4.ip_forward", "value": "1"}]}},
    "service-account": {"serviceAccountName": "default"},
    "fqdn": {"setHostnameAsFQDN": True},
    "share-processes": {"shareProcessNamespace": True},
    "subdomain": {"subdomain": "other"},
    "grace-period": {"terminationGracePeriodSeconds": 0},
    "tolerations": {"tolerations": [{"operator": "Exists"}]},
    "spread": {"topologySpreadConstraints": [{**_SPREAD, "labelSelector": {"matchLabels": {"app": "web"}}}]},
    "volume-host": {"volumes": [{"name": "v", "hostPath": {"path": "/"}}]},
    "volume-secret": {"volumes": [{"name": "v", "secret": {"secretName": "s"}}]},
    "volume-config": {"volumes": [{"name": "v", "configMap": {"name": "s"}}]},
    "volume-token": {"volumes": [{"name": "v", "projected": _PROJECTED}]},
    "volume-claim": {"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "s"}}]},
    "volume-csi": {"volumes": [{"name": "v", "csi": {"driver": "secrets-store.csi.k8s.io"}}]},
    "volume-nfs": {"volumes": [{"name": "v", "nfs": {"server": "192.0.2.1", "path": "/"}}]},
}
_CONTAINER: dict[str, Change] = {
    "image": {"image": "example.invalid/evil:1"},
    "args": {"args": ["--debug"]},
    "command": {"command": ["sh", "-c", "id"]},
    "env": {"env": [{"name": "A", "value": "b"}]},
    "env-secret": {"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]},
    "env-from": {"envFrom": [{"secretRef": {"name": "s"}}]},
    "pull-policy": {"imagePullPolicy": "Always"},
    "post-start": {"lifecycle": {"postStart": _EXEC}},
    "pre-stop": {"lifecycle": {"preStop": _EXEC}},
    "liveness": {"livenessProbe": _EXEC},
    "readiness": {"readinessProbe": _EXEC},
    "startup": {"startupProbe": _EXEC},
    "port": {"ports": [{"containerPort": 80}]},
    "host-port": {"ports": [{"containerPort": 80, "hostPort": 80}]},
    "limits": {"resources": {"limits": {"memory": "1Gi"}}},
    "requests": {"resources": {"requests": {"cpu": "1m"}}},
    "privileged": {"securityContext": {"privileged": True}},
    "escalation": {"securityContext": {"allowPrivilegeEscalation": True}},
    "capabilities": {"securityContext": {"capabilities": {"add": ["SYS_ADMIN"]}}},
    "container-root": {"securityContext": {"runAsUser": 0}},
    "stdin": {"stdin": True},
    "tty": {"tty": True},
    "message-path": {"terminationMessagePath": "/tmp/x"},
    "message-policy": {"terminationMessagePolicy": "FallbackToLogsOnError"},
    "working-dir": {"workingDir": "/tmp"},
}
_SPEC: dict[str, Change] = {
    "min-ready": {"minReadySeconds": 9},
    "paused": {"paused": True},
    "deadline": {"progressDeadlineSeconds": 601},
    "history": {"revisionHistoryLimit": 0},
    "recreate": {"strategy": {"type": "Recreate", "rollingUpdate": None}},
    "surge": {"strategy": {"rollingUpdate": {"maxSurge": "100%", "maxUnavailable": "100%"}}},
    "template-label": {"template": {"metadata": {"labels": {"extra": "x"}}}},
    "template-annotation": {"template": {"metadata": {"annotations": {"sidecar.istio.io/inject": "true"}}}},
    "template-annotation-changed": {"template": {"metadata": {"annotations": {"build": "8"}}}},
    "template-annotation-removed": {"template": {"metadata": {"annotations": {"build": None}}}},
    "template-finalizer": {"template": {"metadata": {"finalizers": ["example.com/hang"]}}},
}
_OWNER = {"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "u"}
_METADATA: dict[str, Change] = {
    "label": {"labels": {"extra": "x"}},
    "label-changed": {"labels": {"app": "x"}},
    "label-removed": {"labels": {"app": None}},
    "annotation": {"annotations": {"extra": "x"}},
    "annotation-changed": {"annotations": {"team": "b"}},
    "annotation-removed": {"annotations": {"team": None}},
    "revision": {"annotations": {"deployment.kubernetes.io/revision": "9"}},
    "last-applied": {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"}},
    "finalizer": {"finalizers": ["example.com/hang"]},
    "owner": {"ownerReferences": [_OWNER]},
}


_SETS: dict[str, dict[str, Change]] = {
    "StatefulSet": {
        "min-ready": {"minReadySeconds": 9},
        "history": {"revisionHistoryLimit": 0},
        "update-strategy": {"updateStrategy": {"type": "OnDelete", "rollingUpdate": None}},
        "partition": {"updateStrategy": {"rollingUpdate": {"partition": 1}}},
        "ordinals": {"ordinals": {"start": 5}},
        "claims": {"persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Delete"}},
    },
    "DaemonSet": {
        "min-ready": {"minReadySeconds": 9},
        "history": {"revisionHistoryLimit": 0},
        "update-strategy": {"updateStrategy": {"type": "OnDelete", "rollingUpdate": None}},
        "unavailable": {"updateStrategy": {"rollingUpdate": {"maxUnavailable": "100%"}}},
    },
}


def changes(kind: str = "Deployment") -> dict[str, Change]:
    """Name of the field → merge patch of a workload as ``tests.e2e.objects`` makes it."""
    second = {"containers": [_APP, {**_APP, "name": "two"}]}
    pods = {**_POD, "second-container": second} | {k: {"containers": [{**_APP, **v}]} for k, v in _CONTAINER.items()}
    templates = {name: change for name, change in _SPEC.items() if name.startswith("template-")}
    specs = _SPEC if kind == "Deployment" else {**templates, **_SETS[kind]}
    return {
        **{name: {"spec": {"template": {"spec": change}}} for name, change in pods.items()},
        **{name: {"spec": change} for name, change in specs.items()},
        **{name: {"metadata": change} for name, change in _METADATA.items()},
    }


def merged(one: Change, two: Change) -> Change:
    """Both patches in one."""
    result = dict(one)
    for key, value in two.items():
        here = result.get(key)
        result[key] = merged(here, value) if isinstance(here, dict) and isinstance(value, dict) else value
    return result
