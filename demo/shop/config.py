"""Settings of one shop process, from its environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["SERVICES", "Settings"]

SERVICES = ("frontend", "checkout", "payments", "catalogue", "load")


@dataclass(frozen=True, slots=True)
class Settings:
    """What a process needs to know. Ports are the container's; every timeout is in seconds."""

    service: str
    port: int = 8080
    """Business traffic and probes."""
    admin_port: int = 9090
    """Metrics and fault switches; no Service points at it."""
    upstreams: tuple[tuple[str, str], ...] = ()
    """Name and base URL of each service that this one may call."""
    upstream_timeout: float = 3.0
    drain_seconds: float = 2.0
    """How long a terminating pod goes on serving, until every node has taken it out of the Service."""
    load_rate: float = 8.0
    """Requests per second of the load generator."""
    load_workers: int = 6
    fault_on_start: str = ""
    """`NAME` or `NAME={json parameters}`: how a bad rollout is made."""

    def upstream(self, name: str) -> str:
        """Base URL of an upstream; KeyError when it is not configured."""
        return dict(self.upstreams)[name]

    @classmethod
    def from_env(cls, service: str, env: Mapping[str, str]) -> Settings:
        """Reads the environment; ValueError names the variable that cannot be used."""
        if service not in SERVICES:
            raise ValueError(f"unknown service {service!r}: one of {', '.join(SERVICES)}")
        upstreams = tuple(
            (name, env.get(f"{name.upper()}_URL", f"http://{name}:8080").rstrip("/"))
            for name in SERVICES
            if name != "load"
        )
        return cls(
            service=service,
            port=int(_number(env, "PORT", 8080)),
            admin_port=int(_number(env, "ADMIN_PORT", 9090)),
            upstreams=upstreams,
            upstream_timeout=_number(env, "UPSTREAM_TIMEOUT_SECONDS", 3.0),
            drain_seconds=_number(env, "DRAIN_SECONDS", 2.0),
            load_rate=_number(env, "LOAD_RATE", 8.0),
            load_workers=int(_number(env, "LOAD_WORKERS", 6)),
            fault_on_start=env.get("FAULT_ON_START", "").strip(),
        )


def _number(env: Mapping[str, str], name: str, default: float) -> float:
    text = env.get(name, "").strip()
    if not text:
        return default
    try:
        value = float(text)
    except ValueError as error:
        raise ValueError(f"{name} must be a number, not {text!r}") from error
    if value < 0:
        raise ValueError(f"{name} must not be negative, not {text!r}")
    return value
