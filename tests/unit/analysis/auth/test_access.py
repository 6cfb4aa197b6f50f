from __future__ import annotations

import pytest

from analysis.auth.access import find_route, usernames


@pytest.mark.parametrize(
    ("method", "uri", "name"),
    [
        ("POST", "/prometheus/api/v1/write", "remote-write"),
        ("GET", "/prometheus/api/v1/query?query=up", "metrics-query"),
        ("POST", "/prometheus/api/v1/query_range", "metrics-query"),
        ("GET", "/prometheus/api/v1/label/pod/values", "metrics-query"),
        ("POST", "/otlp/v1/logs", "otlp-logs"),
        ("GET", "/loki/api/v1/query_range?query=%7Ba%3D%22b%22%7D", "logs-query"),
        ("GET", "/loki/api/v1/tail", "logs-query"),
        ("POST", "/v1/detect", "detect"),
        ("POST", "/v1/rca", "rca"),
        ("POST", "/v1/verify", "verify"),
        ("GET", "/", "page"),
        ("GET", "/incidents/shop/payments-leak-1", "page"),
        ("GET", "/static/style.css", "page"),
        ("POST", "/login", "sign-in"),
    ],
)
def test_known_paths(method: str, uri: str, name: str) -> None:
    route = find_route(method, uri)
    assert route is not None
    assert route.name == name


@pytest.mark.parametrize(
    ("method", "uri"),
    [
        ("GET", "/prometheus/api/v1/write"),
        ("DELETE", "/prometheus/api/v1/query"),
        ("POST", "/prometheus/api/v1/admin/tsdb/delete_series"),
        ("POST", "/loki/api/v1/push"),
        ("POST", "/loki/api/v1/delete"),
        ("GET", "/loki/config"),
        ("GET", "/auth"),
        ("GET", "/metrics"),
        ("POST", "/v1/detect/"),
        ("POST", "/v1/detectx"),
        ("POST", "/v1/rca/../detect"),
        ("POST", "/v1//detect"),
        ("POST", "/./v1/detect"),
        ("POST", "/v1/%64etect"),
        ("GET", "/static/..%2fconfig"),
        ("GET", "/static/.."),
        ("GET", "/prometheus/api/v1/query/..;/write"),
        ("GET", ""),
        ("", "/v1/detect"),
        ("GET", "http://evil/"),
    ],
)
def test_everything_else_is_refused(method: str, uri: str) -> None:
    assert find_route(method, uri) is None


def test_each_path_has_its_own_callers() -> None:
    route = find_route("POST", "/v1/rca")
    assert route is not None
    assert usernames(route, "iirp-system") == {"system:serviceaccount:iirp-system:iirp-rca"}
