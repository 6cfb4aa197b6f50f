"""`helm test`: is the installation at work? One line per check, exit code 1 when one fails.

It holds no right but to list the release's Deployments, and shows the external side no credential: that a request
without one is refused is one of the checks.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import requests

from controllers.kube.api import Kube
from controllers.kube.client import connect
from controllers.kube.resources import DEPLOYMENTS, resource_type
from controllers.runtime.errors import ReconcileError
from controllers.runtime.settings import Settings
from crds.v1alpha1 import KINDS

TIMEOUT = (5.0, 10.0)


@dataclass(frozen=True, slots=True)
class Check:
    """What was looked at, and what is wrong with it; an empty ``problem`` is good."""

    name: str
    problem: str = ""


def selftest(settings: Settings, connected: Callable[[], Kube] = connect) -> int:
    """Run all checks and print them; 1 when one of them found a problem."""
    failed = 0
    for check in _checks(settings, connected):
        failed += bool(check.problem)
        sys.stdout.write(f"{'FAILED' if check.problem else 'ok':<7} {check.name}: {check.problem}".rstrip(": ") + "\n")
        sys.stdout.flush()
    return 1 if failed else 0


def _checks(settings: Settings, connected: Callable[[], Kube]) -> Iterator[Check]:
    try:
        kube = connected()
        yield from _kinds(kube)
        yield from _deployments(kube, settings.namespace)
    except ReconcileError as error:
        yield Check("API server", str(error))
    if settings.analysis_url is not None:
        yield _gateway(str(settings.analysis_url).rstrip("/"), settings)


def _kinds(kube: Kube) -> Iterator[Check]:
    for kind in KINDS:
        resource = resource_type(kind)
        served = kube.served(resource)
        problem = "" if served else "the API server does not serve it: set crds.install, or apply crds/yaml"
        yield Check(f"{resource.plural}.{resource.group}", problem)


def _deployments(kube: Kube, namespace: str) -> Iterator[Check]:
    found = kube.list_raw(DEPLOYMENTS, namespace, labels="app.kubernetes.io/part-of=iirp")
    if not found:
        yield Check("deployments", f"none of IIRP in namespace {namespace}")
    for body in found:
        name, wanted = body["metadata"]["name"], body["spec"].get("replicas", 1)
        available = body.get("status", {}).get("availableReplicas", 0)
        problem = f"{available} of {wanted} available: kubectl logs -n {namespace} deploy/{name}"
        yield Check(f"deployment {name}", "" if available >= wanted else problem)


def _gateway(url: str, settings: Settings) -> Check:
    verify: str | bool = str(settings.ca_file) if settings.ca_file else True
    name = f"external side {url}"
    try:
        answer = requests.post(f"{url}/v1/detect", json={}, timeout=TIMEOUT, verify=verify, allow_redirects=False)
    except requests.RequestException as error:
        return Check(
            name, f"not reachable ({type(error).__name__}): check external.url, external.caBundle and the network"
        )
    if answer.status_code in (401, 403):
        return Check(name)
    return Check(name, f"answered {answer.status_code} to a request without a token; it must refuse it with 401")
