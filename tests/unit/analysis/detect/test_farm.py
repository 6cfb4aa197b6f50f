"""Training on real workers makes the same bytes as training here; without them it is done here, and said."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from distributed import LocalCluster

from analysis.config import Dask
from analysis.configfile import ConfigError
from analysis.detect import farm
from analysis.detect.farm import Farm
from analysis.detect.learned import Model
from analysis.detect.registry import Registry
from analysis.detect.training import Here, History
from tests.unit.analysis.detect.test_learned import MONDAY, WEEK, fleet, times


def history(workloads: int = 12) -> History:
    """Two weeks, with gaps, an incident, a young workload and one without any sample."""
    at = times(MONDAY, 2 * WEEK)
    values = fleet(at, keys=max(workloads, 1))
    values = {name: one[:workloads].copy() for name, one in values.items()}
    exclude = np.zeros((workloads, len(at)), dtype=bool)
    if workloads > 3:
        values["latency"][0, 100:300] = np.nan
        values["cpu"][1, :-100] = np.nan
        for one in values.values():
            one[2] = np.nan
        exclude[3, 500:700] = True
    return History(at, values, tuple(("shop", f"w{index}") for index in range(workloads)), exclude)


def kept(folder: Path, model: Model) -> dict[str, bytes]:
    """What the registry writes of it, array by array."""
    registry = Registry(folder, "v")
    registry.save("c", model)
    (path,) = folder.rglob("*.npz")
    with np.load(path) as file:
        return {name: file[name].tobytes() for name in file.files}


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as local:
        yield local


def trained(scheduler: str, of: History, **config: object) -> tuple[Model, Farm, list[str]]:
    told: list[str] = []
    spread = Farm(Dask.model_validate({"scheduler": scheduler, **config}), told.append)
    return asyncio.run(spread.train(of)), spread, told


@pytest.mark.parametrize(("workloads", "per_task"), [(12, 5), (12, 1), (12, 50), (1, 1), (0, 5)])
def test_workers_make_the_same_bytes(cluster: LocalCluster, tmp_path: Path, workloads: int, per_task: int) -> None:
    of = history(workloads)
    model, spread, told = trained(cluster.scheduler_address, of, workloads_per_task=per_task)
    assert told == ["spread"], spread.problem
    assert spread.problem == ""
    assert kept(tmp_path / "there", model) == kept(tmp_path / "here", asyncio.run(Here().train(of)))


def test_a_worker_of_another_version_is_not_believed(cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(farm, "version", lambda: "newer")
    model, spread, told = trained(cluster.scheduler_address, history(2))
    assert told == ["fell_back"]
    assert "another version" in spread.problem
    assert len(model.keys) == 2


def test_a_model_from_workers_can_go_on_learning(cluster: LocalCluster) -> None:
    model, _, _ = trained(cluster.scheduler_address, history(4), workloads_per_task=2)
    assert all(one.state.record.flags.writeable for one in model.series.values())


def test_a_scheduler_that_is_away_hangs_or_has_nobody_is_said_and_done_without() -> None:
    of = history(2)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        ports = {"mute": mute.getsockname()[1]}
        with socket.create_server(("127.0.0.1", 0)) as closed:
            ports["closed"] = closed.getsockname()[1]
        for port in ports.values():
            model, spread, told = trained(f"tcp://127.0.0.1:{port}", of, connect_seconds=0.5)
            assert told == ["fell_back"]
            assert spread.problem.startswith(f"trained here: tcp://127.0.0.1:{port}: ")
            assert model.keys == of.keys
    with LocalCluster(n_workers=0, processes=True, dashboard_address=None) as empty:
        _, spread, told = trained(empty.scheduler_address, of)
    assert told == ["fell_back"]
    assert spread.problem.endswith("it has no workers")


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"scheduler": "tcp://dask:8786"}, "use tls://"),
        ({"scheduler": "tls://dask:8786"}, "needs caFile"),
        ({"scheduler": "dask:8786"}, "should match pattern"),
        ({"scheduler": "tcp://127.0.0.1:8786", "caFile": "/ca"}, "for tls://"),
    ],
)
def test_what_could_be_listened_to_is_refused(config: dict[str, str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Dask.model_validate(config)


def test_a_missing_certificate_is_named(tmp_path: Path) -> None:
    files = {name: str(tmp_path / name) for name in ("caFile", "certFile", "keyFile")}
    with pytest.raises(ConfigError, match="caFile does not exist"):
        Farm(Dask.model_validate({"scheduler": "tls://dask:8786", **files}))
