"""`python -m services.cli.contracts [--check]`: writes docs/contracts, or names each file of it that has drifted."""

import sys
from collections.abc import Sequence

from services.cli.contracts import documents


def main(arguments: Sequence[str]) -> int:
    """Exit code: 0 written or nothing to write, 1 drift, 2 wrong use."""
    if not arguments:
        documents.write()
        return 0
    if list(arguments) != ["--check"]:
        sys.stderr.write("usage: python -m services.cli.contracts [--check]\n")
        return 2
    differing = documents.drifted()
    for name in differing:
        sys.stderr.write(
            f"docs/contracts/{name} is not what the services say; run `python -m services.cli.contracts`\n"
        )
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
