"""Calls that do not get through: names, certificates, credentials, connections, and callees that are not there."""

from __future__ import annotations

from dataclasses import replace

from analysis.contract import ChangeKind
from tests.unit.analysis.rca.faults.shop import (
    CHECKOUT,
    DEAD,
    ERRORS,
    FAILING,
    SLOW,
    Fault,
    looping,
    rolled_out,
    service,
    told,
    workloads,
    written,
)
from tests.unit.analysis.rca.world import logs, pod

FAULTS = {
    "name that does not resolve": Fault(
        told("CrashLoop", lines={"name-lookup-fails": 12}, pods=(pod(ready=False, waiting_reason="CrashLoopBackOff"),)),
        "NameLookupFails",
    ),
    "name that no server knows": Fault(
        told(
            "HighErrorRate",
            target=CHECKOUT,
            upstream_errors=DEAD,
            measured=ERRORS,
            lines={"name-lookup-fails": 300, "error-lines": 300},
        ),
        "NameLookupFails",
        "checkout",
    ),
    "name that a callee cannot resolve, told on by its caller": Fault(
        told(
            "HighErrorRate",
            target=CHECKOUT,
            upstream_errors=FAILING,
            measured=ERRORS | {"callees-answer-errors": (0.0, 0.4)},
            lines={"name-lookup-fails": 300},
        ),
        "DependencyFailing",
    ),
    "names that resolve slowly or not at all": Fault(
        told(
            "HighLatency",
            target=CHECKOUT,
            upstream=SLOW,
            measured={"own-latency-rose": (0.03, 1.9)},
            lines={"name-lookup-fails": 300, "no-name-server": 300},
        ),
        "NameLookupFails",
        "checkout",
    ),
    "wrong host since a rollout": Fault(
        told(
            "HighErrorRate",
            measured=ERRORS,
            lines={"name-lookup-fails": 300},
            changes=(rolled_out("env BANK_HOST bank -> bnak"),),
        ),
        "BadRollout",
    ),
    "network policy that shuts the name servers out": Fault(
        told(
            "HighErrorRate",
            target=CHECKOUT,
            upstream_errors=DEAD,
            measured=ERRORS,
            lines={"name-lookup-fails": 300, "no-name-server": 300},
            changes=(written(ChangeKind.NETWORK_POLICY, CHECKOUT),),
        ),
        "NetworkPolicyChange",
        "checkout",
    ),
    "certificate of a callee that has expired": Fault(
        told(
            "HighErrorRate",
            target=CHECKOUT,
            upstream_errors=DEAD,
            measured=ERRORS,
            lines={"certificate-fails": 300, "error-lines": 300},
        ),
        "CertificateInvalid",
        "checkout",
    ),
    "certificate without which it does not start": Fault(
        told("CrashLoop", pods=(looping(),), lines={"certificate-fails": 9}), "CertificateInvalid"
    ),
    "password that was changed on the other side": Fault(
        told("CrashLoop", pods=(looping(),), lines={"credentials-refused": 12}), "CredentialsRefused"
    ),
    "callee whose pods all crash, seen by its caller": Fault(
        told(
            "HighErrorRate",
            target=CHECKOUT,
            upstream_errors=DEAD,
            measured=ERRORS,
            services=(service(ready=0, not_ready=2), service("checkout", 1, 0, (CHECKOUT,))),
        ),
        "DependencyDown",
    ),
    "database that is scaled to zero, without which nothing starts": Fault(
        replace(
            told(
                "CrashLoop",
                target=CHECKOUT,
                pods=(looping(),),
                workloads=workloads(0),
                services=(service(ready=0), service("checkout", 0, 1, (CHECKOUT,))),
            ),
            logs=logs(("dial tcp payments.shop.svc:5432: connect: connection refused", 9)),
        ),
        "ScaledToZero",
    ),
    "database that is not ready, without which nothing starts": Fault(
        replace(
            told(
                "CrashLoop",
                target=CHECKOUT,
                pods=(looping(),),
                services=(service(ready=0, not_ready=1), service("checkout", 0, 1, (CHECKOUT,))),
            ),
            logs=logs(("Error: connect ECONNREFUSED payments:5432", 9)),
        ),
        "DependencyDown",
    ),
    "pool without a free connection": Fault(
        told("HighErrorRate", measured=ERRORS, lines={"connections-exhausted": 300, "error-lines": 300}),
        "ConnectionsExhausted",
    ),
    "pool that a slow callee holds": Fault(
        told(
            "HighLatency",
            target=CHECKOUT,
            upstream=SLOW,
            measured={"own-latency-rose": (0.03, 1.9)},
            lines={"connections-exhausted": 300},
        ),
        "DependencySlow",
    ),
    "pool that requests waited for": Fault(
        told("HighLatency", measured={"own-latency-rose": (0.03, 5.0)}, lines={"connections-exhausted": 300}),
        "ConnectionsExhausted",
    ),
}
