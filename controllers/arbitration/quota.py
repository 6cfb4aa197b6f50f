"""Would the namespace's ResourceQuotas let the pods of a scale be created? Pure.

A Deployment takes any number of replicas; the quota refuses the pods afterwards, one by one, and the rollout hangs. So
it is asked before. Scoped quotas hold for some pods only and are left to the API server.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from controllers.arbitration.model import Body, Subject
from controllers.kube.facts import quantity

_COMPUTE = ("cpu", "memory", "ephemeral-storage")


def shortage(subject: Subject) -> str:
    """Which quota leaves too little room for the pods that the action adds, and by how much; empty when all fit."""
    scale = subject.action.scale
    added = 0 if scale is None else scale.replicas - int(subject.live["spec"].get("replicas", 1))
    if added <= 0:
        return ""
    needs = pod_needs((subject.live["spec"].get("template") or {}).get("spec") or {})
    for quota in subject.around.quotas.items:
        spec = quota.get("spec") or {}
        if spec.get("scopes") or spec.get("scopeSelector"):
            continue
        if text := _short(quota, needs, added):
            return text
    return ""


def pod_needs(spec: Body) -> dict[str, Decimal]:
    """What one pod counts for, by the names that quotas use: containers together, or the largest init container."""
    needs = {"pods": Decimal(1), "count/pods": Decimal(1)}
    for section in ("requests", "limits"):
        for name in _COMPUTE:
            total = _sum(spec.get("containers") or (), section, name)
            for init in spec.get("initContainers") or ():
                if init.get("restartPolicy") == "Always":
                    total += _of(init, section, name)
                else:
                    total = max(total, _of(init, section, name))
            needs[f"{section}.{name}"] = total
            if section == "requests":
                needs[name] = total
    return needs


def _short(quota: Body, needs: Mapping[str, Decimal], added: int) -> str:
    status = quota.get("status") or {}
    hard, used = status.get("hard") or {}, status.get("used") or {}
    for name, per_pod in needs.items():
        allowed, taken = quantity(hard.get(name)), quantity(used.get(name)) or Decimal(0)
        if allowed is None or per_pod == 0:
            continue
        fit = int(max(Decimal(0), allowed - taken) // per_pod)
        if fit < added:
            left = f"{used.get(name, 0)} of {hard[name]} {name} used"
            return f"ResourceQuota {quota['metadata']['name']} has room for {fit} more pods of {added} ({left})"
    return ""


def _sum(containers: Any, section: str, name: str) -> Decimal:
    return sum((_of(item, section, name) for item in containers), Decimal(0))


def _of(container: Body, section: str, name: str) -> Decimal:
    resources = container.get("resources") or {}
    found = (resources.get(section) or {}).get(name)
    if found is None and section == "requests":
        found = (resources.get("limits") or {}).get(name)  # as the API server defaults it
    return quantity(found) or Decimal(0)
