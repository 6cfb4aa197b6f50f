"""Chart templates of the CRDs and of the default policies."""

from __future__ import annotations

from pathlib import Path

KEEP = "    helm.sh/resource-policy: keep\n"
ARGO_KEEP = "    argocd.argoproj.io/sync-options: Prune=false,Delete=false\n"
"""The same as ``keep``, for Argo CD, which knows nothing of Helm's annotation."""
SYNC_WAVE = '    argocd.argoproj.io/sync-wave: "{}"\n'
"""Argo CD's order of things: kinds (-2), then what the API server enforces (-1), then whatever lives by both (0)."""
EXAMPLE = "namespaces: [shop]"
"""How the policies under ``config/policies`` name their namespaces; the chart puts the value's list there."""


def crd_template(text: str) -> str:
    """A CRD as a template.

    Helm installs what is in a chart's ``crds`` folder once and never upgrades it, so CRDs are templates, behind a
    value; ``keep`` and its like leave them, and with them every object, in place when release or Application go.
    """
    head, name, rest = text.partition("metadata:\n")
    body = head + name + "  annotations:\n" + KEEP + ARGO_KEEP + SYNC_WAVE.format(-2) + rest
    return "{{- if .Values.crds.install }}\n" + body + "{{- end }}\n"


def policy_template(path: Path) -> str:
    """A default ActionPolicy as a template for the namespaces of the value ``policies.namespaces``.

    It is a hook because Helm resolves all kinds of a release before it installs any, and at the first install the kind
    ActionPolicy is part of the release. Argo CD takes it for a PostSync hook. It stays when the release goes.

    Raises:
        ValueError: the file names other namespaces than the example, which no value could replace.
    """
    text = path.read_text(encoding="utf-8")
    if "{{" in text or text.count("namespaces:") != text.count(EXAMPLE) or EXAMPLE not in text:
        raise ValueError(f"{path.name}: every rule must say `{EXAMPLE}`, which the chart replaces")
    head, metadata, rest = text.partition("metadata:\n")
    hook = (
        "  annotations:\n"
        "    helm.sh/hook: post-install,post-upgrade\n"
        "    helm.sh/hook-delete-policy: before-hook-creation\n"
    )
    body = (head + metadata + hook + rest).replace(EXAMPLE, "namespaces: {{ $namespaces }}")
    return (
        '{{- $namespaces := include "iirp.policyNamespaces" . }}\n'
        '{{- if ne $namespaces "[]" }}\n' + body + "{{- end }}\n"
    )
