"""What goes wrong with TLS, in a few words."""

import ssl

import pytest

from stratavore.tls import trouble


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("InvalidCertificate(UnknownIssuer)", "not signed by an authority that is trusted"),
        ("InvalidCertificate(ExpiredContext { time: UnixTime(1) })", "has expired"),
        ("InvalidCertificate(NotValidForNameContext { expected: DnsName })", "for another host name"),
        ("received fatal alert: CertificateRequired", "asks for a client certificate"),
        ("[SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED] tlsv13 alert certificate required", "asks for a client certificate"),
        ("[SSL: TLSV1_ALERT_UNKNOWN_CA] tlsv1 alert unknown ca", "asks for a client certificate"),
        ("InvalidMessage(InvalidContentType)", "does not speak TLS"),
        ("[SSL: WRONG_VERSION_NUMBER] wrong version number", "does not speak TLS"),
    ],
)
def test_what_libraries_say_is_told_in_words(said: str, meant: str) -> None:
    wrapped = RuntimeError("it failed")
    wrapped.__cause__ = OSError(said)
    assert meant in (trouble(wrapped) or "")


def test_what_has_nothing_to_do_with_tls_is_left_alone() -> None:
    assert trouble(ConnectionRefusedError(111, "Connect call failed")) is None


def test_errors_that_are_each_others_cause_come_to_an_end() -> None:
    first, second = OSError("one"), OSError("two")
    first.__cause__, second.__context__ = second, first
    assert trouble(first) is None


def test_the_code_of_a_refused_certificate_counts_more_than_its_words() -> None:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code = 10
    assert "has expired" in (trouble(error) or "")
