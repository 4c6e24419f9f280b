"""The PIN of a tablet: asked by the page when it is opened, so that a visitor does not see the patient's exercises.

It protects the page on the table and nothing more: the tablet stays logged in, and whoever can read the browser's
storage needs no PIN. Against a lost tablet stands its revocation. A forgotten PIN ends by pairing the tablet anew.
"""

from typing import Final
from uuid import UUID

from telerehab.auth.limits import AttemptLimit
from telerehab.auth.passwords import Passwords
from telerehab.clock import Clock
from telerehab.db.engine import Database, reading, writing
from telerehab.db.tables import Tablet
from telerehab.errors import LoginFailedError, NotFoundError

ATTEMPTS: Final = 5
REFILL_S: Final = 60.0


class TabletPins:
    """Sets and checks PINs. Every method blocks (database, argon2): call it in a thread."""

    def __init__(self, database: Database, *, passwords: Passwords, clock: Clock) -> None:
        self._database = database
        self._passwords = passwords
        self._limit = AttemptLimit(burst=ATTEMPTS, refill_s=REFILL_S, clock=clock)

    def is_set(self, tablet_id: UUID) -> bool:
        """Return whether the tablet's page is to ask for a PIN."""
        with reading(self._database.main) as db:
            tablet = db.get(Tablet, tablet_id)
        return tablet is not None and tablet.pin_hash is not None

    def set(self, tablet_id: UUID, *, pin: str | None, old_pin: str | None) -> None:
        """Set a tablet's PIN, or take it away.

        Raises
        ------
        LoginFailedError
            The tablet has a PIN, and the old one given is another.
        TooManyAttemptsError
            Too many wrong ones were given.
        """
        self._require(tablet_id, old_pin)
        pin_hash = None if pin is None else self._passwords.hash(pin)  # outside any transaction: slow
        with writing(self._database.main, owner="web") as db:
            db.get_one(Tablet, tablet_id).pin_hash = pin_hash

    def check(self, tablet_id: UUID, pin: str) -> None:
        """Return when the PIN is right, or when the tablet has none.

        Raises
        ------
        LoginFailedError
            It is wrong.
        TooManyAttemptsError
            Too many wrong ones were given.
        """
        self._require(tablet_id, pin)

    def _require(self, tablet_id: UUID, pin: str | None) -> None:
        with reading(self._database.main) as db:
            tablet = db.get(Tablet, tablet_id)
        if tablet is None:
            raise NotFoundError("no such tablet")
        if tablet.pin_hash is None:
            return
        self._limit.spend(str(tablet_id))
        if not self._passwords.is_right(pin or "", tablet.pin_hash):
            raise LoginFailedError("wrong PIN")
        self._limit.forgive(str(tablet_id))
