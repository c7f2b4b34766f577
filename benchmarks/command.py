"""How the running script was called, as every result says."""

import shlex
import sys


def command() -> str:
    """The command line, quoted so that a shell takes it as it was."""
    return shlex.join(["python", *sys.argv])
