"""Which provider serves a cluster: the one that made it, else the one asked for, else what the machine has."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from devcluster import kind
from devcluster.embedded.provider import EmbeddedProvider
from devcluster.errors import ClusterError, DamagedRecord, WrongArguments
from devcluster.existing import ExistingProvider
from devcluster.kind import KindProvider
from devcluster.paths import clusters_dir
from devcluster.provider import Provider
from devcluster.state import ClusterRecord, Store, check_name

__all__ = ["create", "known", "load", "remove", "user_kubeconfig"]


def create(name: str, provider: str = "auto", context: str | None = None) -> Provider:
    """The cluster `name`, to be brought up. A known one keeps its provider; asking for another is an error."""
    store = Store(clusters_dir())
    record = store.load(check_name(name))
    if context is not None and provider == "auto":
        provider = "existing"
    if record is not None:
        if provider not in {"auto", record.provider}:
            raise ClusterError(
                f"cluster {name} exists and is of kind {record.provider}: choose another --name, or take it down"
            )
        if context not in {None, record.context}:
            raise ClusterError(f"cluster {name} stands for the context {record.context}: choose another --name")
        return _of(record, store)
    if provider == "auto":
        provider = "kind" if kind.available() else "embedded"
    if provider == "existing" and not context:
        raise WrongArguments(
            "an existing cluster must be named: --provider existing --context NAME (kubectl config get-contexts)"
        )
    if provider != "existing" and context:
        raise WrongArguments("--context belongs to --provider existing")
    return _of(ClusterRecord(name, provider, context=context), store)


def remove(name: str) -> None:
    """Takes a cluster down. One whose record is lost or damaged can only be an embedded one: those need no record."""
    store = Store(clusters_dir())
    try:
        record = store.load(check_name(name))
    except DamagedRecord:
        record = None
    (_of(record, store) if record is not None else EmbeddedProvider(name, store)).down()


def load(name: str) -> Provider:
    """A known cluster; raises ClusterError when there is none of that name."""
    store = Store(clusters_dir())
    record = store.load(check_name(name))
    if record is None:
        raise ClusterError(f"there is no cluster {name}: iirp cluster up --name {name}")
    return _of(record, store)


def known() -> list[ClusterRecord]:
    """All clusters on record."""
    store = Store(clusters_dir())
    return [_record_or_damaged(store, name) for name in store.names()]


def _record_or_damaged(store: Store, name: str) -> ClusterRecord:
    try:
        return store.load(name) or ClusterRecord(name, "incomplete")
    except DamagedRecord:
        return ClusterRecord(name, "damaged")


def user_kubeconfig(provider: Provider, user: str, groups: Sequence[str]) -> Path:
    """A plain user's kubeconfig, where this tool owns the authority that signs."""
    if not isinstance(provider, EmbeddedProvider):
        raise ClusterError(
            "users can be issued for embedded clusters only; here, use the cluster's own way, or impersonation"
        )
    return provider.user_kubeconfig(user, groups)


def _of(record: ClusterRecord, store: Store) -> Provider:
    match record.provider:
        case "kind":
            return KindProvider(record, store)
        case "existing":
            return ExistingProvider(record, store)
        case "embedded":
            return EmbeddedProvider(record.name, store)
    raise ClusterError(f"cluster {record.name} has an unknown provider {record.provider!r}")
