"""The command line of the demonstration."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from isotherm.errors import IsothermError
from isotherm.systems.bridgevla.demo.pictures import MODES, write_pictures


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the pictures of a mode, and print their paths.

    Args:
        arguments: of the command line; those of this process unless given.

    Returns:
        The exit code: 0, or 2 where a folder cannot be written.
    """
    parser = argparse.ArgumentParser(prog="python -m isotherm.systems.bridgevla.demo", description=__doc__)
    parser.add_argument("--mode", choices=("all", *MODES), default="all", help="which pictures (default: all)")
    parser.add_argument(
        "--output_dir", type=Path, default=Path("heatmap_demos"), help="where to (default: heatmap_demos)"
    )
    options = parser.parse_args(arguments)
    try:
        for fpath in write_pictures(options.mode, options.output_dir):
            print(fpath)
    except IsothermError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
