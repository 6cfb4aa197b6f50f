"""Building blocks shared by all kinds.

Every string and list has a maximum so that an object stays under 100 kB however bad the storm; there are no floats
(Kubernetes API conventions): shares are ``0..100`` integers and measured values are decimal strings with a unit.
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, StringConstraints
from pydantic.alias_generators import to_camel

Name = Annotated[str, StringConstraints(min_length=1, max_length=253, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")]
"""An RFC 1123 subdomain, as Kubernetes has it for most objects."""
Word = Annotated[str, StringConstraints(min_length=1, max_length=63, pattern=r"^[A-Za-z][A-Za-z0-9]*$")]
"""A CamelCase word: types, reasons, rule names in conditions."""
Line = Annotated[str, StringConstraints(max_length=300)]
"""One line for people."""
Text = Annotated[str, StringConstraints(max_length=1024)]
Message = Annotated[str, StringConstraints(max_length=512)]
"""A condition's message: a sentence or two."""
Username = Annotated[str, StringConstraints(min_length=1, max_length=253)]
"""As the API server authenticated it."""
MAX_QUERY = 768
Query = Annotated[str, StringConstraints(max_length=MAX_QUERY)]
"""PromQL, LogQL or an API path, complete enough to be run again."""
Uid = Annotated[str, StringConstraints(max_length=64)]
Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
Percent = Annotated[int, Field(ge=0, le=100)]
Unit = Annotated[str, StringConstraints(max_length=32)]
Measure = Annotated[str, StringConstraints(max_length=32, pattern=r"^-?[0-9.]+(e[-+]?[0-9]+)?$|^NaN$")]
"""A measured number as a decimal string (the API has no floats); the unit stands beside it."""


def format_time(moment: datetime) -> str:
    """RFC 3339 in UTC with whole seconds, as ``metav1.Time`` has it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


Time = Annotated[datetime, PlainSerializer(format_time, return_type=str)]


class ApiModel(BaseModel):
    """Base of all API types: camelCase on the wire, snake_case in code, immutable, unknown fields ignored on read."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore", use_attribute_docstrings=True
    )

    cel_rules: ClassVar[tuple[tuple[str, str], ...]] = ()
    """CEL rules of this type: (expression, message) pairs, written to ``x-kubernetes-validations``."""

    def to_wire(self) -> dict[str, Any]:
        """JSON-ready dict with camelCase keys and without unset optional fields."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class Scope(StrEnum):
    """What an incident is about."""

    CONTAINER = "Container"
    POD = "Pod"
    WORKLOAD = "Workload"
    SERVICE = "Service"
    VOLUME = "Volume"
    NODE = "Node"
    CLUSTER = "Cluster"


class Severity(StrEnum):
    """Impact on users, lowest first."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class ConditionStatus(StrEnum):
    """Kubernetes' three-valued condition status."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Condition(ApiModel):
    """A ``metav1.Condition``."""

    type: Word
    """What the condition is about, for example Resolved."""
    status: ConditionStatus
    reason: Word
    """CamelCase word for programs: why the status is what it is."""
    message: Message = ""
    """The same for people."""
    last_transition_time: Time
    """When the status last changed."""
    observed_generation: int | None = Field(default=None, ge=0)
    """Generation of the spec that this speaks of."""


class LocalRef(ApiModel):
    """An object of ours in the same namespace."""

    name: Name
    """Name of the object."""
    uid: Uid
    """UID of the object: a namesake created later is another one."""


class TargetRef(ApiModel):
    """The object an incident or an action is about."""

    api_version: Annotated[str, StringConstraints(max_length=128)] = "apps/v1"
    """API group and version of the target."""
    kind: Word
    """Kind of the target, for example Deployment."""
    namespace: Annotated[str, StringConstraints(max_length=63, pattern=r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$")] = ""
    """Empty for cluster-scoped objects such as nodes."""
    name: Name
    """Name of the target."""
    uid: Uid = ""
    """UID of the target: a namesake created later is another object."""

    def short(self) -> str:
        """``deploy/payments``: what the printer columns show."""
        kinds = {"Deployment": "deploy", "StatefulSet": "sts", "DaemonSet": "ds", "ReplicaSet": "rs", "Service": "svc"}
        return f"{kinds.get(self.kind, self.kind.lower())}/{self.name}"


class Window(ApiModel):
    """A closed span of time."""

    start: Time
    """First moment."""
    end: Time
    """Last moment."""

    cel_rules: ClassVar[tuple[tuple[str, str], ...]] = (("self.start <= self.end", "start must not be after end"),)


class ObjectMeta(BaseModel):
    """The part of ``metav1.ObjectMeta`` that we read; never part of a generated schema."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore")

    name: str
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: datetime | None = None
    deletion_timestamp: datetime | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)
    owner_references: list[dict[str, Any]] = Field(default_factory=list)


class Resource(BaseModel):
    """Base of the five kinds. Subclasses declare ``spec``, ``status`` and their :class:`Definition`."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore")

    definition: ClassVar[Definition]
    metadata: ObjectMeta

    @classmethod
    def from_wire(cls, body: Any) -> Self:
        """Parse an object as the API server serves it.

        Raises:
            pydantic.ValidationError: the object is not of this kind's shape.
        """
        return cls.model_validate(dict(body))

    def ref(self) -> LocalRef:
        """Reference to this object from a sibling in the same namespace."""
        return LocalRef(name=self.metadata.name, uid=self.metadata.uid)


class Column(BaseModel):
    """One ``additionalPrinterColumns`` entry."""

    model_config = ConfigDict(frozen=True)

    name: str
    path: str
    type: str = "string"
    wide: bool = False
    """Shown by ``-o wide`` only, so that the default fits 80 columns."""
    description: str = ""


class Definition(BaseModel):
    """What a CustomResourceDefinition says beyond the schema."""

    model_config = ConfigDict(frozen=True)

    kind: str
    plural: str
    short: str
    namespaced: bool = True
    columns: tuple[Column, ...] = ()
    selectable: tuple[str, ...] = ()
    """JSON paths usable as field selectors."""
    rules: tuple[tuple[str, str], ...] = ()
    """CEL rules of the object as a whole."""


Resource.model_rebuild()
