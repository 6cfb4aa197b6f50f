"""The rules of a folder: read, overridden for some namespaces, and read again when a file has changed."""

from __future__ import annotations

import hashlib
import logging
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from analysis.configfile import ConfigError, describe, read_yaml
from analysis.detect.rules import Pattern, Rule, RuleSet

logger = logging.getLogger(__name__)

POLL_SECONDS = 5.0
_RULE: TypeAdapter[Rule] = TypeAdapter(Rule)


class Override(BaseModel):
    """What is different in some namespaces."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rule: str
    namespaces: Annotated[tuple[Pattern, ...], Field(min_length=1)]
    """Patterns, each for a whole name."""
    set: dict[str, Any] = {}
    """Fields of the rule with other values, ``enabled: false`` among them."""


class RuleFile(BaseModel):
    """One file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rules: tuple[Rule, ...] = ()
    overrides: tuple[Override, ...] = ()


def load_rules(directory: Path) -> RuleSet:
    """Read all ``*.yaml`` of a folder.

    Raises:
        ConfigError: a file is unreadable or invalid, a name is used twice or not known, or there is no rule at all.
    """
    rules: list[Rule] = []
    overrides: list[Override] = []
    digest = hashlib.sha256()
    for path in sorted(directory.glob("*.yaml")):
        file, text = read_yaml(path, RuleFile)
        rules.extend(file.rules)
        overrides.extend(file.overrides)
        digest.update(text.encode())
    if not rules:
        raise ConfigError(f"{directory}: no rules (*.yaml) found")
    found = assemble(rules, overrides, directory)
    return RuleSet(rules=tuple(rule for rule in found if rule.enabled), version=digest.hexdigest()[:12])


def assemble(rules: Sequence[Rule], overrides: Sequence[Override], place: Path) -> list[Rule]:
    """All rules, those for some namespaces among them, also disabled ones.

    Args:
        place: what a message names.

    Raises:
        ConfigError: a name is used twice or not known, or an override makes no rule.
    """
    names = [rule.name for rule in rules]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigError(f"{place}: rule names used twice: {', '.join(twice)}")
    if unknown := sorted({one.rule for one in overrides} - set(names)):
        raise ConfigError(f"{place}: overrides of rules that do not exist: {', '.join(unknown)}")
    try:
        return [
            variant
            for rule in rules
            for variant in _variants(rule, [one for one in overrides if one.rule == rule.name])
        ]
    except ConfigError as error:
        raise ConfigError(f"{place}: {error}") from error


def _variants(rule: Rule, overrides: list[Override]) -> list[Rule]:
    """The rule for all other namespaces, and one more for each override; the first override that fits counts."""
    taken: tuple[str, ...] = ()
    found: list[Rule] = []
    for number, one in enumerate(overrides, start=1):
        if fixed := sorted(one.set.keys() & {"name", "detector", "onlyIn", "notIn"}):
            raise ConfigError(f"override {number} of {rule.name}: {', '.join(fixed)} cannot be set")
        values = {**rule.model_dump(by_alias=True, mode="python"), **one.set}
        values |= {"name": f"{rule.name}-{number}", "onlyIn": one.namespaces, "notIn": taken}
        try:
            found.append(_RULE.validate_python(values))
        except ValidationError as error:
            raise ConfigError(f"override {number} of {rule.name}: {describe(error)}") from error
        taken += one.namespaces
    return [rule.model_copy(update={"not_in": taken}), *found]


def applies(rule: Rule, namespace: str) -> bool:
    """Whether a rule looks at a namespace."""
    wanted = not rule.only_in or any(re.fullmatch(pattern, namespace) for pattern in rule.only_in)
    return wanted and not any(re.fullmatch(pattern, namespace) for pattern in rule.not_in)


class RuleBook:
    """The rules of a folder as they are now. A file that cannot be used changes nothing, and is said."""

    def __init__(self, directory: Path, clock: Callable[[], float] = time.monotonic) -> None:
        """Raises ConfigError when the rules cannot be used at the start."""
        self.directory = directory
        self._clock = clock
        self._seen = self._look()
        self._rules = load_rules(directory)
        self._looked_at = clock()
        self.problem = ""
        """Why the newest files are not in use; empty when they are."""

    def current(self) -> RuleSet:
        """The rules in force; looks at the files every few seconds."""
        if self._clock() - self._looked_at >= POLL_SECONDS:
            self._looked_at = self._clock()
            if (seen := self._look()) != self._seen:
                self._seen = seen
                self._reload()
        return self._rules

    def _reload(self) -> None:
        try:
            rules = load_rules(self.directory)
        except ConfigError as error:
            self.problem = str(error)[:300]
            logger.warning("rules not reloaded, version %s stays in force: %s", self._rules.version, error)
            return
        self.problem = ""
        logger.info("rules reloaded: version %s, %d rules", rules.version, len(rules.rules))
        self._rules = rules

    def _look(self) -> tuple[tuple[str, int, int], ...]:
        """Names, times and sizes. A mounted ConfigMap changes by a link, so links are followed."""
        found = []
        for path in sorted(self.directory.glob("*.yaml")):
            try:
                state = path.stat()
            except OSError:
                continue
            found.append((path.name, state.st_mtime_ns, state.st_size))
        return tuple(found)
