"""Grounding: what the model says counts only with evidence that exists, and never above what was computed."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from analysis.llm.answer import Answer
from analysis.llm.redact import neutral
from analysis.rca.observation import Observation
from crds.v1alpha1.base import Window
from crds.v1alpha1.rcareport import Refuter, RootCause

MAX_CAUSES = 5
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

    Wordings change explanations only. Hypotheses need at least one observation that answered yes, stay below the best
    cause that stands, and never displace it; their confidence follows from the evidence cited, not from the model.
    ``restore`` turns the pseudonyms of the prompt back, so that the report names what it is about.
    """
    dropped = 0
    worded = {cause.id: cause for cause in causes}
    for wording in answer.wordings:
        known = [name for name in wording.evidence_ids if name in seen]
        dropped += len(wording.evidence_ids) - len(known)
        if wording.cause_id not in worded:
            dropped += 1
        elif known:
            cause = worded[wording.cause_id]
            text = f"{cause.explanation} Model: {restore(neutral(wording.explanation, 600))}"
            worded[wording.cause_id] = cause.model_copy(update={"explanation": text[:1024]})
    standing = [cause for cause in worded.values() if not cause.refuted]
    refuted = [cause for cause in worded.values() if cause.refuted]
    ceiling = min(MODEL_CEILING, standing[0].confidence_percent - 1 if standing else MODEL_CEILING)
    kinds = {cause.kind for cause in causes}
    added: list[RootCause] = []
    for number, hypothesis in enumerate(answer.hypotheses, start=1):
        known = list(dict.fromkeys(name for name in hypothesis.evidence_ids if name in seen))
        dropped += len(set(hypothesis.evidence_ids)) - len(known)
        positive = [name for name in known if seen[name].answer]
        if not positive or hypothesis.kind in kinds or not causes:
            continue
        kinds.add(hypothesis.kind)
        added.append(
            RootCause(
                id=f"model-{number}",
                kind=hypothesis.kind,
                summary=restore(neutral(hypothesis.summary, 300))[:300],
                explanation=restore(neutral(hypothesis.explanation, 1000))[:1000],
                target=causes[0].target,
                confidence_percent=max(1, min(ceiling, 10 + 10 * len(positive))),
                source="Model",
                evidence=[seen[name].evidence(name, window) for name in positive[:4]],
                refuters=[
                    Refuter(
                        summary=restore(neutral(hypothesis.would_refute, 300))[:300], refuted=False, result="not tested"
                    )
                ],
            )
        )
    merged = sorted([*standing, *added], key=lambda one: -one.confidence_percent)
    return tuple([*merged, *refuted][:MAX_CAUSES]), dropped
