"""Addresses for people: never a password."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratavore.addresses import shown, split_urls


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("", "no address"),
        ("localhost:7233", "localhost:7233"),
        ("amqp://u:s3cret@mq1:5672/", "mq1:5672"),
        ("amqps://u:s3cret@mq1/,amqps://u:s3cret@mq2:5671/vhost", "mq1, mq2:5671"),
        ("postgresql://u:s3cret@one,two:5433/db?password=s3cret", "one,two:5433"),
        ("postgresql:///db?host=/run/postgresql", "/run/postgresql"),
        ("postgresql:///db", "a local socket"),
    ],
)
def test_hosts_and_ports_are_shown(url: str, place: str) -> None:
    assert shown(url) == place


@given(
    st.lists(st.sampled_from(["amqp://a/", "amqps://u:p,w@b:5671/v", "amqp://c:1"]), min_size=1), st.sampled_from(", ")
)
def test_several_urls_are_taken_apart(urls: list[str], between: str) -> None:
    assert split_urls(between.join(urls)) == urls
