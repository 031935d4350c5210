"""Finding the stack that a command is to work on, and calling its services as its operator."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from services.cli.errors import CliError, NothingRuns
from services.cli.options import data_directory
from services.cli.stack.directory import DataDirectory
from services.cli.stack.services import WEB
from services.cli.stack.state import StackState, read_state
from services.runtime.settings import Settings

if TYPE_CHECKING:
    import httpx

_ANSWER_SECONDS = 30.0


# Keys and tokens of a stack that runs here; what settings name comes before.
_FILES = {
    "jwks": "jwks",
    "intake_key_file": "intake_key",
    "cursor_key_file": "cursor_key",
    "service_token_file": "service_token",
}


def running_stack(data: Path | None) -> StackState | None:
    """What the supervisor of this directory says of itself; none when none lives there."""
    state = read_state(DataDirectory.of(data_directory(data)))
    return state if state is not None and state.is_alive() else None


def settings_for(data: Path | None) -> Settings:
    """Settings for a command that talks to a stack: addresses and keys are those of the stack in the directory.

    A directory named by --data comes before settings; one that is only found here comes after them. Where no stack
    runs, the settings stand as they are.
    """
    given = Settings()
    state = running_stack(data)
    if state is None:
        return given
    directory = DataDirectory.of(data_directory(data))
    found: dict[str, Any] = {"public_url": state.http, "kafka": state.kafka, "database": state.database}
    found |= {name: str(getattr(directory, place)) for name, place in _FILES.items()}
    explicit = {} if data is not None else given.model_dump(include=given.model_fields_set - {"data"})
    return Settings(**{**given.model_dump(), **found, **explicit, "data": directory.root})


def settings_in_force(data: Path | None) -> Settings:
    """The settings that the running stack's web process was started with; without one, what settings here say."""
    state = running_stack(data)
    process = next((slot.process for slot in state.slots if slot.name == WEB and slot.process), None) if state else None
    lives = process.process() if process else None
    if lives is None:
        return settings_for(data)
    started_with = lives.environ()
    # Defaults are given too: this command's own environment has no say in what runs.
    return Settings(
        **{
            name: started_with.get(f"JUBAO_{name.upper()}", field.get_default())
            for name, field in Settings.model_fields.items()
        }
        | {"data": DataDirectory.of(data_directory(data)).root}
    )


class Refused(CliError):
    """A service answered with a problem: its detail is the sentence.

    `problem` is the whole problem object, `status` the HTTP status.
    """

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        self.status = status
        self.problem = problem
        said = problem.get("detail") or problem.get("title") or f"the service answered {status}"
        super().__init__(str(said))


class Unreachable(CliError):
    """Nothing answers at the stack's address."""

    def __init__(self, url: str) -> None:
        self.url = url
        super().__init__(
            f"Jubao does not answer at {url}; start it with `jubao up --detach`, or look with `jubao status`."
        )


def client(data: Path | None, role: str = "admin") -> "httpx.Client":
    """An HTTP client for the stack's services, with a token of `role` for the subject `operator`.

    The token is minted with the stack's own issuer key; where there is none (an outside issuer signs), JUBAO_TOKEN is
    sent. Paths are as in the interface (`/review/v1/queues`). An answer of 400 or more raises Refused, no answer
    raises Unreachable, so callers read what they asked for and nothing else.

    Raises:
        NothingRuns: no stack lives in the directory and no setting names one.
    """
    settings = _reachable(data)
    return _client_class()(
        base_url=settings.call_base,
        headers={"Authorization": f"Bearer {_token(settings, role)}"},
        timeout=_ANSWER_SECONDS,
    )


def tokenless_client(data: Path | None) -> "httpx.Client":
    """As `client`, for calls that prove themselves by a signature: whoever makes those may have no account here."""
    return _client_class()(base_url=_reachable(data).call_base, timeout=_ANSWER_SECONDS)


def public_url(data: Path | None) -> str:
    """The origin as callers outside see it, which signatures cover, wherever our own calls go."""
    return _reachable(data).public_url.rstrip("/")


def _reachable(data: Path | None) -> Settings:
    settings = settings_for(data)
    if running_stack(data) is None and "public_url" not in settings.model_fields_set:
        raise NothingRuns(data_directory(data).resolve())
    return settings


def _token(settings: Settings, role: str) -> str:
    key_file = DataDirectory.of(settings.data).issuer_key
    if not key_file.exists():
        token = os.environ.get("JUBAO_TOKEN", "")
        if not token:
            raise CliError(f"There is no issuer key at {key_file}; give a bearer token of role {role} in JUBAO_TOKEN.")
        return token
    from services.runtime.issuer import OPERATOR, LocalIssuer, Role  # noqa: PLC0415 -- slow to import

    issuer = LocalIssuer(key_file, issuer=settings.issuer, audience=settings.audience)
    return issuer.mint(OPERATOR, Role(role))


def _client_class() -> "type[httpx.Client]":
    import httpx  # noqa: PLC0415 -- slow to import, and `up` and `down` have no need of it

    class Client(httpx.Client):
        """Raises our errors."""

        def send(self, request: httpx.Request, **options: Any) -> httpx.Response:  # noqa: ANN401 -- passed on
            try:
                response = super().send(request, **options)
            except httpx.TransportError as away:
                raise Unreachable(str(self.base_url)) from away
            if response.is_error:
                response.read()
                raise Refused(response.status_code, _problem(response))
            return response

    return Client


def _problem(response: "httpx.Response") -> dict[str, Any]:
    try:
        problem = response.json()
    except ValueError:
        return {}
    return problem if isinstance(problem, dict) else {}
