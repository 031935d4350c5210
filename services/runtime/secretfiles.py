"""Secrets that a process is given as files: one line of text each, read when it is needed."""

from pathlib import Path

from services.runtime.settings import Settings

# Settings that name a file which must be there before anything else makes sense.
_NAMED = (
    "database_password_file", "kafka_password_file", "kafka_ca_file", "kafka_replay_password_file",
    "intake_key_file", "audit_key_file", "cursor_key_file", "policy_file",
)  # fmt: skip
_MOST_BYTES = 64 * 1024


class SecretUnusable(Exception):
    """A file that a setting names is missing, empty or closed to this process; the text says which and what to do.

    `setting` is the variable, `path` what it names, if anything. The file's content is never told.
    """

    def __init__(self, setting: str, path: Path | None, why: str) -> None:
        self.setting, self.path = setting, path
        named = f"{setting} names {path}, which" if path is not None else setting
        super().__init__(f"{named} {why}; make the file with deploy/make-secrets or name another one")


def secret(settings: Settings, name: str) -> str:
    """The text of the file that the setting `name` names, without the line's end.

    Raises:
        SecretUnusable: there is no such file, it is empty, or this process may not read it.
    """
    path: Path | None = getattr(settings, name)
    variable = f"JUBAO_{name.upper()}"
    if path is None:
        raise SecretUnusable(variable, None, "is not set")
    return text_of(path, variable)


def text_of(path: Path, variable: str) -> str:
    """The text of one secret file; raises as `secret` does, naming `variable` as what led there."""
    return _content(path, variable).decode("utf-8", "replace").strip()


def check_all(settings: Settings) -> None:
    """Holds that every file which the settings name can be read.

    Raises:
        SecretUnusable: for the first that cannot.
    """
    for name in _NAMED:
        path: Path | None = getattr(settings, name)
        if path is not None:
            _content(path, f"JUBAO_{name.upper()}")
    if settings.jwks and "://" not in settings.jwks:
        _content(Path(settings.jwks), "JUBAO_JWKS")


def _content(path: Path, variable: str) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES)
    except FileNotFoundError as missing:
        raise SecretUnusable(variable, path, "is missing") from missing
    except OSError as refused:
        raise SecretUnusable(variable, path, f"cannot be read ({refused.strerror})") from refused
    if not content.strip():
        raise SecretUnusable(variable, path, "is empty")
    return content
