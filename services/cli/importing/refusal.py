"""What an import cannot take: one row of a file, or the file as a whole."""

from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from services.cli.errors import CliError

_MOST_REASON_CHARACTERS = 300
_WITHOUT_NUL = r"^[^\x00]*$"

# What pydantic says in words of its own trade.
_WORDS = {"string_unicode": "it holds half of a surrogate pair, which is no character"}


@dataclass(frozen=True, slots=True)
class Refusal:
    """A row that is no report, where it stands and why; its neighbours go through."""

    where: str
    reason: str


class FileNotReadable(CliError):
    """There is no such file, it is a directory, or it may not be read."""

    def __init__(self, path: Path, cause: OSError) -> None:
        self.path = path
        super().__init__(f"{path} cannot be read ({cause.strerror or cause}); give a file that this user may read.")


class NotUtf8(CliError):
    """The text is in another encoding: its rows would come out wrong, so none is sent."""

    def __init__(self, path: Path, line: int | None = None) -> None:
        self.path, self.line = path, line
        where = f" (line {line})" if line is not None else ""
        super().__init__(f"{path} is not UTF-8{where}; convert it, for example with iconv, and import it again.")


class ColumnsMissing(CliError):
    """The first row does not name the columns of the format."""

    def __init__(self, path: Path, missing: tuple[str, ...]) -> None:
        self.path, self.missing = path, missing
        super().__init__(
            f"{path} has no column {', '.join(missing)} in its first row; check that --format names this file's form."
        )


def reason_of(error: ValidationError) -> str:
    """The first thing that is wrong, with its place and without the value that stood there."""
    errors = error.errors(include_url=False, include_input=False)
    first = errors[0]
    where = ".".join(str(part) for part in first["loc"])
    what = _WORDS.get(first["type"], first["msg"])
    if first["type"] == "string_pattern_mismatch" and first.get("ctx", {}).get("pattern") == _WITHOUT_NUL:
        what = "it holds a NUL character"
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    said = f"{where}: {what}{more}" if where else f"{what}{more}"
    # A key of a foreign file may hold anything, and this goes to a terminal.
    return "".join(c if c.isprintable() else "?" for c in said[:_MOST_REASON_CHARACTERS])
