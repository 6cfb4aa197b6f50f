"""Names that come out of annotations and pod templates lead to the object of that name, or nowhere."""

from __future__ import annotations

import pytest

from controllers.kube.errors import NotFound
from controllers.kube.resources import APPLICATIONS, CONFIG_MAPS, NAMESPACES, ROLES


@pytest.mark.parametrize("name", ["..", ".", "../secrets/x", "a/b", "%2e%2e", "a%2fb", "/"])
def test_what_no_object_can_be_called_is_not_found(name: str) -> None:
    with pytest.raises(NotFound, match="no object can be called"):
        CONFIG_MAPS.path("shop", name)
    with pytest.raises(NotFound):
        APPLICATIONS.path(name, "app")


@pytest.mark.parametrize(
    ("name", "last"),
    [
        ("settings", "settings"), ("a.b-c", "a.b-c"), ("a?watch=true", "a%3Fwatch%3Dtrue"), ("a#b", "a%23b"),
        ("a b", "a%20b"), ("\r\nHost: x", "%0D%0AHost:%20x"), ("system:node", "system:node"),
    ],
)  # fmt: skip
def test_every_other_name_is_one_segment(name: str, last: str) -> None:
    assert ROLES.path("shop", name) == f"/apis/rbac.authorization.k8s.io/v1/namespaces/shop/roles/{last}"


def test_collections_and_cluster_scoped_objects() -> None:
    assert CONFIG_MAPS.path() == "/api/v1/configmaps"
    assert CONFIG_MAPS.path("shop") == "/api/v1/namespaces/shop/configmaps"
    assert NAMESPACES.path("", "shop") == "/api/v1/namespaces/shop"
    assert CONFIG_MAPS.path("shop", "a", "status") == "/api/v1/namespaces/shop/configmaps/a/status"
