"""The access table of the external side: path and method → usernames. Everything that is not in it is refused.

The gateway asks about the path it was called with. Only paths in plain form are answered: with an escape, an empty or a
dot segment, the gateway and we might not mean the same place.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_PLAIN_PATH: Final = re.compile(r"/[A-Za-z0-9/_.~:-]*")


@dataclass(frozen=True, slots=True)
class Route:
    """One row of the table. An empty ``accounts`` means: no token needed here, the page signs people in itself."""

    name: str
    methods: frozenset[str]
    path: re.Pattern[str]
    accounts: tuple[str, ...]
    """ServiceAccounts of the platform's namespace."""
    people: bool = False
    """Also for people with their own Kubernetes token; the route itself asks what they may see."""


def _route(name: str, methods: str, path: str, *accounts: str, people: bool = False) -> Route:
    return Route(name, frozenset(methods.split()), re.compile(path), accounts, people)


_QUERY = r"(query|query_range|series|labels|label/[A-Za-z_][A-Za-z0-9_]*/values|metadata)"
_LOKI = r"(query|query_range|series|labels|label|label/[A-Za-z_][A-Za-z0-9_]*/values|index/stats|tail)"

ROUTES: Final[tuple[Route, ...]] = (
    _route("remote-write", "POST", r"/prometheus/api/v1/write", "prometheus-agent"),
    _route("otlp-metrics", "POST", r"/prometheus/api/v1/otlp/v1/metrics", "prometheus-agent", "otel-collector"),
    _route("metrics-query", "GET POST", rf"/prometheus/api/v1/{_QUERY}", "iirp-reader"),
    _route("otlp-logs", "POST", r"/otlp/v1/logs", "otel-collector"),
    _route("logs-query", "GET POST", rf"/loki/api/v1/{_LOKI}", "iirp-reader"),
    _route("alerts", "POST", r"/v1/alerts", "iirp-alertmanager"),
    _route("detect", "POST", r"/v1/detect", "iirp-detection"),
    _route("intake", "POST", r"/v1/write", "prometheus-agent", "external-prometheus"),
    _route("rca", "POST", r"/v1/rca", "iirp-rca"),
    _route("verify", "POST", r"/v1/verify", "iirp-feedback"),
    _route("history-record", "POST", r"/v1/history", "iirp-incident"),
    _route("history", "GET", r"/v1/history/(incidents(/[^/]+/[^/]+)?|changes)", "iirp-reader", people=True),
    _route("page", "GET HEAD", r"/|/login|/incidents/[^/]+/[^/]+|/static/[^/]+"),
    _route("decision-form", "GET HEAD", r"/incidents/[^/]+/[^/]+/decide/[^/]+"),
    _route("sign-in", "POST", r"/login|/logout"),
    _route("decision", "POST", r"/incidents/[^/]+/[^/]+/decide/[^/]+"),
)


def find_route(method: str, uri: str) -> Route | None:
    """The row for a request, or None when it is refused whoever asks.

    Args:
        method: as sent, upper case.
        uri: raw request URI; a query string is not looked at.
    """
    path = uri.split("?", 1)[0]
    if not _PLAIN_PATH.fullmatch(path) or any(part in {"", ".", ".."} for part in path.split("/")[1:-1]):
        return None
    if path.endswith(("/.", "/..")):
        return None
    for route in ROUTES:
        if method in route.methods and route.path.fullmatch(path):
            return route
    return None


def usernames(route: Route, namespace: str) -> frozenset[str]:
    """The usernames that may use a route, as the API server spells them."""
    return frozenset(f"system:serviceaccount:{namespace}:{account}" for account in route.accounts)
