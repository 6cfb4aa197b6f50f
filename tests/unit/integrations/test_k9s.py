"""The k9s files: in k9s' own schema, about fields that exist, with commands that do what their description says."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from cli.plugin.arguments import parse
from tests.unit.integrations.support import FOLDER, PLURALS, ROOT, has_field, kubectl, obj

FILES = ("aliases", "hotkeys", "jumps", "plugins", "views")
# What k9s sets for plugins; $INPUT_<NAME> besides, for each input.
VARIABLES = {"NAME", "NAMESPACE", "CONTEXT"}


def load(name: str) -> dict[str, Any]:
    """One of the files."""
    loaded: dict[str, Any] = yaml.safe_load((FOLDER / "k9s" / f"{name}.yaml").read_text())
    return loaded


PLUGINS: dict[str, dict[str, Any]] = load("plugins")["plugins"]
VIEWS: dict[str, dict[str, Any]] = load("views")["views"]
JUMPS: dict[str, dict[str, str]] = load("jumps")["jumps"]


def substituted(plugin: dict[str, Any], **values: str) -> list[str]:
    """The arguments after k9s' replacement of ``$NAME`` and the like."""
    return [re.sub(r"\$(\w+)", lambda found: values[found.group(1)], str(arg)) for arg in plugin["args"]]


@pytest.mark.parametrize("name", FILES)
def test_files_fit_k9s_own_schemas(name: str) -> None:
    folder = Path(os.environ.get("IIRP_K9S_SCHEMAS", ROOT.parent / "shared" / "schemas" / "k9s"))
    if not folder.is_dir():
        pytest.skip("k9s' JSON schemas are not here; set IIRP_K9S_SCHEMAS")
    jsonschema.Draft7Validator(json.loads((folder / f"{name}.json").read_text())).validate(load(name))


@pytest.mark.parametrize("gvr", VIEWS)
def test_columns_show_fields_that_exist(gvr: str) -> None:
    plural = gvr.rsplit("/", 1)[1]
    assert plural in PLURALS
    names = [column.split(":")[0].split("|")[0] for column in VIEWS[gvr]["columns"]]
    assert VIEWS[gvr]["sortColumn"].split(":")[0] in names
    for column in VIEWS[gvr]["columns"]:
        if ":" in column:
            path = column.split(":", 1)[1].split("|")[0]
            assert has_field(plural, path), f"{plural} has no {path}"


def test_every_kind_of_the_chain_has_a_view_an_alias_and_a_jump() -> None:
    chain = {f"iirp.io/v1alpha1/{plural}" for plural in PLURALS if plural != "actionpolicies"}
    assert set(VIEWS) == chain
    assert set(JUMPS) == chain
    assert chain <= set(load("aliases")["aliases"].values())
    assert {rule["targetGVR"] for rule in JUMPS.values()} <= chain


OBJECTS = {
    "incidents": (obj("Incident"), "iirp.io/incident=payments-leak-x7k2q"),
    "rcareports": (
        obj("RCAReport", spec={"incidentRef": {"name": "payments-leak-x7k2q"}}),
        "metadata.name=payments-leak-x7k2q",
    ),
    "actionplans": (
        obj("ActionPlan", "payments-leak-x7k2q-1", spec={"incidentRef": {"name": "payments-leak-x7k2q"}}),
        "iirp.io/incident=payments-leak-x7k2q",
    ),
    "approvals": (obj("Approval", "payments-leak-x7k2q-1"), "metadata.name=payments-leak-x7k2q"),
}


@pytest.mark.parametrize("plural", OBJECTS)
def test_jumps_select_the_same_incident(plural: str) -> None:
    """k9s renders selectors with Go's text/template over the object; so does kubectl, which is at hand."""
    rule = JUMPS[f"iirp.io/v1alpha1/{plural}"]
    body, wanted = OBJECTS[plural]
    template = rule.get("labelSelector") or rule["fieldSelector"]
    printed = kubectl(
        "label", "--local", "-f", "-", "any=thing", "-o", f"go-template={template}", stdin=json.dumps(body)
    )
    assert printed == wanted


@pytest.mark.parametrize("name", PLUGINS)
def test_plugins_use_what_k9s_knows_and_no_shell(name: str) -> None:
    plugin = PLUGINS[name]
    known = VARIABLES | {f"INPUT_{field['name'].upper()}" for field in plugin.get("inputs", ())}
    used = set(re.findall(r"\$(\w+)", " ".join(map(str, plugin["args"]))))
    assert used <= known
    assert {"NAME", "NAMESPACE", "CONTEXT"} <= used
    assert plugin["command"] == "kubectl"
    assert set(plugin["scopes"]) <= set(PLURALS)


def test_what_changes_something_asks_first_and_is_marked() -> None:
    for name, plugin in PLUGINS.items():
        changes = bool({"annotate", "patch", "delete", "approve", "reject"} & set(plugin["args"]))
        assert bool(plugin.get("confirm")) is changes, name
        assert bool(plugin.get("dangerous")) is changes, name


def test_no_two_plugins_share_a_key_in_a_scope() -> None:
    keys = [(scope, plugin["shortCut"]) for plugin in PLUGINS.values() for scope in plugin["scopes"]]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("verdict", ["approve", "reject"])
@pytest.mark.parametrize("reason", ["seen in staging", 'x"; rm -rf / #', "$(id) `id`", "--overwrite"])
def test_deciding_writes_one_annotation_whatever_the_reason(verdict: str, reason: str) -> None:
    """Run by the real kubectl, with the object from stdin in place of the one in a cluster."""
    args = substituted(
        PLUGINS[f"iirp-{verdict}"], NAME="payments-leak-x7k2q-1", NAMESPACE="shop", CONTEXT="any", INPUT_REASON=reason
    )
    assert args[:4] == ["--context=any", "--namespace=shop", "annotate", "approvals.iirp.io/payments-leak-x7k2q-1"]
    body = obj("Approval", "payments-leak-x7k2q-1", spec={})
    printed = kubectl("annotate", "--local", "-f", "-", "-o", "json", *args[4:], stdin=json.dumps(body))
    assert json.loads(printed)["metadata"]["annotations"] == {"iirp.io/decision": verdict, "iirp.io/reason": reason}


@pytest.mark.parametrize("name", [name for name, plugin in PLUGINS.items() if plugin["args"][0] == "iirp"])
def test_commands_of_our_own_plugin_exist(name: str) -> None:
    words = substituted(PLUGINS[name], NAME="x", NAMESPACE="shop", CONTEXT="any")
    options = parse(words[1:])
    assert (options.name, options.namespace, options.context, options.pager) == ("x", "shop", "any", True)


@pytest.mark.parametrize("name", ["iirp-acknowledge", "iirp-close"])
def test_patches_change_the_override_only(name: str) -> None:
    args = substituted(PLUGINS[name], NAME="x", NAMESPACE="shop", CONTEXT="any")
    body = obj("Incident", "x", spec={"fingerprint": "0" * 16})
    printed = kubectl("patch", "--local", "-f", "-", "-o", "json", *args[4:], stdin=json.dumps(body))
    spec = json.loads(printed)["spec"]
    assert spec.pop("override") in ({"acknowledged": True}, {"closed": True})
    assert spec == body["spec"]
    field = json.loads(args[-1].removeprefix("--patch="))["spec"]["override"]
    assert all(has_field("incidents", f".spec.override.{key}") for key in field)
