"""``python -m analysis --config FILE``: exit 2 with one line when the configuration cannot be used."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from analysis.api.app import create_app
from analysis.config import load
from analysis.configfile import ConfigError
from analysis.serving import serve


def main(arguments: list[str] | None = None) -> int:
    """Run the server until it is told to stop."""
    parser = argparse.ArgumentParser(prog="python -m analysis", description="The external analysis server of IIRP.")
    parser.add_argument("--config", type=Path, required=True, help="YAML file, see docs/analysis.md")
    parser.add_argument("--check", action="store_true", help="validate the configuration and exit")
    options = parser.parse_args(arguments)
    try:
        config = load(options.config)
        app = create_app(config)
    except ConfigError as error:
        print(f"analysis: {error}", file=sys.stderr)
        return 2
    logging.basicConfig(
        level=config.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s %(message)s", stream=sys.stderr
    )
    logging.getLogger("httpx").setLevel(logging.WARNING)
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # detect/farm.py says it in one line
    if options.check:
        print(f"analysis: {options.config} can be used", file=sys.stderr)
        return 0
    try:
        serve(app, config.listen)
    except ConfigError as error:
        print(f"analysis: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
