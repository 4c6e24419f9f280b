"""The client of our own roles speaks plain HTTP, and trusts nobody beyond it."""

import asyncio
import ssl
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import pytest

from telerehab.demo.certificates import make_certificates
from telerehab.plain_http import make_plain_client

pytestmark = pytest.mark.anyio
ANSWER = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(ANSWER)
    await writer.drain()
    writer.close()


async def test_plain_http_is_answered_and_no_certificate_is_trusted(tmp_path: Path) -> None:
    made = make_certificates(tmp_path, hosts=["127.0.0.1"], now=datetime.now(UTC))
    secured = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    secured.load_cert_chain(made.certificate, made.key)
    plain = await asyncio.start_server(answer, "127.0.0.1", 0)
    secure = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=secured)
    async with plain, secure, make_plain_client(timeout=30.0) as client:
        port = plain.sockets[0].getsockname()[1]
        assert (await client.get(f"http://127.0.0.1:{port}/")).status_code == 204
        port = secure.sockets[0].getsockname()[1]
        with pytest.raises(httpx2.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            await client.get(f"https://127.0.0.1:{port}/")
