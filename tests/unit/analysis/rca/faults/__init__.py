"""Every fault that the demo can make, and more, as `/v1/rca` sees it, with the cause that it has to name."""

from __future__ import annotations

from tests.unit.analysis.rca.faults import admission, changes, connections, requests, resources, services, starting

FAULTS = {
    **admission.FAULTS,
    **changes.FAULTS,
    **connections.FAULTS,
    **requests.FAULTS,
    **resources.FAULTS,
    **services.FAULTS,
    **starting.FAULTS,
}
