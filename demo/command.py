"""A command of `penstock` that dies with whoever started it, however that died: `command.py PARENT ARGUMENT...`.

A script and not a module: the project that the command is for need not be the one that has this folder.
"""

from __future__ import annotations

import sys

from penstock.cli.app import main
from penstock.supervisor.parent import die_with

if __name__ == "__main__":
    die_with(int(sys.argv[1]))
    sys.argv[:2] = ["penstock"]
    main()
