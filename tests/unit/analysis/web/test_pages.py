"""The page: nobody without a session, nothing unescaped, nothing done across sites."""

from __future__ import annotations

import re
from datetime import datetime
from urllib.parse import urlencode
from xml.etree import ElementTree

import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from analysis.config import Web
from analysis.web.pages import install
from analysis.web.sessions import LOGIN_COOKIE, SESSION_COOKIE, Sessions
from analysis.windows.block import Samples
from tests.unit.analysis.web.support import DIGEST, EVIL, INCIDENT, Cluster, sign_in, signed_out

DECIDE = "/incidents/shop/payments-leak-1/decide/payments-leak-1-1"


@pytest.mark.parametrize("path", ["/", "/incidents/shop/payments-leak-1", "/?namespace=shop"])
def test_without_a_session_there_is_only_the_sign_in(client: TestClient, cluster: Cluster, path: str) -> None:
    assert signed_out(client.get(path))
    client.cookies.set(SESSION_COOKIE, "guessed")
    assert client.get(path).status_code == 303
    assert cluster.asked == []


def test_signing_in_sets_a_cookie_that_follows_links_only_and_reads_as_the_person(
    client: TestClient, cluster: Cluster
) -> None:
    answer = sign_in(client)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = next(one for one in answer.headers.get_list("set-cookie") if one.startswith(SESSION_COOKIE))
    for part in ("HttpOnly", "Secure", "SameSite=lax", "Path=/"):
        assert part.lower() in cookie.lower()
    assert "alice-token" not in cookie
    page = client.get("/")
    assert "payments-leak-1" in page.text
    assert "alice" in page.text
    assert {token for _, _, token in cluster.asked} == {"alice-token"}


@pytest.mark.parametrize(
    "path", ["/incidents/shop/payments-leak-1", DECIDE, "/?namespace=shop&q=image+pull", "/ask?q=why%3F", "/"]
)
def test_after_the_sign_in_comes_what_was_asked_for(client: TestClient, path: str) -> None:
    address = client.get(path).headers["location"]
    assert sign_in(client, address=address).headers["location"] == path


def test_the_sign_in_claims_nobodys_rights(client: TestClient) -> None:
    assert "your own rights" not in client.get("/login").text
    sign_in(client)
    assert "your own rights" in client.get("/").text


@pytest.mark.parametrize("path", ["/", "/ask", "/policies", "/autonomy", "/audit"])
def test_the_menu_says_where_one_is(client: TestClient, path: str) -> None:
    sign_in(client)
    assert re.findall(r'href="([^"]+)" aria-current="page"', client.get(path).text) == [path]


def test_a_wrong_token_does_not_lose_the_way(client: TestClient) -> None:
    address = client.get(DECIDE).headers["location"]
    refused = sign_in(client, "no-token", address)
    assert refused.status_code == 401
    assert f'name="next" value="{DECIDE}"' in refused.text


def test_who_comes_without_a_cookie_keeps_the_session_of_another_tab(client: TestClient) -> None:
    assert "set-cookie" not in client.get(DECIDE).headers


@pytest.mark.parametrize(
    "elsewhere",
    ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)", "/\r\nX: y", "/" + "a" * 4096],
)
def test_the_sign_in_never_leads_away(client: TestClient, elsewhere: str) -> None:
    address = f"/login?{urlencode({'next': elsewhere})}"
    assert sign_in(client, address=address).headers["location"] == "/"


def test_a_sign_in_from_another_site_is_refused(client: TestClient, cluster: Cluster) -> None:
    assert client.post("/login", data={"token": "alice-token"}).status_code == 403
    assert client.post("/login", data={"token": "alice-token", "nonce": "made-up"}).status_code == 403
    client.cookies.set(LOGIN_COOKIE, "one")
    assert client.post("/login", data={"token": "alice-token", "nonce": "another"}).status_code == 403
    assert cluster.asked == []


@pytest.mark.parametrize(("token", "status"), [("", 400), ("two tokens\n", 401), ("unknown", 401), ("x" * 9000, 400)])
def test_bad_tokens_are_told_plainly(client: TestClient, token: str, status: int) -> None:
    answer = sign_in(client, token)
    assert answer.status_code == status
    assert 'role="alert"' in answer.text


def test_the_incident_page_tells_the_story_and_nothing_in_it_is_markup(client: TestClient) -> None:
    sign_in(client)
    page = client.get("/incidents/shop/payments-leak-1")
    assert page.status_code == 200
    text = page.text
    assert EVIL not in text
    assert text.count("&lt;script&gt;") >= 3
    assert re.findall(r"<script[^>]*>[^<]", text) == []  # none of it inline
    assert text.index("Cause:") < text.index("Approve or reject") < text.index("Root causes"), "what and what now first"
    assert "kubectl annotate approval payments-leak-1-1 -n shop iirp.io/decision=approve" in text
    assert "deriv(m{a=&#34;b&#34;})" in text
    assert DIGEST in text


def test_the_incident_page_quotes_the_logs_and_names_earlier_incidents(client: TestClient) -> None:
    sign_in(client)
    text = client.get("/incidents/shop/payments-leak-1").text
    for words in (
        "Bursting",
        "cache miss &lt;*&gt;",
        "412 since the onset, 3 in the hours before",
        "log-1886e8331bfc6400",
    ):
        assert words in text
    assert "payments-leak-0" in text
    assert "RestartDeployment: Effective" in text


def test_every_page_has_a_policy_that_lets_no_foreign_or_inline_script_run(client: TestClient) -> None:
    sign_in(client)
    for path in ("/login", "/", "/incidents/shop/payments-leak-1", "/incidents/shop/none", "/static/style.css"):
        headers = client.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self';" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"


def test_what_a_person_may_not_see_is_said_in_the_api_servers_words(client: TestClient) -> None:
    sign_in(client, "eve-token")
    for path in ("/", "/incidents/shop/payments-leak-1"):
        answer = client.get(path)
        assert answer.status_code == 403
        assert "User &#34;eve&#34; cannot list" in answer.text


@pytest.mark.parametrize(
    "path", ["/incidents/shop/none", "/incidents/shop/Bad_Name", "/incidents/sh%20op/x", "/?namespace=a/b"]
)
def test_what_is_not_there(client: TestClient, path: str) -> None:
    sign_in(client)
    assert client.get(path).status_code == 404


def test_an_expired_token_ends_the_session(client: TestClient, cluster: Cluster) -> None:
    sign_in(client)
    cluster.expired = True
    assert signed_out(client.get("/"))


def form(client: TestClient) -> dict[str, str]:
    """The hidden fields of the decision's form."""
    text = client.get(DECIDE).text
    return dict(re.findall(r'type="hidden" name="(csrf|digest)" value="([^"]+)"', text.split("<main")[1]))


@pytest.mark.parametrize(("verdict", "reason"), [("approve", ""), ("approve", "seen"), ("reject", "not now")])
def test_a_decision_is_written_as_the_person(client: TestClient, cluster: Cluster, verdict: str, reason: str) -> None:
    sign_in(client)
    assert f'href="{DECIDE}"' in client.get("/incidents/shop/payments-leak-1").text
    fields = form(client)
    assert fields["digest"] == DIGEST
    answer = client.post(DECIDE, data={**fields, "verdict": verdict, "reason": reason})
    assert (answer.status_code, answer.headers["location"]) == (303, "/incidents/shop/payments-leak-1")
    wanted = {"iirp.io/decision": verdict, **({"iirp.io/reason": reason} if reason else {})}
    assert cluster.patches == [{"metadata": {"annotations": wanted}}]
    assert {token for method, _, token in cluster.asked if method == "PATCH"} == {"alice-token"}


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"csrf": "guess"}, 403),
        ({"csrf": ""}, 403),
        ({"digest": "sha256:" + "b" * 64}, 409),
        ({"digest": ""}, 400),
        ({"verdict": "maybe"}, 409),
        ({"verdict": "reject", "reason": "  "}, 409),
        ({"reason": "x" * 1025}, 409),
    ],
)
def test_what_is_not_our_form_decides_nothing(
    client: TestClient, cluster: Cluster, changed: dict[str, str], status: int
) -> None:
    sign_in(client)
    assert client.post(DECIDE, data={**form(client), "verdict": "approve", **changed}).status_code == status
    assert cluster.patches == []


def test_a_refusal_is_shown_in_the_api_servers_words_and_the_reason_is_kept(
    client: TestClient, cluster: Cluster
) -> None:
    sign_in(client)
    cluster.refuses = f"alice may not decide: needs the verb approve {EVIL}"
    answer = client.post(DECIDE, data={**form(client), "verdict": "approve", "reason": "typed at night"})
    assert answer.status_code == 403
    assert "needs the verb approve" in answer.text
    assert EVIL not in answer.text
    assert "typed at night" in answer.text


def test_nobody_decides_without_a_session_or_for_another_incident(client: TestClient, cluster: Cluster) -> None:
    assert signed_out(client.get(DECIDE))
    assert signed_out(client.post(DECIDE, data={"verdict": "approve", "digest": DIGEST}))
    sign_in(client)
    fields = form(client)
    other = "/incidents/shop/another/decide/payments-leak-1-1"
    assert client.get(other).status_code == 404
    assert client.post(other, data={**fields, "verdict": "approve"}).status_code == 404
    assert cluster.patches == []


def test_what_is_decided_already_offers_no_form(client: TestClient, cluster: Cluster) -> None:
    sign_in(client)
    fields = form(client)
    cluster.approval["status"] = {"state": "Expired"}
    assert "<textarea" not in client.get(DECIDE).text
    assert client.post(DECIDE, data={**fields, "verdict": "approve"}).status_code == 409
    assert cluster.patches == []


def test_the_list_is_filtered_by_its_address(client: TestClient) -> None:
    sign_in(client)
    for query in ("state=AwaitingApproval", "state=open", "severity=high", "q=PAYMENTS+leak"):
        assert "payments-leak-1</a>" in client.get(f"/?{query}").text, query
    for query in ("state=Resolved", "severity=low", "q=checkout", f"state={EVIL}"):
        text = client.get(f"/?{query}").text
        assert "payments-leak-1</a>" not in text, query
        assert "None of 1 incidents fits" in text
        assert EVIL not in text


class Metric:
    """Prometheus with one rising series."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def range(self, query: str, start: datetime, _end: datetime, step: float) -> Samples:
        if query != "up":
            self.asked.append(query)
        times = start.timestamp() + step * np.arange(5.0)
        return Samples(({},), np.zeros(5, dtype=np.int64), times, np.arange(5.0))


def test_the_metric_is_drawn_without_scripts_and_its_words_are_inert() -> None:
    cluster, app = Cluster(), FastAPI()
    install(app, Web(cluster_name="dev"), cluster, Metric())  # type: ignore[arg-type]
    at = {"firstSeenAt": "2026-01-02T03:04:05Z", "lastSeenAt": "2026-01-02T03:04:05Z"}
    metric = {"query": "up", "summary": EVIL, "value": "1", "unit": "bytes"}
    signal = {"type": "MemoryLeak", "rule": "r", "target": INCIDENT["spec"]["target"], **at, "metrics": [metric]}
    detection = {"active": True, "severity": "high", "lastSeenAt": at["lastSeenAt"], "signals": [signal]}
    cluster.incident["status"] |= {"detection": detection, "resolvedAt": "2026-01-02T03:10:00Z"}
    cluster.incident["status"]["timeline"].append({"at": "2026-01-02T03:06:00Z", "source": "action", "message": EVIL})
    with TestClient(app, base_url="https://page", follow_redirects=False) as client:
        sign_in(client)
        text = client.get("/incidents/shop/payments-leak-1").text
    assert EVIL not in text
    (drawing,) = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    root = ElementTree.fromstring(drawing)
    assert root.get("role") == "img"
    assert len(root.findall("polyline")) == 1
    assert [line.get("class") for line in root.findall("line") if line.get("class") != "grid"] == [
        "mark onset", "mark action",
    ]  # fmt: skip


EVIDENCE = "/incidents/shop/payments-leak-1/evidence/cause-memoryleak"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"{EVIDENCE}/shows/0", 200),
        (f"{EVIDENCE}/refutes/0", 404),  # it names no query
        (f"{EVIDENCE}/shows/1", 404),
        (f"{EVIDENCE}/shows/-1", 404),
        (f"{EVIDENCE}/runs/0", 422),
        ("/incidents/shop/payments-leak-1/evidence/another/shows/0", 404),
        ("/incidents/shop/none/evidence/cause-memoryleak/shows/0", 404),
    ],
)
def test_only_queries_of_the_report_are_run_again(path: str, status: int) -> None:
    metric, app = Metric(), FastAPI()
    install(app, Web(cluster_name="dev"), Cluster(), metric)  # type: ignore[arg-type]
    with TestClient(app, base_url="https://page", follow_redirects=False) as client:
        assert client.get(path).status_code in {303, 422}
        sign_in(client)
        answer = client.get(path)
        page = client.get("/incidents/shop/payments-leak-1").text
    assert answer.status_code == status
    assert f'href="{EVIDENCE}/shows/0"' in page
    assert metric.asked == (['deriv(m{a="b"})'] if status == 200 else [])
    assert EVIL not in answer.text


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Remote-User": "alice"},
        {"X-Forwarded-User": "alice", "X-Forwarded-Email": "alice@example.com"},
        {"Authorization": "Bearer alice-token"},
        {"Impersonate-User": "alice"},
    ],
)
def test_no_header_signs_anybody_in(client: TestClient, cluster: Cluster, headers: dict[str, str]) -> None:
    for path in ("/", "/audit", DECIDE):
        assert signed_out(client.get(path, headers=headers))
    sign_in(client, "eve-token")
    assert client.get("/", headers=headers).status_code == 403, "still eve"
    assert {token for _, _, token in cluster.asked} == {"eve-token"}


@pytest.mark.parametrize("name", ["%3Cscript%3E", "..%2f..%2fetc", "a%00b", "A", "x" * 300, "%F0%9F%92%A5"])
def test_a_hostile_name_is_no_name(client: TestClient, name: str) -> None:
    sign_in(client)
    for path in (f"/incidents/{name}/x", f"/incidents/shop/{name}", f"{DECIDE[:-4]}{name}", f"/audit?namespace={name}"):
        answer = client.get(path)
        assert answer.status_code == 404
        assert "<script>" not in answer.text


def test_signing_out_needs_our_own_form(client: TestClient) -> None:
    sign_in(client)
    page = client.get("/").text
    assert client.post("/logout", data={"csrf": "guess"}).status_code == 403
    assert client.get("/").status_code == 200
    csrf = re.search(r'name="csrf" value="([^"]+)"', page)
    assert csrf
    assert client.post("/logout", data={"csrf": csrf[1]}).status_code == 303
    assert client.get("/").status_code == 303


def test_sessions_expire_and_are_bounded() -> None:
    now = [0.0]
    sessions = Sessions(minutes=1, limit=2, clock=lambda: now[0])
    first, _ = sessions.open("a", "t")
    assert sessions.find(first) is not None
    now[0] = 61.0
    assert sessions.find(first) is None
    ids = [sessions.open("a", "t")[0] for _ in range(3)]
    assert [sessions.find(one) is not None for one in ids] == [False, True, True]


@pytest.mark.parametrize("path", ["../pages.py", "templates/base.html", "%2e%2e/pages.py", "x", "vendor/README.md"])
def test_only_named_files_are_served(client: TestClient, path: str) -> None:
    assert client.get(f"/static/{path}").status_code == 404


def test_a_postmortem_is_markdown_in_which_nothing_foreign_is_markup(client: TestClient, cluster: Cluster) -> None:
    cluster.incident["spec"]["summary"] = "![x](https://evil.example/pixel) [click](javascript:x) | `code` <b>"
    sign_in(client)
    answer = client.get("/incidents/shop/payments-leak-1/postmortem.md")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/markdown")
    assert "attachment" in answer.headers["content-disposition"]
    text = answer.text
    for heading in ("## Summary", "## Timeline (UTC)", "## Root causes", "### MemoryLeak (86 %)", "## Follow-ups"):
        assert heading in text
    assert "](https://evil" not in text
    assert "<b>" not in text
    assert EVIL not in text
    assert "deriv(m{a=" in text
    assert "### What the logs say" in text
    assert '      {pod="p"} |= "cache miss"' in text
    assert "payments-leak-0, 2026-01-01 03:00:00: the same fault" in text


def test_questions_are_answered_from_what_the_person_may_see(client: TestClient) -> None:
    sign_in(client)
    assert "payments-leak-1" in client.get("/ask?q=which+incidents+are+open%3F").text
    assert "do not understand" in client.get("/ask?q=fly+me+to+the+moon").text
    assert EVIL not in client.get(f"/ask?q={EVIL}").text
    client.cookies.clear()
    assert signed_out(client.get("/ask?q=which+incidents+are+open%3F"))


@pytest.mark.parametrize("path", ["/incidents/live", "/incidents/shop/payments-leak-1/live"])
def test_a_stream_needs_a_session(client: TestClient, cluster: Cluster, path: str) -> None:
    assert client.get(path).status_code == 401
    assert cluster.asked == []


def test_objects_that_nobody_has_looked_at_yet_have_a_page(client: TestClient, cluster: Cluster) -> None:
    """Between its creation and its first status every object is without one."""
    sign_in(client)
    for body in (cluster.incident, cluster.approval, *cluster.plans):
        body["status"] = {}
    page = client.get("/incidents/shop/payments-leak-1")
    assert page.status_code == 200
    assert "New" in page.text
    for path in ("/incidents/shop/payments-leak-1/decide/payments-leak-1-1", "/audit", "/autonomy"):
        assert client.get(path).status_code == 200, path


@pytest.mark.parametrize("word", ["Because", "Expected impact", "To undo", "Reach"])
def test_what_a_decision_rests_on_stands_before_its_buttons(client: TestClient, word: str) -> None:
    """On a phone nobody scrolls past a button to see what it does."""
    sign_in(client)
    page = client.get(DECIDE).text
    assert 0 < page.index(f"<dt>{word}</dt>") < page.index("Approve as")
