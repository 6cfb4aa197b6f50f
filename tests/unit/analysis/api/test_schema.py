"""Schemathesis against the API and the page: whatever fits the schema, and whatever does not, is no error of ours.

``IIRP_GENERATED=full`` asks far more.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import FlakyStrategyDefinition
from schemathesis import Case
from schemathesis.core.result import Ok

from analysis.api.app import create_app
from analysis.config import Auth, Config, Endpoint, StaticCaller, Web
from analysis.warm import warm
from analysis.web.pages import install
from tests.unit.analysis.web.support import Cluster, sign_in

EXAMPLES = 400 if os.environ.get("IIRP_GENERATED") == "full" else 5
ACCOUNTS = ("alertmanager", "detection", "feedback", "incident", "rca", "reader")
OPERATIONS = ("/v1/detect", "/v1/rca", "/v1/verify", "/v1/history", "/v1/alerts", "/v1/history/incidents")
generated = settings(
    max_examples=EXAMPLES, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck)
)


def operations(schema: dict[str, Any]) -> list[Any]:
    """Every operation of a schema, as schemathesis has it."""
    found = schemathesis.openapi.from_dict(schema).get_all_operations()
    return [one.ok() for one in found if isinstance(one, Ok)]


def ask(client: TestClient, operation: Any, change: dict[str, str], **headers: str) -> set[int]:
    """Send generated requests; no answer is an error of ours. The statuses that were seen."""
    seen: set[int] = set()

    @generated
    @given(case=operation.as_strategy())
    def send(case: Case) -> None:
        if isinstance(case.body, dict):
            case.body.update({key: value for key, value in change.items() if key in case.body})
        given_ = case.as_transport_kwargs(base_url=str(client.base_url))
        kept = {key: given_[key] for key in ("method", "url", "params", "json", "data") if given_.get(key)}
        own = {key: value for key, value in given_["headers"].items() if key.lower() == "content-type"}
        answer = client.request(**kept, headers={**own, **headers})
        seen.add(answer.status_code)
        assert answer.status_code < 500, f"{kept}: {answer.text[:300]}"

    try:
        send()
    except (FlakyStrategyDefinition, ExceptionGroup):
        # Whether a recursive strategy can be empty is found out during the first run and changes what is drawn; by the
        # second it is known. The examples are derandomized: what failed fails again.
        send()
    return seen


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """The whole application, with a history; its sources do not answer."""
    folder: Path = tmp_path_factory.mktemp("api")
    (folder / "secret").write_text("0" * 64)
    callers = []
    for account in ACCOUNTS:
        (folder / account).write_text(f"{account:0>64}")
        name = f"system:serviceaccount:iirp-system:iirp-{account}"
        callers.append(StaticCaller(username=name, secret_file=folder / account))
    nowhere = Endpoint(url="http://127.0.0.1:9", timeout_seconds=1)
    warm()
    config = Config(prometheus=nowhere, loki=nowhere, auth=Auth(static=tuple(callers)), state_dir=folder / "state")
    with TestClient(create_app(config), raise_server_exceptions=False) as found:
        yield found


def test_no_request_to_the_api_is_an_error_of_ours(api: TestClient) -> None:
    assert isinstance(api.app, FastAPI)
    asked = {}
    for operation in operations(api.app.openapi()):
        for account in ACCOUNTS:
            if api.request(operation.method, operation.path, headers=bearer(account)).status_code not in {401, 403}:
                asked[operation.label] = ask(api, operation, {}, **bearer(account))
                break
    assert {f"POST {path}" for path in OPERATIONS[:5]} <= set(asked)


def bearer(account: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {account:0>64}"}


def test_no_request_to_the_page_is_an_error_of_ours() -> None:
    app = Described()
    install(app, Web(), Cluster())  # type: ignore[arg-type]
    with TestClient(app, base_url="https://page", follow_redirects=False) as client:
        sign_in(client)
        csrf = re.search(r'name="csrf" value="([^"]+)"', client.get("/").text)
        assert csrf
        seen = {}
        for operation in operations(get_openapi(title="page", version="1", routes=app.described)):
            if operation.path in {"/logout"} or operation.path.endswith("/live"):
                continue  # the one ends the session, the other does not end
            seen[operation.label] = ask(client, operation, {"csrf": csrf[1]})
        assert client.get("/").status_code == 200, "still signed in"
    assert len(seen) >= 12
    assert 200 in seen["GET /"]


class Described(FastAPI):
    """Keeps the page's routes for a schema; the page itself has none to offer."""

    def include_router(self, router: Any, **options: Any) -> None:
        for route in router.routes:
            if isinstance(route, APIRoute):
                route.include_in_schema = True
                self.described = [*getattr(self, "described", ()), route]
        super().include_router(router, **options)
