"""A costly look, shared by all who ask while it goes on: a stranger who asks often costs no more than one who asks."""

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

Found = TypeVar("Found")


class SharedLook(Generic[Found]):
    """Runs a blocking function in a thread, once at a time; belongs to one event loop."""

    def __init__(self) -> None:
        self._looking: asyncio.Task[Found] | None = None

    async def look(self, find: Callable[[], Found]) -> Found:
        """Return what `find` returns, or what the look that is going on finds."""
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(asyncio.to_thread(find))
        return await asyncio.shield(self._looking)
