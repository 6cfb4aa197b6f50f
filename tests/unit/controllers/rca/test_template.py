"""Template differences in words, and what is never shown."""

from __future__ import annotations

from typing import Any

import pytest

from controllers.rca.template import template_changes


def template(
    annotations: dict[str, str] | None = None, pod: dict[str, Any] | None = None, **container: Any
) -> dict[str, Any]:
    return {
        "metadata": {"annotations": annotations or {}},
        "spec": {"containers": [{"name": "app", "image": "reg.local/pay:v1.8", **container}], **(pod or {})},
    }


def env(**values: str) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in values.items()]


BASE = template()

CASES: list[tuple[dict[str, Any], dict[str, Any], list[str]]] = [
    (BASE, BASE, []),
    (BASE, template(image="reg.local/pay:v1.9"), ["image v1.8 -> v1.9"]),
    (BASE, template(image="other/pay:v1.9"), ["image reg.local/pay:v1.8 -> other/pay:v1.9"]),
    (
        template(image="host:5000/pay"),
        template(image="host:5001/pay"),
        ["image host:5000/pay -> host:5001/pay"],
    ),
    (BASE, template(env=env(CACHE_SIZE="500")), ["env CACHE_SIZE added (500)"]),
    (template(env=env(CACHE_SIZE="500")), template(env=env(CACHE_SIZE="900")), ["env CACHE_SIZE 500 -> 900"]),
    (template(env=env(CACHE_SIZE="500")), BASE, ["env CACHE_SIZE removed"]),
    (
        BASE,
        template(resources={"limits": {"memory": "256Mi"}, "requests": {"cpu": "1"}}),
        ["memory limit none -> 256Mi", "cpu request none -> 1"],
    ),
    (BASE, template(livenessProbe={"httpGet": {}}), ["livenessProbe added"]),
    (template(livenessProbe={"httpGet": {}}), BASE, ["livenessProbe removed"]),
    (template(command=["a"]), template(command=["b"], args=["--token=x"]), ["command changed", "args changed"]),
    (BASE, template(pod={"volumes": [{"name": "v"}]}), ["volumes changed"]),
    (BASE, template({"kubectl.kubernetes.io/restartedAt": "2026"}), ["restarted"]),
    (
        BASE,
        template({"kubectl.kubernetes.io/restartedAt": "2026", "iirp.io/action-id": "act-1"}),
        ["restarted by action act-1"],
    ),
    (BASE, template({"checksum/config": "abc"}), ["annotations checksum/config changed"]),
    (
        BASE,
        {"spec": {"containers": [*BASE["spec"]["containers"], {"name": "proxy", "image": "envoy:1"}]}},
        ["container proxy added (envoy:1)"],
    ),
]


@pytest.mark.parametrize(("old", "new", "words"), CASES)
def test_words(old: dict[str, Any], new: dict[str, Any], words: list[str]) -> None:
    assert template_changes(old, new) == words


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DB_PASSWORD", "hunter2"),
        ("API_KEY", "short"),
        ("GITHUB_TOKEN", "x"),
        ("DATABASE_URL", "postgres"),
        ("SESSION", "s"),
        ("MODE", "postgres://u:p@h/db"),
        ("MODE", "a" * 33),
        ("MODE", "AKIAIOSFODNN7EXAMPLEX"),
        ("MODE", "line\nbreak"),
    ],
)
def test_values_that_may_be_secret_or_hostile_are_never_shown(name: str, value: str) -> None:
    for old, new in (
        (BASE, template(env=env(**{name: value}))),
        (template(env=env(**{name: "1"})), template(env=env(**{name: value}))),
    ):
        (words,) = template_changes(old, new)
        assert value not in words
        assert name in words


def test_values_from_secrets_are_named_only() -> None:
    reference = [{"name": "MODE", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]
    assert template_changes(BASE, template(env=reference)) == ["env MODE added"]


def test_with_several_containers_each_change_names_its_own() -> None:
    def two(image: str) -> dict[str, Any]:
        return {"spec": {"containers": [{"name": "a", "image": image}, {"name": "b", "image": "b:1"}]}}

    assert template_changes(two("a:1"), two("a:2")) == ["a: image 1 -> 2"]
