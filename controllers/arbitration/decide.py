"""Who else writes what an action changes, and does the change last? Pure: (action, live object, around it) -> words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from controllers.arbitration import argocd, autoscalers, flux, owners
from controllers.arbitration.fields import Field, changed_fields
from controllers.arbitration.model import Claim, Subject
from crds.v1alpha1.actionplan import FieldWriter, WriteMode
from crds.v1alpha1.clip import clip

MAX_WRITERS = 16
"""As many as the status holds."""
_ORDER = (WriteMode.NEEDS_PULL_REQUEST, WriteMode.NEEDS_PAUSE, WriteMode.IMPERATIVE)


def arbitrate(subject: Subject) -> tuple[FieldWriter, ...]:
    """One entry per changed field and writer, what would not last first; one without a writer where there is none."""
    found = [writer for field in changed_fields(subject.action) for writer in _of_field(subject, field)]
    return tuple(sorted(found, key=lambda item: (not item.blocks, item.certain, _ORDER.index(item.mode))))


def blocking(writers: Iterable[FieldWriter]) -> FieldWriter | None:
    """The first writer that is known to undo the change."""
    return next((writer for writer in writers if writer.blocks), None)


def doubtful(writers: Iterable[FieldWriter]) -> FieldWriter | None:
    """The first writer that may undo it: something could not be read."""
    return next((writer for writer in writers if not writer.certain), None)


def _of_field(subject: Subject, field: Field) -> Iterator[FieldWriter]:
    claims = [*autoscalers.claims(subject, field), *argocd.claims(subject, field), *flux.claims(subject, field)]
    claims += owners.claims(subject, field)
    for claim in claims or [Claim(field, WriteMode.IMPERATIVE, "", "NobodyElse", "nobody else is known to write it")]:
        yield FieldWriter(
            action=subject.action.id,
            field=clip(FieldWriter, "field", field.label),
            mode=claim.mode,
            writer=clip(FieldWriter, "writer", _plain(claim.writer)),
            reason=claim.reason,
            message=clip(FieldWriter, "message", _plain(claim.message)),
            certain=claim.certain,
        )


def _plain(text: str) -> str:
    """Names come from labels and annotations, which anybody can write."""
    return "".join(char if char.isprintable() else " " for char in text)
