"""`jubao audit witness`: a small process of its own, with its own key and memory, that cosigns checkpoints of logs."""

import asyncio
import json
import socket
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path

import click
import uvicorn
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from services.audit.keys import parse_keys
from services.audit.note import BadNote, Key, Signer, key_of
from services.audit.signing import BadKeyFile, new_block, signers_of
from services.audit.witnessing import MOST_BODY_BYTES, NOTHING, Refusal, Seen, cosigned, judged, offer_of
from services.cli.errors import CliError, DataNotUsable
from services.cli.options import json_option
from services.cli.output import emit
from services.runtime.clock import Clock, SystemClock
from services.runtime.files import PRIVATE, PUBLIC, replace_file

_IDLE_SECONDS = 60
_STOP_SECONDS = 5
_MOST_CONNECTIONS = 200


class Memory:
    """What the witness has seen of each log, a file for each, written before it answers.

    Args:
        directory: where the files are.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.alone = asyncio.Lock()

    def of(self, origin: str) -> Seen:
        """What was seen of a log."""
        try:
            said = json.loads(self._file(origin).read_bytes())
        except FileNotFoundError:
            return NOTHING
        return Seen(said["size"], b64decode(said["root"]))

    def keep(self, origin: str, seen: Seen, note: str) -> None:
        """Remembers it, durably.

        Raises:
            OSError: it cannot be written; nothing may be cosigned then.
        """
        said = {"origin": origin, "size": seen.size, "root": b64encode(seen.root).decode(), "note": note}
        replace_file(self._file(origin), json.dumps(said).encode(), mode=PUBLIC)

    def _file(self, origin: str) -> Path:
        return self._directory / f"{sha256(origin.encode()).hexdigest()}.json"


def trusted_keys(files: Sequence[Path]) -> dict[str, list[Key]]:
    """The keys of logs that these files name: lines of `VKEY`, or of `VKEY SINCE UNTIL` as logs publish them.

    Raises:
        CliError: a file cannot be read or holds something else.
    """
    keys: dict[str, list[Key]] = {}
    for file in files:
        try:
            lines = [line for line in file.read_text("utf-8").splitlines() if line.strip() and not line.startswith("#")]
            found = [key_of(line) if " " not in line else parse_keys(line)[0].key for line in lines]
        except (OSError, UnicodeDecodeError, BadNote) as bad:
            raise CliError(f"{file} names no keys of logs ({bad}); give the key file that the log publishes") from bad
        for key in found:
            keys.setdefault(key.name, []).append(key)
    return keys


def application(signer: Signer, keys: Mapping[str, Sequence[Key]], memory: Memory, clock: Clock) -> Starlette:
    """The witness's HTTP app: `POST /add-checkpoint`, and its own key at `/`."""

    async def add_checkpoint(request: Request) -> Response:
        try:
            offer = offer_of(await _body(request))
            async with memory.alone:
                origin = offer.checkpoint.origin
                seen = judged(offer, keys, memory.of(origin))
                await asyncio.to_thread(memory.keep, origin, seen, str(offer.note))
        except Refusal as refusal:
            # As a header, for the framework would add a charset, and the specification has none.
            return Response(refusal.said, refusal.status, headers={"Content-Type": refusal.media_type})
        return PlainTextResponse(cosigned(offer, signer, int(clock.now().timestamp())))

    async def key(_: Request) -> Response:
        return PlainTextResponse(f"{signer.cokey}\n")

    return Starlette(routes=[Route("/add-checkpoint", add_checkpoint, methods=["POST"]), Route("/", key)])


async def _body(request: Request) -> bytes:
    body = bytearray()
    try:
        async for part in request.stream():
            body += part
            if len(body) > MOST_BODY_BYTES:
                raise Refusal(413, f"a request has at most {MOST_BODY_BYTES} bytes\n")
    except ClientDisconnect:
        raise Refusal(400, "the request ended early\n") from None
    return bytes(body)


def own_signer(directory: Path, name: str) -> Signer:
    """The witness's signer; its key is made at the first start and kept in the directory.

    Raises:
        CliError: the directory or the key in it cannot be used, or the name is none.
    """
    file = directory / "witness.pem"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if not file.exists():
            replace_file(file, new_block(), mode=PRIVATE)
        load_pem_private_key(file.read_bytes(), None)
        return signers_of(file, name)[0]
    except OSError as refused:
        raise DataNotUsable(directory, refused) from refused
    except (BadKeyFile, BadNote, ValueError) as bad:
        raise CliError(str(bad)) from bad


@click.command()
@click.option("--port", type=click.IntRange(1, 65_535), required=True, help="Port to listen on.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--data",
    "directory",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Directory of its own for its key and what it has seen; never the log's.",
)
@click.option(
    "--origin-key",
    "files",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    required=True,
    multiple=True,
    help="Key file of a log that it watches, as that log publishes it; may be given several times.",
)
@click.option("--name", default="witness.jubao.local", show_default=True, help="The name it cosigns under.")
@json_option
def witness(port: int, host: str, directory: Path, files: tuple[Path, ...], name: str, *, as_json: bool) -> None:
    """Run a witness: it cosigns a log's checkpoint only if it continues what it has cosigned before."""
    signer = own_signer(directory, name)
    keys = trusted_keys(files)
    url = f"http://{host}:{port}"
    listening = _listening(host, port)
    told = {"url": url, "key": str(signer.cokey), "setting": f"{url} {signer.cokey}", "logs": sorted(keys)}
    emit(told, json=as_json, table=lambda: f"JUBAO_WITNESSES={told['setting']}")
    app = application(signer, keys, Memory(directory), SystemClock())
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=_IDLE_SECONDS,
        timeout_graceful_shutdown=_STOP_SECONDS,
        limit_concurrency=_MOST_CONNECTIONS,
    )
    with listening:
        uvicorn.Server(config).run([listening])


def _listening(host: str, port: int) -> socket.socket:
    """The socket, so that nothing is announced which nobody can reach.

    Raises:
        CliError: the address is taken, or none of this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as refused:
        raise CliError(
            f"The witness cannot listen on {host}:{port} ({refused.strerror or refused}); choose a free port with "
            "--port and an address of this machine with --host."
        ) from refused
