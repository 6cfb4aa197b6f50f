"""Training spread over the workers of a Dask scheduler; here when they are not to be had, which is said.

The workers run this package's own code (``History.train``), so what they make is what this machine would make; a worker
that has another version of it is not believed. Dask carries pickled Python both ways: whoever may talk to the scheduler
may run code here. So off this machine only TLS with a client certificate is spoken (``config.Dask``).
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import analysis
from analysis.config import Dask
from analysis.configfile import ConfigError
from analysis.detect.learned import Model
from analysis.detect.training import Here, History, merged

if TYPE_CHECKING:
    from distributed import Client

logger = logging.getLogger(__name__)

SOURCES = ("detect", "windows", "compiled.py")
"""What a model depends on."""
RETRIES = 2
"""Of a part whose worker died."""
CLOSE_SECONDS = 5.0


class OtherVersion(Exception):
    """A worker has other code, or another numpy, than this server."""


class Farm:
    """Trains on workers. ``told`` hears ``spread`` and ``fell_back``.

    Raises:
        ConfigError: the package ``distributed`` or a certificate is missing.
    """

    def __init__(self, config: Dask, told: Callable[[str], None] = lambda _: None) -> None:
        if find_spec("distributed") is None:
            raise ConfigError("baselines.dask: the package distributed is missing: install iirp[analysis,dask]")
        for path in (config.ca_file, config.cert_file, config.key_file):
            if path is not None and not path.is_file():
                raise ConfigError(f"baselines.dask: {path} does not exist")
        self._config, self._told = config, told
        self.problem = ""

    async def train(self, history: History) -> Model:
        """On the workers; on this machine, from the start, when anything goes wrong with them or takes too long."""
        try:
            async with asyncio.timeout(self._config.timeout_seconds):
                model = await self._spread(history)
        except Exception as error:  # whatever befalls the farm, learning goes on
            self.problem = f"trained here: {self._config.scheduler}: {_words(error)}"[:200]
            logger.warning("%s", self.problem)
            self._told("fell_back")
            return await Here().train(history)
        self.problem = ""
        self._told("spread")
        return model

    async def _spread(self, history: History) -> Model:
        from distributed import Client  # the extra `dask`, which takes a second to import

        config = self._config
        client = Client(config.scheduler, asynchronous=True, security=_security(config), set_as_default=False)
        try:
            async with asyncio.timeout(config.connect_seconds):  # its own does not cover a scheduler that is mute
                await client
                if not await client.nthreads():
                    raise ConnectionError("it has no workers")
            return await self._gathered(client, history)
        finally:
            await client.close(CLOSE_SECONDS)

    async def _gathered(self, client: Client, history: History) -> Model:
        gate = asyncio.Semaphore(self._config.tasks_at_once)  # parts are megabytes that the scheduler holds

        async def one(part: History) -> Model:
            async with gate:
                return await client.submit(trained, part, version(), pure=False, retries=RETRIES)  # type: ignore[no-any-return]

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(part)) for part in history.parts(self._config.workloads_per_task)]
        return merged([task.result() for task in tasks])


def trained(part: History, wanted: str) -> Model:
    """What a worker does.

    Raises:
        OtherVersion: what it would make is not what the server would make.
    """
    if version() != wanted:
        raise OtherVersion("a worker has another version of IIRP or numpy")
    return part.train()


@cache
def version() -> str:
    """Of the code that trains, and of numpy."""
    found = hashlib.sha256(np.__version__.encode())
    root = Path(analysis.__file__).parent
    for source in SOURCES:
        for path in sorted((root / source).rglob("*.py")) or [root / source]:
            found.update(path.read_bytes())
    return found.hexdigest()


def _security(config: Dask) -> object:
    from distributed import Security

    if config.ca_file is None:
        return None
    return Security(
        tls_ca_file=str(config.ca_file),
        tls_client_cert=str(config.cert_file),
        tls_client_key=str(config.key_file),
        require_encryption=True,
    )


def _words(error: Exception) -> str:
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return str(error) or type(error).__name__
