"""Certificates of a test's own authority, as files: a server's, a client's, and some that are wrong."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import trustme

HOST = "localhost"


class Pair(NamedTuple):
    """A certificate and its key (PEM)."""

    cert: Path
    key: Path

    def server_context(self, client_ca: Path | None = None) -> ssl.SSLContext:
        """For a server that shows this certificate; with ``client_ca`` it demands one of that authority's."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=client_ca)
        context.load_cert_chain(self.cert, self.key)
        if client_ca is not None:
            context.verify_mode = ssl.CERT_REQUIRED
        return context


class Certificates:
    """An authority and what it signed, in a directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        authority, stranger = trustme.CA(), trustme.CA()
        long_ago, yesterday = datetime(2020, 1, 1, tzinfo=UTC), datetime.now(UTC) - timedelta(days=1)
        self.ca = directory / "ca.pem"
        authority.cert_pem.write_to_path(self.ca)
        self.other_ca = directory / "other-ca.pem"
        """Of an authority that signed none of the others."""
        stranger.cert_pem.write_to_path(self.other_ca)
        self.server = self._pair("server", authority.issue_cert(HOST))
        self.expired = self._pair("expired", authority.issue_cert(HOST, not_before=long_ago, not_after=yesterday))
        self.elsewhere = self._pair("elsewhere", authority.issue_cert("elsewhere.example"))
        self.client = self._pair("client", authority.issue_cert("client@example.org", common_name="stratavore"))
        self.stranger = self._pair("stranger", stranger.issue_cert("client@example.org"))
        """A client's, of the other authority."""

    @classmethod
    @contextmanager
    def made(cls) -> "Iterator[Certificates]":
        """In a directory that goes afterwards."""
        with TemporaryDirectory(prefix="sv-", dir="/tmp") as directory:
            yield cls(Path(directory))

    def _pair(self, name: str, made: trustme.LeafCert) -> Pair:
        pair = Pair(self._directory / f"{name}.pem", self._directory / f"{name}.key")
        for blob in made.cert_chain_pems:
            blob.write_to_path(pair.cert, append=True)
        made.private_key_pem.write_to_path(pair.key)
        pair.key.chmod(0o600)
        return pair
