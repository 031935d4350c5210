"""Where a policy comes from: the file that the settings name, or the one in the package."""

from importlib.resources import files
from pathlib import Path
from typing import Final

from services.triage.classing import Policy
from services.triage.document import MOST_BYTES
from services.triage.mistake import Mistake, PolicyRefused, PolicyUnreadable
from services.triage.policy import load

_DEFAULT: Final = files("services.triage") / "default_policy.yaml"


def read(path: Path) -> str:
    """The text of a policy file.

    Raises:
        PolicyUnreadable: there is no such file, it may not be read, or it is none.
        PolicyRefused: it is larger than a policy may be, or not UTF-8.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MOST_BYTES + 1)
    except FileNotFoundError as error:
        raise PolicyUnreadable(str(path), "there is no such file", missing=True) from error
    except OSError as error:
        raise PolicyUnreadable(str(path), (error.strerror or "cannot be read").lower(), missing=False) from error
    if len(raw) > MOST_BYTES:
        raise PolicyRefused([Mistake(1, 1, f"the file is larger than {MOST_BYTES // 1024} KiB")], str(path))
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        before = raw[: error.start]
        column = len(before) - before.rfind(b"\n")
        mistake = Mistake(before.count(b"\n") + 1, column, "not UTF-8; save the file in that encoding")
        raise PolicyRefused([mistake], str(path)) from error


def in_force(path: Path | None) -> Policy:
    """The policy that this process classes by.

    Args:
        path: the file that the settings name; None: the default policy of the package.

    Raises:
        PolicyUnreadable: as `read`.
        PolicyRefused: it has mistakes.
    """
    if path is not None:
        return load(read(path), str(path))
    return load(_DEFAULT.read_text(encoding="utf-8"), "default_policy.yaml")
