"""Composition root: ``python -m controllers detection|incident|rca|policy|approval|execution|feedback``.

``python -m controllers selftest`` looks once whether an installation is at work (`helm test`);
``python -m controllers audit-anchor`` keeps the heads of the audit logs outside (a CronJob);
``python -m controllers webhook`` serves admission on clusters before 1.36;
``python -m controllers disk-usage`` looks at the volume under ``/subject``.
"""

from __future__ import annotations

import importlib
import logging
import sys
from datetime import timedelta

from controllers.audit.log import Audit, FileAudit, NoAudit
from controllers.audit.segments import LOGS, Keeping
from controllers.kube.client import connect
from controllers.kube.events import KubeRecorder
from controllers.runtime.analysis import AnalysisClient
from controllers.runtime.controller import Context, Controller
from controllers.runtime.errors import ReconcileError
from controllers.runtime.logs import configure
from controllers.runtime.metrics import Metrics
from controllers.runtime.operator import run
from controllers.runtime.settings import Settings, SettingsError
from controllers.selftest import selftest

NAMES = ("detection", "incident", "rca", "policy", "approval", "execution", "feedback")
SELFTEST = "selftest"
ANCHOR = "audit-anchor"
WEBHOOK = "webhook"
"""Answers the API server instead of reconciling, and only on clusters without MutatingAdmissionPolicies."""
MCP = ("mcp-read", "mcp-execute")
"""Answer agents instead of reconciling."""
NEED_ANALYSIS = frozenset({"detection", "rca", "feedback"})
DIAGNOSES = {"disk-usage": "controllers.diagnose.disk_usage"}
"""Run in a Job, without settings, credentials or a cluster."""
KNOWS_ANALYSIS = frozenset({"incident"})
"""Those that do without it where it is not configured: they tell the history."""

log = logging.getLogger("controllers")


def compose(name: str, settings: Settings) -> tuple[Controller, Context]:
    """Wire one controller to the real API server and analysis server."""
    metrics = Metrics(name)
    kube = connect()
    context = Context(
        settings=settings,
        kube=kube,
        events=KubeRecorder(kube, name),
        metrics=metrics,
        analysis=AnalysisClient.from_settings(settings, metrics) if _calls(name, settings) else None,
        audit=_audit(name, settings),
    )
    handlers = importlib.import_module(f"controllers.{name}.handlers")
    controller: Controller = handlers.build(context)
    return controller, context


def _calls(name: str, settings: Settings) -> bool:
    return name in NEED_ANALYSIS or (name in KNOWS_ANALYSIS and settings.analysis_url is not None)


def _audit(name: str, settings: Settings) -> Audit:
    if name not in LOGS:
        return NoAudit()
    if settings.audit_dir is None:
        log.warning("no audit log: set IIRP_AUDIT_DIR to a directory that outlives the pod")
        return NoAudit()
    retention = timedelta(days=settings.audit_retention_days) if settings.audit_retention_days else None
    age = timedelta(days=settings.audit_segment_days)
    return FileAudit(settings.audit_dir, name, Keeping(settings.audit_segment_bytes, age, retention))


def main(arguments: list[str]) -> int:
    """Exit code: 0 after SIGTERM, 1 when it could not start, 2 for wrong usage or settings."""
    known = (*NAMES, *MCP, WEBHOOK, ANCHOR, SELFTEST, *DIAGNOSES)
    if len(arguments) != 1 or arguments[0] not in known:
        print(f"usage: python -m controllers {{{'|'.join(known)}}}", file=sys.stderr)
        return 2
    name = arguments[0]
    if name in DIAGNOSES:
        return int(importlib.import_module(DIAGNOSES[name]).main())
    try:
        settings = Settings.from_environment()
    except SettingsError as error:
        print(f"settings: {error}", file=sys.stderr)
        return 2
    configure(name, settings.log_level)
    if name == SELFTEST:
        return selftest(settings)
    if name == ANCHOR:
        return int(importlib.import_module("controllers.audit.anchoring").run(settings))
    try:
        if name == WEBHOOK:
            importlib.import_module("controllers.webhook.run").run(settings)
            return 0
        if name in MCP:
            importlib.import_module("controllers.mcp.server").serve(name, settings)
            return 0
        controller, context = compose(name, settings)
    except ReconcileError as error:
        log.error("cannot start: %s", error, extra={"reason": error.reason})  # noqa: TRY400  a message, not a defect
        return 1
    run(controller, context)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
