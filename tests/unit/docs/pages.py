"""What the docs tell people to type: commands in code blocks and in running text, and YAML, each with its place."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"
PAGES = (
    ROOT / "README.md", ROOT / "AGENTS.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md",
    ROOT / "charts/iirp/README.md", *sorted(DOCS.rglob("*.md")), *sorted((ROOT / "integrations").rglob("*.md")),
)  # fmt: skip
PROGRAMS = ("iirp", "kubectl", "make", "helm", "python")
_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`([^`\n]+)`")
_ENDS = ("|", "&&", "||", ";", ">", ">>", "#", "──")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: language, text, and the line on which it begins."""

    page: Path
    line: int
    language: str
    text: str


@dataclass(frozen=True, slots=True)
class Command:
    """A command of one of our programs as words; ``whole`` if it stands in a block, to be copied as it is."""

    page: Path
    line: int
    words: tuple[str, ...]
    whole: bool

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT).as_posix()}:{self.line} {' '.join(self.words)}"


@cache
def blocks() -> tuple[Block, ...]:
    """Every fenced block of every page."""
    return tuple(block for page in PAGES for block in _blocks(page))


def yaml_blocks() -> list[Block]:
    """Blocks of YAML that a person wrote; those of the reference come from the files that it describes."""
    return [block for block in blocks() if block.language == "yaml" and block.page.parent.name != "reference"]


@cache
def commands() -> tuple[Command, ...]:
    """Every command of one of our programs, in blocks and in running text."""
    return tuple(command for page in PAGES for command in _commands(page))


def _blocks(page: Path) -> Iterator[Block]:
    text = page.read_text()
    for found in _FENCE.finditer(text):
        yield Block(page, text[: found.start()].count("\n") + 1, found[2], found[3])


def _commands(page: Path) -> Iterator[Command]:
    for block in blocks():
        if block.page == page and block.language in ("", "console", "sh", "bash"):
            joined = re.sub(r"\\\n\s*", " ", block.text)
            for number, line in enumerate(joined.splitlines(), start=block.line + 1):
                yield from _split(page, number, line.strip().removeprefix("$ "), whole=True)
    prose = _FENCE.sub(lambda found: "\n" * found[0].count("\n"), page.read_text())
    for number, line in enumerate(prose.splitlines(), start=1):
        for span in _SPAN.findall(line):
            yield from _split(page, number, span.replace("\\|", "|"), whole=False)


def _split(page: Path, line: int, text: str, *, whole: bool) -> Iterator[Command]:
    if not re.match(rf"(?:\.venv/bin/)?(?:{'|'.join(PROGRAMS)})\b ", text) and "| " not in text:
        return
    words: list[str] = []
    for word in (*shlex.split(_without_brackets(text)), ";"):
        if word not in _ENDS:
            words.append(word)
            continue
        if words and words[0].removeprefix(".venv/bin/") in PROGRAMS:
            yield Command(page, line, (words[0].removeprefix(".venv/bin/"), *words[1:]), whole)
        if word == "#":
            return
        words = []


def _without_brackets(text: str) -> str:
    """Square brackets around what may be left out go; quotes and JSONPath stay as they are."""
    return text if "jsonpath" in text else re.sub(r"(?<=\s)\[|\](?=\s|$)", "", text)
