"""What the four services do: frontend calls catalogue and checkout, checkout calls payments."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

__all__ = ["ROUTES", "Caller", "Refused", "Request", "Response", "Route", "find_route"]

_PRODUCTS = {
    str(number): {"id": str(number), "name": name, "cents": cents}
    for number, (name, cents) in enumerate(
        (("teapot", 3400), ("kettle", 5900), ("strainer", 900), ("cup", 1200), ("tin", 700), ("whisk", 1800)), start=1
    )
}


class Refused(Exception):
    """A request that the service answers with a client error."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Request:
    """One request after parsing. `variables` are the named parts of the route's pattern."""

    method: str
    body: bytes = b""
    request_id: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)

    def json(self) -> dict[str, Any]:
        """The body as an object; Refused(400) when it is none."""
        try:
            value = json.loads(self.body or b"{}")
        except ValueError:
            raise Refused(400, "the body is not JSON") from None
        if not isinstance(value, dict):
            raise Refused(400, "the body is not a JSON object")
        return value


@dataclass(frozen=True, slots=True)
class Response:
    """Status code and JSON body."""

    code: int
    body: Any


class Caller(Protocol):
    """Calls another service by name and returns its JSON answer."""

    def __call__(self, upstream: str, method: str, path: str, request: Request, body: Any = None) -> Any:
        """Raises UpstreamError when the answer is no success."""


@dataclass(frozen=True, slots=True)
class Route:
    """`template` is the metric label; `pattern` matches the path."""

    method: str
    template: str
    handle: Callable[[Request, Caller], Response]

    @property
    def pattern(self) -> re.Pattern[str]:
        """The template with each `{name}` as a named group."""
        return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[A-Za-z0-9-]{1,32})", self.template))


def find_route(service: str, method: str, path: str) -> tuple[Route, dict[str, str]] | None:
    """The route of a service for a path without its query, with the path's variables."""
    for route in ROUTES[service]:
        if route.method == method and (match := route.pattern.fullmatch(path)):
            return route, match.groupdict()
    return None


def _home(request: Request, call: Caller) -> Response:
    products = call("catalogue", "GET", "/products", request)
    return Response(200, {"title": "The tea shop", "products": products})


def _product_page(request: Request, call: Caller) -> Response:
    return Response(200, call("catalogue", "GET", f"/products/{request.variables['id']}", request))


def _buy(request: Request, call: Caller) -> Response:
    order = call("checkout", "POST", "/orders", request, request.json())
    return Response(201, order)


def _order(request: Request, call: Caller) -> Response:
    basket = request.json().get("basket")
    if not isinstance(basket, list) or not 0 < len(basket) <= 20:
        raise Refused(422, "basket must be a list of 1 to 20 product ids")
    unknown = [item for item in basket if not isinstance(item, str) or item not in _PRODUCTS]
    if unknown:
        raise Refused(422, f"unknown product {unknown[0]!r}")
    cents = sum(int(str(_PRODUCTS[item]["cents"])) for item in basket)
    charge = call("payments", "POST", "/charges", request, {"cents": cents})
    return Response(201, {"order": request.request_id, "cents": cents, "charge": charge})


def _charge(request: Request, _: Caller) -> Response:
    cents = request.json().get("cents")
    if not isinstance(cents, int) or not 0 < cents < 10_000_000:
        raise Refused(422, "cents must be a positive integer")
    # Some work per charge, so that payments has a CPU profile of its own.
    proof = hashlib.pbkdf2_hmac("sha256", str(cents).encode(), request.request_id.encode() or b"-", 500)
    return Response(201, {"charge": proof.hex()[:16], "cents": cents})


def _products(_: Request, __: Caller) -> Response:
    return Response(200, list(_PRODUCTS.values()))


def _product(request: Request, _: Caller) -> Response:
    product = _PRODUCTS.get(request.variables["id"])
    if product is None:
        raise Refused(404, "no such product")
    return Response(200, product)


ROUTES: dict[str, tuple[Route, ...]] = {
    "frontend": (
        Route("GET", "/", _home),
        Route("GET", "/products/{id}", _product_page),
        Route("POST", "/checkout", _buy),
    ),
    "checkout": (Route("POST", "/orders", _order),),
    "payments": (Route("POST", "/charges", _charge),),
    "catalogue": (Route("GET", "/products", _products), Route("GET", "/products/{id}", _product)),
}
