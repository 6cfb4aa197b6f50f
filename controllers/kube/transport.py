"""HTTPS to the API server: the ``kubernetes`` client's connections and credentials, our own timeouts and errors.

No hidden retries: the work queue retries, with backoff, and shows it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import urllib3
import yaml
from kubernetes import client as kubernetes_client
from kubernetes import config as kubernetes_config
from kubernetes.client.rest import RESTResponse

from controllers.kube.api import Raw
from controllers.kube.errors import Unavailable
from controllers.kube.wire import lines, parse_object, to_error
from controllers.runtime.errors import Terminal, root_cause

CONNECT_TIMEOUT = 5.0
READ_TIMEOUT = 30.0
WATCH_TIMEOUT = 150.0
"""A watch that is alive brings a bookmark about every minute."""
STREAM_CHUNK = 1 << 16
JSON = "application/json"


def credentials(kubeconfig: Path | None = None) -> kubernetes_client.ApiClient:
    """Credentials from ``kubeconfig``, else the pod's ServiceAccount, else ``KUBECONFIG`` or ``~/.kube/config``.

    Raises:
        Terminal: there are none; says what to set.
    """
    configuration = kubernetes_client.Configuration()
    advice = "run inside a cluster or set KUBECONFIG to a kubeconfig file"
    try:
        if kubeconfig is None and os.environ.get("KUBERNETES_SERVICE_HOST"):
            kubernetes_config.load_incluster_config(configuration)  # type: ignore[no-untyped-call]
        else:
            kubernetes_config.load_kube_config(  # type: ignore[no-untyped-call]
                config_file=str(kubeconfig) if kubeconfig else None, client_configuration=configuration
            )
    except kubernetes_config.ConfigException as error:
        raise Terminal("NoCredentials", f"{str(error).rstrip('.')}; {advice}") from error
    except (yaml.YAMLError, OSError, ValueError, TypeError, LookupError, AttributeError) as error:
        # of a file that is no kubeconfig; the library takes its shape for granted
        raise Terminal("NoCredentials", f"the kubeconfig cannot be read ({root_cause(error)}); {advice}") from error
    configuration.retries = urllib3.Retry(0)
    configuration.connection_pool_maxsize = 16
    return kubernetes_client.ApiClient(configuration)


class Transport:
    """One request, one answer, or a stream of lines; thread-safe."""

    def __init__(self, api: kubernetes_client.ApiClient) -> None:
        self._api = api

    @property
    def address(self) -> str:
        """URL of the API server, for messages."""
        return str(self._api.configuration.host)

    def request(
        self,
        method: str,
        path: str,
        *,
        query: dict[str, str] | None = None,
        body: Raw | list[Raw] | None = None,
        content_type: str = JSON,
        accept: str = JSON,
    ) -> Raw:
        """The answer's JSON object.

        Raises:
            KubeError: the API server refuses, or does not answer; see :func:`controllers.kube.wire.to_error`.
        """
        response = self._send(method, path, query, body, content_type, READ_TIMEOUT, accept)
        try:
            payload: bytes = response.read()  # type: ignore[no-untyped-call]
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise self._silent(error) from error
        if not 200 <= response.status < 300:
            raise to_error(response.status, payload, self.address)
        try:
            return parse_object(payload)
        except ValueError as error:
            said = f"{self.address} answered something else than JSON ({root_cause(error)})"
            raise Unavailable("NotJson", f"{said}; is a proxy in between?") from error

    def events(self, path: str, query: dict[str, str]) -> Iterator[Raw]:
        """JSON objects as they come, one a line; ends when the server ends it.

        Raises:
            KubeError: the API server refuses.
            Unavailable: the connection broke, or nothing came for :data:`WATCH_TIMEOUT`.
        """
        response = self._send("GET", path, query, None, JSON, WATCH_TIMEOUT)
        try:
            if response.status != 200:
                raise to_error(response.status, response.read(), self.address)  # type: ignore[no-untyped-call]
            for line in lines(response.response.stream(STREAM_CHUNK, decode_content=True)):
                yield parse_object(line)
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise Unavailable("WatchBroken", f"watch of {path} at {self.address}: {root_cause(error)}") from error
        finally:
            response.response.close()

    def _send(
        self,
        method: str,
        path: str,
        query: dict[str, str] | None,
        body: Raw | list[Raw] | None,
        content_type: str,
        read_timeout: float,
        accept: str = JSON,
    ) -> RESTResponse:
        headers = {"Accept": accept, "User-Agent": "iirp"}
        if body is not None:
            headers["Content-Type"] = content_type
        self._api.update_params_for_auth(headers, [], ["BearerToken"], path, method, body)
        url = f"{self.address}{path}" + (f"?{urlencode(query)}" if query else "")
        try:
            return self._api.call_api(
                method, url, header_params=headers, body=body, _request_timeout=(CONNECT_TIMEOUT, read_timeout)
            )
        except (urllib3.exceptions.HTTPError, OSError, kubernetes_client.ApiException) as error:
            raise self._silent(error) from error

    def _silent(self, error: Exception) -> Unavailable:
        return Unavailable("ApiServerUnavailable", f"API server {self.address} does not answer ({root_cause(error)})")
