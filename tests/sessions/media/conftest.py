"""The clip is encoded once; clients made with aiortc itself stay on loopback."""

import aioice.ice
import pytest

from sessions.media.compat import gather_on
from tests.sessions.media.peers import Clip, make_clip


@pytest.fixture(scope="session")
def clip() -> Clip:
    return make_clip()


@pytest.fixture(autouse=True)
def _loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aioice.ice, "get_host_addresses", aioice.ice.get_host_addresses)  # restored afterwards
    gather_on(["127.0.0.1"])
