"""Calendar feeds: secret addresses for the calendars of therapists and patients."""

from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from telerehab.api.dependencies import CurrentReader, Keys, Now, ReadingDb, WritingDb
from telerehab.api.models import Answer
from telerehab.auth.policies import PUBLIC, THERAPIST_OR_TABLET, declares
from telerehab.db.repositories.calendar_feeds import CalendarFeedRepository, read_feed

router = APIRouter(tags=["appointments"])

MEDIA_TYPE: Final = "text/calendar; charset=utf-8"


def get_calendar_feeds(db: ReadingDb, reader: CurrentReader, now: Now) -> CalendarFeedRepository:
    """Return the reader's own feeds."""
    return CalendarFeedRepository(db, reader=reader, now=now)


def get_writable_calendar_feeds(db: WritingDb, reader: CurrentReader, now: Now) -> CalendarFeedRepository:
    """Return the reader's own feeds, to make and end them."""
    return CalendarFeedRepository(db, reader=reader, now=now)


CalendarFeeds = Annotated[CalendarFeedRepository, Depends(get_calendar_feeds)]
WritableCalendarFeeds = Annotated[CalendarFeedRepository, Depends(get_writable_calendar_feeds)]


class NewFeedRead(Answer):
    """A feed's secret address; shown this once."""

    id: UUID
    address: str


class FeedRead(Answer):
    """A feed."""

    id: UUID
    created_at: datetime


@router.get("/calendar-feeds", response_model=list[FeedRead])
@declares(THERAPIST_OR_TABLET)
def list_calendar_feeds(feeds: CalendarFeeds) -> object:
    """List the reader's own feeds."""
    return feeds.list()


@router.post("/calendar-feeds", status_code=201, response_model=NewFeedRead)
@declares(THERAPIST_OR_TABLET)
def create_calendar_feed(request: Request, feeds: WritableCalendarFeeds) -> object:
    """Make a feed of the reader's own appointments."""
    made = feeds.create()
    return NewFeedRead(id=made.id, address=f"{request.base_url}api/calendar/{made.token}.ics")


@router.delete("/calendar-feeds/{feed_id}", status_code=204)
@declares(THERAPIST_OR_TABLET)
def end_calendar_feed(feed_id: UUID, feeds: WritableCalendarFeeds) -> None:
    """Let nobody read a feed any more."""
    feeds.end(feed_id)


@router.get("/calendar/{token}.ics", response_class=Response)
@declares(PUBLIC)
def get_calendar(token: str, db: ReadingDb, now: Now, key_ring: Keys) -> Response:
    """Give a calendar its appointments; the address is the key."""
    return Response(read_feed(db, token, now=now, key_ring=key_ring), media_type=MEDIA_TYPE)
