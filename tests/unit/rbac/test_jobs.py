"""A template of diagnostic Jobs is named in four places; missing in one of them, it cannot run, or too much can."""

from __future__ import annotations

import re

import pytest
import yaml

from crds.v1alpha1.actions import JobTemplate
from crds.v1alpha1.grants import JOB_PREFIX, JOB_TEMPLATE_LABEL
from rbac.documents import FOLDER, documents

TEMPLATES = {template.value for template in JobTemplate}
CHART = FOLDER.parent / "charts/iirp/templates/jobs.yaml"


def test_each_template_has_its_binding_to_one_parameter_whose_absence_denies() -> None:
    bindings = [
        body["spec"]
        for body in documents(FOLDER / "admission/jobs.yaml")
        if body["kind"].endswith("Binding") and "paramRef" in body["spec"]
    ]
    selected = {one["matchResources"]["objectSelector"]["matchLabels"][JOB_TEMPLATE_LABEL] for one in bindings}
    assert selected == TEMPLATES
    for one in bindings:
        label = one["matchResources"]["objectSelector"]["matchLabels"][JOB_TEMPLATE_LABEL]
        assert one["paramRef"] == {
            "name": JOB_PREFIX + label, "namespace": "iirp-system", "parameterNotFoundAction": "Deny",
        }  # fmt: skip


def test_the_executor_may_label_a_job_with_these_and_no_others() -> None:
    text = (FOLDER / "admission/executor.yaml").read_text(encoding="utf-8")
    (listed,) = re.findall(r"variables\.jobTemplate in \[([^\]]*)\]", text)
    assert {name.strip().strip("'") for name in listed.split(",")} == TEMPLATES


@pytest.mark.parametrize("account", ["execution", "policy", "approval"])
def test_who_decides_about_them_may_read_exactly_them(account: str) -> None:
    read = [
        name
        for body in documents(FOLDER / f"{account}.yaml")
        for rule in body.get("rules") or ()
        if "podtemplates" in rule["resources"]
        for name in rule.get("resourceNames") or ()
    ]
    assert set(read) == {JOB_PREFIX + template for template in TEMPLATES}


@pytest.mark.parametrize("template", sorted(TEMPLATES))
def test_the_chart_brings_them_harmless(template: str) -> None:
    """No token, not root, nothing writable, one claim read-only: the rest is what the API server compares with."""
    text = re.sub(
        r"\{\{-? include \"iirp\.securityContext\".*\}\}", "allowPrivilegeEscalation: false", CHART.read_text()
    )
    bodies = yaml.safe_load_all(re.sub(r"\{\{.*?\}\}", "x", re.sub(r"(?m)^\s*\{\{-.*\}\}\n", "", text)))
    (body,) = [one for one in bodies if one["metadata"]["name"] == JOB_PREFIX + template]
    pod = body["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["restartPolicy"] == "Never"
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert "fsGroup" not in pod["securityContext"], "it would change the owner of somebody's files"
    (container,) = pod["containers"]
    assert container["args"] == [template]
    assert container["securityContext"] == {"allowPrivilegeEscalation": False}
    assert {"cpu", "memory"} <= container["resources"]["limits"].keys()
    assert all(mount["readOnly"] for mount in container["volumeMounts"])
    (volume,) = pod["volumes"]
    assert volume["persistentVolumeClaim"]["readOnly"] is True
