"""Writing a row that must be the only one of its kind."""

from sqlalchemy.exc import IntegrityError
from sqlmodel import Session

from telerehab.errors import ConflictError


def flush_unique(db: Session, message: str, *, code: str | None = None) -> None:
    """Write what waits; another row that is there already is a conflict, and the transaction is over.

    Raises
    ------
    ConflictError
        A constraint does not let it in. The database's own words, which may repeat values, are left out.
    """
    try:
        db.flush()
    except IntegrityError:
        raise ConflictError(message, code=code) from None
