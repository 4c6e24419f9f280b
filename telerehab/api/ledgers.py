"""What became of the blocks of a training session's devices."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends

from telerehab.api.dependencies import CurrentReader, HotDb, Keys, Now, ReadingDb
from telerehab.api.models import Answer
from telerehab.auth.policies import CARE, declares
from telerehab.db.repositories.ledgers import LedgerRepository
from telerehab.ledger import StreamLedger, find_completeness, is_marked

router = APIRouter(prefix="/api", tags=["ledger"])


def get_ledgers(db: ReadingDb, hot: HotDb, reader: CurrentReader, now: Now, key_ring: Keys) -> LedgerRepository:
    """Return the accounts of the training sessions that the reader may see."""
    return LedgerRepository(db, hot=hot, reader=reader, now=now, key_ring=key_ring)


Ledgers = Annotated[LedgerRepository, Depends(get_ledgers)]


class StreamLedgerRead(Answer):
    """The account of one stream of one boot; counts are of blocks, `lost` by cause. All but `completeness` is exact."""

    device_name: str
    boot: int
    stream: str
    expected: int
    received: int
    late: int
    duplicate: int
    missing: int
    lost: dict[str, int]
    unexplained: int
    sample_count: int
    completeness: float | None
    is_incomplete: bool


class LedgerRead(Answer):
    """The account of a training session; `silent` are devices that were lent and of which nothing came."""

    training_session_id: UUID
    streams: list[StreamLedgerRead]
    silent: list[str]
    completeness: float | None
    is_incomplete: bool


@router.get("/training-sessions/{training_session_id}/ledger", response_model=LedgerRead)
@declares(CARE)
def get_ledger(training_session_id: UUID, ledgers: Ledgers) -> object:
    """Tell what became of every block that the devices of a training session numbered."""
    found = ledgers.get(training_session_id)
    completeness = find_completeness(found.streams)
    return LedgerRead(
        training_session_id=training_session_id,
        streams=[shown_stream(stream) for stream in found.streams],
        silent=sorted(found.silent),
        completeness=completeness,
        is_incomplete=is_marked(completeness),
    )


def shown_stream(stream: StreamLedger) -> StreamLedgerRead:
    """Return the account of a stream as JSON shows it."""
    return StreamLedgerRead(
        device_name=stream.device,
        boot=stream.boot,
        stream=stream.stream,
        expected=stream.expected_count,
        received=stream.received_count,
        late=stream.late_count,
        duplicate=stream.duplicate_count,
        missing=stream.missing_count,
        lost=dict(stream.lost),
        unexplained=stream.unexplained_count,
        sample_count=stream.sample_count,
        completeness=stream.completeness,
        is_incomplete=stream.is_incomplete,
    )
