"""Which images there are and what each is made of. The Dockerfile has the same lists; a test compares them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from devcluster.images import ImageConfig
from images.compiled import COMPILED_FOR, MachineCodeLayer
from images.layers import APP, LIB, BinaryLayer, Layer, PythonLayer, SourceLayer, WheelsLayer

__all__ = ["IMAGES", "Image"]

_PYTHON_ENV = {
    "PYTHONPATH": f"/{APP}:/{LIB}",
    "PYTHONUNBUFFERED": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PATH": "/usr/bin",
}
_USER = "65532:65532"
NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Image:
    """An image: `iirp/<name>`, tagged with a hash of its content."""

    name: str
    layers: tuple[Layer, ...]
    config: ImageConfig

    @property
    def repository(self) -> str:
        """The name without a tag; `localhost` is no registry, so nobody ever tries to pull it."""
        return f"localhost/iirp/{self.name}"


def _python(
    name: str, module: str, layers: tuple[Layer, ...], base: PythonLayer | None = None, env: Mapping[str, str] = NOTHING
) -> Image:
    config = ImageConfig(entrypoint=("/usr/bin/python3.11", "-m", module), env={**_PYTHON_ENV, **env}, user=_USER)
    return Image(name, (base or PythonLayer(), *layers), config)


def _static(name: str, program: str, path: str) -> Image:
    return Image(name, (BinaryLayer(name, program, path),), ImageConfig(entrypoint=(path,), user=_USER))


_CXX = PythonLayer("python3.11-cxx", ("libstdc++6",))
"""For wheels of C++ (CEL, numpy and its like); Debian's slim image has it."""
_LIST = (
    _python(
        "controllers",
        "controllers",
        (
            WheelsLayer("controllers-lib", "requirements/controllers.txt"),
            SourceLayer("controllers-app", ("crds", "controllers", "analysis/__init__.py", "analysis/contract")),
        ),
        _CXX,
    ),
    _python(
        "analysis",
        "analysis",
        (
            WheelsLayer("analysis-lib", "requirements/analysis.txt"),
            MachineCodeLayer("analysis-compiled", "requirements/analysis.txt"),
            SourceLayer("analysis-app", ("crds", "controllers", "analysis", "config")),
        ),
        _CXX,
        COMPILED_FOR,
    ),
    _python(
        "notifications",
        "notifications",
        (
            WheelsLayer("notifications-lib", "requirements/notifications.txt"),
            SourceLayer("notifications-app", ("crds", "notifications")),
        ),
    ),
    _python(
        "shop",
        "demo.shop",
        (
            WheelsLayer("shop-lib", "requirements/shop.txt", only=("prometheus-client",)),
            SourceLayer("shop-app", ("demo/__init__.py", "demo/shop")),
        ),
    ),
    _static("prometheus", "prometheus", "/bin/prometheus"),
    _static("otelcol", "otelcol", "/bin/otelcol"),
    _static("node-exporter", "node_exporter", "/bin/node_exporter"),
)
IMAGES: dict[str, Image] = {image.name: image for image in _LIST}
