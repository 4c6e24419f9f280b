"""A running broker for each module of tests that asks for one."""

from collections.abc import Iterator

import pytest

from tests.devices.broker_fixtures import MemoryCredentials, embedded_broker


@pytest.fixture(scope="module")
def credentials() -> MemoryCredentials:
    return MemoryCredentials()


@pytest.fixture(scope="module")
def port(credentials: MemoryCredentials) -> Iterator[int]:
    with embedded_broker(credentials) as port:
        yield port
