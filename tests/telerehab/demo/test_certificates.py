"""A browser that trusts the demonstration's authority accepts its certificate, for its names only."""

import socket
import ssl
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from telerehab.demo.certificates import Certificates, make_certificates


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return make_certificates(tmp_path, hosts=["127.0.0.1", "localhost", "home1.localhost"], now=datetime.now(UTC))


def shake_hands(certificates: Certificates, *, server_name: str, trusting: Path) -> str:
    """Return the TLS version that client and server agreed on."""
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_context.load_cert_chain(certificates.certificate, certificates.key)
    client_context = ssl.create_default_context(cafile=str(trusting))
    near, far = socket.socketpair()
    near.settimeout(10)
    far.settimeout(10)

    def serve() -> None:
        try:
            server_context.wrap_socket(far, server_side=True).close()
        except (ssl.SSLError, OSError):
            far.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with client_context.wrap_socket(near, server_hostname=server_name) as connection:
            return str(connection.version())
    finally:
        near.close()
        thread.join()


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "home1.localhost"])
def test_a_client_that_trusts_the_authority_accepts_each_name(certificates: Certificates, name: str) -> None:
    assert shake_hands(certificates, server_name=name, trusting=certificates.authority) == "TLSv1.3"


def test_another_name_is_refused(certificates: Certificates) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(certificates, server_name="clinic.example", trusting=certificates.authority)


def test_another_authority_is_not_trusted(certificates: Certificates, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = make_certificates(tmp_path / "other", hosts=["localhost"], now=datetime.now(UTC))
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(certificates, server_name="localhost", trusting=other.authority)


def test_the_key_is_for_its_owner_only(certificates: Certificates) -> None:
    assert certificates.key.stat().st_mode & 0o077 == 0
    assert not any(path.name == "authority-key.pem" for path in certificates.key.parent.iterdir())
