"""Choosing TCP ports on the loopback interface."""

import random
import socket

# Below the range that Linux hands to outgoing connections, so that none of those ever sits on an engine's port.
_LOWEST, _HIGHEST = 15_000, 31_999
_TRIES = 200


def is_free(port: int) -> bool:
    """Whether a server could listen on 127.0.0.1:port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # Connections of an ended server that still linger do not count as a taken port: servers set this too.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port(*, remembered: int | None = None, avoid: frozenset[int] = frozenset()) -> int:
    """A free port: the remembered one if it is free, so that a restarted stack keeps its addresses."""
    if remembered is not None and remembered not in avoid and is_free(remembered):
        return remembered
    for _ in range(_TRIES):
        port = random.randint(_LOWEST, _HIGHEST)  # noqa: S311 -- no secret; spreads stacks that start at once
        if port not in avoid and is_free(port):
            return port
    raise OSError(f"no free port between {_LOWEST} and {_HIGHEST}")
