"""`${namespace}`, `${uid:pod/disk}` and their like in manifests. What is not known is an error."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from demo.driver.errors import DemoFailed

__all__ = ["filled_in"]

_PLACEHOLDER = re.compile(r"\$\{([^}]*)\}")


def filled_in(value: Any, words: Mapping[str, str], uid: Callable[[str], str]) -> Any:
    """The same structure with every placeholder in its strings replaced; `uid` looks up `kind/name`.

    DemoFailed names a placeholder that is not known.
    """

    def word(found: re.Match[str]) -> str:
        name = found[1]
        if name.startswith("uid:"):
            return uid(name.removeprefix("uid:"))
        if name not in words:
            known = ", ".join([*sorted(words), "uid:KIND/NAME"])
            raise DemoFailed("filling in a manifest", f"${{{name}}} is not known; there are {known}")
        return words[name]

    def fill(part: Any) -> Any:
        if isinstance(part, str):
            return _PLACEHOLDER.sub(word, part)
        if isinstance(part, Mapping):
            return {fill(key): fill(item) for key, item in part.items()}
        return [fill(item) for item in part] if isinstance(part, list | tuple) else part

    return fill(value)
