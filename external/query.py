"""Asks the gateway for log lines and metric values, as a person would: by time, labels and words."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from analysis.telemetry.query import quote
from external.errors import ExternalError

__all__ = ["Gateway", "LogLine", "Series", "log_query", "metric_query", "parse_time"]

_TIMEOUT = (5, 65)  # connect, read: a little more than Loki's own query timeout
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_DURATION = re.compile(r"^(?:[0-9]+[smhdw])+$")
_KEY = re.compile(r"^[A-Za-z_][A-Za-z0-9_./-]*$")
_TERM = re.compile(r"^(?P<key>[^=!~]+?)(?P<operator>=~|!~|!=|==|=)(?P<value>.*)$")
_METRIC = re.compile(r"^[A-Za-z_:][A-Za-z0-9_:]*$")
_ANY = 'iirp_source=~".+"'

# What people write, and what it is called in Loki. Stream labels can be matched; all else is filtered.
_LOG_NAMES = {
    "app": "service_name",
    "app.kubernetes.io/name": "service_name",
    "service": "service_name",
    "namespace": "k8s_namespace_name",
    "pod": "k8s_pod_name",
    "container": "k8s_container_name",
    "deployment": "k8s_deployment_name",
    "statefulset": "k8s_statefulset_name",
    "daemonset": "k8s_daemonset_name",
    "job": "k8s_job_name",
    "cronjob": "k8s_cronjob_name",
    "cluster": "k8s_cluster_name",
    "source": "iirp_source",
    "node": "k8s_node_name",
    "level": "detected_level",
    "app.kubernetes.io/version": "app_version",
    "app.kubernetes.io/component": "app_component",
    "app.kubernetes.io/instance": "app_instance",
    "app.kubernetes.io/part-of": "app_part_of",
}
_STREAM_LABELS = {
    "service_name", "iirp_source", "k8s_cluster_name", "k8s_namespace_name", "k8s_pod_name", "k8s_container_name",
    "k8s_deployment_name", "k8s_statefulset_name", "k8s_daemonset_name", "k8s_job_name", "k8s_cronjob_name",
}  # fmt: skip
_METRIC_NAMES = {"app.kubernetes.io/name": "app", "app.kubernetes.io/component": "component"}


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line; `at` is Unix time in nanoseconds."""

    at: int
    text: str
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Series:
    """One series: points of (Unix seconds, value)."""

    labels: Mapping[str, str]
    points: tuple[tuple[float, float], ...]


def parse_time(text: str, now: datetime.datetime) -> datetime.datetime:
    """A moment: `10m` or `1h30m` before now, or RFC 3339. Raises ValueError."""
    if _DURATION.match(text):
        seconds = sum(int(number) * _UNITS[unit] for number, unit in re.findall(r"([0-9]+)([smhdw])", text))
        return now - datetime.timedelta(seconds=seconds)
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(
            f"{text!r} is neither a duration such as 10m nor a time such as 2026-01-31T12:00:00Z"
        ) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)


def log_query(selector: str, terms: Mapping[str, str], contains: str = "") -> str:
    """LogQL from a selector (`app=x,node!=y`, or LogQL itself when it begins with a brace), labels and words."""
    words = f" |= {quote(contains)}" if contains else ""
    if selector.startswith("{"):
        if terms:
            raise ValueError("a LogQL selector stands for itself: put namespace, pod and container into it")
        return selector + words
    matchers: list[str] = []
    filters: list[str] = []
    for key, operator, value in [*_parse(selector), *((key, "=", value) for key, value in terms.items())]:
        name = _LOG_NAMES.get(key) or re.sub(r"[./-]", "_", key)
        (matchers if name in _STREAM_LABELS else filters).append(f"{name}{operator}{quote(value)}")
    # Loki wants a matcher that the empty string does not satisfy.
    if not any(re.match(r'^\w+=(~"\.\+"|"[^"])', matcher) for matcher in matchers):
        matchers.insert(0, _ANY)
    return f"{{{', '.join(matchers)}}}{words}" + "".join(f" | {condition}" for condition in filters)


def metric_query(query: str, selector: str, terms: Mapping[str, str]) -> str:
    """PromQL: the query as it is, a metric's name with matchers, or matchers alone."""
    if not query and selector.startswith("{") and not terms:
        return selector
    conditions = [*_parse(selector), *((key, "=", value) for key, value in terms.items())]
    if not conditions and not query:
        raise ValueError("say what to look for: a metric's name, PromQL, or a --selector such as app=payments")
    if not conditions:
        return query
    if query and not _METRIC.match(query):
        raise ValueError("selectors can be added to a metric's name only; put them into the expression")
    names = (
        (_METRIC_NAMES.get(key) or re.sub(r"[./-]", "_", key), operator, value) for key, operator, value in conditions
    )
    return f"{query}{{{', '.join(f'{name}{operator}{quote(value)}' for name, operator, value in names)}}}"


class Gateway:
    """Queries with a bearer token; `token` is called for each request, so that it can be renewed."""

    def __init__(self, url: str, ca_file: Path | None, token: Callable[[], str], hint: str = "") -> None:
        self.url = url.rstrip("/")
        self._verify: str | bool = str(ca_file) if ca_file else True
        self._token = token
        self._hint = hint
        self._session = requests.Session()
        self._session.trust_env = False  # neither a proxy nor a .netrc belongs between us and the gateway

    def lines(
        self, query: str, start: datetime.datetime, end: datetime.datetime, limit: int, *, newest: bool = True
    ) -> list[LogLine]:
        """At most `limit` lines of [start, end), oldest first. Raises ExternalError."""
        data = self._get(
            "/loki/api/v1/query_range",
            {
                "query": query,
                "start": str(_nanoseconds(start)),
                "end": str(_nanoseconds(end)),
                "limit": str(limit),
                "direction": "backward" if newest else "forward",
            },
        )
        if data.get("resultType") != "streams":
            raise ExternalError("this LogQL computes numbers, not lines; ask for lines (a stream selector and filters)")
        lines = [
            LogLine(int(stamp), text, stream["stream"])
            for stream in data["result"]
            for stamp, text, *_ in stream["values"]
        ]
        return sorted(lines, key=lambda line: line.at)

    def values(self, query: str, start: datetime.datetime, end: datetime.datetime, step: float) -> list[Series]:
        """The series of a range query. Raises ExternalError."""
        data = self._get(
            "/prometheus/api/v1/query_range",
            {"query": query, "start": str(start.timestamp()), "end": str(end.timestamp()), "step": str(step)},
        )
        return [
            Series(item["metric"], tuple((float(at), float(value)) for at, value in item["values"]))
            for item in data["result"]
        ]

    def count(self, query: str, end: datetime.datetime, seconds: int) -> int:
        """Lines that a log query finds in the seconds before `end`, counted by Loki. Raises ExternalError."""
        data = self._get(
            "/loki/api/v1/query",
            {"query": f"sum(count_over_time({query} [{seconds}s]))", "time": str(_nanoseconds(end)), "limit": "1"},
        )
        return sum(round(float(item["value"][1])) for item in data["result"])

    def history(self, what: str, parameters: Mapping[str, str]) -> Any:
        """JSON of `/v1/history/{what}`. Raises ExternalError."""
        answer = self._ask(f"/v1/history/{what}", parameters)
        try:
            return answer.json()
        except ValueError as error:
            raise ExternalError(f"{self.url}/v1/history answered something else than JSON") from error

    def _get(self, path: str, parameters: Mapping[str, str]) -> dict[str, Any]:
        answer = self._ask(path, parameters)
        try:
            data: dict[str, Any] = answer.json()["data"]
        except (ValueError, KeyError, TypeError) as error:
            raise ExternalError(f"{self.url}{path} answered something else than a query result") from error
        return data

    def _ask(self, path: str, parameters: Mapping[str, str]) -> requests.Response:
        try:
            answer = self._session.get(
                self.url + path,
                params=dict(parameters),
                headers={"Authorization": f"Bearer {self._token()}"},
                timeout=_TIMEOUT,
                verify=self._verify,
                allow_redirects=False,
            )
        except requests.exceptions.SSLError as error:
            raise ExternalError(f"{self.url} shows a certificate that is not trusted here: {_short(error)}") from error
        except requests.exceptions.RequestException as error:
            raise ExternalError(f"{self.url} does not answer: {_short(error)}. {self._hint}".rstrip()) from error
        if answer.status_code != 200:
            raise ExternalError(_refused(self.url, answer.status_code, answer.text, self._hint))
        return answer


def _refused(url: str, status: int, body: str, hint: str) -> str:
    text = " ".join(body.split())[:300]
    match status:
        case 401:
            return f"{url} does not accept the token (401): it must be of ServiceAccount iirp-system/iirp-reader"
        case 403:
            why = _problem(body) or "use ServiceAccount iirp-system/iirp-reader"
            return f"{url}: this identity may not query (403): {why}"
        case 400 | 422:
            return f"{url} refuses the query: {text}"
        case 404:
            return f"{url}: {_problem(body) or 'there is no such thing (404)'}"
        case 429:
            return f"{url}: too many queries at once (429); ask for less, or later"
        case _:
            return f"{url} cannot answer now ({status}): {text}. {hint}".rstrip()


def _problem(body: str) -> str:
    """Title and detail of problem details (RFC 9457); empty for anything else."""
    try:
        found = json.loads(body)
    except ValueError:
        return ""
    parts = (str(found.get(name, "")) for name in ("title", "detail")) if isinstance(found, dict) else ()
    return ": ".join(" ".join(part.split())[:200] for part in parts if part)


def _parse(selector: str) -> Iterator[tuple[str, str, str]]:
    """Terms of `a=b,c!=d`; also =~ and !~. Raises ValueError."""
    for term in filter(None, (part.strip() for part in selector.split(","))):
        found = _TERM.match(term)
        if found is None or not _KEY.match(found["key"].strip()):
            raise ValueError(f"{term!r} is no selector such as app=payments or pod=~web-.*")
        operator = "=" if found["operator"] == "==" else found["operator"]
        yield found["key"].strip(), operator, found["value"].strip().strip('"')


def _nanoseconds(moment: datetime.datetime) -> int:
    return int(moment.timestamp() * 1_000_000) * 1000


def _short(error: Exception) -> str:
    """The innermost reason of an exception of requests, without its address of objects."""
    text = str(error)
    reason = re.search(r"\[Errno -?\d+\] ([^'\")]+)|(certificate verify failed[^'\")]*)|(timed out)", text)
    return next((group for group in reason.groups() if group), text) if reason else text[:200]
