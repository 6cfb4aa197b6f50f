from __future__ import annotations

from pathlib import Path

import pytest

from controllers.runtime.settings import Settings, SettingsError


def test_every_variable_is_read_and_empty_ones_count_as_unset() -> None:
    settings = Settings.from_environment(
        {
            "IIRP_ANALYSIS_URL": "https://iirp.example.com:8443",
            "IIRP_CA_FILE": "",
            "IIRP_WATCH_NAMESPACES": "shop, pay ,",
            "IIRP_DETECT_INTERVAL": "2.5",
            "IIRP_METRICS_PORT": "0",
            "HOME": "/somewhere",
        }
    )
    assert str(settings.analysis_url) == "https://iirp.example.com:8443/"
    assert settings.ca_file is None
    assert settings.namespaces == ("shop", "pay")
    assert settings.detect_interval == 2.5
    assert settings.token_file == Path("/var/run/secrets/iirp/token")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("IIRP_ANALYSIS_URL", "not a url"),
        ("IIRP_DETECT_INTERVAL", "0"),
        ("IIRP_DETECT_INTERVAL", "soon"),
        ("IIRP_WORKERS", "-1"),
        ("IIRP_LOG_LEVEL", "LOUD"),
        ("IIRP_HEALTH_PORT", "70000"),
    ],
)
def test_a_wrong_variable_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        Settings.from_environment({name: value})
