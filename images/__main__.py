"""`python -m images [NAME…]` builds images and prints one line each: name, reference, archive."""

from __future__ import annotations

import sys

from devcluster.errors import ClusterError
from images.build import Builder
from images.catalogue import IMAGES


def main(names: list[str]) -> int:
    """Builds the named images, or all; 2 for an unknown name, 1 for a failed build."""
    unknown = [name for name in names if name not in IMAGES]
    if unknown:
        print(f"no image {unknown[0]!r}: one of {', '.join(IMAGES)}", file=sys.stderr)
        return 2
    builder = Builder()
    try:
        for name in names or IMAGES:
            built = builder.build(IMAGES[name])
            print(f"{built.name}\t{built.reference}\t{built.archive}")
    except ClusterError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
