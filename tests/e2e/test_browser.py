"""The page in a real browser, on the real cluster: people look, decide, are refused, and never need to reload."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Route, expect, sync_playwright

from demo.platform import Platform
from tests.e2e.browser import TIMEOUT_MS, People, Site, browser, site
from tests.e2e.story import Story
from tests.e2e.support import Cluster, eventually

Policy = Callable[..., str]
Visit = Callable[..., Site]
expect.set_options(timeout=TIMEOUT_MS)
SOON = 60_000
"""Milliseconds: what controllers and a rollout may take."""


@pytest.fixture(scope="module")
def started(platform: Platform) -> Iterator[Browser]:
    """One browser for all tests of this file."""
    with sync_playwright() as playwright, browser(playwright, platform.state_dir / "chromium.log") as found:
        yield found


@pytest.fixture
def story(cluster: Cluster, namespace: str, platform: Platform) -> Story:
    """A healthy Deployment and a declared incident."""
    return Story(cluster, namespace, platform.images["shop"].reference).begin()


@pytest.fixture
def people(cluster: Cluster, namespace: str) -> People:
    """Accounts of this test's namespace."""
    return People(cluster, namespace)


@pytest.fixture
def visit(started: Browser, platform: Platform, people: People) -> Visit:
    """Signs somebody in, with these ClusterRoles in the test's namespace, in a browser of their own."""
    return lambda name, *roles: site(started, platform, people.token(name, *roles))


@pytest.fixture
def alice(visit: Visit) -> Site:
    """Who may approve."""
    return visit("alice", "iirp-approver")


def incident(story: Story) -> str:
    """Address of the incident's page."""
    return f"/incidents/{story.namespace}/{story.name}"


def see_plan(someone: Site, story: Story) -> None:
    """From the list to the decision's form."""
    someone.open(f"/?namespace={story.namespace}")
    someone.page.get_by_role("link", name=story.name, exact=True).click()
    someone.page.get_by_role("link", name="Approve or reject").click(timeout=SOON)


def test_from_the_list_to_approved_to_done(alice: Site, story: Story, people: People, policy: Policy) -> None:
    policy()
    plan = story.plan()
    see_plan(alice, story)
    alice.accessible()
    alice.page.get_by_label("Why").fill("matches staging")
    alice.page.get_by_role("button", name="Approve as").click()

    expect(alice.page.get_by_text(f"by {people.username('alice')}").first).to_be_visible()
    # Nothing is clicked from here on: the page brings itself up to date.
    expect(alice.page.get_by_text("Execution: Succeeded")).to_be_visible(timeout=2 * SOON)
    alice.accessible()
    decisions = story.state("approval", plan, "Used")["spec"]["decisions"]
    assert [(one["by"], one["reason"]) for one in decisions] == [(people.username("alice"), "matches staging")]
    assert story.restarts() == 2


def test_rejected_in_the_browser_by_keyboard_alone(alice: Site, story: Story, people: People, policy: Policy) -> None:
    policy()
    plan = story.plan()
    story.state("approval", plan, "Pending")
    alice.open(f"{incident(story)}/decide/{plan}")
    press_until(alice, "reason")
    alice.page.keyboard.type("not during the sale")
    for _ in range(2):  # past Approve, to Reject
        alice.page.keyboard.press("Tab")
    expect(alice.page.locator(":focus")).to_have_text("Reject")
    alice.page.keyboard.press("Enter")
    expect(alice.page.get_by_text("not during the sale").first).to_be_visible()
    assert story.state("approval", plan, "Rejected")["status"]["decidedBy"] == people.username("alice")
    assert story.restarts() == 1


def press_until(someone: Site, identifier: str) -> None:
    """Tab until the element has the focus; every stop on the way must be visible."""
    for _ in range(30):
        someone.page.keyboard.press("Tab")
        focus = someone.page.locator(":focus")
        expect(focus).to_be_visible()
        if focus.get_attribute("id") == identifier:
            return
    raise AssertionError(f"#{identifier} is not reached by Tab")


def test_an_approval_that_expires_while_somebody_looks(alice: Site, story: Story, policy: Policy) -> None:
    policy(expiresAfter="1m")
    see_plan_of(alice, story)
    expect(alice.page.locator("[data-until]")).to_contain_text("in 0 min")
    expect(alice.page.get_by_role("button", name="Approve as")).to_have_count(0, timeout=2 * SOON)
    expect(alice.page.get_by_text("Expired").first).to_be_visible()
    assert story.restarts() == 1


def see_plan_of(someone: Site, story: Story) -> None:
    """Propose a plan and open its form."""
    story.plan()
    see_plan(someone, story)


def test_two_people_at_once_are_both_recorded(visit: Visit, story: Story, people: People, policy: Policy) -> None:
    policy(requiredApprovals=2)
    names = ("alice", "bob")
    both = [visit(name, "iirp-approver") for name in names]
    plan = story.plan()
    for someone in both:
        see_plan(someone, story)
    for someone in both:
        someone.page.get_by_role("button", name="Approve as").click()
    for someone in both:
        expect(someone.page.get_by_text("Execution: Succeeded")).to_be_visible(timeout=2 * SOON)
    decisions = story.state("approval", plan, "Used")["spec"]["decisions"]
    assert {one["by"] for one in decisions} == {people.username(name) for name in names}


def test_who_may_look_but_not_approve_is_told_so(visit: Visit, story: Story, policy: Policy) -> None:
    policy()
    eve = visit("eve", "iirp-viewer")
    plan = story.plan()
    see_plan(eve, story)
    eve.page.get_by_label("Why").fill("let me")
    eve.page.get_by_role("button", name="Approve as").click()
    expect(eve.page.get_by_role("alert")).to_contain_text("approvals")
    expect(eve.page.get_by_label("Why")).to_have_value("let me")
    eve.accessible()
    assert not story.state("approval", plan, "Pending")["spec"].get("decisions")
    nobody = visit("mallory")
    nobody.open(incident(story))
    expect(nobody.page.get_by_role("heading", name="You may not see this")).to_be_visible()
    nobody.accessible()


def test_a_modified_plan_is_another_plan_with_approvals_of_its_own(
    alice: Site, visit: Visit, story: Story, people: People, policy: Policy
) -> None:
    policy()
    oscar = visit("oscar", "edit")  # edit carries iirp-operator: plans of one's own
    first = story.plan()
    see_plan(oscar, story)
    expect(oscar.page.get_by_text("From a server-side dry run as you")).to_be_visible()
    expect(oscar.page.locator(".diff .added", has_text="kubectl.kubernetes.io/restartedAt")).to_be_visible()
    oscar.page.get_by_role("link", name="Modify").click()
    oscar.accessible()
    oscar.page.get_by_label("Action").select_option("ScaleDeployment")
    oscar.page.get_by_label("Replicas").fill("2")
    oscar.page.get_by_role("button", name="Show what it would change").click()
    expect(oscar.page.locator(".diff .added", has_text="replicas: 2")).to_be_visible()
    expect(oscar.page.locator(".diff .removed", has_text="replicas: 1")).to_be_visible()
    oscar.accessible()
    assert len(story.cluster.list("actionplans", story.namespace)) == 1, "looking proposes nothing"
    oscar.page.get_by_role("button", name="Propose as").click()

    second = f"{story.name}-2"
    card = oscar.page.locator(f"#plan-{second}")
    expect(card.get_by_role("link", name="Approve or reject")).to_be_visible(timeout=SOON)
    old, new = (story.cluster.get("approval", name, story.namespace) or {} for name in (first, second))
    expect(card.get_by_text(new["spec"]["planDigest"])).to_be_visible()
    assert old["spec"]["planDigest"] != new["spec"]["planDigest"]
    assert story.state("approval", first, "Void")["status"]["reason"] == "PlanSuperseded"
    oscar.open(f"{incident(story)}/decide/{second}")
    oscar.page.get_by_role("button", name="Approve as").click()
    expect(oscar.page.get_by_role("alert")).to_be_visible()

    alice.open(f"{incident(story)}/decide/{second}")
    expect(alice.page.get_by_text("cannot", exact=False).first).to_be_visible()  # why there is no dry run for her
    alice.page.get_by_role("button", name="Approve as").click()
    expect(alice.page.get_by_text("Execution: Succeeded")).to_be_visible(timeout=2 * SOON)
    assert story.live()["spec"]["replicas"] == 2
    assert [one["by"] for one in story.state("approval", second, "Used")["spec"]["decisions"]] == [
        people.username("alice")
    ]


def test_a_lost_connection_is_told_and_mended(alice: Site, story: Story, policy: Policy) -> None:
    policy()
    alice.open(incident(story))
    expect(alice.page.get_by_text("updates by itself")).to_be_visible()
    alice.page.context.set_offline(True)
    expect(alice.page.locator("#connection")).to_be_visible(timeout=SOON)
    plan = story.plan()
    story.state("approval", plan, "Pending")
    alice.page.context.set_offline(False)
    expect(alice.page.get_by_role("link", name="Approve or reject")).to_be_visible(timeout=SOON)
    expect(alice.page.locator("#connection")).to_be_hidden(timeout=SOON)


def test_a_refresh_that_fails_is_tried_again(alice: Site, story: Story, policy: Policy) -> None:
    policy()
    alice.open(incident(story))
    expect(alice.page.get_by_text("updates by itself")).to_be_visible()
    alice.page.route(f"**{incident(story)}", lambda route: route.abort())
    story.state("approval", story.plan(), "Pending")
    expect(alice.page.locator("#connection")).to_contain_text("trying again", timeout=SOON)
    alice.page.unroute_all()
    expect(alice.page.get_by_role("link", name="Approve or reject")).to_be_visible(timeout=SOON)
    expect(alice.page.locator("#connection")).to_be_hidden(timeout=SOON)


def test_a_script_that_arrives_late_does_not_keep_the_page_from_living(alice: Site, story: Story) -> None:
    def late(route: Route) -> None:
        alice.page.wait_for_timeout(1000)
        route.continue_()

    alice.page.route("**/hx-sse.min.js", late)
    alice.open(incident(story))
    story.plan()
    expect(alice.page.get_by_role("heading", name="Plan ")).to_be_visible(timeout=SOON)


def test_changes_in_quick_succession_all_arrive(alice: Site, story: Story, cluster: Cluster) -> None:
    """The last of a burst is told as well, whatever the page was doing when it came."""
    alice.open(incident(story))
    expect(alice.page.get_by_text("updates by itself")).to_be_visible()
    for last in ("critical", "medium"):
        for severity in ("low", "critical", "low", "high", "low", last):
            body = json.dumps({"spec": {"override": {"severity": severity}}})
            cluster.ok("patch", "incident", story.name, "-n", story.namespace, "--type=merge", "-p", body)
        expect(alice.page.locator(".badge", has_text=last)).to_be_visible(timeout=SOON)


def test_hostile_text_is_shown_and_inert(alice: Site, story: Story, cluster: Cluster) -> None:
    evil = "<img src=x onerror=alert(1)><script>document.title='owned'</script>"
    body = cluster.get("incident", story.name, story.namespace)
    assert body
    spec = {**body["spec"], "summary": evil, "fingerprint": "f" * 16}
    story.apply({"apiVersion": body["apiVersion"], "kind": "Incident", "metadata": {"name": "evil"}, "spec": spec})
    seen: list[str] = []
    alice.page.on("dialog", lambda dialog: (seen.append(dialog.message), dialog.dismiss()))
    alice.open(f"/incidents/{story.namespace}/evil")
    expect(alice.page.get_by_text(evil).first).to_be_visible()
    alice.open(f"/ask?namespace={story.namespace}&q={evil}")
    expect(alice.page.get_by_text("do not understand")).to_be_visible()
    assert "owned" not in alice.page.title()
    assert seen == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_is_accessible_on_a_phone(
    started: Browser, platform: Platform, story: Story, people: People, scheme: str
) -> None:
    alice = site(started, platform)
    alice.page.set_viewport_size({"width": 390, "height": 800})
    alice.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    alice.open("/login")
    alice.accessible()
    alice.sign_in(people.token("alice", "iirp-approver"))
    eventually(lambda: story.cluster.get("incident", story.name, story.namespace), within=10, what="the incident")
    for path in (
        f"/?namespace={story.namespace}",
        "/",
        "/ask?q=which+incidents+are+open",
        incident(story),
        f"{incident(story)}x",
    ):
        alice.open(path)
        alice.accessible()
        wide = alice.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 1, f"{path} scrolls sideways by {wide} px"
