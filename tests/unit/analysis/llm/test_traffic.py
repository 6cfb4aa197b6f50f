"""300 canaries in 20 encodings, wherever text comes from, through the narrator to a server that keeps all bytes."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator

import pytest

from analysis.api.metrics import Metrics
from analysis.config import DATA_ROOT, Model, ModelBudget
from analysis.contract import EventFact
from analysis.llm.service import Narrator
from analysis.rca import loglines
from analysis.rca.catalogue import load_causes
from analysis.rca.service import explain
from tests.fakes.model import ModelServer, model_server
from tests.unit.analysis.llm.test_redact import ENCODINGS, KINDS, PER_KIND
from tests.unit.analysis.rca.world import at, facts, logs, request, rollout

CAUSES = load_causes(DATA_ROOT / "causes")


@pytest.fixture(scope="module")
def model() -> Iterator[ModelServer]:
    with model_server() as found:
        yield found


@pytest.mark.parametrize("kind", KINDS)
def test_no_canary_is_in_what_the_server_received(model: ModelServer, kind: str) -> None:
    source = random.Random(kind)
    canaries = [KINDS[kind](source) for _ in range(PER_KIND)]
    model.received.clear()
    model.requests.clear()
    asyncio.run(told(model.url, [text for _, text in canaries]))
    assert len(model.received) == PER_KIND
    everything = b"\n".join(model.received).decode("utf-8", "replace")
    prompts = "\n".join(one["messages"][0]["content"] for one in model.requests)
    assert prompts.count("handler said") >= PER_KIND * len(ENCODINGS)
    for secret, text in canaries:
        for encode in ENCODINGS.values():
            for form in (secret, encode(secret), encode(text)):
                assert form not in everything
                assert form not in prompts


async def told(url: str, texts: list[str]) -> None:
    """One report for each text, in all encodings: ten as changes, ten as events, some of both as log lines."""
    budget = ModelBudget(tokens_per_incident=10_000_000, tokens_per_day=10_000_000)
    settings = Model(base_url=url, model="m", max_prompt_chars=100_000, budget=budget, cache_entries=0)
    narrator = Narrator(settings, "", Metrics())
    for number, text in enumerate(texts):
        hostile = [f"ERROR handler said {encode(text)} and gave up" for encode in ENCODINGS.values()]
        changes = tuple(rollout(700).model_copy(update={"summary": one}) for one in hostile[:10])
        events = tuple(
            EventFact(at=at(790), type="Warning", reason="BackOff", object="pod/x", message=one) for one in hostile[10:]
        )
        lines = [hostile[(number * 4 + offset) % len(hostile)] for offset in range(4)]
        asked = request(changes=changes, events=events)
        report, seen = explain(CAUSES, facts(asked, logs=logs(*((one[:160], 3) for one in lines))))
        await narrator.enrich(report, asked, {**seen, **loglines.observations(report.logs)})
    await narrator.aclose()
