"""The shop's services: who calls whom, and what they answer."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from demo.shop.config import SERVICES, Settings
from demo.shop.load import choose
from demo.shop.services import ROUTES, Refused, Request, find_route


class Recorder:
    """Answers upstream calls by calling the other service's route, and records them."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def __call__(self, upstream: str, method: str, path: str, request: Request, body: Any = None) -> Any:
        self.calls.append(f"{upstream} {method} {path}")
        return ask(upstream, method, path, body, self).body


def ask(service: str, method: str, path: str, body: Any, caller: Recorder) -> Any:
    found = find_route(service, method, path)
    assert found is not None, f"{service} has no {method} {path}"
    route, variables = found
    return route.handle(Request(method, json.dumps(body or {}).encode(), "r1", variables), caller)


def test_a_purchase_goes_through_checkout_to_payments() -> None:
    caller = Recorder()
    answer = ask("frontend", "POST", "/checkout", {"basket": ["1", "1"]}, caller)
    assert caller.calls == ["checkout POST /orders", "payments POST /charges"]
    assert (answer.code, answer.body["cents"]) == (201, 6800)


def test_the_page_asks_the_catalogue() -> None:
    caller = Recorder()
    assert len(ask("frontend", "GET", "/", None, caller).body["products"]) == 6
    assert ask("frontend", "GET", "/products/2", None, caller).body["name"] == "kettle"
    assert caller.calls == ["catalogue GET /products", "catalogue GET /products/2"]


@pytest.mark.parametrize(
    ("service", "method", "path", "body", "code"),
    [
        ("checkout", "POST", "/orders", {"basket": []}, 422),
        ("checkout", "POST", "/orders", {"basket": ["99"]}, 422),
        ("checkout", "POST", "/orders", {"basket": [["1"]]}, 422),
        ("checkout", "POST", "/orders", {"basket": ["1"] * 21}, 422),
        ("payments", "POST", "/charges", {"cents": -1}, 422),
        ("payments", "POST", "/charges", {"cents": "1"}, 422),
        ("catalogue", "GET", "/products/77", None, 404),
    ],
)
def test_wrong_requests_are_refused_with_a_client_error(
    service: str, method: str, path: str, body: Any, code: int
) -> None:
    with pytest.raises(Refused) as refused:
        ask(service, method, path, body, Recorder())
    assert refused.value.code == code


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff"])
def test_a_body_that_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(Refused):
        Request("POST", body).json()


def test_paths_become_their_template_so_labels_stay_few() -> None:
    found = find_route("catalogue", "GET", "/products/abc-1")
    assert found is not None
    assert (found[0].template, found[1]) == ("/products/{id}", {"id": "abc-1"})
    assert find_route("catalogue", "GET", "/products/../etc") is None
    assert find_route("catalogue", "DELETE", "/products") is None


def test_the_load_only_asks_for_what_the_frontend_has() -> None:
    source = random.Random(7)
    steps = [choose(source) for _ in range(500)]
    assert all(find_route("frontend", method, path) for method, path, _ in steps)
    bought = sum(method == "POST" for method, _, _ in steps)
    assert 100 < bought < 200


def test_every_service_has_routes_but_the_load() -> None:
    assert set(ROUTES) == set(SERVICES) - {"load"}


@pytest.mark.parametrize(
    ("service", "env", "words"),
    [
        ("nobody", {}, "unknown service 'nobody'"),
        ("load", {"LOAD_RATE": "fast"}, "LOAD_RATE must be a number"),
        ("load", {"LOAD_RATE": "-1"}, "LOAD_RATE must not be negative"),
    ],
)
def test_wrong_settings_name_the_variable(service: str, env: dict[str, str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Settings.from_env(service, env)


def test_upstreams_are_services_of_the_same_namespace_by_default() -> None:
    settings = Settings.from_env("checkout", {"PAYMENTS_URL": "http://127.0.0.1:1/"})
    assert settings.upstream("payments") == "http://127.0.0.1:1"
    assert settings.upstream("catalogue") == "http://catalogue:8080"
