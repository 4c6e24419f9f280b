"""Sealed segments: which file holds which blocks, what was deleted from the hot store, results of later analyses."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001.2"
branch_labels = None
depends_on = None


def upgrade(store: str) -> None:
    """Make the tables of one store."""
    if store == "main":
        _upgrade_main()
    else:
        _upgrade_hot()


def downgrade(store: str) -> None:
    """Drop the tables of one store."""
    if store == "main":
        for table in ("reanalysis", "segment_run", "segment"):
            op.drop_table(table)
    else:
        op.drop_table("sealed_run")


def _upgrade_main() -> None:
    op.create_table(
        "segment",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("training_session_id", sa.Uuid(), nullable=True),
        sa.Column("patient_id", sa.Uuid(), nullable=True),
        sa.Column("device", sa.String(), nullable=False),
        sa.Column("stream", sa.String(), nullable=False),
        sa.Column("hour_us", sa.BigInteger(), nullable=True),
        sa.Column("schema_code", sa.Integer(), nullable=False),
        sa.Column("start_us", sa.BigInteger(), nullable=True),
        sa.Column("stop_us", sa.BigInteger(), nullable=True),
        sa.Column("received_us", sa.BigInteger(), nullable=False),
        sa.Column("n_blocks", sa.Integer(), nullable=False),
        sa.Column("n_samples", sa.BigInteger(), nullable=False),
        sa.Column("n_bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("wrapped_key", sa.LargeBinary(), nullable=True),
        sa.Column("path", sa.String(), nullable=True),
        sa.Column("format_version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cleared_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["patient_id"], ["patient.id"], name=op.f("fk_segment_patient_id_patient")),
        sa.ForeignKeyConstraint(
            ["training_session_id"],
            ["training_session.id"],
            name=op.f("fk_segment_training_session_id_training_session"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_segment")),
        info={"owner": "jobs", "store": "main"},
    )
    op.create_index(op.f("ix_segment_cleared_at"), "segment", ["cleared_at"], unique=False)
    op.create_index(op.f("ix_segment_device_stream"), "segment", ["device", "stream"], unique=False)
    op.create_index(op.f("ix_segment_patient_id"), "segment", ["patient_id"], unique=False)
    op.create_index(op.f("ix_segment_training_session_id"), "segment", ["training_session_id"], unique=False)
    op.create_table(
        "segment_run",
        sa.Column("segment_id", sa.Uuid(), nullable=False),
        sa.Column("boot", sa.BigInteger(), nullable=False),
        sa.Column("start_sequence", sa.BigInteger(), nullable=False),
        sa.Column("stop_sequence", sa.BigInteger(), nullable=False),
        sa.Column("device", sa.String(), nullable=False),
        sa.Column("stream", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["segment_id"], ["segment.id"], name=op.f("fk_segment_run_segment_id_segment")),
        sa.PrimaryKeyConstraint("segment_id", "boot", "start_sequence", name=op.f("pk_segment_run")),
        info={"owner": "jobs", "store": "main"},
    )
    op.create_index(
        op.f("ix_segment_run_device_boot_stream"), "segment_run", ["device", "boot", "stream"], unique=False
    )
    op.create_table(
        "reanalysis",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("training_session_id", sa.Uuid(), nullable=False),
        sa.Column("algorithm_version", sa.Integer(), nullable=False),
        sa.Column("exercise", sa.String(), nullable=False),
        sa.Column("side", sa.String(), nullable=False),
        sa.Column("start_us", sa.BigInteger(), nullable=False),
        sa.Column("stop_us", sa.BigInteger(), nullable=False),
        sa.Column("completeness", sa.Float(), nullable=False),
        sa.Column("repetitions", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["training_session_id"],
            ["training_session.id"],
            name=op.f("fk_reanalysis_training_session_id_training_session"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reanalysis")),
        info={"owner": "jobs", "store": "main"},
    )
    op.create_index(
        op.f("ix_reanalysis_training_session_id_algorithm_version_start_us"),
        "reanalysis",
        ["training_session_id", "algorithm_version", "start_us"],
        unique=True,
    )


def _upgrade_hot() -> None:
    op.create_table(
        "sealed_run",
        sa.Column("device", sa.String(), nullable=False),
        sa.Column("boot", sa.BigInteger(), nullable=False),
        sa.Column("stream", sa.String(), nullable=False),
        sa.Column("start_sequence", sa.BigInteger(), nullable=False),
        sa.Column("stop_sequence", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("device", "boot", "stream", "start_sequence", name=op.f("pk_sealed_run")),
        info={"owner": "ingest", "store": "hot"},
        sqlite_with_rowid=False,
    )
