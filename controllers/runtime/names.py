"""Names fixed by docs/architecture.md: field managers, ServiceAccounts."""

from __future__ import annotations


def field_manager(controller: str) -> str:
    """``iirp-incident``: also the name of the controller's ServiceAccount."""
    return f"iirp-{controller}"


def service_account(namespace: str, controller: str) -> str:
    """Username of a controller, as the API server spells it."""
    return f"system:serviceaccount:{namespace}:{field_manager(controller)}"
