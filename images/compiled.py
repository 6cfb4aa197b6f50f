"""The machine code of the analysis server's inner loops, as a layer: made when an image is built, not at each start."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from devcluster.errors import StepFailed
from images.layers import APP, SourceLayer, project_root

__all__ = ["COMPILED_FOR", "MachineCodeLayer"]

COMPILED_FOR: Mapping[str, str] = MappingProxyType({"NUMBA_CPU_NAME": "generic"})
"""For whatever machine the image runs on. The image's environment says the same, or numba would not take it."""
_TIMEOUT = 900.0


@dataclass(frozen=True, slots=True)
class MachineCodeLayer:
    """Numba's cache files, where they lie beside the sources; see `analysis/compiled.py`."""

    name: str
    lock: str
    """The lock file that numba's version stands in."""

    def key(self) -> str:
        """Over the files with loops, numba and the machine's architecture: other changes compile nothing anew."""
        root = project_root()
        digest = hashlib.sha256(f"compiled-1\0{os.uname().machine}\0{(root / self.lock).read_text()}".encode())
        for path in sorted((root / "analysis").rglob("*.py")):
            text = path.read_bytes()
            if b"@kernel" in text or path.name in {"compiled.py", "warm.py"}:
                digest.update(f"\0{path.relative_to(root)}\0".encode() + text)
        return digest.hexdigest()[:16]

    def stage(self, folder: Path, log: Path) -> None:
        """Compiles with this program's own interpreter and numba; should they differ from the image's, it is no use."""
        sources = folder.with_name(f"{folder.name}-sources")
        shutil.rmtree(sources, ignore_errors=True)
        try:
            for path in SourceLayer(self.name, ("analysis", "crds")).files():
                (sources / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(project_root() / path, sources / path)
            environment = {**os.environ, **COMPILED_FOR, "PYTHONPATH": str(sources)}
            environment.pop("NUMBA_CACHE_DIR", None)
            with log.open("a") as file:
                command = [sys.executable, "-m", "analysis.warm"]
                done = subprocess.run(
                    command, cwd=sources, env=environment, stdout=file, stderr=file, timeout=_TIMEOUT, check=False
                )
            if done.returncode != 0:
                raise StepFailed("compiling the analysis server's loops for an image failed", log)
            for entry in sources.rglob("*.nb[ic]"):
                target = folder / APP / entry.relative_to(sources)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(entry, target)
        finally:
            shutil.rmtree(sources, ignore_errors=True)
