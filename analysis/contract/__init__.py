"""Requests and responses between the controllers and the analysis server, a module for each thing that is asked.

This is all that controllers import of the analysis side, and it holds no behaviour beyond validation. Times are UTC;
measured values are floats here (this is not the Kubernetes API) with the unit named beside them.
"""

from analysis.contract.detect import (
    NEVER_ALONE,
    ApiSignal,
    Candidate,
    DetectRequest,
    DetectResponse,
    Fingerprint,
    OpenIncident,
    SharedChange,
    SourceHealth,
)
from analysis.contract.explain import RcaRequest, RcaResponse
from analysis.contract.facts import (
    Change,
    ChangeKind,
    EventFact,
    IncidentFacts,
    NodeState,
    PodState,
    ServiceState,
    WorkloadState,
)
from analysis.contract.history import HistoryAnswer, HistoryRecord
from analysis.contract.message import Message, Problem
from analysis.contract.topology import NodeFact, PodFact, ServiceFact, Topology, TopologyChange
from analysis.contract.verify import MeasuredChange, VerifyRequest, VerifyResponse

__all__ = [
    "NEVER_ALONE",
    "ApiSignal",
    "Candidate",
    "Change",
    "ChangeKind",
    "DetectRequest",
    "DetectResponse",
    "EventFact",
    "Fingerprint",
    "HistoryAnswer",
    "HistoryRecord",
    "IncidentFacts",
    "MeasuredChange",
    "Message",
    "NodeFact",
    "NodeState",
    "OpenIncident",
    "PodFact",
    "PodState",
    "Problem",
    "RcaRequest",
    "RcaResponse",
    "ServiceFact",
    "ServiceState",
    "SharedChange",
    "SourceHealth",
    "Topology",
    "TopologyChange",
    "VerifyRequest",
    "VerifyResponse",
    "WorkloadState",
]
