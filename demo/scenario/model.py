"""What a scenario file may say. Unknown keys are errors; times carry their unit (`90s`, `10m`, `1h`)."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

__all__ = [
    "Apply",
    "Delete",
    "Expect",
    "Expected",
    "ExternalStep",
    "FaultStep",
    "HealStep",
    "LoadStep",
    "Patch",
    "Restart",
    "Scale",
    "Scenario",
    "Setup",
    "Step",
    "UntilStep",
    "seconds",
]

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
MAX_DURATION = 6 * 3600.0


def seconds(value: object) -> float:
    """`90s` as 90.0. ValueError for anything without a unit, and beyond six hours."""
    match = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"{value!r} is not a time: a number with ms, s, m or h, such as 90s")
    found = float(match[1]) * _UNITS[match[2]]
    if found > MAX_DURATION:
        raise ValueError(f"{value!r} is more than 6h")
    return found


def _words(value: object) -> object:
    """One word stands for a list of one."""
    return (value,) if isinstance(value, str) else value


Duration = Annotated[float, BeforeValidator(seconds)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?$")]
ObjectName = Annotated[str, StringConstraints(min_length=1, max_length=253, pattern=r"^[^-\s][^\s]*$")]
Target = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Za-z]*/[^\s/]+$")]
Words = Annotated[tuple[str, ...], BeforeValidator(_words), Field(min_length=1)]
Manifest = dict[str, Any]


class Data(BaseModel):
    """Base: immutable, camelCase as in Kubernetes, unknown keys refused."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        alias_generator=lambda name: re.sub(r"_([a-z])", lambda found: found[1].upper(), name),
        populate_by_name=True,
    )


class FaultStep(Data):
    """Switches a fault of the shop's image on, over HTTP, in every running pod of a workload (or the first `pods`)."""

    workload: Name
    name: Name
    parameters: dict[str, float] = {}
    pods: int | None = Field(default=None, ge=1)


class HealStep(Data):
    """Switches a fault off again."""

    workload: Name
    name: Name


class LoadStep(Data):
    """Changes how much the shop's load generator sends, at once or evenly over a time."""

    rate: float = Field(ge=0, le=500)
    """Requests per second."""
    over: Duration = 0.0


class Apply(Data):
    """Server-side apply of manifests."""

    manifests: tuple[Manifest, ...] = Field(min_length=1)


class Patch(Data):
    """`kubectl patch`."""

    kind: ObjectName
    name: ObjectName
    type: Literal["strategic", "merge", "json"] = "strategic"
    patch: dict[str, Any] | list[dict[str, Any]]
    namespace: str | None = None
    """Another namespace than the run's own; what is changed there has to be changed back under `cleanup`."""


class Scale(Data):
    """`kubectl scale`."""

    kind: ObjectName = "deployment"
    name: ObjectName
    replicas: int = Field(ge=0, le=100)
    namespace: str | None = None


class Restart(Data):
    """`kubectl rollout restart` of a Deployment, and the end of that rollout."""

    name: ObjectName
    within: Duration = 120.0


class Delete(Data):
    """`kubectl delete`, silent when it is gone. By name, or all of a kind by label."""

    kind: ObjectName
    name: ObjectName | None = None
    selector: ObjectName | None = None
    force: bool = False
    """Without grace, as when a node dies."""
    namespace: str | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.name is None) == (self.selector is None):
            raise ValueError("delete needs `name` or `selector`, not both")
        return self


class ExternalStep(Data):
    """Does something to a part of the external side: only where this command also started it."""

    part: Literal["prometheus", "loki", "analysis", "gateway"]
    do: Literal["kill", "stop", "start"]


class UntilStep(Data):
    """Waits until a plan has come that far."""

    plan: Literal["AwaitingApproval", "Executed"]
    within: Duration = 240.0
    """The run fails when it has not by then."""


class Step(Data):
    """Exactly one thing to do."""

    fault: FaultStep | None = None
    heal: HealStep | None = None
    load: LoadStep | None = None
    apply: Apply | None = None
    patch: Patch | None = None
    scale: Scale | None = None
    restart: Restart | None = None
    delete: Delete | None = None
    external: ExternalStep | None = None
    approve: Literal[True] | None = None
    """A person approves what waits for approval now; for scenarios in which it matters when."""
    until: UntilStep | None = None
    wait: Duration | None = None
    """Lets time pass; incidents are watched meanwhile."""
    injects: bool | None = None
    """Whether delays are counted from this step. By default from the first that changes something but the load."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if len(self.things()) != 1:
            names = ", ".join(sorted(set(type(self).model_fields) - {"injects"}))
            raise ValueError(f"a step does exactly one of: {names}")
        return self

    def things(self) -> dict[str, Any]:
        """What is set."""
        return {
            name: value
            for name in type(self).model_fields
            if name != "injects" and (value := getattr(self, name)) is not None
        }


class Setup(Data):
    """What there is before anything happens."""

    shop: bool = True
    """The demo's shop: frontend, checkout, payments, catalogue and their visitors, in the run's own namespace."""
    pod_security: Literal["privileged", "baseline", "restricted"] = "restricted"
    manifests: tuple[Manifest, ...] = ()
    """Applied after the shop. `${namespace}`, `${image}` (the shop's) and `${node}` are replaced in every string."""
    ready: Duration = 180.0
    """How long workloads may take to be ready."""
    quiet: Duration = 75.0
    """How long everything runs undisturbed before the first step: a change needs a before."""


class Expected(Data):
    """One incident that there is to be."""

    type: Words
    """One type, or several of which any will do."""
    target: Annotated[tuple[Target, ...], BeforeValidator(_words), Field(min_length=1)]
    """`Deployment/payments`, in the run's namespace; or several of which any will do."""
    cause: Words | None = None
    """Kind of the first root cause."""
    cause_target: Annotated[tuple[Target, ...], BeforeValidator(_words), Field(min_length=1)] | None = None
    """What that cause is about, where it is not the incident's own target."""
    action: Words | None = None
    """Type of the proposed action; `none` where nothing is to be proposed."""
    predicted: bool | None = None
    came_true: bool | None = None
    """Whether the harm that was predicted came: for scenarios in which nobody acts."""
    verdict: Words | None = None
    """What came of the action; needs an approval."""


class Expect(Data):
    """Exactly these incidents, or none for a time."""

    incidents: tuple[Expected, ...] = ()
    within: Duration = 120.0
    """Deadline of the last incident, from the injection."""
    diagnosed_within: Duration = 60.0
    """Deadline of cause and action, from the incident."""
    verified_within: Duration = 300.0
    """Deadline of the verdict, from the incident."""
    settle: Duration = 60.0
    """How long it goes on being watched after that: one incident too many is a failure."""
    none: Duration | None = None
    """No incident for so long, from the injection."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if bool(self.incidents) == (self.none is not None):
            raise ValueError("expect needs `incidents` or `none`, not both")
        return self


class Scenario(Data):
    """One file."""

    name: Name
    title: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    group: Literal["faults", "calm", "misconfigured", "verdicts", "robustness", "own"] = "own"
    """What `all` runs: faults and calm."""
    hard: bool = False
    """The cluster itself shows the fault at once: its delay counts towards the figure for hard faults."""
    alone: bool = False
    """Disturbs the platform or measures the whole cluster: never beside another run."""
    setup: Setup = Setup()
    steps: tuple[Step, ...] = ()
    approve: bool = False
    """A person approves what is proposed."""
    expect: Expect
    cleanup: tuple[Step, ...] = ()
    """Run at the end, whatever happened; the namespace goes anyway."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        approved = self.approve or any(step.approve for step in self.steps)
        if any(item.verdict for item in self.expect.incidents) and not approved:
            raise ValueError("a verdict needs `approve: true`, of the scenario or as a step")
        if self.expect.incidents and not self.steps:
            raise ValueError("incidents are expected, but no step does anything")
        if any(step.load or step.fault or step.heal for step in self.steps) and not (
            self.setup.shop or self.setup.manifests
        ):
            raise ValueError("fault, heal and load need the shop's image: set setup.shop, or manifests that run it")
        return self

    @property
    def longest(self) -> float:
        """Seconds that a run can take, about: what long runs begin first, so that they end with the others."""
        expect = self.expect
        watched = expect.none if expect.none is not None else expect.within + expect.settle
        moving = sum((step.wait or 0.0) + (step.load.over if step.load else 0.0) for step in self.steps)
        return self.setup.quiet + max(watched, moving)

    def injecting(self) -> int | None:
        """Index of the step from which delays are counted; None when nothing is injected."""
        marked = [number for number, step in enumerate(self.steps) if step.injects]
        acting = [
            number
            for number, step in enumerate(self.steps)
            if step.injects is None and not step.things().keys() & {"approve", "load", "until", "wait"}
        ]
        return next(iter(marked or acting), None)
