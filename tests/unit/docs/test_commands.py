"""Every command on a page is one that the program takes: subcommand, options, choices, kinds, annotations, values."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import click
import pytest
import yaml

from cli.main import cli
from cli.plugin.arguments import parse
from devcluster.toolchain import Toolchain
from tests.unit.docs.pages import ROOT, Command, commands
from tests.unit.integrations.support import PLURALS, crd, has_field

_PLACEHOLDER = re.compile(r"^[A-Z_]+(\.\.\.|…)?$|…|\.\.\.")
_KUBERNETES_KINDS = {
    "configmap", "deployment", "deploy", "namespace", "ns", "pod", "pvc", "pods", "podtemplate", "role", "rolebinding",
    "secret", "serviceaccount", "token",
}  # fmt: skip
_PLUGINS = {"kubectl": ("iirp", "oidc-login"), "helm": ("diff",)}
"""Subcommands that are programs of their own; ours is checked, others are not."""
_ELSEWHERE = ("mutmut", "llama_cpp")
"""Modules that the development environment does not have: whoever reads of them installs them first."""
FOUND = {"iirp": 60, "kubectl": 40, "make": 30, "helm": 5, "python": 15}


def of(program: str) -> list[Command]:
    """The commands of one program."""
    return [command for command in commands() if command.words[0] == program]


@pytest.mark.parametrize("command", of("iirp"), ids=str)
def test_iirp_takes_it(command: Command) -> None:
    for words in alternatives(command.words[1:]):
        follow(cli, list(words), complete=command.whole)


def alternatives(words: Sequence[str]) -> list[list[str]]:
    """`up|down` is two commands; so is `--approve auto|ask`."""
    found: list[list[str]] = [[]]
    for word in words:
        choices = word.split("|") if re.fullmatch(r"[a-z-]+(\|[a-z-]+)+", word) else [word]
        found = [[*before, choice] for before in found for choice in choices]
    return found


def follow(group: click.Command, words: list[str], *, complete: bool) -> None:
    """Down the groups to the command, whose own parser then reads the rest."""
    command, name = group, "iirp"
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        under = command.get_command(click.Context(command), words[0])
        if under is None and command.invoke_without_command:
            break
        assert under is not None, f"{name} has no command {words[0]}"
        command, name, words = under, f"{name} {words[0]}", words[1:]
    if "--help" in words:
        return
    context = click.Context(command, info_name=name)
    given, rest, _ = command.make_parser(context).parse_args(list(words))
    assert isinstance(command, click.Group) or not [word for word in rest if not _PLACEHOLDER.search(word)], rest
    for parameter in command.params:
        value = given.get(parameter.name or "")
        if complete and parameter.required:
            assert value not in (None, ()), f"{name} needs {parameter.name}"
        if isinstance(parameter.type, click.Choice | click.types.IntParamType) and isinstance(value, str):
            parameter.type.convert(value, parameter, context)


@pytest.mark.parametrize("command", of("kubectl"), ids=str)
def test_kubectl_takes_it(command: Command) -> None:
    words = list(command.words[1:])
    if words[0] in _PLUGINS["kubectl"]:
        if words[0] == "iirp" and len(words) > 1 and (command.whole or words[1] == "completion"):
            assert parse(words[1:]).command == words[1]
        return
    accepted(kubectl(), words)
    for kind in kinds(words):
        assert kind in _KUBERNETES_KINDS | set(served()), f"no kind {kind}"
    for key in re.findall(r"\b(iirp\.io/[a-z-]+)(?:=|-?$)", "\n".join(words), re.MULTILINE):
        assert key.removesuffix("-") in annotations(), key
    if words[:1] == ["explain"] and "." in words[1]:
        kind, path = words[1].split(".", 1)
        assert _PLACEHOLDER.search(kind) or has_field(served()[kind], path)
    plurals = [served()[kind] for kind in kinds(words) if kind in served()]
    for path in re.findall(r"\{(\.[\w.\[\]]+)\}", " ".join(words)):
        assert any(has_field(plural, path) for plural in plurals), path


def kinds(words: Sequence[str]) -> list[str]:
    """The kinds that a command is about, as they are written."""
    pairs = zip(["", *words], words, strict=False)
    rest = [word for before, word in pairs if not word.startswith("-") and before not in ("-n", "--namespace")]
    verbs = ("get", "describe", "annotate", "delete", "patch", "wait", "create")
    if len(rest) < 2 or rest[0] not in verbs or "--raw" in words:
        return []
    return [] if _PLACEHOLDER.search(rest[1]) else rest[1].split("/")[0].split(",")


@cache
def served() -> dict[str, str]:
    """Every name by which one of our kinds can be asked for, with its plural; `iirp` is the category of all."""
    names = {"iirp": "incidents"}
    for plural in PLURALS:
        spoken = crd(plural)["spec"]["names"]
        names |= dict.fromkeys([plural, spoken["singular"], *spoken["shortNames"]], plural)
    return names


@cache
def annotations() -> frozenset[str]:
    """Annotations and labels of ours that anything in the sources reads."""
    files = [path for folder in ("crds/v1alpha1", "controllers", "rbac") for path in (ROOT / folder).rglob("*.*")]
    texts = [path.read_text() for path in files if path.suffix in (".py", ".yaml")]
    return frozenset(key for text in texts for key in re.findall(r"iirp\.io/[a-z-]+", text))


@pytest.mark.parametrize("command", of("helm"), ids=str)
def test_helm_takes_it(command: Command) -> None:
    words = list(command.words[1:])
    if words[0] in _PLUGINS["helm"]:
        return
    assert all((ROOT / word).is_dir() for word in words if word.startswith("charts/"))
    for assigned in (words[number + 1] for number, word in enumerate(words) if word == "--set"):
        values = yaml.safe_load((ROOT / "charts/iirp/values.yaml").read_text())
        for step in assigned.split("=")[0].split("."):
            assert step in values, assigned
            values = values[step]
    helm = Toolchain().find("helm") or shutil.which("helm")
    if not helm:
        pytest.skip("no helm on this machine; `iirp cluster up` builds it")
    accepted(Path(helm), words)


@pytest.mark.parametrize("command", of("make"), ids=str)
def test_make_has_it(command: Command) -> None:
    makefile = (ROOT / "Makefile").read_text()
    for word in command.words[1:]:
        name, sign, _ = word.partition("=")
        assert re.search(rf"\$\([^()]*\b{name}\b" if sign else rf"^{name}:", makefile, re.MULTILINE), word


@pytest.mark.parametrize("command", of("python"), ids=str)
def test_python_finds_the_module(command: Command) -> None:
    assert command.words[1] == "-m"
    module = command.words[2]
    if module.split(".")[0] in _ELSEWHERE:
        return
    assert importlib.util.find_spec(module), module
    folder = ROOT / module.replace(".", "/")
    texts = [path.read_text() for path in [*folder.glob("*.py"), folder.with_suffix(".py")] if path.exists()]
    options = [word for word in command.words[3:] if word.startswith("--")]
    called = command.words[3].split("|") if command.words[3:] and re.match(r"[a-z|]+$", command.words[3]) else []
    for word in [*options, *called]:
        assert any(f'"{word}"' in text for text in texts), word


def accepted(program: Path, words: list[str]) -> None:
    """The program itself reads the flags; `--help` at the end keeps it from doing anything."""
    done = subprocess.run([program, *words, "--help"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


@cache
def kubectl() -> Path:
    """kubectl of the development environment."""
    beside = Path(sys.executable).parent / "kubectl"
    found = beside if beside.exists() else shutil.which("kubectl")
    assert found
    return Path(found)


def test_commands_are_found() -> None:
    """A checker that sees nothing passes everything."""
    assert {program: len(of(program)) > at_least for program, at_least in FOUND.items()} == dict.fromkeys(FOUND, True)
