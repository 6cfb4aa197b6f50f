"""What the dashboards show: titles and PromQL. How that becomes Grafana's JSON is in `generate`."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel. ``queries``: PromQL by legend. ``width`` of 24 columns."""

    title: str
    queries: dict[str, str]
    kind: str = "timeseries"
    unit: str = "short"
    width: int = 8
    text: str = ""
    bad_above: float | None = None
    """The value is shown red from here on."""


@dataclass(frozen=True, slots=True)
class Dashboard:
    """A page of panels, row by row."""

    uid: str
    title: str
    text: str
    panels: tuple[Panel, ...]
    variables: dict[str, str] = field(default_factory=dict)
    """Label values to choose from: name and the ``label_values`` query."""


_NS = 'namespace=~"$namespace"'
_P95 = "histogram_quantile(0.95, sum by ({}, le) (rate({}_bucket[5m])))"
_INFO = f"on (namespace, name) group_left (type, severity, target) iirp_incident_info{{{_NS}}}"
_AGE = "time() - iirp_last_successful_resync_timestamp_seconds"
_STATES = "AwaitingApproval|Escalated"
_SINCE = f"iirp_incident_started_timestamp_seconds{{{_NS}}}"
_OPEN = f'iirp_incident_state{{{_NS},state!~"Resolved|Recovered|Closed"}}'

PLATFORM = Dashboard(
    uid="iirp-platform",
    title="IIRP / Platform",
    text="Whether the platform itself works: controllers, sources, analysis server, model.",
    panels=(
        Panel("Controllers alive", {"alive": f"count({_AGE} < 180)"}, "stat", width=4),
        Panel(
            "Sources down", {"down": "count(iirp_external_source_up == 0) or vector(0)"}, "stat", width=4, bad_above=1
        ),
        Panel("Keys waiting", {"waiting": "sum(iirp_queue_depth)"}, "stat", width=4, bad_above=50),
        Panel(
            "Newest sample",
            {"age": "max(iirp_analysis_newest_sample_age_seconds)"},
            "stat",
            "s",
            4,
            "Age of the newest container sample that the analysis server sees.",
            120,
        ),
        Panel(
            "Faults that are on",
            {
                "candidates": "sum(iirp_analysis_candidates) or vector(0)",
                "silenced": "sum(iirp_faults_silenced) or vector(0)",
            },
            "stat",
            width=4,
        ),
        Panel(
            "Incident writes put off",
            {"deferred": "sum(increase(iirp_incident_writes_deferred_total[1h]))"},
            "stat",
            width=4,
            text="By the limit of writes per minute, within the last hour.",
            bad_above=1,
        ),
        Panel(
            "Reconciles",
            {"{{controller}} {{result}}": "sum by (controller, result) (rate(iirp_reconcile_total[5m]))"},
            unit="ops",
        ),
        Panel(
            "Errors by reason",
            {"{{controller}} {{reason}}": "sum by (controller, reason) (rate(iirp_reconcile_errors_total[5m]))"},
            unit="ops",
        ),
        Panel(
            "Reconcile time, 95th percentile",
            {"{{controller}}": (_P95.format("controller", "iirp_reconcile_duration_seconds"))},
            unit="s",
        ),
        Panel("Since the last resync", {"{{controller}}": _AGE}, unit="s", bad_above=180),
        Panel("Queue", {"{{controller}}": "iirp_queue_depth", "{{controller}} dropped": "iirp_queue_dropped_keys"}),
        Panel("Since the last reconcile", {"{{controller}}": "iirp_last_handled_age_seconds"}, unit="s"),
        Panel(
            "Sources",
            {
                "{{controller}} → {{source}}": "iirp_external_source_up",
                "analysis → {{source}}": "iirp_analysis_source_up",
            },
            "state-timeline",
            width=24,
        ),
        Panel(
            "Requests to the analysis server",
            {"{{route}} {{code}}": "sum by (route, code) (rate(iirp_analysis_requests_total[5m]))"},
            unit="reqps",
        ),
        Panel(
            "Time to answer, 95th percentile",
            {"{{route}}": (_P95.format("route", "iirp_analysis_request_duration_seconds"))},
            unit="s",
        ),
        Panel(
            "Requests let through and refused",
            {"{{outcome}}": "sum by (outcome) (rate(iirp_analysis_auth_decisions_total[5m]))"},
            unit="reqps",
        ),
        Panel(
            "Calls of the model",
            {"{{outcome}}": "sum by (outcome) (increase(iirp_analysis_model_calls_total[1h]))"},
            width=12,
        ),
        Panel(
            "Citations that the model made up",
            {"dropped": "increase(iirp_analysis_model_citations_dropped_total[1h])"},
            width=12,
            text="Each was dropped: only evidence that exists is cited.",
        ),
        Panel(
            "Notifications by channel",
            {"{{channel}} {{outcome}}": "sum by (channel, outcome) (increase(iirp_notifications_attempts_total[1h]))"},
            width=12,
        ),
        Panel(
            "Notifications that wait, and that were given up",
            {"{{state}}": 'iirp_notifications_deliveries{state!="sent"}'},
            width=12,
            text="Quiet hours let them wait as well.",
        ),
    ),
)

INCIDENTS = Dashboard(
    uid="iirp-incidents",
    title="IIRP / Incidents",
    text="Incidents, how soon they were seen and ended, what was done and whether it helped. Needs kube-state-metrics "
    "with integrations/prometheus/kube-state-metrics.yaml.",
    variables={"namespace": "label_values(iirp_incident_info, namespace)"},
    panels=(
        Panel("Open", {"open": f"sum({_OPEN}) or vector(0)"}, "stat", width=4),
        Panel(
            "Wait for a person",
            {"waiting": f'sum(iirp_incident_state{{{_NS},state=~"{_STATES}"}}) or vector(0)'},
            "stat",
            width=4,
            bad_above=1,
        ),
        Panel(
            "Seen after (median)",
            {"MTTD": (f"quantile(0.5, iirp_incident_detected_timestamp_seconds{{{_NS}}} - {_SINCE})")},
            "stat",
            "s",
            4,
            "From the onset by the data to the incident, over the incidents that exist now.",
        ),
        Panel(
            "Ended after (median)",
            {"MTTR": (f"quantile(0.5, iirp_incident_resolved_timestamp_seconds{{{_NS}}} - {_SINCE})")},
            "stat",
            "s",
            4,
            "From the onset to the end.",
        ),
        Panel(
            "Actions that helped",
            {
                "share": (
                    f'sum(iirp_actionplan_verdict{{{_NS},verdict="Effective"}}) / sum(iirp_actionplan_verdict{{{_NS}}})'
                )
            },
            "stat",
            "percentunit",
            4,
            "Effective out of all verdicts; RecoveredAnyway does not count as help.",
        ),
        Panel(
            "Approvals that expired",
            {"expired": f'sum(iirp_approval_state{{{_NS},state="Expired"}}) or vector(0)'},
            "stat",
            width=4,
            bad_above=1,
        ),
        Panel("Incidents by state", {"{{state}}": f"sum by (state) (iirp_incident_state{{{_NS}}})"}, width=12),
        Panel(
            "Open incidents by type",
            {
                "{{type}}": (
                    f"sum by (type) ({_OPEN} * on (namespace, name) group_left (type) iirp_incident_info{{{_NS}}})"
                )
            },
            width=12,
        ),
        Panel("Plans by state", {"{{state}}": f"sum by (state) (iirp_actionplan_state{{{_NS}}})"}),
        Panel("Verdicts", {"{{verdict}}": f"sum by (verdict) (iirp_actionplan_verdict{{{_NS}}})"}),
        Panel("Plans by tier", {"{{tier}}": f"sum by (tier) (iirp_actionplan_tier_info{{{_NS}}})"}),
        Panel(
            "Open now",
            {"": (f"({_OPEN} == 1) * {_INFO}")},
            "table",
            width=24,
        ),
    ),
)

ALL = (PLATFORM, INCIDENTS)

ANNOTATION = "iirp_incident_started_timestamp_seconds * 1000"
"""Marks each incident's onset on any dashboard: the value is the time."""
