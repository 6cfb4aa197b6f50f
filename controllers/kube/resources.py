"""Names of the API resources that we use. No discovery: what is not listed here is not touched."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from controllers.kube.errors import NotFound
from crds import GROUP, VERSION
from crds.v1alpha1.base import Resource


@dataclass(frozen=True)
class ResourceType:
    """One resource: ``group`` is empty for the core group."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """``apps/v1``, or ``v1`` for the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str = "") -> str:
        """URL path of the collection, the object or its subresource.

        Raises:
            NotFound: no object can have that name. Names come out of annotations and pod templates too, where the API
                server checks none: ``../secrets/x`` must not lead anywhere.
        """
        parts = [f"/apis/{self.group}" if self.group else "/api", self.version]
        if self.namespaced and namespace:
            parts += ["namespaces", _segment(namespace)]
        parts.append(self.plural)
        if name:
            parts.append(_segment(name))
        if subresource:
            parts.append(subresource)
        return "/".join(parts)


def _segment(name: str) -> str:
    """As Kubernetes' ``IsValidPathSegmentName`` has it; everything else is quoted."""
    if name in (".", "..") or "/" in name or "%" in name:
        raise NotFound("NotFound", f"no object can be called {name[:80]!r}")
    return quote(name, safe=":")


PODS = ResourceType("", "v1", "Pod", "pods")
NAMESPACES = ResourceType("", "v1", "Namespace", "namespaces", namespaced=False)
NODES = ResourceType("", "v1", "Node", "nodes", namespaced=False)
SERVICES = ResourceType("", "v1", "Service", "services")
ENDPOINT_SLICES = ResourceType("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices")
CORE_EVENTS = ResourceType("", "v1", "Event", "events")
EVENTS = ResourceType("events.k8s.io", "v1", "Event", "events")
DEPLOYMENTS = ResourceType("apps", "v1", "Deployment", "deployments")
STATEFULSETS = ResourceType("apps", "v1", "StatefulSet", "statefulsets")
DAEMONSETS = ResourceType("apps", "v1", "DaemonSet", "daemonsets")
REPLICASETS = ResourceType("apps", "v1", "ReplicaSet", "replicasets")
REVISIONS = ResourceType("apps", "v1", "ControllerRevision", "controllerrevisions")
CONFIG_MAPS = ResourceType("", "v1", "ConfigMap", "configmaps")
CLAIMS = ResourceType("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims")
JOBS = ResourceType("batch", "v1", "Job", "jobs")
CUSTOM_RESOURCE_DEFINITIONS = ResourceType(
    "apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions", namespaced=False
)
POD_TEMPLATES = ResourceType("", "v1", "PodTemplate", "podtemplates")
TOKEN_REVIEWS = ResourceType("authentication.k8s.io", "v1", "TokenReview", "tokenreviews", namespaced=False)
ACCESS_REVIEWS = ResourceType(
    "authorization.k8s.io", "v1", "SubjectAccessReview", "subjectaccessreviews", namespaced=False
)
ROLES = ResourceType("rbac.authorization.k8s.io", "v1", "Role", "roles")
ROLEBINDINGS = ResourceType("rbac.authorization.k8s.io", "v1", "RoleBinding", "rolebindings")
HPAS = ResourceType("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers")
QUOTAS = ResourceType("", "v1", "ResourceQuota", "resourcequotas")
NETWORK_POLICIES = ResourceType("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies")
# Other writers of workloads, read for arbitration; all of them may be missing from a cluster.
SCALED_OBJECTS = ResourceType("keda.sh", "v1alpha1", "ScaledObject", "scaledobjects")
VERTICAL_AUTOSCALERS = ResourceType("autoscaling.k8s.io", "v1", "VerticalPodAutoscaler", "verticalpodautoscalers")
APPLICATIONS = ResourceType("argoproj.io", "v1alpha1", "Application", "applications")
KUSTOMIZATIONS = ResourceType("kustomize.toolkit.fluxcd.io", "v1", "Kustomization", "kustomizations")
HELM_RELEASES = ResourceType("helm.toolkit.fluxcd.io", "v2", "HelmRelease", "helmreleases")
BUDGETS = ResourceType("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets")
VALIDATING_POLICIES = ResourceType(
    "admissionregistration.k8s.io", "v1", "ValidatingAdmissionPolicy", "validatingadmissionpolicies", namespaced=False
)
VALIDATING_BINDINGS = ResourceType(
    "admissionregistration.k8s.io",
    "v1",
    "ValidatingAdmissionPolicyBinding",
    "validatingadmissionpolicybindings",
    namespaced=False,
)
MUTATING_POLICIES = ResourceType(
    "admissionregistration.k8s.io", "v1", "MutatingAdmissionPolicy", "mutatingadmissionpolicies", namespaced=False
)
MUTATING_WEBHOOKS = ResourceType(
    "admissionregistration.k8s.io",
    "v1",
    "MutatingWebhookConfiguration",
    "mutatingwebhookconfigurations",
    namespaced=False,
)
MUTATING_BINDINGS = ResourceType(
    "admissionregistration.k8s.io",
    "v1",
    "MutatingAdmissionPolicyBinding",
    "mutatingadmissionpolicybindings",
    namespaced=False,
)


def resource_type(kind: type[Resource]) -> ResourceType:
    """The resource of one of our own kinds."""
    definition = kind.definition
    return ResourceType(GROUP, VERSION, definition.kind, definition.plural, definition.namespaced)
