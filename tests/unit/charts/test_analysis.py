"""The analysis server inside the cluster: its configuration and its certificate."""

from __future__ import annotations

import base64
from pathlib import Path

from cryptography import x509

from analysis.config import load
from tests.unit.charts.helm import NAMESPACE, named, render


def test_the_analysis_server_in_the_cluster_reads_its_configuration(tmp_path: Path) -> None:
    sources = {"prometheus": {"url": "http://prometheus:9090"}, "loki": {"url": "http://loki:3100"}}
    given = {**sources, "listen": {"host": "::"}, "model": {"baseUrl": "http://model/v1", "model": "m"}}
    objects = render(analysis={"enabled": True, "config": given}, clusterName="prod", telemetry={"enabled": False})
    file = tmp_path / "analysis.yaml"
    file.write_text(named(objects, "ConfigMap")[f"{NAMESPACE}/iirp-analysis"]["data"]["analysis.yaml"])
    config = load(file)
    assert (config.listen.host, config.listen.port) == ("0.0.0.0", 8443), "what the chart sets stands"
    assert config.listen.tls is not None
    assert config.auth.platform_namespace == NAMESPACE
    assert (config.web.cluster_name, config.intake.mode) == ("prod", "pull")
    assert config.model is not None
    pod = named(objects, "Deployment")[f"{NAMESPACE}/iirp-analysis"]["spec"]["template"]["spec"]
    assert pod["serviceAccountName"] == "iirp-analysis"
    assert pod["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is True


def test_the_releases_own_certificate_is_for_its_service() -> None:
    sources = {"prometheus": {"url": "http://prometheus:9090"}, "loki": {"url": "http://loki:3100"}}
    objects = render(analysis={"enabled": True, "config": sources}, telemetry={"enabled": False})
    secret = named(objects, "Secret")[f"{NAMESPACE}/iirp-analysis-tls"]["data"]
    certificate, authority = (
        x509.load_pem_x509_certificate(base64.b64decode(secret[key])) for key in ("tls.crt", "ca.crt")
    )
    certificate.verify_directly_issued_by(authority)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert f"iirp-analysis.{NAMESPACE}.svc" in names.get_values_for_type(x509.DNSName)
    trusted = named(objects, "ConfigMap")[f"{NAMESPACE}/iirp-analysis-ca"]["data"]["ca.crt"]
    assert x509.load_pem_x509_certificate(trusted.encode()) == authority
