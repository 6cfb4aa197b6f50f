"""The endpoint behind the model: bounded answers, transport errors tried again, everything else told at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx2
import openai
from openai.types.chat import ChatCompletion

from analysis.config import AnswerFormat, Model

__all__ = ["AnswerTooLarge", "Completion", "Endpoint", "NotAnAnswer"]

MAX_REPLY_BYTES = 512 * 1024
BACKOFF_SECONDS = (0.2, 1.0)
"""Before the second and the third attempt; the caller's timeout bounds them all."""


class NotAnAnswer(Exception):
    """Something came back with status 200 that is no completion."""


class AnswerTooLarge(Exception):
    """The endpoint sends more than any answer needs."""


@dataclass(frozen=True, slots=True)
class Completion:
    """An answer, and what it cost if the endpoint says so."""

    text: str
    prompt_tokens: int | None
    output_tokens: int | None
    cut: bool = False
    """It ended because no more tokens were allowed."""


class Endpoint:
    """One model behind an OpenAI-compatible API."""

    def __init__(self, settings: Model, api_key: str) -> None:
        self._settings = settings
        transport = _Bounded(httpx2.AsyncHTTPTransport(limits=httpx2.Limits(max_connections=settings.concurrency)))
        self._client = openai.AsyncOpenAI(
            base_url=str(settings.base_url),
            api_key=api_key or "none",
            timeout=settings.timeout_seconds,
            max_retries=0,
            http_client=httpx2.AsyncClient(transport=transport, trust_env=False, follow_redirects=False),
        )

    async def aclose(self) -> None:
        """Close idle connections."""
        await self._client.close()

    async def complete(self, prompt: str, schema: Mapping[str, Any]) -> Completion:
        """One answer, by a JSON schema where the endpoint can.

        A request that got no answer is sent again; one that was answered never is.

        Raises:
            openai.OpenAIError, AnswerTooLarge, NotAnAnswer: as the last attempt ended.
        """
        for pause in (*BACKOFF_SECONDS, None):
            try:
                return await self._once(prompt, schema)
            except openai.APIConnectionError as error:
                if isinstance(error.__cause__, AnswerTooLarge):
                    raise error.__cause__ from error
                if pause is None or isinstance(error, openai.APITimeoutError):
                    raise
            await asyncio.sleep(pause)
        raise AssertionError("unreachable")

    async def _once(self, prompt: str, schema: Mapping[str, Any]) -> Completion:
        try:
            completion = await self._client.chat.completions.create(
                model=self._settings.model,
                messages=[{"role": "user", "content": prompt}],
                temperature=0,
                max_tokens=self._settings.max_output_tokens,
                response_format=_response_format(self._settings.answer_format, schema),
            )
        except ValueError as error:  # the client library decodes the body without a guard
            raise NotAnAnswer("the answer is not JSON") from error
        if not isinstance(completion, ChatCompletion):
            raise NotAnAnswer("the answer is not a chat completion")
        choices, usage = completion.choices, completion.usage
        return Completion(
            text=(choices[0].message.content if choices else None) or "",
            prompt_tokens=usage.prompt_tokens if usage else None,
            output_tokens=usage.completion_tokens if usage else None,
            cut=bool(choices) and choices[0].finish_reason == "length",
        )


def _response_format(form: AnswerFormat, schema: Mapping[str, Any]) -> Any:
    """As the endpoint wants it told. Not ``strict``: that mode of OpenAI's knows no lengths, which others need."""
    match form:
        case AnswerFormat.JSON_SCHEMA:
            return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
        case AnswerFormat.JSON_OBJECT_SCHEMA:
            return {"type": "json_object", "schema": schema}
        case AnswerFormat.JSON_OBJECT:
            return {"type": "json_object"}


class _Bounded(httpx2.AsyncBaseTransport):
    """Refuses answers that are larger than any answer can usefully be."""

    def __init__(self, inner: httpx2.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        response = await self._inner.handle_async_request(request)
        if isinstance(response.stream, httpx2.AsyncByteStream):  # always, of an asynchronous transport
            response.stream = _BoundedStream(response.stream)
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


class _BoundedStream(httpx2.AsyncByteStream):
    def __init__(self, inner: httpx2.AsyncByteStream) -> None:
        self._inner = inner

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for chunk in self._inner:
            size += len(chunk)
            if size > MAX_REPLY_BYTES:
                raise AnswerTooLarge(f"the answer is larger than {MAX_REPLY_BYTES // 1024} KiB")
            yield chunk

    async def aclose(self) -> None:
        await self._inner.aclose()
