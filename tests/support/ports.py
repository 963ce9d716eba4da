"""Ports for servers that a test starts."""

import random
import socket

_FIRST, _LAST = 10_000, 32_000


def free_port() -> int:
    """A port that nobody listens on right now.

    Below those that the kernel gives to clients: while a server is down, a client that calls it again and again
    would else be given the very port it calls, and be connected with itself.
    """
    while True:
        port = random.randint(_FIRST, _LAST)
        with socket.socket() as probe:
            # Not bind(0), which takes one of the clients'.
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
