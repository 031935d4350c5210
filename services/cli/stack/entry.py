"""How one `jubao` process starts another."""

import sys
import sysconfig
from pathlib import Path


def jubao_argv(*arguments: str) -> tuple[str, ...]:
    """The command line of `jubao ARGUMENTS`, by this very interpreter.

    Through the installed script, so that a process list shows `jubao serve web`; as a module where there is none.
    """
    script = Path(sysconfig.get_path("scripts"), "jubao")
    if script.exists():
        return (sys.executable, str(script), *arguments)
    return (sys.executable, "-m", "services.cli.main", *arguments)
