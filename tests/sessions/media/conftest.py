"""The clip is encoded once."""

import pytest

from tests.sessions.media.peers import Clip, make_clip


@pytest.fixture(scope="session")
def clip() -> Clip:
    return make_clip()
