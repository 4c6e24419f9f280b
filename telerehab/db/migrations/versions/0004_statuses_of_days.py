"""A patient's last days are statuses in a row: the caseload of hundreds is read without an object for each day."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade(store: str) -> None:
    """Forget what was counted: jobs count it anew within ten minutes, and until then the caseload says so."""
    if store == "main":
        op.execute("DELETE FROM patient_summary")


def downgrade(store: str) -> None:
    """Forget what was counted: the jobs of before count it their way."""
    upgrade(store)
