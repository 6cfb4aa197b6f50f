"""Files of configuration and of data (rules, causes): YAML read as a model, and one line on what is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from pydantic.alias_generators import to_camel

__all__ = ["MAX_FILE_BYTES", "ConfigError", "describe", "read_yaml"]

MAX_FILE_BYTES = 1024 * 1024
"""Of a file of rules, causes or the like."""
M = TypeVar("M", bound=BaseModel)


class ConfigError(ValueError):
    """The configuration cannot be used; the message is one line that names the key."""


def describe(error: ValidationError) -> str:
    """One line for people: ``auth.cacheSeconds: Input should be …; model: …``."""
    parts = []
    for item in error.errors(include_url=False, include_input=False):
        where = ".".join(to_camel(str(part)) if isinstance(part, str) else str(part) for part in item["loc"])
        parts.append(f"{where}: {item['msg']}" if where else item["msg"])
    return "; ".join(parts)


def read_yaml(path: Path, model: type[M]) -> tuple[M, str]:
    """A file of rules, causes or the like as its model, and its text; an empty file has no keys.

    Raises:
        ConfigError: it is unreadable, too large or invalid.
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ConfigError(f"{path}: larger than {MAX_FILE_BYTES} bytes")
        text = path.read_text(encoding="utf-8")
        return model.model_validate(yaml.safe_load(text) or {}), text
    except ValidationError as error:
        raise ConfigError(f"{path}: {describe(error)}") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: {' '.join(str(error).split())}") from error
