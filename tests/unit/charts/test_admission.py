"""How decisions become entries, and who judges them: admission policies, or the webhook on older API servers."""

from __future__ import annotations

import json
import subprocess

import pytest
import yaml

from tests.unit.charts.helm import CHART, EXTERNAL, NAMESPACE, helm, named, render

ADMISSION_GROUP = "admissionregistration.k8s.io/v1"
VALIDATING, MUTATING = "ValidatingAdmissionPolicy", "MutatingAdmissionPolicy"


def admission(mode: str, *served: str) -> tuple[int, str, set[str]]:
    """Exit code, error, and which kinds of mutation are rendered for an API server that serves these kinds."""
    flags = [flag for kind in served for flag in ("--api-versions", f"{ADMISSION_GROUP}/{kind}")]
    values = json.dumps({"external": EXTERNAL, "admission": {"mode": mode}})
    command = [helm(), "template", "iirp", str(CHART), "-n", NAMESPACE, "-f", "-", *flags]
    done = subprocess.run(command, input=values, capture_output=True, text=True, timeout=60, check=False)
    kinds = {body["kind"] for body in yaml.safe_load_all(done.stdout) if body}
    return done.returncode, done.stderr, kinds & {"MutatingAdmissionPolicy", "MutatingWebhookConfiguration"}


@pytest.mark.parametrize(
    ("mode", "served", "kind"),
    [
        ("auto", (VALIDATING, MUTATING), "MutatingAdmissionPolicy"),
        ("auto", (VALIDATING,), "MutatingWebhookConfiguration"),
        ("auto", (), "MutatingAdmissionPolicy"),
        ("webhook", (VALIDATING, MUTATING), "MutatingWebhookConfiguration"),
        ("policy", (VALIDATING, MUTATING), "MutatingAdmissionPolicy"),
    ],
)
def test_decisions_are_made_entries_by_what_the_api_server_serves(
    mode: str, served: tuple[str, ...], kind: str
) -> None:
    code, error, kinds = admission(mode, *served)
    assert code == 0, error
    assert kinds == {kind}


def test_a_policy_is_never_silently_left_out() -> None:
    code, error, _ = admission("policy", VALIDATING)
    assert code != 0
    assert "set admission.mode to auto or webhook" in error


def test_the_releases_namespace_is_the_platforms_in_every_policy() -> None:
    objects = render()
    text = json.dumps([body for body in objects if "AdmissionPolicy" in body["kind"]])
    assert "iirp-system" not in text
    assert "system:serviceaccount:platform:iirp-execution" in text


@pytest.mark.parametrize(
    ("mode", "always", "kinds"),
    [
        ("policy", False, set()),
        ("policy", True, {"ValidatingWebhookConfiguration"}),
        ("webhook", False, {"ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"}),
        ("webhook", True, {"ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"}),
    ],
)
def test_policies_are_judged_wherever_the_webhook_runs(mode: str, always: bool, kinds: set[str]) -> None:
    objects = render(admission={"mode": mode, "webhook": {"always": always}})
    assert {body["kind"] for body in objects if "Webhook" in body["kind"]} == kinds
    assert (f"{NAMESPACE}/iirp-webhook" in named(objects, "Deployment")) is bool(kinds)
    for body in objects:
        if body["kind"] == "ValidatingWebhookConfiguration":
            (hook,) = body["webhooks"]
            # A freeze must not wait for a pod of ours; what slips through fails closed in the policy controller.
            assert (hook["failurePolicy"], hook["clientConfig"]["service"]["path"]) == ("Ignore", "/policies")


@pytest.mark.parametrize("certificates", ["chart", "certManager"])
def test_webhook_fails_closed_and_holds_no_token(certificates: str) -> None:
    objects = render(admission={"mode": "webhook", "webhook": {"certificates": certificates}})
    (hook,) = named(objects, "MutatingWebhookConfiguration")["/iirp-decisions"]["webhooks"]
    assert (hook["failurePolicy"], hook["sideEffects"]) == ("Fail", "None")
    assert hook["rules"] == [
        {"apiGroups": ["iirp.io"], "apiVersions": ["*"], "operations": ["UPDATE"], "resources": ["approvals"],
         "scope": "Namespaced"},
    ]  # fmt: skip
    assert ("caBundle" in hook["clientConfig"]) is (certificates == "chart")
    pod = named(objects, "Deployment")[f"{NAMESPACE}/iirp-webhook"]["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    bound = [s for b in objects if b["kind"].endswith("RoleBinding") for s in b.get("subjects", [])]
    assert "iirp-webhook" not in [subject["name"] for subject in bound]
    secret = next(v["secret"]["secretName"] for v in pod["volumes"] if "secret" in v)
    made = named(objects, "Secret") if certificates == "chart" else {
        f"{NAMESPACE}/{c['spec']['secretName']}": c for c in objects if c["kind"] == "Certificate"
    }  # fmt: skip
    assert f"{NAMESPACE}/{secret}" in made
