"""Chart templates from the files of this folder.

Two things change on the way: the platform's namespace becomes the release's, and each ClusterRole gets the bindings
that its annotations and the values ask for.
"""

from __future__ import annotations

from pathlib import Path

from crds.chart import SYNC_WAVE
from crds.definition import to_yaml
from rbac.documents import NAMESPACE, Document, Grantable, Scope, admission_files, documents, grantable, role_files

RELEASE_NAMESPACE = "{{ $.Release.Namespace }}"
EACH = "{{ . }}"
OPTIONAL = {
    "mcp-read": ".Values.mcp.read.enabled",
    "mcp-execute": ".Values.mcp.execute.enabled",
    "notifications": ".Values.notifications.enabled",
}
"""Identities that exist only with the value that asks for them, by file."""
MUTATING_FILES = ("decisions.yaml",)
"""MutatingAdmissionPolicies, which clusters before 1.36 do not serve; there the webhook does the same."""
_ONLY_WHERE_SERVED = '{{{{- if eq (include "iirp.admissionMode" .) "policy" }}}}\n{}{{{{- end }}}}\n'


def role_template(path: Path) -> str:
    """One file of roles as a template, bindings included."""
    text = templated(path)
    roles = [role for document in documents(path) if (role := grantable(document))]
    body = text + "".join(_bindings(role) for role in roles)
    condition = OPTIONAL.get(path.stem)
    return f"{{{{- if {condition} }}}}\n{body}{{{{- end }}}}\n" if condition else body


def templated(path: Path) -> str:
    """A file with the release's namespace in place of ours.

    Raises:
        ValueError: the file holds what the template engine would take for its own.
    """
    text = path.read_text(encoding="utf-8")
    if "{{" in text:
        raise ValueError(f"{path.name}: '{{{{' would be taken for a template; put a space in between")
    return text.replace(NAMESPACE, RELEASE_NAMESPACE)


def admission_template(path: Path) -> str:
    """One file of admission policies, which Argo CD puts in force before any controller starts."""
    wave = "\nmetadata:\n  annotations:\n" + SYNC_WAVE.format(-1)
    text = templated(path).replace("\nmetadata:\n", wave)
    return _ONLY_WHERE_SERVED.format(text) if path.name in MUTATING_FILES else text


def rbac_templates(header: str) -> dict[str, str]:
    """Template files by path within the chart's ``templates`` folder."""
    files = {f"rbac/{path.name}": header + role_template(path) for path in role_files()}
    return files | {f"admission/{path.name}": header + admission_template(path) for path in admission_files()}


def _bindings(role: Grantable) -> str:
    cluster = _document(role.cluster_binding(RELEASE_NAMESPACE))
    each = _document(role.namespace_binding(EACH, RELEASE_NAMESPACE))
    match role.scope:
        case Scope.CLUSTER:
            return cluster
        case Scope.OPTED_IN:
            return "{{- range $.Values.execution.namespaces }}\n" + each + "{{- end }}\n"
        case Scope.WATCHED:
            watched = '{{- range (include "iirp.watchedNamespaces" $ | fromJsonArray) }}\n' + each + "{{- end }}\n"
            return "{{- if $.Values.watchNamespaces }}\n" + watched + "{{- else }}\n" + cluster + "{{- end }}\n"


def _document(document: Document) -> str:
    """YAML, with template expressions out of their quotes: a namespace name needs none."""
    text = to_yaml(document)
    for expression in (RELEASE_NAMESPACE, EACH):
        text = text.replace(f"'{expression}'", expression)
    return "---\n" + text
