"""The archive of one incident: redacted decisions in a chain of their own, and a manifest that seals them."""

from __future__ import annotations

import gzip
import hashlib
import io
import re
import tarfile
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from analysis.llm.redact import redact
from controllers.audit.chain import FORMAT, Head, link
from controllers.audit.replay import replay
from crds.v1alpha1.digest import canonical_json

_DIGEST = re.compile(r"(sha256:)?[0-9a-f]{16,64}")
_CHAIN = ("seq", "prev", "hash", "format")


def write(path: Path, incident: str, records: Sequence[Mapping[str, Any]]) -> str:
    """Write the archive; the same records give the same bytes.

    Returns:
        SHA-256 of the manifest: whoever holds it can tell whether anything in the archive was changed.
    """
    head, lines = Head(), []
    redacted = [_redacted(record) for record in records]
    for original, clean in zip(records, redacted, strict=True):
        # Redaction breaks the log's own chain, so the bundle has one; each record still names where it came from.
        entry = {key: value for key, value in clean.items() if key not in _CHAIN}
        line, head = link(head, {**entry, "source": {"seq": original["seq"], "hash": original["hash"]}})
        lines.append(line)
    body = b"".join(lines)
    again = [item.same for item in replay(redacted)]
    manifest = {
        "format": FORMAT,
        "incident": incident,
        "files": {"records.jsonl": f"sha256:{hashlib.sha256(body).hexdigest()}"},
        "head": {"seq": head.seq, "hash": head.digest},
        "decisions": {"total": len(again), "same": again.count(True), "differ": again.count(False)},
        "redacted": sum(1 for before, after in zip(records, redacted, strict=True) if before != after),
        "versions": {name: version(name) for name in ("iirp", "pydantic", "cel-expr-python")},
    }
    sealed = canonical_json(manifest) + b"\n"
    seal = hashlib.sha256(sealed).hexdigest()
    _archive(path, {"manifest.json": sealed, "records.jsonl": body, "SEAL": f"sha256:{seal}\n".encode()})
    return seal


def _redacted(value: Any) -> Any:
    """Every text without what looks like a credential or an address; digests and ids are what they are."""
    if isinstance(value, str):
        return value if _DIGEST.fullmatch(value) else redact(value)
    if isinstance(value, Mapping):
        return {key: _redacted(item) for key, item in value.items()}
    return [_redacted(item) for item in value] if isinstance(value, list | tuple) else value


def _archive(path: Path, files: Mapping[str, bytes]) -> None:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), 0o644
            archive.addfile(info, io.BytesIO(content))
    path.write_bytes(gzip.compress(raw.getvalue(), mtime=0))
