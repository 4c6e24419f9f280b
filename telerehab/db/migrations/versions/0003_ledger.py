"""Whose a measurement is and what became of it: devices that forget, counts of what was received."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade(store: str) -> None:
    """Add to the tables of one store."""
    if store == "main":
        op.add_column("device", sa.Column("wipe_asked_at", sa.DateTime(timezone=True), nullable=True))
        return
    op.add_column("device_report", sa.Column("kept_told_us", sa.BigInteger(), nullable=True))
    op.add_column("device_report", sa.Column("emptied_us", sa.BigInteger(), nullable=True))
    op.create_table(
        "block_count",
        sa.Column("device", sa.String(), nullable=False),
        sa.Column("boot", sa.BigInteger(), nullable=False),
        sa.Column("stream", sa.String(), nullable=False),
        sa.Column("span", sa.BigInteger(), nullable=False),
        sa.Column("block_count", sa.Integer(), nullable=False),
        sa.Column("sample_count", sa.Integer(), nullable=False),
        sa.Column("late_count", sa.Integer(), nullable=False),
        sa.Column("start_sequence", sa.BigInteger(), nullable=False),
        sa.Column("stop_sequence", sa.BigInteger(), nullable=False),
        sa.Column("first_us", sa.BigInteger(), nullable=False),
        sa.Column("last_us", sa.BigInteger(), nullable=False),
        sa.Column("first_received_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("device", "boot", "stream", "span", name=op.f("pk_block_count")),
        info={"owner": "ingest", "store": "hot"},
        sqlite_with_rowid=False,
    )
    op.create_table(
        "duplicate_count",
        sa.Column("device", sa.String(), nullable=False),
        sa.Column("boot", sa.BigInteger(), nullable=False),
        sa.Column("stream", sa.String(), nullable=False),
        sa.Column("span", sa.BigInteger(), nullable=False),
        sa.Column("counted_since_us", sa.BigInteger(), nullable=False),
        sa.Column("duplicate_count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint(
            "device", "boot", "stream", "span", "counted_since_us", name=op.f("pk_duplicate_count")
        ),
        info={"owner": "ingest", "store": "hot"},
        sqlite_with_rowid=False,
    )


def downgrade(store: str) -> None:
    """Take away what `upgrade` added."""
    if store == "main":
        op.drop_column("device", "wipe_asked_at")
        return
    op.drop_table("duplicate_count")
    op.drop_table("block_count")
    op.drop_column("device_report", "emptied_us")
    op.drop_column("device_report", "kept_told_us")
