"""Client of the analysis server behind the gateway: TLS, a token re-read per request, timeouts, typed errors."""

from __future__ import annotations

import gzip
import logging
import threading
from pathlib import Path
from typing import Protocol, TypeVar

import requests
import urllib3
from pydantic import ValidationError

from analysis.contract import (
    DetectRequest,
    DetectResponse,
    HistoryAnswer,
    HistoryRecord,
    Message,
    Problem,
    RcaRequest,
    RcaResponse,
    VerifyRequest,
    VerifyResponse,
)
from controllers.runtime.errors import Retryable, Terminal, root_cause
from controllers.runtime.metrics import Metrics
from controllers.runtime.settings import Settings

log = logging.getLogger(__name__)

M = TypeVar("M", bound=Message)
CONNECT_TIMEOUT = 5.0
MAX_ANSWER_BYTES = 16 * 1024 * 1024
HISTORY_TIMEOUT = 5.0
"""Seconds that a worker waits for what nothing depends on."""
PACK_ABOVE = 64 * 1024
"""Bytes above which a request is sent with gzip."""
SOURCE = "analysis"


class AnalysisUnavailable(Retryable):
    """No usable answer; ``message`` names the address and the next step."""


class AnalysisRefused(Terminal):
    """The request itself was refused (400, 413, 422): asking again changes nothing."""


class TopologyUnknown(Retryable):
    """409 on detect: the server does not know the digest; send the whole topology."""


class Analysis(Protocol):
    """Port to the analysis server."""

    def detect(self, request: DetectRequest) -> DetectResponse:
        """Faults that are on now. Raises TopologyUnknown when the topology must come along."""

    def rca(self, request: RcaRequest) -> RcaResponse:
        """Root causes of one incident."""

    def verify(self, request: VerifyRequest) -> VerifyResponse:
        """Whether actions helped."""

    def history(self, record: HistoryRecord) -> HistoryAnswer:
        """Keep an incident's chain beyond the life of its objects."""


class AnalysisClient:
    """Implements :class:`Analysis`. One session per thread, so connections are reused without a lock."""

    def __init__(
        self, base_url: str, *, token_file: Path, ca_file: Path | None, timeout: float, metrics: Metrics | None = None
    ) -> None:
        self._base = base_url.rstrip("/")
        self._token_file = token_file
        self._verify: str | bool = str(ca_file) if ca_file else True
        self._timeout = timeout
        self._metrics = metrics
        self._local = threading.local()

    @classmethod
    def from_settings(cls, settings: Settings, metrics: Metrics) -> AnalysisClient:
        """Raises Terminal when ``IIRP_ANALYSIS_URL`` is not set."""
        if settings.analysis_url is None:
            raise Terminal("NotConfigured", "set IIRP_ANALYSIS_URL to the gateway of the external side")
        return cls(
            str(settings.analysis_url),
            token_file=settings.token_file,
            ca_file=settings.ca_file,
            timeout=settings.analysis_timeout,
            metrics=metrics,
        )

    def detect(self, request: DetectRequest) -> DetectResponse:
        """See the port."""
        return self._post("/v1/detect", request, DetectResponse)

    def rca(self, request: RcaRequest) -> RcaResponse:
        """See the port."""
        return self._post("/v1/rca", request, RcaResponse)

    def verify(self, request: VerifyRequest) -> VerifyResponse:
        """See the port."""
        return self._post("/v1/verify", request, VerifyResponse)

    def history(self, record: HistoryRecord) -> HistoryAnswer:
        """See the port."""
        return self._post("/v1/history", record, HistoryAnswer, min(self._timeout, HISTORY_TIMEOUT))

    def _post(self, path: str, request: Message, answer: type[M], timeout: float | None = None) -> M:
        url = f"{self._base}{path}"
        try:
            result = self._exchange(url, request, answer, timeout or self._timeout)
        except AnalysisUnavailable:
            self._report(up=False)
            raise
        self._report(up=True)
        return result

    def _exchange(self, url: str, request: Message, answer: type[M], timeout: float) -> M:
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self._token(url)}"}
        body_sent = request.model_dump_json().encode()
        if len(body_sent) > PACK_ABOVE:
            body_sent = gzip.compress(body_sent, compresslevel=1)
            headers["Content-Encoding"] = "gzip"
        try:
            with self._session().post(
                url,
                data=body_sent,
                headers=headers,
                timeout=(CONNECT_TIMEOUT, timeout),
                verify=self._verify,
                stream=True,
                allow_redirects=False,  # a redirect would carry the token elsewhere
            ) as response:
                body = response.raw.read(MAX_ANSWER_BYTES + 1, decode_content=True)
                status = response.status_code
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            # urllib3's own come from the body, which is read past requests to bound it
            raise AnalysisUnavailable("AnalysisUnreachable", f"{url}: {_cause(error)}; {_next_step(error)}") from error
        if status == 200:
            return _parse(url, body, answer)
        raise _refusal(url, status, body)

    def _token(self, url: str) -> str:
        try:
            token = self._token_file.read_text().strip()
        except OSError as error:
            raise AnalysisUnavailable(
                "TokenUnreadable", f"{url}: cannot read {self._token_file}: {error.strerror}; check IIRP_TOKEN_FILE"
            ) from error
        if not token or not token.isascii() or any(char.isspace() for char in token):
            raise AnalysisUnavailable("TokenUnreadable", f"{url}: {self._token_file} does not hold one token")
        return token

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = requests.Session()
            session.trust_env = False  # no ~/.netrc and no proxy variables between us and the gateway
            self._local.session = session
        return session

    def _report(self, *, up: bool) -> None:
        if self._metrics:
            self._metrics.source_up(SOURCE, up=up)


def _parse(url: str, body: bytes, answer: type[M]) -> M:
    if len(body) > MAX_ANSWER_BYTES:
        raise AnalysisUnavailable("AnswerTooLarge", f"{url}: answer exceeds {MAX_ANSWER_BYTES} bytes")
    try:
        return answer.model_validate_json(body)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise AnalysisUnavailable(
            "AnswerInvalid",
            f"{url}: answer does not fit the contract ({where}: {first['msg']}); are both sides of the same version?",
        ) from error


def _refusal(url: str, status: int, body: bytes) -> Retryable | Terminal:
    detail = _detail(body)
    if status == 409:
        return TopologyUnknown("TopologyUnknown", detail)
    if status in (400, 413, 422):
        return AnalysisRefused("RequestRefused", f"{url} answered {status}: {detail}")
    steps = {
        401: "check the token's audience and the gateway's trust in this cluster",
        403: "this ServiceAccount may not call this path; check the gateway's callers",
        404: "check IIRP_ANALYSIS_URL",
    }
    step = steps.get(status, "look at the analysis server's log; will retry")
    reason = {401: "Unauthenticated", 403: "NotAllowed"}.get(status, "AnalysisFailed")
    return AnalysisUnavailable(reason, f"{url} answered {status}: {detail}; {step}")


def _detail(body: bytes) -> str:
    try:
        problem = Problem.model_validate_json(body)
    except ValidationError:
        return " ".join(body[:200].decode(errors="replace").split()) or "no detail"
    return f"{problem.title}: {problem.detail}"[:500] if problem.detail else problem.title[:500]


def _cause(error: Exception) -> str:
    if isinstance(error, requests.Timeout | urllib3.exceptions.TimeoutError):
        return "no answer in time"
    return root_cause(error)


def _next_step(error: Exception) -> str:
    if isinstance(error, requests.exceptions.SSLError):
        return "check IIRP_CA_FILE and the host name in IIRP_ANALYSIS_URL"
    return "check that the external side runs (iirp external status) and that the cluster reaches it; will retry"
