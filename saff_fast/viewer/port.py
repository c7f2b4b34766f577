"""Where the page is served."""

import errno
import socket

from saff_fast.errors import UserError

LOOPBACK = "127.0.0.1"
_TRIES = 100
_TAKEN = (errno.EADDRINUSE, errno.EACCES)


def free_port(host: str, port: int) -> int:
    """The first free port from `port` on.

    Raises:
        UserError: if the host is none of this machine's, or all ports are taken.
    """
    for candidate in range(port, min(port + _TRIES, 1 << 16)):
        try:
            family, *_, address = socket.getaddrinfo(host, candidate, type=socket.SOCK_STREAM)[0]
        except (OSError, UnicodeError) as error:
            raise UserError(f"--host must be a name or address of this machine, got {host!r}: {error}") from error
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(address)
            except OSError as error:
                if error.errno in _TAKEN:
                    continue
                raise UserError(
                    f"--host must be an address of this machine where it may listen, got {host!r}: {error.strerror}"
                ) from error
            return candidate
    raise UserError(f"--port must have a free port among the next {_TRIES}, but {port} to {candidate} are all in use")


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the host."""
    addresses = {entry[4][0] for entry in socket.getaddrinfo(host, None)}
    return all(str(address).startswith("127.") or address == "::1" for address in addresses)
