"""The page over the API server of :mod:`tests.unit.analysis.web.support`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from analysis.config import Web
from analysis.web.pages import install
from tests.unit.analysis.web.support import Cluster


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


@pytest.fixture
def client(cluster: Cluster) -> Iterator[TestClient]:
    app = FastAPI()
    install(app, Web(cluster_name="dev"), cluster)  # type: ignore[arg-type]
    with TestClient(app, base_url="https://page", follow_redirects=False) as found:
        yield found
