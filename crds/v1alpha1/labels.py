"""Labels that the objects of one incident are found by (``docs/architecture.md``, "Who writes what")."""

from __future__ import annotations

INCIDENT_LABEL = "iirp.io/incident"
"""On everything of an incident's chain: its name."""
FINGERPRINT_LABEL = "iirp.io/fingerprint"
"""On an Incident that detection has made."""
