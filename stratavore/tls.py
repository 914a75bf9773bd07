"""TLS to a server: what is trusted, who we are, and what went wrong, in a few words for a person."""

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from stratavore.config.settings import RabbitmqSettings

_EXPIRED = "its certificate has expired; renew it on the server"
_NOT_YET = "its certificate is not valid yet; compare the clocks of both machines"
_OTHER_NAME = "its certificate is for another host name; use a name that the certificate has"
_NOT_TRUSTED = "its certificate is not signed by an authority that is trusted here; name the right CA file"
_WANTS_CLIENT = "it asks for a client certificate that it trusts; name one, with its key"
ENDED = "it ended the connection while TLS began; perhaps it asks for a client certificate that it trusts"
"""For who knows that TLS was spoken: the alert that says so is lost when the connection is reset."""
_NO_TLS = "it does not speak TLS on this port; use its TLS port, or connect without TLS"

_VERIFY_CODES = {
    9: _NOT_YET,  # X509_V_ERR_CERT_NOT_YET_VALID
    10: _EXPIRED,  # X509_V_ERR_CERT_HAS_EXPIRED
    62: _OTHER_NAME,  # X509_V_ERR_HOSTNAME_MISMATCH
    64: _OTHER_NAME,  # X509_V_ERR_IP_ADDRESS_MISMATCH
}
_SIGNS = (
    # What OpenSSL and rustls (in Temporal's SDK) call it; the first that fits.
    (("Expired", "certificate has expired", "CERTIFICATE_EXPIRED"), _EXPIRED),
    (("NotValidYet", "certificate is not yet valid"), _NOT_YET),
    (("NotValidForName", "not valid for name", "ostname mismatch", "IP address mismatch"), _OTHER_NAME),
    (("UnknownIssuer", "BadSignature", "self-signed", "self signed", "unable to get local issuer"), _NOT_TRUSTED),
    (("CertificateRequired", "CERTIFICATE_REQUIRED", "certificate required"), _WANTS_CLIENT),
    # The server's words on our certificate.
    (("UnknownCA", "UNKNOWN_CA", "unknown ca", "BadCertificate", "BAD_CERTIFICATE", "bad certificate"), _WANTS_CLIENT),
    (("UNEXPECTED_EOF", "EOF occurred in violation"), ENDED),
    (("InvalidContentType", "WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "corrupt message"), _NO_TLS),
)


@dataclass(frozen=True)
class TlsFiles:
    """Files (PEM) that say whom to trust and who we are. They are read for each connection, since they are renewed."""

    ca: Path | None = None
    """None: what this machine trusts."""
    cert: Path | None = None
    """Our certificate with its chain, if the server wants one."""
    key: Path | None = None
    """Of the certificate; None if it is in the same file."""

    @classmethod
    def of(cls, settings: "RabbitmqSettings") -> Self:
        """Those that the settings name."""
        return cls(settings.ca, settings.cert, settings.key)

    def context(self) -> ssl.SSLContext:
        """How to speak to a server.

        Raises:
            OSError: a file cannot be read, or is no certificate or key.
        """
        context = ssl.create_default_context(cafile=self.ca)
        if self.cert is not None:
            context.load_cert_chain(self.cert, self.key)
        return context


def trouble(error: BaseException) -> str | None:
    """What is wrong with TLS; None if the error does not tell of it."""
    found: BaseException | None = error
    seen: set[int] = set()  # causes and contexts may go in a ring
    while found is not None and id(found) not in seen:
        seen.add(id(found))
        if isinstance(found, ssl.SSLCertVerificationError):
            return _VERIFY_CODES.get(found.verify_code) or _NOT_TRUSTED
        text = str(found)
        for words, meaning in _SIGNS:
            if any(word in text for word in words):
                return meaning
        found = found.__cause__ or found.__context__
    return None
