"""The server's own metrics, in Prometheus' units and suffixes. One registry per application: no module globals."""

from __future__ import annotations

from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from analysis.contract import DetectResponse
from analysis.telemetry.store import Store, Taken


class Metrics:
    """All instruments."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests()
        self._detection()
        self._model()
        self._intake()

    def _requests(self) -> None:
        counter, histogram = partial(Counter, registry=self.registry), partial(Histogram, registry=self.registry)
        self.requests = counter("iirp_analysis_requests_total", "Requests answered.", ["route", "code"])
        buckets = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 30, 60)
        self.seconds = histogram(
            "iirp_analysis_request_duration_seconds", "Time to answer.", ["route"], buckets=buckets
        )
        self.decisions = counter("iirp_analysis_auth_decisions_total", "Answers of /auth.", ["outcome", "route"])
        self.alerts = counter("iirp_analysis_alerts_received_total", "Alerts of an Alertmanager.", ["outcome"])

    def _detection(self) -> None:
        counter, gauge = partial(Counter, registry=self.registry), partial(Gauge, registry=self.registry)
        self.source_up = gauge("iirp_analysis_source_up", "1 when a source answers with fresh data.", ["source"])
        self.sample_age = gauge("iirp_analysis_newest_sample_age_seconds", "Age of the newest container sample.")
        self.candidates = gauge("iirp_analysis_candidates", "Faults that are on, by type.", ["type"])
        self.rule_failures = counter(
            "iirp_analysis_rule_failures_total",
            "Evaluations in which a rule raised an error: what it reported stays, the others go on.",
            ["rule"],
        )
        self.reads = counter("iirp_analysis_reads_total", "Reads of detection, from memory or by query.", ["source"])
        self.learned = counter(
            "iirp_analysis_baselines_total",
            "Learned baselines: trained, judged (a step looked at), unfit (does not fit any more), failed; of series: "
            "shifted (settled at another level), relearned (from that on, after three days); with "
            "baselines.dask: spread over workers, fell_back (trained here, because they were not to be had).",
            ["outcome"],
        )

    def _model(self) -> None:
        counter = partial(Counter, registry=self.registry)
        self.model_calls = counter("iirp_analysis_model_calls_total", "Calls of the language model.", ["outcome"])
        self.model_tokens = counter("iirp_analysis_model_tokens_total", "Tokens of the language model.", ["kind"])
        self.fabricated = counter("iirp_analysis_model_citations_dropped_total", "Evidence ids that the model made up.")

    def _intake(self) -> None:
        counter = partial(Counter, registry=self.registry)
        self.samples = counter(
            "iirp_analysis_intake_samples_total",
            "Samples received by remote_write: kept, ignored (nobody reads them), refused (no room); malformed_request"
            " counts requests.",
            ["outcome"],
        )
        self.intake_seconds = Histogram(
            "iirp_analysis_intake_duration_seconds",
            "Time to take one request in.",
            buckets=(0.0002, 0.001, 0.005, 0.02, 0.1, 0.5, 2),
            registry=self.registry,
        )
        self.fills = counter(
            "iirp_analysis_store_fills_total", "Metrics read into memory: seeded, pulled, failed.", ["outcome"]
        )
        self.log_looks = Counter(
            "iirp_analysis_log_looks_total",
            "Looks for new kinds of error lines: looked, failed.",
            ["outcome"],
            registry=self.registry,
        )
        self.store_size = Gauge(
            "iirp_analysis_store", "Series, bytes and dropped samples in memory.", ["what"], registry=self.registry
        )

    def took(self, taken: Taken, seconds: float) -> None:
        """Record one remote_write request."""
        self.samples.labels("kept").inc(taken.kept)
        self.samples.labels("ignored").inc(taken.ignored)
        self.samples.labels("refused").inc(taken.refused)
        self.intake_seconds.observe(seconds)

    def holds(self, store: Store) -> None:
        """Record what the store holds."""
        self.store_size.labels("series").set(store.series)
        self.store_size.labels("bytes").set(store.size)
        self.store_size.labels("metrics").set(len(store.wanted()))
        for what in ("late", "ahead", "superseded", "not_finite", "ended"):
            self.store_size.labels(f"{what}_samples").set(sum(getattr(counts, what) for counts in store.counts))

    def rule_failed(self, rule: str) -> None:
        """Record a rule that could not be evaluated."""
        self.rule_failures.labels(rule).inc()

    def saw(self, response: DetectResponse) -> None:
        """Record an evaluation."""
        for source in response.sources:
            self.source_up.labels(source.name).set(1 if source.ok else 0)
            if source.newest_sample_age_seconds is not None:
                self.sample_age.set(source.newest_sample_age_seconds)
        self.candidates.clear()
        for candidate in response.candidates:
            self.candidates.labels(candidate.type).inc()
