import socket
from pathlib import Path

from stratavore.embedded import ports


def a_free_port() -> int:
    return ports.choose({"any": 0}, {})["any"]


def test_the_usual_port_if_it_is_free() -> None:
    usual = a_free_port()
    assert ports.choose({"grpc": usual}, {}) == {"grpc": usual}


def test_another_if_somebody_listens_there() -> None:
    with socket.create_server(("127.0.0.1", a_free_port())) as stranger:
        taken = stranger.getsockname()[1]
        assert not ports.is_free(taken)
        chosen = ports.choose({"grpc": taken}, {})["grpc"]
        assert chosen != taken
        assert ports.is_free(chosen)


def test_a_listener_on_all_addresses_counts() -> None:
    with socket.create_server(("0.0.0.0", a_free_port())) as stranger:
        assert not ports.is_free(stranger.getsockname()[1])


def test_the_same_as_last_time_comes_before_the_usual_one() -> None:
    last, usual = a_free_port(), a_free_port()
    assert ports.choose({"grpc": usual}, {"grpc": last}) == {"grpc": last}


def test_no_port_is_given_twice() -> None:
    usual, promised = a_free_port(), a_free_port()
    chosen = ports.choose({"a": usual, "b": usual, "c": promised}, {}, taken={promised})
    assert chosen["a"] == usual
    assert len({*chosen.values(), promised}) == 4


def test_others_lie_below_the_ports_of_outgoing_connections() -> None:
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert max(ports.OTHERS) < lowest
