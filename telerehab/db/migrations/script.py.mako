"""${message}."""

import sqlalchemy as sa
from alembic import op

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = None
depends_on = None


def upgrade(store: str) -> None:
    """Take one store to this revision."""
    if store == "main":
        pass


def downgrade(store: str) -> None:
    """Take one store back to the revision before."""
    if store == "main":
        pass
