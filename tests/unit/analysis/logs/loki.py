"""A log store for tests: keeps lines, answers the few forms of LogQL that the extractor writes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from urllib.parse import parse_qs

import httpx

from analysis.telemetry.loki import Loki

_QUERY = re.compile(r'(?P<streams>\{.*?"\})(?P<filters>(?: (?:\|=|\|~|!~) "(?:[^"\\]|\\.)*")*)')
_FILTER = re.compile(r' (\|=|\|~|!~) "((?:[^"\\]|\\.)*)"')
_COUNT = re.compile(r"sum\(count_over_time\((?P<inner>.*) \[(?P<seconds>\d+)s\]\)\)")


class Store:
    """``lines`` are ``(Unix seconds, text)``; ``asked`` are the queries that came."""

    def __init__(self, lines: Iterable[tuple[float, str]]) -> None:
        self.lines = sorted((int(at * 1e9), text) for at, text in lines)
        self.asked: list[str] = []
        self.refuses = ""
        """Queries with this operator get a 500."""

    def loki(self) -> Loki:
        """A reader of this store."""
        return Loki("http://loki:3100", 2.0, httpx.AsyncClient(transport=httpx.MockTransport(self._answer)))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        form = {name: values[0] for name, values in parse_qs(request.content.decode()).items()}
        self.asked.append(form["query"])
        if self.refuses and self.refuses in form["query"]:
            return httpx.Response(500, text="too busy")
        counted = _COUNT.fullmatch(form["query"])
        if counted:
            end = int(form["time"])
            found = self._find(counted["inner"], end - int(counted["seconds"]) * 10**9, end)
            data = {"resultType": "vector", "result": [{"metric": {}, "value": [0, str(len(found))]}]}
            return httpx.Response(200, json={"status": "success", "data": data})
        found = self._find(form["query"], int(form["start"]), int(form["end"]))
        if form["direction"] == "backward":
            found.reverse()
        values = [[str(at), text] for at, text in found[: int(form["limit"])]]
        streams = [{"stream": {"k8s_pod_name": "p", "k8s_container_name": "app"}, "values": values}]
        return httpx.Response(
            200, json={"status": "success", "data": {"resultType": "streams", "result": streams if values else []}}
        )

    def _find(self, query: str, start: int, end: int) -> list[tuple[int, str]]:
        parts = _QUERY.fullmatch(query)
        assert parts is not None, query
        tests = [(op, _unquoted(text)) for op, text in _FILTER.findall(parts["filters"])]
        return [one for one in self.lines if start <= one[0] < end and all(_fits(one[1], *test) for test in tests)]


def _unquoted(text: str) -> str:
    """A Go string literal's text; JSON's escapes and ``\\xNN``."""
    return str(json.loads('"' + re.sub(r"\\(\\|x)", lambda one: "\\\\" if one[1] == "\\" else "\\u00", text) + '"'))


def _fits(line: str, op: str, text: str) -> bool:
    return text in line if op == "|=" else (re.search(text, line) is not None) == (op == "|~")
