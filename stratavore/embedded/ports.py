"""Which ports the embedded servers take: the same as last time, else the usual one, else any that is free."""

import random
import socket
from collections.abc import Collection, Mapping

LOOPBACK = "127.0.0.1"

# Below the range from which the kernel takes ports for outgoing connections, which would take ours.
OTHERS = range(20000, 32000)


def is_free(port: int) -> bool:
    """Whether nobody listens on the port of the loopback address now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def choose(usual: Mapping[str, int], last: Mapping[str, int], taken: Collection[int] = ()) -> dict[str, int]:
    """A free port for every name in ``usual``; 0 there means that there is no usual one.

    Free is only free now: who takes the port may still find it taken, and asks again.

    Args:
        usual: the port that people expect, by name.
        last: the ports of the last time, which come first.
        taken: ports promised to others already.
    """
    chosen: dict[str, int] = {}
    for name, port in usual.items():
        wanted = [number for number in (last.get(name, 0), port) if number]
        wanted += random.sample(OTHERS, k=200)
        chosen[name] = next(
            number for number in wanted if number not in taken and number not in chosen.values() and is_free(number)
        )
    return chosen
