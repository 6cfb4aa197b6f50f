"""Errors that a person can act on, as one line and an exit code: the same for every command."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

from cli.plugin.words import harmless

__all__ = ["plain_errors"]


@contextmanager
def plain_errors() -> Iterator[None]:
    """Errors of ours as click's; anything else is a bug and stays what it is. Also a decorator."""
    try:
        yield
    except click.ClickException:
        raise
    except Exception as error:
        told = _told(error)
        if told is None:
            raise
        raise told from error


def _told(error: Exception) -> click.ClickException | None:
    from controllers.kube.errors import KubeError, NotFound
    from controllers.runtime.errors import ReconcileError
    from devcluster.errors import ClusterError, WrongArguments

    match error:
        case WrongArguments():
            return click.UsageError(str(error), click.get_current_context(silent=True))
        case ClusterError():
            return click.ClickException(str(error))
        case NotFound(reason="NotFound"):  # one object; where a kind is not served, there is no such reason
            return click.ClickException(harmless(error.message))
        case KubeError():
            return click.ClickException(f"{harmless(error.message)}; what is missing: iirp doctor")
        case ReconcileError(reason="NoCredentials"):
            return click.ClickException(f"{error.message}; of a development cluster: iirp cluster kubeconfig")
        case ReconcileError():
            return click.ClickException(error.message or error.reason)
    return None
