"""Print one package's entry (version and hashes) of a hashed requirements file: ``lock_entry.py NAME FILE``."""

import re
import sys
from pathlib import Path

if __name__ == "__main__":
    name, file = sys.argv[1], Path(sys.argv[2])
    entry = re.search(rf"^{re.escape(name)}==\S+ \\\n(?:    --hash=\S+(?: \\)?\n)+", file.read_text(), re.MULTILINE)
    if entry is None:
        sys.exit(f"{file}: no entry for {name}")
    sys.stdout.write(entry.group(0))
