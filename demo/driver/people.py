"""The people of the story: alice may approve, bob may only look. Both are users of the API server, not of ours."""

from __future__ import annotations

from pathlib import Path

from demo.driver.errors import DemoFailed
from demo.driver.kubectl import Kubectl
from demo.driver.shop import NAMESPACE
from devcluster import select
from devcluster.errors import ClusterError
from devcluster.provider import Provider

__all__ = ["REASON", "as_user", "decide", "decision_arguments", "refused", "typed"]

REASON = "matches what we saw in staging"


def as_user(provider: Provider, admin: Path, user: str) -> Kubectl:
    """kubectl as that person: with a client certificate of their own where this tool holds the cluster's authority,
    else by the administrator's right to impersonate. To the API server, and in its audit log, it is that user."""
    try:
        return Kubectl(select.user_kubeconfig(provider, user, []))
    except ClusterError:
        return Kubectl(admin, (f"--as={user}",))


def decision_arguments(
    approval: str, verdict: str, reason: str = REASON, namespace: str = NAMESPACE
) -> tuple[str, ...]:
    """The whole of an approval: one annotation and its reason."""
    annotations = (f"iirp.io/decision={verdict}", f"iirp.io/reason={reason}")
    return ("annotate", "approval", approval, "-n", namespace, *annotations)


def typed(arguments: tuple[str, ...], user: str) -> str:
    """The command line as that person would type it, with their own kubeconfig in force."""
    words = []
    for word in arguments:
        name, _, value = word.partition("=")
        words.append(f'{name}="{value}"' if " " in word else word)
    return f"kubectl {' '.join(words)}   # as {user}"


def decide(person: Kubectl, approval: str, verdict: str, namespace: str = NAMESPACE) -> str:
    """Decides; returns kubectl's words. Raises DemoFailed when the API server does not accept it."""
    return person.run(*decision_arguments(approval, verdict, namespace=namespace)).strip()


def refused(person: Kubectl, approval: str) -> str:
    """Tries to approve as somebody who may not; returns the API server's refusal. DemoFailed if it went through."""
    done = person.attempt(*decision_arguments(approval, "approve"))
    if done.returncode == 0:
        raise DemoFailed(
            "an approval by somebody without the right", "was accepted: the admission policies are not in force"
        )
    return done.stderr.strip()
