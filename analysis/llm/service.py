"""Asking the model, within a time and a budget, and keeping only what the evidence bears."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections import OrderedDict
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jinja2
import openai
from pydantic import ValidationError

from analysis.api.metrics import Metrics
from analysis.config import Model
from analysis.configfile import ConfigError
from analysis.contract import RcaRequest, RcaResponse
from analysis.llm.answer import Answer, schema
from analysis.llm.budget import Budget, OverBudget
from analysis.llm.endpoint import AnswerTooLarge, Completion, Endpoint, NotAnAnswer
from analysis.llm.ground import ground
from analysis.llm.redact import Redactor
from analysis.rca.observation import Observation
from analysis.words import estimate_tokens

logger = logging.getLogger(__name__)

PROMPT_VERSION = "rca.v1"
MAX_ANSWER_CHARS = 32_000


class ModelFailure(Exception):
    """The model could not be used; the message is what the report says."""


class Narrator:
    """One model behind an OpenAI-compatible endpoint. It gets text and gives text; it has no tools."""

    def __init__(self, settings: Model, api_key: str, metrics: Metrics) -> None:
        self._settings = settings
        self._metrics = metrics
        self._endpoint = Endpoint(settings, api_key)
        self._budget = Budget(settings.budget, lambda: datetime.now(tz=UTC), settings.budget.state_file)
        self._turns = asyncio.Semaphore(settings.concurrency)
        self._answers: OrderedDict[str, Answer] = OrderedDict()
        templates = jinja2.Environment(  # noqa: S701 - a prompt is text, not HTML; values are neutralised one by one
            loader=jinja2.FileSystemLoader(Path(__file__).parent / "prompts"), undefined=jinja2.StrictUndefined
        )
        self._template = templates.get_template(f"{PROMPT_VERSION}.j2")

    async def aclose(self) -> None:
        """Close idle connections."""
        await self._endpoint.aclose()

    async def enrich(self, report: RcaResponse, request: RcaRequest, seen: Mapping[str, Observation]) -> RcaResponse:
        """The report with the model's additions; or as it was, with the reason why there are none."""
        name = f"{self._settings.model} {PROMPT_VERSION}"[:128]
        redactor = Redactor()
        try:
            async with asyncio.timeout(self._settings.timeout_seconds):
                shape = schema((cause.id for cause in report.root_causes), seen)
                answer = await self._ask(self.prompt(report, request, seen, redactor), shape, request.incident.uid)
        except (ModelFailure, OverBudget, AnswerTooLarge, NotAnAnswer, TimeoutError, openai.OpenAIError) as error:
            reason = self._reason(error)
            self._metrics.model_calls.labels("failed").inc()
            logger.warning("deterministic report only: %s", reason)
            return report.model_copy(update={"model": name, "degraded_reason": reason[:300]})
        causes, dropped = ground(report.root_causes, answer, seen, request.window, redactor.restore)
        self._metrics.model_calls.labels("used").inc()
        self._metrics.fabricated.inc(dropped)
        if dropped:
            logger.warning("dropped %d citations that the model made up", dropped)
        return report.model_copy(update={"root_causes": causes, "method": "deterministic+model", "model": name})

    def _reason(self, error: Exception) -> str:
        where = f"model {self._settings.model} at {self._settings.base_url}"
        if isinstance(error, TimeoutError | openai.APITimeoutError):
            return f"{where}: no answer within {self._settings.timeout_seconds:g} s"
        if isinstance(error, openai.APIStatusError):
            hint = " (does it know this model, and model.answerFormat?)" if error.status_code in {400, 422, 500} else ""
            return f"{where}: HTTP {error.status_code}{hint}"
        if isinstance(error, openai.APIConnectionError):
            return f"{where}: cannot connect"
        return f"{where}: {error}"

    async def _ask(self, prompt: str, shape: Mapping[str, Any], incident: str) -> Answer:
        """A valid answer, from memory if this very prompt had one. What was sent is paid, whatever came of it."""
        key = hashlib.sha256(prompt.encode("utf-8", "replace")).hexdigest()
        async with self._turns:
            if key in self._answers:
                self._answers.move_to_end(key)
                self._metrics.model_calls.labels("cached").inc()
                return self._answers[key]
            held = self._budget.reserve(incident, estimate_tokens(prompt), self._settings.max_output_tokens)
            try:
                found = await self._endpoint.complete(prompt, shape)
            except (openai.APIStatusError, openai.APIConnectionError) as error:
                if not isinstance(error, openai.APITimeoutError):
                    self._budget.release(held)  # refused or never answered: not paid
                raise
            self._budget.settle(held, found.prompt_tokens, found.output_tokens)
            self._metrics.model_tokens.labels("prompt").inc(found.prompt_tokens or held.prompt)
            self._metrics.model_tokens.labels("output").inc(found.output_tokens or held.output)
        answer = self._read(found)
        self._answers[key] = answer
        while len(self._answers) > self._settings.cache_entries:
            self._answers.popitem(last=False)
        return answer

    def _read(self, found: Completion) -> Answer:
        if not found.text:
            raise ModelFailure("empty answer")
        try:
            return parse(found.text)
        except ModelFailure as error:
            if not found.cut:
                raise
            limit = self._settings.max_output_tokens
            raise ModelFailure(f"the answer was cut off at {limit} tokens (model.maxOutputTokens)") from error

    def prompt(
        self, report: RcaResponse, request: RcaRequest, seen: Mapping[str, Observation], redactor: Redactor
    ) -> str:
        """The prompt text. The fence cannot be guessed from the data: it is derived from all of it."""
        incident = request.incident
        neutral = redactor.neutral
        values: dict[str, Any] = {
            "fence": hashlib.sha256(report.evidence_digest.encode()).hexdigest()[:16],
            "incident": {
                "type": incident.type,
                "target": neutral(f"{incident.target.namespace}/{incident.target.short()}"),
                "severity": incident.severity.value,
                "onset": incident.started_at.isoformat(),
            },
            "causes": [
                {
                    "id": cause.id,
                    "kind": cause.kind,
                    "confidence": cause.confidence_percent,
                    "refuted": cause.refuted,
                    "summary": neutral(cause.summary),
                }
                for cause in report.root_causes
            ],
            "evidence": [
                {"id": name, "answer": one.answer, "summary": neutral(one.summary)}
                for name, one in sorted(seen.items())
            ],
            "changes": [
                neutral(f"{change.at.isoformat()} {change.kind} {change.summary}") for change in request.changes[:10]
            ],
            "events": [neutral(f"{event.reason} x{event.count} {event.message}") for event in request.events[:10]],
        }
        return _fitting(self._template.render(values), self._settings.max_prompt_chars)


def _fitting(prompt: str, length: int) -> str:
    """A prompt that is too long loses the end of its data, never the line that ends them."""
    *_, closing = prompt.rstrip().rpartition("\n")
    return prompt if len(prompt) <= length else f"{prompt[: length - len(closing) - 1]}\n{closing}"


def parse(text: str) -> Answer:
    """Validate a model's answer.

    Raises:
        ModelFailure: it is too long, not JSON, or not of the shape that was asked for.
    """
    if len(text) > MAX_ANSWER_CHARS:
        raise ModelFailure("answer too long")
    bare = text.strip().removeprefix("```json").removeprefix("```").removesuffix("```")
    try:
        # Small models write line breaks into strings as they are; what is shown of a text is neutralised anyway.
        return Answer.model_validate(json.loads(bare, strict=False))
    except (json.JSONDecodeError, RecursionError) as error:
        raise ModelFailure(f"invalid answer: not JSON: {error}") from error
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        raise ModelFailure(f"invalid answer: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error


def narrator_from(settings: Model, metrics: Metrics) -> Narrator:
    """Read the key and build the narrator.

    Raises:
        ConfigError: the key file cannot be read.
    """
    key = ""
    if settings.api_key_file:
        try:
            key = settings.api_key_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"model.apiKeyFile: cannot read {settings.api_key_file}: {error}") from error
    try:
        return Narrator(settings, key, metrics)
    except OverBudget as error:
        raise ConfigError(f"model.budget.stateFile: {error}") from error
