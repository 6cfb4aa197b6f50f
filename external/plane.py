"""The external side of one cluster: up, status, down. Everything converges; nothing is assumed."""

from __future__ import annotations

import datetime
import fcntl
import hashlib
import os
import shutil
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from devcluster.pki import Authority, Identity
from devcluster.processes import ProcessTable, poll
from external import credentials, objectstore
from external.errors import ExternalError, ObjectStoreError
from external.layout import PORTS, Layout, Ports, part_of
from external.objectstore import Keys
from external.render import Places, local_places, write
from external.services import ORDER, Part, Site, build, loopback
from external.settings import Settings, read

__all__ = ["ExternalPlane", "PartStatus", "Urls"]

LOOPBACK = "127.0.0.1"
# The bucket must be there before Loki asks for it; the gateway is nothing without what is behind it.
_AFTER_STORE = ("loki", "gateway")


@dataclass(frozen=True, slots=True)
class PartStatus:
    """What is seen of one part now. `state`: Ready, Starting, Stopped, or Failed (it was started and is gone)."""

    name: str
    state: str
    address: str
    pid: int | None
    log: str


@dataclass(frozen=True, slots=True)
class Urls:
    """`gateway` is for the cluster, `local_gateway` for this machine; the others are on loopback, open."""

    gateway: str
    local_gateway: str
    analysis: str
    prometheus: str
    loki: str
    s3: str


class ExternalPlane:
    """Use `up`, then `connect` once the chart is installed."""

    def __init__(self, name: str, root: Path | None = None, kubeconfig: Path | None = None) -> None:
        self.layout = Layout.of(name, root)
        self.table = ProcessTable(self.layout.folder)
        self.kubeconfig = kubeconfig

    @property
    def ca_file(self) -> Path:
        """The authority that clients of the gateway must trust."""
        return self.layout.ca

    @property
    def values_file(self) -> Path:
        """For `helm install -f`."""
        return self.layout.chart_values

    @property
    def settings(self) -> Settings:
        """The settings of the last `up`; defaults before it."""
        try:
            return read(self.layout.settings)
        except FileNotFoundError:
            return Settings()

    @property
    def urls(self) -> Urls:
        """Where everything is. Raises ExternalError before the first `up`."""
        ports = self._ports()
        host = _public(self.settings.gateway.addresses)
        local = {name: f"http://{LOOPBACK}:{ports[name]}" for name in ("analysis", "prometheus", "loki", "s3")}
        return Urls(f"https://{host}:{ports['gateway']}", f"https://{LOOPBACK}:{ports['gateway']}", **local)

    def up(
        self,
        settings: Settings | None = None,
        addresses: Sequence[str] = (),
        say: Callable[[str], None] = lambda _: None,
        parts: Sequence[str] = ORDER,
    ) -> Urls:
        """Brings `parts` to the wanted state and waits until each is ready.

        `addresses` are this machine's as pods see it. Raises ExternalError, or StepFailed with
        the log file and its last lines.
        """
        with self._locked():
            wanted = _with_addresses(settings or self.settings, addresses)
            self._prepare(wanted)
            self._bring([name for name in ORDER if name in parts and name not in _AFTER_STORE], say)
            if "s3" in parts or not wanted.object_store.embedded:
                bucket = self._prepare_bucket()
                state = "created" if bucket.created else "there"
                say(f"bucket {bucket.name}: {state}, lifecycle rule {bucket.lifecycle}")
            self._bring([name for name in _AFTER_STORE if name in parts], say)
            self._write_values()
            return self.urls

    def down(self, delete_data: bool = False) -> None:
        """Stops everything, in reverse; with `delete_data` also forgets everything."""
        with self._locked():
            for name in reversed(ORDER):
                self.table.stop(name, grace=20.0)
            shutil.rmtree(self.layout.folder / "gateway", ignore_errors=True)  # cached verdicts
            if delete_data:
                shutil.rmtree(self.layout.folder, ignore_errors=True)

    def start(self, part: str) -> None:
        """Starts one part as it is configured and waits for it."""
        self._bring([_known(part)], lambda _: None)

    def stop(self, part: str) -> None:
        """Stops one part in order."""
        self.table.stop(_known(part), grace=30.0)

    def kill(self, part: str) -> None:
        """SIGKILL, as a crash would: for tests of what survives. With it go its children (nginx's workers)."""
        record = self.table.alive(_known(part))
        if record is None:
            raise ExternalError(f"{part} does not run")
        os.killpg(record.pid, signal.SIGKILL)  # each part leads its own session
        if not poll(lambda: not record.alive(), 10.0, 0.05):
            raise ExternalError(f"{part} (pid {record.pid}) survives SIGKILL")

    def status(self) -> list[PartStatus]:
        """Looks at every part; changes nothing, starts nothing."""
        if not self.layout.ports():
            return [PartStatus(name, "Stopped", "", None, "") for name in ORDER]
        return [self._status(name) for name in ORDER]

    def connect(self, kubeconfig: Path | None = None, days: int = 30) -> str:
        """Gives the analysis server its TokenReview credential, once the chart has created the ServiceAccount.

        Returns when it expires; to be repeated before. Raises ExternalError when the ServiceAccount is not there.
        """
        source = kubeconfig or self.kubeconfig
        if source is None:
            raise ExternalError("which cluster? give --kubeconfig")
        return credentials.write_kubeconfig(self.layout, source, days).isoformat()

    def credential_expiry(self) -> datetime.datetime | None:
        """When the TokenReview credential ends; None when there is none, or it is of another kind."""
        try:
            users = yaml.safe_load(self.layout.kubeconfig.read_text())["users"]
            return credentials.token_expiry(users[0]["user"]["token"])
        except (FileNotFoundError, KeyError, IndexError, TypeError, yaml.YAMLError, ExternalError):
            return None

    def part(self, name: str) -> Part:
        """How a part is started now."""
        if _known(name) == "s3" and not self.settings.object_store.embedded:
            raise ExternalError(f"the object store is {self.settings.object_store.endpoint}: it is not started here")
        return self._build(name, lambda _: None)

    @cached_property
    def _keys(self) -> Keys:
        return credentials.store_keys(self.settings.object_store, self.layout, self.kubeconfig)

    def _ports(self) -> Ports:
        if not (ports := self.layout.ports()):
            name = self.layout.name
            raise ExternalError(f"the external side of {name!r} is not up; run: iirp external up --name {name}")
        return ports

    def _prepare(self, settings: Settings) -> None:
        self.layout.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        running = {record.name for record in self.table.records() if record.alive()}
        held = {port for port in PORTS if part_of(port) in running}
        self.layout.choose_ports(held, settings.gateway.port)
        write(self.layout.settings, yaml.safe_dump(settings.model_dump(mode="json", by_alias=True), sort_keys=False))
        self.__dict__.pop("_keys", None)

    def _places(self) -> Places:
        settings, ports = self.settings, self._ports()
        addresses = list(dict.fromkeys([LOOPBACK, *settings.gateway.addresses]))
        hosts = list(dict.fromkeys([*addresses, "localhost", *settings.gateway.names]))
        # A certificate per set of names: changed addresses get a new one from the same authority.
        file = f"gateway-{hashlib.sha256(' '.join(sorted(hosts)).encode()).hexdigest()[:8]}"
        crt, key = Authority(self.layout.tls, "ca").issue(file, Identity("iirp-gateway", hosts=hosts, client=False))
        gateway = {"addresses": addresses, "port": ports["gateway"], "certificate": str(crt), "key": str(key)}
        return local_places(self.layout, ports, settings, gateway)

    def _bring(self, names: Sequence[str], say: Callable[[str], None]) -> None:
        """Starts them all, then waits for each: they come up side by side."""
        started: dict[str, Part] = {}
        for name in names:
            if name == "s3" and not self.settings.object_store.embedded:
                self.table.stop(name, grace=20.0)
                continue
            started[name] = self._build(name, say)
            self.table.ensure(started[name].spec)
        for name, part in started.items():
            self.table.wait_ready(name, part.ready, part.timeout)
            say(f"{name} is ready at {part.address}")

    def _build(self, name: str, say: Callable[[str], None]) -> Part:
        return build(name, Site(self.layout, self._ports(), self.settings, self._places(), self._keys, say))

    def _prepare_bucket(self) -> objectstore.Bucket:
        store = self.settings.object_store
        endpoint = store.endpoint or f"http://{LOOPBACK}:{self._ports()['s3']}"
        s3 = objectstore.client(endpoint, store.region, self._keys)
        if not store.embedded:
            return objectstore.prepare(store, endpoint, s3)
        return _eventually(lambda: objectstore.prepare(store, endpoint, s3), timeout=30.0)

    def _write_values(self) -> None:
        values: dict[str, Any] = {
            "external": {"url": self.urls.gateway, "caBundle": self.layout.ca.read_text()},
            "clusterName": self.layout.name,
        }
        write(self.layout.chart_values, yaml.safe_dump(values, sort_keys=False))

    def _status(self, name: str) -> PartStatus:
        if name == "s3" and not self.settings.object_store.embedded:
            return PartStatus(name, "External", self.settings.object_store.endpoint, None, "")
        log = str(self.table.log(name))
        address, ready = loopback(name, self._ports(), self.layout.ca)
        record = self.table.alive(name)
        if record is None:
            return PartStatus(name, "Failed" if self.table.record(name) else "Stopped", address, None, log)
        return PartStatus(name, "Ready" if ready() else "Starting", address, record.pid, log)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        folder = self.layout.folder.parent
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (folder / f".{self.layout.name}.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def as_dict(status: PartStatus) -> dict[str, Any]:
    """For JSON output."""
    return asdict(status)


def _known(part: str) -> str:
    if part not in ORDER:
        raise ExternalError(f"no part {part!r}; there are {', '.join(ORDER)}")
    return part


def _public(addresses: Sequence[str]) -> str:
    """The address that pods use: the first that is not loopback."""
    return next((address for address in addresses if not address.startswith("127.")), LOOPBACK)


def _with_addresses(settings: Settings, addresses: Sequence[str]) -> Settings:
    if not addresses:
        return settings
    gateway = settings.gateway.model_copy(update={"addresses": tuple(addresses)})
    return settings.model_copy(update={"gateway": gateway})


def _eventually(action: Callable[[], objectstore.Bucket], timeout: float) -> objectstore.Bucket:
    """The built-in server listens before it can store; its first refusals are not the last word."""
    result: list[objectstore.Bucket] = []
    failure: list[Exception] = []

    def attempt() -> bool:
        try:
            result.append(action())
        except ObjectStoreError as error:
            failure[:] = [error]
            return False
        return True

    if not poll(attempt, timeout, 0.5):
        raise failure[-1]
    return result[-1]
