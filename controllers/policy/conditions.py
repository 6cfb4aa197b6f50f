"""CEL conditions of policy rules: checked when a policy is read, evaluated over the objects of one plan. Pure.

The dialect is that of Kubernetes' own policies, by Google's CEL (C++) with the optional and string extensions; it has
no loops, no I/O and RE2 for patterns, so an expression ends. ``docs/policies.md`` lists what each variable holds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from crds.v1alpha1.actionpolicy import VARIABLES

OBJECTS = tuple(name for name in VARIABLES if name not in ("now", "severity"))
"""Variables that are objects as the API server serves them (maps); ``now`` is a timestamp, ``severity`` a string."""
_POSITION = re.compile(r"^<input>:(\d+):(\d+): ")
_BROKEN = (RuntimeError, TypeError, ValueError, ImportError)
"""What the binding raises for text that does not compile and for values that it cannot convert; and where it is not
installed, a condition cannot be told either, which makes its policy invalid (S3)."""


@dataclass(frozen=True)
class Answer:
    """``holds`` is None when the expression could not be evaluated; ``problem`` says why."""

    holds: bool | None
    problem: str = ""


def problem_of(expression: str) -> str:
    """Why an expression is not a condition; empty when it is one."""
    try:
        compiled = _compile(expression)
    except _BROKEN as error:
        return _first_line(error)
    kind = compiled.return_type().name()
    return "" if kind in ("BOOL", "DYN") else f"gives {kind}, not bool"


def evaluate(expression: str, variables: Mapping[str, Any]) -> Answer:
    """Evaluate over ``variables`` (all of :data:`OBJECTS`, ``severity`` and ``now``); never raises on its content."""
    try:
        value = _compile(expression).eval(data=dict(variables))
    except _BROKEN as error:
        return Answer(None, _first_line(error))
    kind = value.type().name()
    if kind != "BOOL":
        return Answer(None, str(value.value()) if kind == "ERROR" else f"gives {kind}, not bool")
    return Answer(bool(value.value()))


@lru_cache(maxsize=1)
def _environment() -> Any:
    # 14 MB of machine code, loaded by the first condition: most policies have none.
    from cel_expr_python import cel
    from cel_expr_python.ext import ext_optional, ext_strings

    objects = {name: cel.Type.Map(cel.Type.STRING, cel.Type.DYN) for name in OBJECTS}
    variables = {**objects, "now": cel.Type.TIMESTAMP, "severity": cel.Type.STRING}
    return cel.NewEnv(variables=variables, extensions=[ext_optional.ExtOptional(), ext_strings.ExtStrings()])


@lru_cache(maxsize=512)
def _compile(expression: str) -> Any:
    return _environment().compile(expression)


def _first_line(error: Exception) -> str:
    text = str(error).removeprefix("INVALID_ARGUMENT: ").removeprefix("ERROR: ")
    return _POSITION.sub(r"line \1, column \2: ", text.splitlines()[0]) if text else type(error).__name__
