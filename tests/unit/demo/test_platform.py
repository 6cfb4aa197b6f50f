"""The platform's values and what is loaded; bringing it up for real is the end-to-end tests' part."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from demo import platform
from demo.driver.kubectl import Kubectl
from images.build import Built

BUILT = {
    name: Built(name, f"localhost/iirp/{name}", f"t-{name}", Path(f"{name}.tar"))
    for name in ("controllers", "prometheus", "otelcol", "node-exporter")
}


class Nodes:
    """A kubectl that knows two nodes' images."""

    def __init__(self, *images: Sequence[str]) -> None:
        self._items = [{"status": {"images": [{"names": list(names)}]}} for names in images]

    def json(self, *_: str) -> dict[str, Any]:
        return {"items": self._items}


class Loader:
    """A provider that records what it is given."""

    def __init__(self) -> None:
        self.loaded: list[str] = []

    def load_images(self, archives: Sequence[Path]) -> None:
        self.loaded.extend(path.name for path in archives)


def test_every_image_is_named_with_its_content_tag() -> None:
    values = platform.chart_values(BUILT, ["/logs/kubelet.log"])
    assert values["image"] == {"repository": "localhost/iirp/controllers", "tag": "t-controllers"}
    assert values["telemetry"]["images"]["nodeExporter"]["tag"] == "t-node-exporter"
    assert values["telemetry"]["logs"]["node"]["files"] == ["/logs/kubelet.log"]


def test_only_images_that_a_node_lacks_are_loaded() -> None:
    loader = Loader()
    references = [built.reference for built in BUILT.values()]
    nodes = Nodes(references, [name for name in references if "otelcol" not in name])
    platform._load(cast(Any, loader), cast(Kubectl, nodes), BUILT)
    assert loader.loaded == ["otelcol.tar"]


def test_what_fails_in_the_background_is_raised_where_it_is_needed() -> None:
    def fail() -> int:
        raise ValueError("no disk")

    with pytest.raises(ValueError, match="no disk"):
        platform._later(fail).result(timeout=5)
    assert platform._later(lambda: 7).result(timeout=5) == 7
