"""Grounding: what the model says counts only with evidence that exists, and never above what was computed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from analysis.llm.answer import Answer, Hypothesis, Wording
from analysis.llm.redact import neutral
from analysis.rca.observation import Observation
from analysis.rca.rank import shown
from crds.v1alpha1.base import TargetRef, Window
from crds.v1alpha1.rcareport import UNRESOLVED_BELOW, Refuter, RootCause

MODEL_CEILING = 50
"""Confidence that a model's hypothesis can have at most; code has not tested it."""


def ground(
    causes: tuple[RootCause, ...],
    answer: Answer,
    seen: Mapping[str, Observation],
    window: Window,
    restore: Callable[[str], str] = str,
) -> tuple[tuple[RootCause, ...], int]:
    """Causes with the model's wording and hypotheses, and the number of citations that were made up.

    Wordings change explanations only. Hypotheses need at least one observation that answered yes, and stay below every
    cause that the report claims, or below claiming anything: a report is never worse for a model that talks nonsense.
    Their confidence follows from the evidence cited, not from the model.
    ``restore`` turns the pseudonyms of the prompt back, so that the report names what it is about.
    """
    worded, unknown = _reworded(causes, answer.wordings, seen, restore)
    standing = [cause for cause in worded if not cause.refuted]
    refuted = [cause for cause in worded if cause.refuted]
    claimed = [cause.confidence_percent for cause in standing if cause.confidence_percent >= UNRESOLVED_BELOW]
    ceiling = min(MODEL_CEILING, min(claimed, default=UNRESOLVED_BELOW) - 1)
    added: list[RootCause] = []
    kinds = {cause.kind for cause in causes}
    for number, hypothesis in enumerate(answer.hypotheses, start=1):
        cited = list(dict.fromkeys(hypothesis.evidence_ids))
        unknown += sum(name not in seen for name in cited)
        positive = [name for name in cited if name in seen and seen[name].answer]
        if not positive or hypothesis.kind in kinds or not causes:
            continue
        kinds.add(hypothesis.kind)
        evidence = [seen[name].evidence(name, window) for name in positive[:4]]
        confidence = max(1, min(ceiling, 10 + 10 * len(positive)))
        cause = _root_cause(f"model-{number}", hypothesis, causes[0].target, confidence, restore)
        added.append(cause.model_copy(update={"evidence": evidence}))
    return shown(sorted([*standing, *added], key=lambda one: -one.confidence_percent), refuted), unknown


def _reworded(
    causes: tuple[RootCause, ...],
    wordings: Sequence[Wording],
    seen: Mapping[str, Observation],
    restore: Callable[[str], str],
) -> tuple[list[RootCause], int]:
    """The causes with the explanations that cite something, and how many names were made up."""
    worded = {cause.id: cause for cause in causes}
    unknown = 0
    for wording in wordings:
        unknown += sum(name not in seen for name in wording.evidence_ids) + (wording.cause_id not in worded)
        cause = worded.get(wording.cause_id)
        if cause is not None and any(name in seen for name in wording.evidence_ids):
            text = f"{cause.explanation} Model: {restore(neutral(wording.explanation, 600))}"
            worded[cause.id] = cause.model_copy(update={"explanation": text[:1024]})
    return list(worded.values()), unknown


def _root_cause(
    name: str, hypothesis: Hypothesis, target: TargetRef, confidence: int, restore: Callable[[str], str]
) -> RootCause:
    """A model's hypothesis as the report has it: its texts made harmless, its refuter not tested."""
    claim = restore(neutral(hypothesis.would_refute, 300))[:300]
    return RootCause(
        id=name,
        kind=hypothesis.kind,
        summary=restore(neutral(hypothesis.summary, 300))[:300],
        explanation=restore(neutral(hypothesis.explanation, 1000))[:1000],
        target=target,
        confidence_percent=confidence,
        source="Model",
        refuters=[Refuter(summary=claim, refuted=False, result="not tested")],
    )
