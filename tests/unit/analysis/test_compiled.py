"""Machine code that an image brought is used there, though nothing can be written beside the sources."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import analysis

TINY = "from analysis.compiled import kernel\n\n\n@kernel\ndef twice(x):\n    return 2 * x\n"
RUN = """
import json, os, sys
if sys.argv[1:] == ["read-only"]:
    os.access = lambda path, mode: False  # root may write anywhere
from analysis.loops.tiny import twice
assert twice(21) == 42
found = dict(hits=sum(twice.stats.cache_hits.values()), folder=os.environ.get("NUMBA_CACHE_DIR", ""))
print(json.dumps(found | dict(mode=os.stat(found["folder"]).st_mode & 0o777 if found["folder"] else 0)))
"""


def ran(tree: Path, *arguments: str) -> dict[str, Any]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA")}
    environment |= {"PYTHONPATH": str(tree), "NUMBA_CPU_NAME": "generic"}
    done = subprocess.run(
        [sys.executable, "-c", RUN, *arguments], env=environment, cwd=tree, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_read_only_tree_is_read_through_a_folder_of_the_process(tmp_path: Path) -> None:
    (tmp_path / "analysis/loops").mkdir(parents=True)
    for name in ("__init__.py", "loops/__init__.py"):
        (tmp_path / "analysis" / name).write_text("")
    shutil.copyfile(Path(analysis.__file__).with_name("compiled.py"), tmp_path / "analysis/compiled.py")
    (tmp_path / "analysis/loops/tiny.py").write_text(TINY)

    assert ran(tmp_path, "read-only")["hits"] == 0
    assert not list(tmp_path.rglob("*.nbi"))
    assert ran(tmp_path) == {"hits": 0, "folder": "", "mode": 0}
    baked = sorted(path.name for path in tmp_path.rglob("*.nb[ic]"))
    assert baked

    there = ran(tmp_path, "read-only")
    assert there["hits"] == 1
    assert there["mode"] == 0o700
    assert not Path(there["folder"]).exists()
    assert sorted(path.name for path in tmp_path.rglob("*.nb[ic]")) == baked
