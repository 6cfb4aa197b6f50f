"""What a report and a model are shown of the logs: the most telling kinds, within a budget, without secrets. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from analysis.llm.redact import Redactor
from analysis.logs.context import LogContext, template_query
from analysis.logs.templates import within
from analysis.words import line, moment
from crds.v1alpha1.rcareport import MAX_QUERY_CHARS, LogExcerpt, LogMark

TOKENS = 2000
"""Of all excerpts of a report."""
MOST = 4
MAX_TEMPLATE = 160
MAX_TEXT = 700


def excerpts(contexts: Iterable[LogContext]) -> tuple[LogExcerpt, ...]:
    """Of all contexts together, what is not usual, most informative first."""
    places = {chunk: one for one in contexts if one.lines_before for chunk in one.chunks}
    telling = [chunk for chunk in places if chunk.mark is not LogMark.USUAL]
    return tuple(
        LogExcerpt(
            id=chunk.id,
            mark=chunk.mark,
            template=line(_without_secrets(chunk.text), MAX_TEMPLATE),
            count=chunk.count,
            before=chunk.before,
            first_at=moment(chunk.first_at / 1e9),
            last_at=moment(chunk.last_at / 1e9),
            example=_block(_without_secrets(chunk.example.excerpt())),
            pod=chunk.example.head.pod[:253],
            pods=len(chunk.pods),
            query=_query(places[chunk].selector, chunk.text),
        )
        for chunk in within(telling, TOKENS, MOST)
    )


def _query(streams: str, template: str) -> str:
    """Without the filter where its text holds a secret; nothing where even that is too long."""
    full = template_query(streams, template)
    query = full if _without_secrets(template) == template else streams
    return query if len(query) <= MAX_QUERY_CHARS else ""


def _without_secrets(text: str) -> str:
    """People's data stay: who may read the report may read the log. Secrets are nobody's business."""
    redactor = Redactor()
    return redactor.restore(redactor.redact(text))


def _block(text: str) -> str:
    """Several lines without control characters, as they are fit for an object."""
    clean = "".join(char if char.isprintable() or char in "\n\t" else " " for char in text)
    return clean[:MAX_TEXT]
