"""Who else writes the field, and does the change last: on objects as Argo CD, Flux, Helm and autoscalers leave them."""

from __future__ import annotations

from typing import Any

import pytest

from controllers.arbitration.decide import arbitrate, blocking, doubtful
from controllers.arbitration.model import Listed, Looked
from tests.fakes.chain import NS, restart, scale
from tests.unit.controllers.arbitration.world import (
    BY_HELM,
    HEALS,
    HELMED,
    KUSTOMIZED,
    NO_REPLICAS,
    SPEC,
    TRACKED,
    application,
    applied,
    entry,
    helm_release,
    hpa,
    kustomization,
    listed,
    live,
    scaled_object,
    subject,
)

LASTS, PAUSE, PULL = "imperative", "needs-pause", "needs-pull-request"
ARGO_SSA, ARGO_CSA = entry("argocd-controller"), entry("argocd-controller", "Update")
FLUX = entry("kustomize-controller")
BY_HAND = entry("kubectl", "Update", {"f:replicas": {}})
HELM_CONTROLLER = entry("helm-controller", "Update")
FORBIDDEN = Looked(problem="not allowed: applications.argoproj.io is forbidden")
IGNORES = {"group": "apps", "kind": "Deployment", "jsonPointers": ["/spec/replicas"]}
PAUSED = {"argocd.argoproj.io/skip-reconcile": "true"}

SCALES: list[Any] = [
    ("nobody", live(), {}, LASTS, True, "NobodyElse"),
    # autoscalers
    ("hpa", live(), {"autoscalers": listed(hpa())}, PAUSE, True, "ManagedByAutoscaler"),
    ("hpa of another", live(), {"autoscalers": listed(hpa(target="cart"))}, LASTS, True, "NobodyElse"),
    ("hpa of a namesake", live(), {"autoscalers": listed(hpa(kind="StatefulSet"))}, LASTS, True, "NobodyElse"),
    ("hpa leaves 0 alone", live(replicas=0), {"autoscalers": listed(hpa())}, LASTS, True, "AutoscalerIdle"),
    ("hpa unreadable", live(), {"autoscalers": Listed(problem="not allowed")}, PAUSE, False, "AutoscalersUnknown"),
    ("keda", live(), {"scaled_objects": listed(scaled_object())}, PAUSE, True, "ManagedByAutoscaler"),
    ("keda paused", live(), {"scaled_objects": listed(scaled_object(**{"autoscaling.keda.sh/paused": "true"}))}, LASTS,
     True, "AutoscalerPaused"),
    ("keda holds a number", live(),
     {"scaled_objects": listed(scaled_object(**{"autoscaling.keda.sh/paused-replicas": "3"}))}, PAUSE, True,
     "ManagedByAutoscaler"),
    # Argo CD
    ("argo heals", live(ARGO_SSA, annotations=TRACKED), {"application": HEALS}, PULL, True, "ManagedByArgoCD"),
    ("argo applies from the client", live(ARGO_CSA, annotations=TRACKED | applied(replicas=2)), {"application": HEALS},
     PULL, True, "ManagedByArgoCD"),
    ("argo, no replicas in Git", live(entry("argocd-controller", spec=NO_REPLICAS), annotations=TRACKED),
     {"application": HEALS}, LASTS, True, "LeftAloneByArgoCD"),
    ("argo, no replicas in the manifest",
     live(ARGO_CSA | {"fieldsV1": {}}, annotations=TRACKED | applied(replicas=None)),
     {"application": HEALS}, LASTS, True, "LeftAloneByArgoCD"),
    ("argo, somebody scaled by hand",
     live(entry("argocd-controller", spec=NO_REPLICAS), BY_HAND, annotations=TRACKED),
     {"application": HEALS}, PULL, False, "ManagedByArgoCD"),
    ("argo does not heal", live(ARGO_SSA, annotations=TRACKED), {"application": application({})}, LASTS, True,
     "LeftAloneByArgoCD"),
    ("argo switched off", live(ARGO_SSA, annotations=TRACKED),
     {"application": application({"enabled": False, "selfHeal": True})}, LASTS, True, "LeftAloneByArgoCD"),
    ("argo by hand", live(ARGO_SSA, annotations=TRACKED), {"application": application()}, LASTS, True,
     "LeftAloneByArgoCD"),
    ("argo paused", live(ARGO_SSA, annotations=TRACKED),
     {"application": application({"selfHeal": True}, annotations=PAUSED)}, LASTS, True, "LeftAloneByArgoCD"),
    ("argo ignores", live(ARGO_SSA, annotations=TRACKED),
     {"application": application({"selfHeal": True}, ignoreDifferences=[IGNORES])}, LASTS, True, "LeftAloneByArgoCD"),
    ("argo ignores by jq", live(ARGO_SSA, annotations=TRACKED),
     {"application": application({"selfHeal": True}, ignoreDifferences=[
         {"group": "*", "kind": "Deployment", "name": "payments", "jqPathExpressions": [".spec.replicas"]}])},
     LASTS, True, "LeftAloneByArgoCD"),
    ("argo ignores what we write", live(ARGO_SSA, annotations=TRACKED),
     {"application": application({"selfHeal": True}, ignoreDifferences=[
         {"group": "apps", "kind": "Deployment", "managedFieldsManagers": ["iirp-execution"]}])},
     LASTS, True, "LeftAloneByArgoCD"),
    ("argo ignores another", live(ARGO_SSA, annotations=TRACKED),
     {"application": application({"selfHeal": True}, ignoreDifferences=[IGNORES | {"name": "cart"}])}, PULL, True,
     "ManagedByArgoCD"),
    ("argo ignores another field", live(ARGO_SSA, annotations=TRACKED),
     {"application": application({"selfHeal": True}, ignoreDifferences=[IGNORES | {"jsonPointers": ["/spec/rep"]}])},
     PULL, True, "ManagedByArgoCD"),
    ("argo ignores by a core rule", live(ARGO_SSA, annotations=TRACKED),
     {"application": application({"selfHeal": True}, ignoreDifferences=[IGNORES | {"group": ""}])}, PULL, True,
     "ManagedByArgoCD"),
    ("argo unreadable", live(ARGO_SSA, annotations=TRACKED), {"application": FORBIDDEN}, PULL, False, "ArgoCDUnknown"),
    ("argo in another cluster", live(ARGO_SSA, annotations=TRACKED), {}, PULL, False, "ArgoCDUnknown"),
    ("argo without tracking-id", live(ARGO_SSA), {}, PULL, False, "ArgoCDUnknown"),
    ("tracking-id of another object",
     live(annotations={"argocd.argoproj.io/tracking-id": f"shop:apps/Deployment:{NS}/cart"}), {"application": HEALS},
     LASTS, True, "NobodyElse"),
    ("tracking-id of another namespace",
     live(annotations={"argocd.argoproj.io/tracking-id": "shop:apps/Deployment:prod/payments"}), {"application": HEALS},
     LASTS, True, "NobodyElse"),
    ("tracking-id is nonsense", live(annotations={"argocd.argoproj.io/tracking-id": "::\n:"}), {"application": HEALS},
     LASTS, True, "NobodyElse"),
    # Flux
    ("flux", live(FLUX, labels=KUSTOMIZED), {"kustomization": kustomization()}, PULL, True, "ManagedByFlux"),
    ("flux, no replicas in Git", live(entry("kustomize-controller", spec=NO_REPLICAS), labels=KUSTOMIZED),
     {"kustomization": kustomization()}, LASTS, True, "LeftAloneByFlux"),
    ("flux suspended", live(FLUX, labels=KUSTOMIZED), {"kustomization": kustomization(suspend=True)}, LASTS, True,
     "LeftAloneByFlux"),
    ("flux told off", live(FLUX, labels=KUSTOMIZED, annotations={"kustomize.toolkit.fluxcd.io/reconcile": "Disabled"}),
     {"kustomization": kustomization()}, LASTS, True, "LeftAloneByFlux"),
    ("flux creates only", live(FLUX, labels=KUSTOMIZED | {"kustomize.toolkit.fluxcd.io/ssa": "IfNotPresent"}),
     {"kustomization": kustomization()}, LASTS, True, "LeftAloneByFlux"),
    ("flux merges", live(FLUX, labels=KUSTOMIZED, annotations={"kustomize.toolkit.fluxcd.io/ssa": "Merge"}),
     {"kustomization": kustomization()}, PULL, True, "ManagedByFlux"),
    ("flux ignores", live(FLUX, labels=KUSTOMIZED),
     {"kustomization": kustomization(ignore=[{"paths": ["/spec/replicas"], "target": {"kind": "Deployment"}}])}, LASTS,
     True, "LeftAloneByFlux"),
    ("flux ignores by a pattern", live(FLUX, labels=KUSTOMIZED),
     {"kustomization": kustomization(ignore=[{"paths": ["/spec/replicas"], "target": {"name": "pay.*"}}])}, LASTS, True,
     "LeftAloneByFlux"),
    ("flux ignores others by a pattern", live(FLUX, labels=KUSTOMIZED),
     {"kustomization": kustomization(ignore=[{"paths": ["/spec/replicas"], "target": {"name": "cart"}}])}, PULL, True,
     "ManagedByFlux"),
    ("flux ignores by a pattern that could take for ever", live(FLUX, labels=KUSTOMIZED),
     {"kustomization": kustomization(ignore=[{"paths": ["/spec/replicas"], "target": {"name": "(p+)+$"}}])}, PULL, True,
     "ManagedByFlux"),
    ("flux labels copied", live(labels=KUSTOMIZED), {"kustomization": kustomization(listed=False)}, LASTS, True,
     "NobodyElse"),
    ("flux unreadable", live(FLUX, labels=KUSTOMIZED), {"kustomization": Looked(problem="not allowed")}, PULL, False,
     "FluxUnknown"),
    ("helm release corrects drift", live(HELM_CONTROLLER, labels=HELMED | BY_HELM),
     {"helm_release": helm_release(driftDetection={"mode": "enabled"})}, PULL, True, "ManagedByFlux"),
    ("helm release only warns", live(HELM_CONTROLLER, labels=HELMED),
     {"helm_release": helm_release(driftDetection={"mode": "warn"})}, LASTS, True, "LeftAloneByFlux"),
    ("helm release says nothing of drift", live(HELM_CONTROLLER, labels=HELMED), {"helm_release": helm_release()},
     LASTS, True, "LeftAloneByFlux"),
    ("helm release ignores", live(HELM_CONTROLLER, labels=HELMED),
     {"helm_release": helm_release(driftDetection={"mode": "enabled", "ignore": [{"paths": ["/spec/replicas"]}]})},
     LASTS, True, "LeftAloneByFlux"),
    ("helm release told off",
     live(HELM_CONTROLLER, labels=HELMED, annotations={"helm.toolkit.fluxcd.io/driftDetection": "disabled"}),
     {"helm_release": helm_release(driftDetection={"mode": "enabled"})}, LASTS, True, "LeftAloneByFlux"),
    ("helm release suspended", live(HELM_CONTROLLER, labels=HELMED), {"helm_release": helm_release(suspend=True)},
     LASTS, True, "LeftAloneByFlux"),
    # Helm by hand, operators
    ("helm", live(entry("helm", "Update"), labels=BY_HELM, annotations={"meta.helm.sh/release-name": "shop"}), {},
     LASTS, True, "SetByHelm"),
    ("rendered by helm, applied by others", live(entry("kubectl", "Update"), labels=BY_HELM), {}, LASTS, True,
     "NobodyElse"),
    ("an operator's", live(owners=[{"kind": "Shop", "name": "main", "controller": True}]), {}, PAUSE, False,
     "OwnedByOperator"),
    ("an owner that does not control", live(owners=[{"kind": "Shop", "name": "main"}]), {}, LASTS, True, "NobodyElse"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("body", "around", "mode", "certain", "reason"), [c[1:] for c in SCALES], ids=[c[0] for c in SCALES]
)
def test_a_scale(body: Any, around: Any, mode: str, certain: bool, reason: str) -> None:
    (found,) = arbitrate(subject(body, scale(4), **around))
    assert (found.mode.value, found.certain, found.reason) == (mode, certain, reason), found.message
    assert found.field == "spec.replicas"
    assert (blocking([found]) is not None) == (certain and mode != LASTS)
    assert (doubtful([found]) is not None) == (not certain)


RESTARTED = {"f:template": {"f:metadata": {"f:annotations": {"f:kubectl.kubernetes.io/restartedAt": {}}}}}

RESTARTS: list[Any] = [
    ("hpa", live(), {"autoscalers": listed(hpa())}, LASTS, "NobodyElse"),
    ("argo heals what Git says", live(ARGO_SSA, annotations=TRACKED), {"application": HEALS}, LASTS,
     "LeftAloneByArgoCD"),
    ("argo after one of ours",
     live(ARGO_SSA, entry("iirp-execution", "Update", RESTARTED), annotations=TRACKED | applied(replicas=2)),
     {"application": application()}, LASTS, "LeftAloneByArgoCD"),
    ("the annotation is in Git", live(entry("kustomize-controller", spec=RESTARTED), labels=KUSTOMIZED),
     {"kustomization": kustomization()}, PULL, "ManagedByFlux"),
    ("flux prunes kubectl's annotations only", live(FLUX, labels=KUSTOMIZED), {"kustomization": kustomization()}, LASTS,
     "LeftAloneByFlux"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "around", "mode", "reason"), [c[1:] for c in RESTARTS], ids=[c[0] for c in RESTARTS])
def test_a_restart(body: Any, around: Any, mode: str, reason: str) -> None:
    (found,) = arbitrate(subject(body, restart(), **around))
    assert (found.mode.value, found.reason) == (mode, reason), found.message


def test_several_writers_are_all_shown_and_the_worst_comes_first() -> None:
    body = live(FLUX, labels=KUSTOMIZED)
    found = arbitrate(subject(body, autoscalers=listed(hpa()), kustomization=kustomization(suspend=True)))
    assert [(w.mode.value, w.writer) for w in found] == [
        (PAUSE, "HorizontalPodAutoscaler payments"),
        (LASTS, "Kustomization flux-system/apps"),
    ]


def test_hostile_names_stay_on_one_line_and_within_the_field() -> None:
    body = live(
        entry("helm", "Update"), labels=BY_HELM, annotations={"meta.helm.sh/release-name": "x\nDENIED\x1b[2J" * 99}
    )
    (found,) = arbitrate(subject(body))
    assert found.writer.isprintable()
    assert len(found.message) <= 300


def test_managed_fields_of_the_status_do_not_count() -> None:
    body = live(entry("kustomize-controller", "Update", SPEC, "status"), labels=KUSTOMIZED)
    (found,) = arbitrate(subject(body, kustomization=kustomization()))
    assert not found.certain
