"""The first tables.

Written anew before the first release: a database that an earlier development version made is not taken over.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001.2"
down_revision = None
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
        _downgrade_main()
    else:
        _downgrade_hot()


def _upgrade_main() -> None:
    op.create_table(
        "audit_event",
        sa.Column("sequence", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=True),
        sa.Column("patient_id", sa.Uuid(), nullable=True),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("record", sa.String(), nullable=False),
        sa.Column("mac", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_audit_event")),
        sa.UniqueConstraint("mac", name=op.f("uq_audit_event_mac")),
        info={"owner": "*", "store": "main"},
    )
    op.create_index(op.f("ix_audit_event_at"), "audit_event", ["at"], unique=False)
    op.create_index(op.f("ix_audit_event_organisation_id"), "audit_event", ["organisation_id"], unique=False)
    op.create_index(op.f("ix_audit_event_patient_id"), "audit_event", ["patient_id"], unique=False)
    op.create_table(
        "job",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job")),
        info={"owner": "jobs", "store": "main"},
    )
    op.create_index(op.f("ix_job_due_at"), "job", ["due_at"], unique=False)
    op.create_index(op.f("ix_job_kind_key"), "job", ["kind", "key"], unique=True)
    op.create_table(
        "organisation",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("time_zone", sa.String(), nullable=False),
        sa.Column("help_telephone", sa.String(), nullable=True),
        sa.Column("service", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "service IN ('full', 'measure_only', 'communication_only')", name=op.f("ck_organisation_service")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_organisation")),
        info={"owner": "web", "store": "main"},
    )
    op.create_table(
        "worker",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=True),
        sa.Column("secret", sa.String(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("heartbeat_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_worker")),
        info={"owner": "*", "store": "main"},
    )
    op.create_index(op.f("ix_worker_role"), "worker", ["role"], unique=False)
    op.create_table(
        "account",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("email", sa.String(), nullable=False),
        sa.Column("display_name", sa.String(), nullable=False),
        sa.Column("password_hash", sa.String(), nullable=True),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("language", sa.String(), nullable=False),
        sa.Column("totp_secret_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("totp_pending_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("totp_last_step", sa.Integer(), nullable=True),
        sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("role IN ('therapist', 'team_manager', 'admin', 'auditor')", name=op.f("ck_account_role")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_account_organisation_id_organisation")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account")),
        sa.UniqueConstraint("email", name=op.f("uq_account_email")),
        info={"owner": "web", "store": "main"},
    )
    op.create_index(op.f("ix_account_organisation_id"), "account", ["organisation_id"], unique=False)
    op.create_table(
        "helper",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("name_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("language", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_helper_organisation_id_organisation")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_helper")),
        info={"owner": "web", "store": "main"},
    )
    op.create_index(op.f("ix_helper_organisation_id"), "helper", ["organisation_id"], unique=False)
    op.create_table(
        "kit",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("shard", sa.String(), nullable=False),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_kit_organisation_id_organisation")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_kit")),
        info={"owner": "web", "store": "main"},
    )
    op.create_index(op.f("ix_kit_organisation_id"), "kit", ["organisation_id"], unique=False)
    op.create_table(
        "team",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_team_organisation_id_organisation")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_team")),
        info={"owner": "web", "store": "main"},
    )
    op.create_index(op.f("ix_team_organisation_id"), "team", ["organisation_id"], unique=False)
    op.create_table(
        "device",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("kit_id", sa.Uuid(), nullable=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("credential_hash", sa.String(), nullable=False),
        sa.Column("usual_site", sa.String(), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["kit_id"], ["kit.id"], name=op.f("fk_device_kit_id_kit")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_device_organisation_id_organisation")
        ),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_device")),
        info={"owner": "web", "store": "main"},
    )
    op.create_index(op.f("ix_device_kit_id"), "device", ["kit_id"], unique=False)
    op.create_index(op.f("ix_device_organisation_id"), "device", ["organisation_id"], unique=False)
    op.create_table(
        "duty",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("weekday", sa.Integer(), nullable=False),
        sa.Column("from_minute", sa.Integer(), nullable=False),
        sa.Column("to_minute", sa.Integer(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("telephone", sa.String(), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_duty_account_id_account")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_duty_organisation_id_organisation")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_duty")),
        info={"owner": "web", "store": "main"},
    )
    op.create_index(op.f("ix_duty_account_id"), "duty", ["account_id"], unique=False)
    op.create_index(op.f("ix_duty_organisation_id"), "duty", ["organisation_id"], unique=False)
    op.create_table(
        "live_session",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("therapist_account_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("worker_id", sa.Uuid(), nullable=True),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("event_sequence", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_live_session_organisation_id_organisation")
        ),
        sa.ForeignKeyConstraint(
            ["therapist_account_id"], ["account.id"], name=op.f("fk_live_session_therapist_account_id_account")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_live_session")),
        info={"owner": "media", "store": "main"},
    )
    op.create_index(op.f("ix_live_session_organisation_id"), "live_session", ["organisation_id"], unique=False)
    op.create_index(
        op.f("ix_live_session_therapist_account_id"), "live_session", ["therapist_account_id"], unique=False
    )
    op.create_table(
        "local_exercise",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("exercise_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["created_by"], ["account.id"], name=op.f("fk_local_exercise_created_by_account")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_local_exercise_organisation_id_organisation")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_local_exercise")),
        sa.UniqueConstraint("exercise_id", "version", name=op.f("uq_local_exercise_exercise_id_version")),
        info={"owner": "web", "store": "main"},
    )
    op.create_index(op.f("ix_local_exercise_exercise_id"), "local_exercise", ["exercise_id"], unique=False)
    op.create_index(op.f("ix_local_exercise_organisation_id"), "local_exercise", ["organisation_id"], unique=False)
    op.create_table(
        "passkey",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=True),
        sa.Column("helper_id", sa.Uuid(), nullable=True),
        sa.Column("credential_id", sa.LargeBinary(), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("sign_count", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("(account_id IS NULL) <> (helper_id IS NULL)", name=op.f("ck_passkey_one_holder")),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_passkey_account_id_account")),
        sa.ForeignKeyConstraint(["helper_id"], ["helper.id"], name=op.f("fk_passkey_helper_id_helper")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_passkey")),
        sa.UniqueConstraint("credential_id", name=op.f("uq_passkey_credential_id")),
        info={"owner": "web", "store": "main"},
    )
    op.create_index(op.f("ix_passkey_account_id"), "passkey", ["account_id"], unique=False)
    op.create_index(op.f("ix_passkey_helper_id"), "passkey", ["helper_id"], unique=False)
    op.create_table(
        "patient_group",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_patient_group_account_id_account")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_patient_group_organisation_id_organisation")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_patient_group")),
        info={"owner": "web", "store": "main"},
    )
    op.create_index(op.f("ix_patient_group_account_id"), "patient_group", ["account_id"], unique=False)
    op.create_index(op.f("ix_patient_group_organisation_id"), "patient_group", ["organisation_id"], unique=False)
    op.create_table(
        "patient_import",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("row_count", sa.Integer(), nullable=False),
        sa.Column("undone_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_patient_import_account_id_account")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_patient_import_organisation_id_organisation")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_patient_import")),
        info={"owner": "web", "store": "main"},
    )
    op.create_index(op.f("ix_patient_import_organisation_id"), "patient_import", ["organisation_id"], unique=False)
    op.create_table(
        "questionnaire",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("definition", sa.JSON(), nullable=False),
        sa.Column("licence", sa.String(), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["created_by"], ["account.id"], name=op.f("fk_questionnaire_created_by_account")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_questionnaire_organisation_id_organisation")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_questionnaire")),
        sa.UniqueConstraint(
            "organisation_id", "code", "version", name=op.f("uq_questionnaire_organisation_id_code_version")
        ),
        info={"owner": "web", "store": "main"},
    )
    op.create_index(op.f("ix_questionnaire_organisation_id"), "questionnaire", ["organisation_id"], unique=False)
    op.create_table(
        "substitution",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("absent_account_id", sa.Uuid(), nullable=False),
        sa.Column("substitute_account_id", sa.Uuid(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["absent_account_id"], ["account.id"], name=op.f("fk_substitution_absent_account_id_account")
        ),
        sa.ForeignKeyConstraint(["created_by"], ["account.id"], name=op.f("fk_substitution_created_by_account")),
        sa.ForeignKeyConstraint(
            ["substitute_account_id"], ["account.id"], name=op.f("fk_substitution_substitute_account_id_account")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_substitution")),
        info={"owner": "web", "store": "main"},
    )
    op.create_index(op.f("ix_substitution_absent_account_id"), "substitution", ["absent_account_id"], unique=False)
    op.create_index(
        op.f("ix_substitution_substitute_account_id"), "substitution", ["substitute_account_id"], unique=False
    )
    op.create_table(
        "team_membership",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("team_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_team_membership_account_id_account")),
        sa.ForeignKeyConstraint(["team_id"], ["team.id"], name=op.f("fk_team_membership_team_id_team")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_team_membership")),
        info={"owner": "web", "store": "main"},
    )
    op.create_index(
        op.f("ix_team_membership_account_id_team_id"), "team_membership", ["account_id", "team_id"], unique=False
    )
    op.create_index(op.f("ix_team_membership_team_id"), "team_membership", ["team_id"], unique=False)
    op.create_table(
        "live_event",
        sa.Column("live_session_id", sa.Uuid(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["live_session_id"], ["live_session.id"], name=op.f("fk_live_event_live_session_id_live_session")
        ),
        sa.PrimaryKeyConstraint("live_session_id", "sequence", name=op.f("pk_live_event")),
        info={"owner": "media", "store": "main"},
    )
    op.create_table(
        "patient",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("language", sa.String(), nullable=False),
        sa.Column("wrapped_key", sa.LargeBinary(), nullable=True),
        sa.Column("name_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("birth_date_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("telephone_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("cpr_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("cpr_hash", sa.String(), nullable=True),
        sa.Column("protected_address_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("import_id", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["import_id"], ["patient_import.id"], name=op.f("fk_patient_import_id_patient_import")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_patient_organisation_id_organisation")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_patient")),
        sa.UniqueConstraint("organisation_id", "cpr_hash", name=op.f("uq_patient_organisation_id_cpr_hash")),
        info={"owner": "web", "store": "main"},
    )
    op.create_index(op.f("ix_patient_import_id"), "patient", ["import_id"], unique=False)
    op.create_index(op.f("ix_patient_organisation_id"), "patient", ["organisation_id"], unique=False)
    op.create_table(
        "appointment",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("patient_id", sa.Uuid(), nullable=True),
        sa.Column("group_id", sa.Uuid(), nullable=True),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("live_session_id", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("kind IN ('live_session', 'visit', 'telephone')", name=op.f("ck_appointment_kind")),
        sa.CheckConstraint("state IN ('planned', 'cancelled', 'done', 'no_show')", name=op.f("ck_appointment_state")),
        sa.CheckConstraint("(patient_id IS NULL) <> (group_id IS NULL)", name=op.f("ck_appointment_one_side")),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_appointment_account_id_account")),
        sa.ForeignKeyConstraint(["group_id"], ["patient_group.id"], name=op.f("fk_appointment_group_id_patient_group")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_appointment_organisation_id_organisation")
        ),
        sa.ForeignKeyConstraint(["patient_id"], ["patient.id"], name=op.f("fk_appointment_patient_id_patient")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_appointment")),
        info={"owner": "web", "store": "main"},
    )
    op.create_index(op.f("ix_appointment_account_id"), "appointment", ["account_id"], unique=False)
    op.create_index(op.f("ix_appointment_group_id"), "appointment", ["group_id"], unique=False)
    op.create_index(op.f("ix_appointment_live_session_id"), "appointment", ["live_session_id"], unique=False)
    op.create_index(op.f("ix_appointment_organisation_id"), "appointment", ["organisation_id"], unique=False)
    op.create_index(op.f("ix_appointment_patient_id"), "appointment", ["patient_id"], unique=False)
    op.create_index(op.f("ix_appointment_starts_at"), "appointment", ["starts_at"], unique=False)
    op.create_table(
        "assignment",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("device_name", sa.String(), nullable=False),
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("body_site", sa.String(), nullable=True),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_by", sa.Uuid(), nullable=True),
        sa.ForeignKeyConstraint(["created_by"], ["account.id"], name=op.f("fk_assignment_created_by_account")),
        sa.ForeignKeyConstraint(["device_name"], ["device.name"], name=op.f("fk_assignment_device_name_device")),
        sa.ForeignKeyConstraint(["patient_id"], ["patient.id"], name=op.f("fk_assignment_patient_id_patient")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_assignment")),
        info={"owner": "web", "store": "main"},
    )
    op.create_index(
        op.f("ix_assignment_device_name_starts_at"), "assignment", ["device_name", "starts_at"], unique=False
    )
    op.create_index(op.f("ix_assignment_patient_id"), "assignment", ["patient_id"], unique=False)
    op.create_table(
        "break_glass",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("reason_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reviewed_by", sa.Uuid(), nullable=True),
        sa.Column("reviewed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_break_glass_account_id_account")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_break_glass_organisation_id_organisation")
        ),
        sa.ForeignKeyConstraint(["patient_id"], ["patient.id"], name=op.f("fk_break_glass_patient_id_patient")),
        sa.ForeignKeyConstraint(["reviewed_by"], ["account.id"], name=op.f("fk_break_glass_reviewed_by_account")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_break_glass")),
        info={"owner": "web", "store": "main"},
    )
    op.create_index(
        op.f("ix_break_glass_account_id_patient_id"), "break_glass", ["account_id", "patient_id"], unique=False
    )
    op.create_index(op.f("ix_break_glass_organisation_id"), "break_glass", ["organisation_id"], unique=False)
    op.create_index(op.f("ix_break_glass_patient_id"), "break_glass", ["patient_id"], unique=False)
    op.create_table(
        "calendar_feed",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=True),
        sa.Column("patient_id", sa.Uuid(), nullable=True),
        sa.Column("token_hash", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("(account_id IS NULL) <> (patient_id IS NULL)", name=op.f("ck_calendar_feed_one_holder")),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_calendar_feed_account_id_account")),
        sa.ForeignKeyConstraint(["patient_id"], ["patient.id"], name=op.f("fk_calendar_feed_patient_id_patient")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_calendar_feed")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_calendar_feed_token_hash")),
        info={"owner": "web", "store": "main"},
    )
    op.create_index(op.f("ix_calendar_feed_account_id"), "calendar_feed", ["account_id"], unique=False)
    op.create_index(op.f("ix_calendar_feed_patient_id"), "calendar_feed", ["patient_id"], unique=False)
    op.create_table(
        "care_relation",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=True),
        sa.Column("team_id", sa.Uuid(), nullable=True),
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=True),
        sa.CheckConstraint("(account_id IS NULL) <> (team_id IS NULL)", name=op.f("ck_care_relation_one_holder")),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_care_relation_account_id_account")),
        sa.ForeignKeyConstraint(["created_by"], ["account.id"], name=op.f("fk_care_relation_created_by_account")),
        sa.ForeignKeyConstraint(["patient_id"], ["patient.id"], name=op.f("fk_care_relation_patient_id_patient")),
        sa.ForeignKeyConstraint(["team_id"], ["team.id"], name=op.f("fk_care_relation_team_id_team")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_care_relation")),
        info={"owner": "web", "store": "main"},
    )
    op.create_index(
        op.f("ix_care_relation_account_id_patient_id"), "care_relation", ["account_id", "patient_id"], unique=False
    )
    op.create_index(op.f("ix_care_relation_patient_id"), "care_relation", ["patient_id"], unique=False)
    op.create_index(op.f("ix_care_relation_team_id"), "care_relation", ["team_id"], unique=False)
    op.create_table(
        "consent",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("given_how", sa.String(), nullable=False),
        sa.Column("given_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("recorded_by", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(["patient_id"], ["patient.id"], name=op.f("fk_consent_patient_id_patient")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consent")),
        info={"owner": "web", "store": "main"},
    )
    op.create_index(op.f("ix_consent_patient_id"), "consent", ["patient_id"], unique=False)
    op.create_table(
        "flag",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("rule", sa.String(), nullable=False),
        sa.Column("cause", sa.String(), nullable=False),
        sa.Column("severity", sa.Integer(), nullable=False),
        sa.Column("value", sa.Float(), nullable=True),
        sa.Column("threshold", sa.Float(), nullable=True),
        sa.Column("unit", sa.String(), nullable=True),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("suggested_action", sa.String(), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_flag_organisation_id_organisation")
        ),
        sa.ForeignKeyConstraint(["patient_id"], ["patient.id"], name=op.f("fk_flag_patient_id_patient")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_flag")),
        info={"owner": "jobs", "store": "main"},
    )
    op.create_index(op.f("ix_flag_ended_at"), "flag", ["ended_at"], unique=False)
    op.create_index(op.f("ix_flag_organisation_id"), "flag", ["organisation_id"], unique=False)
    op.create_index(op.f("ix_flag_patient_id"), "flag", ["patient_id"], unique=False)
    op.create_table(
        "goal",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("text_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("target_on", sa.Date(), nullable=True),
        sa.Column("measure", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("state_changed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_by", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("retracted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("state IN ('open', 'met', 'dropped')", name=op.f("ck_goal_state")),
        sa.ForeignKeyConstraint(["patient_id"], ["patient.id"], name=op.f("fk_goal_patient_id_patient")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_goal")),
        info={"owner": "web", "store": "main"},
    )
    op.create_index(op.f("ix_goal_patient_id"), "goal", ["patient_id"], unique=False)
    op.create_table(
        "group_membership",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("group_id", sa.Uuid(), nullable=False),
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["group_id"], ["patient_group.id"], name=op.f("fk_group_membership_group_id_patient_group")
        ),
        sa.ForeignKeyConstraint(["patient_id"], ["patient.id"], name=op.f("fk_group_membership_patient_id_patient")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_group_membership")),
        info={"owner": "web", "store": "main"},
    )
    op.create_index(op.f("ix_group_membership_group_id"), "group_membership", ["group_id"], unique=False)
    op.create_index(op.f("ix_group_membership_patient_id"), "group_membership", ["patient_id"], unique=False)
    op.create_table(
        "help_call",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("live_session_id", sa.Uuid(), nullable=True),
        sa.Column("called_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("rang_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("told", sa.JSON(), nullable=False),
        sa.Column("unanswered", sa.String(), nullable=True),
        sa.Column("unanswered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("press_count", sa.Integer(), nullable=False),
        sa.Column("answered_by", sa.Uuid(), nullable=True),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_by", sa.Uuid(), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.String(), nullable=True),
        sa.Column("note_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["answered_by"], ["account.id"], name=op.f("fk_help_call_answered_by_account")),
        sa.ForeignKeyConstraint(["closed_by"], ["account.id"], name=op.f("fk_help_call_closed_by_account")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_help_call_organisation_id_organisation")
        ),
        sa.ForeignKeyConstraint(["patient_id"], ["patient.id"], name=op.f("fk_help_call_patient_id_patient")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_help_call")),
        info={"owner": "web", "store": "main"},
    )
    op.create_index(op.f("ix_help_call_called_at"), "help_call", ["called_at"], unique=False)
    op.create_index(op.f("ix_help_call_closed_at"), "help_call", ["closed_at"], unique=False)
    op.create_index(op.f("ix_help_call_live_session_id"), "help_call", ["live_session_id"], unique=False)
    op.create_index(op.f("ix_help_call_organisation_id"), "help_call", ["organisation_id"], unique=False)
    op.create_index(op.f("ix_help_call_patient_id"), "help_call", ["patient_id"], unique=False)
    op.create_table(
        "message",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=True),
        sa.Column("helper_id", sa.Uuid(), nullable=True),
        sa.Column("text_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("retracted_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_message_account_id_account")),
        sa.ForeignKeyConstraint(["helper_id"], ["helper.id"], name=op.f("fk_message_helper_id_helper")),
        sa.ForeignKeyConstraint(["patient_id"], ["patient.id"], name=op.f("fk_message_patient_id_patient")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_message")),
        info={"owner": "web", "store": "main"},
    )
    op.create_index(op.f("ix_message_patient_id"), "message", ["patient_id"], unique=False)
    op.create_index(op.f("ix_message_sent_at"), "message", ["sent_at"], unique=False)
    op.create_table(
        "notice",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("recipient", sa.String(), nullable=False),
        sa.Column("patient_id", sa.Uuid(), nullable=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("cause", sa.String(), nullable=False),
        sa.Column("day", sa.String(), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_notice_organisation_id_organisation")
        ),
        sa.ForeignKeyConstraint(["patient_id"], ["patient.id"], name=op.f("fk_notice_patient_id_patient")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notice")),
        info={"owner": "*", "store": "main"},
    )
    op.create_index(op.f("ix_notice_organisation_id"), "notice", ["organisation_id"], unique=False)
    op.create_index(op.f("ix_notice_patient_id"), "notice", ["patient_id"], unique=False)
    op.create_index(op.f("ix_notice_recipient"), "notice", ["recipient"], unique=False)
    op.create_index(op.f("ix_notice_recipient_cause_day"), "notice", ["recipient", "cause", "day"], unique=True)
    op.create_table(
        "participant",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("live_session_id", sa.Uuid(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=True),
        sa.Column("patient_id", sa.Uuid(), nullable=True),
        sa.Column("helper_id", sa.Uuid(), nullable=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("admitted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("left_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("role IN ('therapist', 'patient', 'helper')", name=op.f("ck_participant_role")),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_participant_account_id_account")),
        sa.ForeignKeyConstraint(["helper_id"], ["helper.id"], name=op.f("fk_participant_helper_id_helper")),
        sa.ForeignKeyConstraint(
            ["live_session_id"], ["live_session.id"], name=op.f("fk_participant_live_session_id_live_session")
        ),
        sa.ForeignKeyConstraint(["patient_id"], ["patient.id"], name=op.f("fk_participant_patient_id_patient")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_participant")),
        info={"owner": "media", "store": "main"},
    )
    op.create_index(op.f("ix_participant_account_id"), "participant", ["account_id"], unique=False)
    op.create_index(op.f("ix_participant_helper_id"), "participant", ["helper_id"], unique=False)
    op.create_index(op.f("ix_participant_live_session_id"), "participant", ["live_session_id"], unique=False)
    op.create_index(op.f("ix_participant_patient_id"), "participant", ["patient_id"], unique=False)
    op.create_table(
        "patient_summary",
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("counted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_training_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("pain_last", sa.Integer(), nullable=True),
        sa.Column("completeness", sa.Float(), nullable=True),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_patient_summary_organisation_id_organisation")
        ),
        sa.ForeignKeyConstraint(["patient_id"], ["patient.id"], name=op.f("fk_patient_summary_patient_id_patient")),
        sa.PrimaryKeyConstraint("patient_id", name=op.f("pk_patient_summary")),
        info={"owner": "jobs", "store": "main"},
    )
    op.create_index(op.f("ix_patient_summary_organisation_id"), "patient_summary", ["organisation_id"], unique=False)
    op.create_table(
        "plan_version",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("content_hash", sa.String(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("author_id", sa.Uuid(), nullable=False),
        sa.Column("reason_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("template", sa.String(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["author_id"], ["account.id"], name=op.f("fk_plan_version_author_id_account")),
        sa.ForeignKeyConstraint(["patient_id"], ["patient.id"], name=op.f("fk_plan_version_patient_id_patient")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_plan_version")),
        sa.UniqueConstraint("patient_id", "number", name=op.f("uq_plan_version_patient_id_number")),
        info={"owner": "web", "store": "main"},
    )
    op.create_index(op.f("ix_plan_version_patient_id"), "plan_version", ["patient_id"], unique=False)
    op.create_table(
        "questionnaire_schedule",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("questionnaire_id", sa.Uuid(), nullable=True),
        sa.Column("first_on", sa.Date(), nullable=False),
        sa.Column("every_days", sa.Integer(), nullable=True),
        sa.Column("until", sa.Date(), nullable=True),
        sa.Column("created_by", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["created_by"], ["account.id"], name=op.f("fk_questionnaire_schedule_created_by_account")
        ),
        sa.ForeignKeyConstraint(
            ["patient_id"], ["patient.id"], name=op.f("fk_questionnaire_schedule_patient_id_patient")
        ),
        sa.ForeignKeyConstraint(
            ["questionnaire_id"],
            ["questionnaire.id"],
            name=op.f("fk_questionnaire_schedule_questionnaire_id_questionnaire"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_questionnaire_schedule")),
        info={"owner": "web", "store": "main"},
    )
    op.create_index(
        op.f("ix_questionnaire_schedule_patient_id"), "questionnaire_schedule", ["patient_id"], unique=False
    )
    op.create_table(
        "referral",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("discharged_on", sa.Date(), nullable=True),
        sa.Column("received_on", sa.Date(), nullable=True),
        sa.Column("informed_on", sa.Date(), nullable=True),
        sa.Column("first_offered_on", sa.Date(), nullable=True),
        sa.Column("started_on", sa.Date(), nullable=True),
        sa.Column("stopped_on", sa.Date(), nullable=True),
        sa.Column("stop_reason", sa.String(), nullable=True),
        sa.Column("note_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("created_by", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("retracted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["created_by"], ["account.id"], name=op.f("fk_referral_created_by_account")),
        sa.ForeignKeyConstraint(["patient_id"], ["patient.id"], name=op.f("fk_referral_patient_id_patient")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_referral")),
        info={"owner": "web", "store": "main"},
    )
    op.create_index(op.f("ix_referral_patient_id"), "referral", ["patient_id"], unique=False)
    op.create_table(
        "retraction",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("what", sa.String(), nullable=False),
        sa.Column("row_id", sa.Uuid(), nullable=False),
        sa.Column("wrong_patient_id", sa.Uuid(), nullable=False),
        sa.Column("right_patient_id", sa.Uuid(), nullable=True),
        sa.Column("reason_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_retraction_account_id_account")),
        sa.ForeignKeyConstraint(
            ["right_patient_id"], ["patient.id"], name=op.f("fk_retraction_right_patient_id_patient")
        ),
        sa.ForeignKeyConstraint(
            ["wrong_patient_id"], ["patient.id"], name=op.f("fk_retraction_wrong_patient_id_patient")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_retraction")),
        info={"owner": "web", "store": "main"},
    )
    op.create_index(op.f("ix_retraction_row_id"), "retraction", ["row_id"], unique=False)
    op.create_index(op.f("ix_retraction_wrong_patient_id"), "retraction", ["wrong_patient_id"], unique=False)
    op.create_table(
        "secret_look",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("what", sa.String(), nullable=False),
        sa.Column("reason_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_secret_look_account_id_account")),
        sa.ForeignKeyConstraint(["patient_id"], ["patient.id"], name=op.f("fk_secret_look_patient_id_patient")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_secret_look")),
        info={"owner": "web", "store": "main"},
    )
    op.create_index(op.f("ix_secret_look_patient_id"), "secret_look", ["patient_id"], unique=False)
    op.create_table(
        "tablet",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("paired_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("pin_hash", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["patient_id"], ["patient.id"], name=op.f("fk_tablet_patient_id_patient")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tablet")),
        info={"owner": "web", "store": "main"},
    )
    op.create_index(op.f("ix_tablet_patient_id"), "tablet", ["patient_id"], unique=False)
    op.create_table(
        "tablet_pairing_code",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("code_hash", sa.String(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["patient_id"], ["patient.id"], name=op.f("fk_tablet_pairing_code_patient_id_patient")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tablet_pairing_code")),
        info={"owner": "web", "store": "main"},
    )
    op.create_index(op.f("ix_tablet_pairing_code_code_hash"), "tablet_pairing_code", ["code_hash"], unique=False)
    op.create_index(op.f("ix_tablet_pairing_code_patient_id"), "tablet_pairing_code", ["patient_id"], unique=False)
    op.create_table(
        "training_pause",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("starts_on", sa.Date(), nullable=False),
        sa.Column("ends_on", sa.Date(), nullable=True),
        sa.Column("created_by", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("kind IN ('planned_rest', 'illness', 'holiday')", name=op.f("ck_training_pause_kind")),
        sa.ForeignKeyConstraint(["patient_id"], ["patient.id"], name=op.f("fk_training_pause_patient_id_patient")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_training_pause")),
        info={"owner": "web", "store": "main"},
    )
    op.create_index(op.f("ix_training_pause_patient_id"), "training_pause", ["patient_id"], unique=False)
    op.create_table(
        "flag_action",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("flag_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("flag_version", sa.Integer(), nullable=False),
        sa.Column("note_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("action IN ('acknowledged', 'resolved')", name=op.f("ck_flag_action_action")),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_flag_action_account_id_account")),
        sa.ForeignKeyConstraint(["flag_id"], ["flag.id"], name=op.f("fk_flag_action_flag_id_flag")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_flag_action")),
        info={"owner": "web", "store": "main"},
    )
    op.create_index(op.f("ix_flag_action_flag_id"), "flag_action", ["flag_id"], unique=False)
    op.create_table(
        "helper_grant",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("helper_id", sa.Uuid(), nullable=True),
        sa.Column("invited_name_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("consent_id", sa.Uuid(), nullable=True),
        sa.Column("token_hash", sa.String(), nullable=True),
        sa.Column("token_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_by", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(["consent_id"], ["consent.id"], name=op.f("fk_helper_grant_consent_id_consent")),
        sa.ForeignKeyConstraint(["helper_id"], ["helper.id"], name=op.f("fk_helper_grant_helper_id_helper")),
        sa.ForeignKeyConstraint(["patient_id"], ["patient.id"], name=op.f("fk_helper_grant_patient_id_patient")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_helper_grant")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_helper_grant_token_hash")),
        info={"owner": "web", "store": "main"},
    )
    op.create_index(
        op.f("ix_helper_grant_helper_id_patient_id"), "helper_grant", ["helper_id", "patient_id"], unique=False
    )
    op.create_index(op.f("ix_helper_grant_patient_id"), "helper_grant", ["patient_id"], unique=False)
    op.create_table(
        "login",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("token_hash", sa.String(), nullable=False),
        sa.Column("previous_token_hash", sa.String(), nullable=True),
        sa.Column("rotated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("account_id", sa.Uuid(), nullable=True),
        sa.Column("tablet_id", sa.Uuid(), nullable=True),
        sa.Column("helper_id", sa.Uuid(), nullable=True),
        sa.Column("assurance", sa.String(), nullable=False),
        sa.Column("browser", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("assurance IN ('first_factor', 'full')", name=op.f("ck_login_assurance")),
        sa.CheckConstraint(
            "(account_id IS NULL AND (tablet_id IS NULL) <> (helper_id IS NULL)) OR (account_id IS NOT NULL AND tablet_id IS NULL AND helper_id IS NULL)",
            name=op.f("ck_login_one_holder"),
        ),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_login_account_id_account")),
        sa.ForeignKeyConstraint(["helper_id"], ["helper.id"], name=op.f("fk_login_helper_id_helper")),
        sa.ForeignKeyConstraint(["tablet_id"], ["tablet.id"], name=op.f("fk_login_tablet_id_tablet")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_login")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_login_token_hash")),
        info={"owner": "web", "store": "main"},
    )
    op.create_index(op.f("ix_login_account_id"), "login", ["account_id"], unique=False)
    op.create_index(op.f("ix_login_helper_id"), "login", ["helper_id"], unique=False)
    op.create_index(op.f("ix_login_previous_token_hash"), "login", ["previous_token_hash"], unique=False)
    op.create_index(op.f("ix_login_tablet_id"), "login", ["tablet_id"], unique=False)
    op.create_table(
        "one_time_link",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("token_hash", sa.String(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=True),
        sa.Column("tablet_id", sa.Uuid(), nullable=True),
        sa.Column("is_full", sa.Boolean(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("(account_id IS NULL) <> (tablet_id IS NULL)", name=op.f("ck_one_time_link_one_holder")),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_one_time_link_account_id_account")),
        sa.ForeignKeyConstraint(["tablet_id"], ["tablet.id"], name=op.f("fk_one_time_link_tablet_id_tablet")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_one_time_link")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_one_time_link_token_hash")),
        info={"owner": "web", "store": "main"},
    )
    op.create_index(op.f("ix_one_time_link_account_id"), "one_time_link", ["account_id"], unique=False)
    op.create_index(op.f("ix_one_time_link_tablet_id"), "one_time_link", ["tablet_id"], unique=False)
    op.create_table(
        "questionnaire_response",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("questionnaire_id", sa.Uuid(), nullable=True),
        sa.Column("schedule_id", sa.Uuid(), nullable=True),
        sa.Column("due_on", sa.Date(), nullable=True),
        sa.Column("answers_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("score", sa.Float(), nullable=True),
        sa.Column("answered_by", sa.Uuid(), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("retracted_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["patient_id"], ["patient.id"], name=op.f("fk_questionnaire_response_patient_id_patient")
        ),
        sa.ForeignKeyConstraint(
            ["questionnaire_id"],
            ["questionnaire.id"],
            name=op.f("fk_questionnaire_response_questionnaire_id_questionnaire"),
        ),
        sa.ForeignKeyConstraint(
            ["schedule_id"],
            ["questionnaire_schedule.id"],
            name=op.f("fk_questionnaire_response_schedule_id_questionnaire_schedule"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_questionnaire_response")),
        info={"owner": "web", "store": "main"},
    )
    op.create_index(
        op.f("ix_questionnaire_response_answered_at"), "questionnaire_response", ["answered_at"], unique=False
    )
    op.create_index(
        op.f("ix_questionnaire_response_patient_id"), "questionnaire_response", ["patient_id"], unique=False
    )
    op.create_table(
        "training_session",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("live_session_id", sa.Uuid(), nullable=True),
        sa.Column("plan_version_id", sa.Uuid(), nullable=True),
        sa.Column("helper_id", sa.Uuid(), nullable=True),
        sa.Column("exercise", sa.String(), nullable=False),
        sa.Column("side", sa.String(), nullable=False),
        sa.Column("target_low_deg", sa.Float(), nullable=True),
        sa.Column("target_high_deg", sa.Float(), nullable=True),
        sa.Column("target_repetitions", sa.Integer(), nullable=True),
        sa.Column("exercise_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("training_set_id", sa.Uuid(), nullable=True),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("opened_by", sa.Uuid(), nullable=False),
        sa.Column("opened_via", sa.String(), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("close_reason", sa.String(), nullable=True),
        sa.Column("retracted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["helper_id"], ["helper.id"], name=op.f("fk_training_session_helper_id_helper")),
        sa.ForeignKeyConstraint(
            ["live_session_id"], ["live_session.id"], name=op.f("fk_training_session_live_session_id_live_session")
        ),
        sa.ForeignKeyConstraint(["patient_id"], ["patient.id"], name=op.f("fk_training_session_patient_id_patient")),
        sa.ForeignKeyConstraint(
            ["plan_version_id"], ["plan_version.id"], name=op.f("fk_training_session_plan_version_id_plan_version")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_training_session")),
        info={"owner": "web", "store": "main"},
    )
    op.create_index(op.f("ix_training_session_closed_at"), "training_session", ["closed_at"], unique=False)
    op.create_index(op.f("ix_training_session_live_session_id"), "training_session", ["live_session_id"], unique=False)
    op.create_index(op.f("ix_training_session_opened_at"), "training_session", ["opened_at"], unique=False)
    op.create_index(
        op.f("ix_training_session_patient_id_opened_at"), "training_session", ["patient_id", "opened_at"], unique=False
    )
    op.create_table(
        "alert",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("training_session_id", sa.Uuid(), nullable=True),
        sa.Column("cause", sa.String(), nullable=False),
        sa.Column("value", sa.Float(), nullable=True),
        sa.Column("limit_value", sa.Float(), nullable=True),
        sa.Column("is_stop", sa.Boolean(), nullable=False),
        sa.Column("needs_confirmation_by", sa.String(), nullable=True),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("found_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("found_by", sa.String(), nullable=False),
        sa.Column("retracted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_alert_organisation_id_organisation")
        ),
        sa.ForeignKeyConstraint(["patient_id"], ["patient.id"], name=op.f("fk_alert_patient_id_patient")),
        sa.ForeignKeyConstraint(
            ["training_session_id"], ["training_session.id"], name=op.f("fk_alert_training_session_id_training_session")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert")),
        info={"owner": "*", "store": "main"},
    )
    op.create_index(op.f("ix_alert_found_at"), "alert", ["found_at"], unique=False)
    op.create_index(op.f("ix_alert_organisation_id"), "alert", ["organisation_id"], unique=False)
    op.create_index(op.f("ix_alert_patient_id"), "alert", ["patient_id"], unique=False)
    op.create_index(op.f("ix_alert_training_session_id"), "alert", ["training_session_id"], unique=False)
    op.create_table(
        "passkey_challenge",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("challenge", sa.LargeBinary(), nullable=False),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=True),
        sa.Column("helper_id", sa.Uuid(), nullable=True),
        sa.Column("grant_id", sa.Uuid(), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_passkey_challenge_account_id_account")),
        sa.ForeignKeyConstraint(
            ["grant_id"], ["helper_grant.id"], name=op.f("fk_passkey_challenge_grant_id_helper_grant")
        ),
        sa.ForeignKeyConstraint(["helper_id"], ["helper.id"], name=op.f("fk_passkey_challenge_helper_id_helper")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_passkey_challenge")),
        info={"owner": "web", "store": "main"},
    )
    op.create_table(
        "repetition",
        sa.Column("training_session_id", sa.Uuid(), nullable=False),
        sa.Column("index", sa.Integer(), nullable=False),
        sa.Column("training_set_id", sa.Uuid(), nullable=True),
        sa.Column("start_us", sa.BigInteger(), nullable=False),
        sa.Column("stop_us", sa.BigInteger(), nullable=False),
        sa.Column("rom_deg", sa.Float(), nullable=False),
        sa.Column("up_s", sa.Float(), nullable=False),
        sa.Column("hold_s", sa.Float(), nullable=False),
        sa.Column("down_s", sa.Float(), nullable=False),
        sa.Column("peak_speed_deg_s", sa.Float(), nullable=False),
        sa.Column("trust", sa.Float(), nullable=False),
        sa.Column("reason", sa.Integer(), nullable=False),
        sa.Column("algorithm_version", sa.String(), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["training_session_id"],
            ["training_session.id"],
            name=op.f("fk_repetition_training_session_id_training_session"),
        ),
        sa.PrimaryKeyConstraint("training_session_id", "index", name=op.f("pk_repetition")),
        info={"owner": "ingest", "store": "main"},
    )
    op.create_index(op.f("ix_repetition_training_set_id"), "repetition", ["training_set_id"], unique=False)
    op.create_table(
        "training_set",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("training_session_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("plan_item", sa.Integer(), nullable=True),
        sa.Column("set_number", sa.Integer(), nullable=True),
        sa.Column("exercise", sa.String(), nullable=False),
        sa.Column("side", sa.String(), nullable=False),
        sa.Column("target_low_deg", sa.Float(), nullable=True),
        sa.Column("target_high_deg", sa.Float(), nullable=True),
        sa.Column("target_repetitions", sa.Integer(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("end_reason", sa.String(), nullable=True),
        sa.Column("counted_repetitions", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["training_session_id"],
            ["training_session.id"],
            name=op.f("fk_training_set_training_session_id_training_session"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_training_set")),
        info={"owner": "web", "store": "main"},
    )
    op.create_index(
        op.f("ix_training_set_training_session_id_number"),
        "training_set",
        ["training_session_id", "number"],
        unique=True,
    )
    op.create_table(
        "alert_acknowledgement",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("alert_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=True),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("note_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "action IN ('may_continue', 'ended', 'called', 'seen')", name=op.f("ck_alert_acknowledgement_action")
        ),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_alert_acknowledgement_account_id_account")
        ),
        sa.ForeignKeyConstraint(["alert_id"], ["alert.id"], name=op.f("fk_alert_acknowledgement_alert_id_alert")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert_acknowledgement")),
        info={"owner": "web", "store": "main"},
    )
    op.create_index(op.f("ix_alert_acknowledgement_alert_id"), "alert_acknowledgement", ["alert_id"], unique=False)
    op.create_table(
        "correction",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("training_session_id", sa.Uuid(), nullable=False),
        sa.Column("training_set_id", sa.Uuid(), nullable=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("original", sa.JSON(), nullable=False),
        sa.Column("corrected", sa.JSON(), nullable=False),
        sa.Column("note_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_correction_account_id_account")),
        sa.ForeignKeyConstraint(
            ["training_session_id"],
            ["training_session.id"],
            name=op.f("fk_correction_training_session_id_training_session"),
        ),
        sa.ForeignKeyConstraint(
            ["training_set_id"], ["training_set.id"], name=op.f("fk_correction_training_set_id_training_set")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_correction")),
        info={"owner": "web", "store": "main"},
    )
    op.create_index(op.f("ix_correction_training_session_id"), "correction", ["training_session_id"], unique=False)
    op.create_table(
        "self_report",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("training_session_id", sa.Uuid(), nullable=True),
        sa.Column("training_set_id", sa.Uuid(), nullable=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("value", sa.Integer(), nullable=True),
        sa.Column("phase", sa.String(), nullable=False),
        sa.Column("reported_by", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("retracted_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("kind IN ('pain', 'effort', 'stop')", name=op.f("ck_self_report_kind")),
        sa.ForeignKeyConstraint(["patient_id"], ["patient.id"], name=op.f("fk_self_report_patient_id_patient")),
        sa.ForeignKeyConstraint(
            ["training_session_id"],
            ["training_session.id"],
            name=op.f("fk_self_report_training_session_id_training_session"),
        ),
        sa.ForeignKeyConstraint(
            ["training_set_id"], ["training_set.id"], name=op.f("fk_self_report_training_set_id_training_set")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_self_report")),
        info={"owner": "web", "store": "main"},
    )
    op.create_index(op.f("ix_self_report_at"), "self_report", ["at"], unique=False)
    op.create_index(op.f("ix_self_report_patient_id"), "self_report", ["patient_id"], unique=False)
    op.create_index(op.f("ix_self_report_training_session_id"), "self_report", ["training_session_id"], unique=False)


def _upgrade_hot() -> None:
    op.create_table(
        "block",
        sa.Column("device", sa.String(), nullable=False),
        sa.Column("boot", sa.BigInteger(), nullable=False),
        sa.Column("stream", sa.String(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("schema", sa.BigInteger(), nullable=False),
        sa.Column("t0_us", sa.BigInteger(), nullable=False),
        sa.Column("n_samples", sa.Integer(), nullable=False),
        sa.Column("received_us", sa.BigInteger(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("device", "boot", "stream", "sequence", name=op.f("pk_block")),
        info={"owner": "ingest", "store": "hot"},
        sqlite_with_rowid=False,
    )
    op.create_table(
        "clock_fit",
        sa.Column("device", sa.String(), nullable=False),
        sa.Column("boot", sa.BigInteger(), nullable=False),
        sa.Column("from_us", sa.BigInteger(), nullable=False),
        sa.Column("a_us", sa.Float(), nullable=False),
        sa.Column("b", sa.Float(), nullable=False),
        sa.Column("rmse_us", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("device", "boot", "from_us", name=op.f("pk_clock_fit")),
        info={"owner": "ingest", "store": "hot"},
        sqlite_with_rowid=False,
    )
    op.create_table(
        "device_report",
        sa.Column("device", sa.String(), nullable=False),
        sa.Column("meta", sa.JSON(), nullable=False),
        sa.Column("state", sa.JSON(), nullable=False),
        sa.Column("received_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("device", name=op.f("pk_device_report")),
        info={"owner": "ingest", "store": "hot"},
    )
    op.create_table(
        "gap",
        sa.Column("device", sa.String(), nullable=False),
        sa.Column("boot", sa.BigInteger(), nullable=False),
        sa.Column("stream", sa.String(), nullable=False),
        sa.Column("start_sequence", sa.BigInteger(), nullable=False),
        sa.Column("stop_sequence", sa.BigInteger(), nullable=False),
        sa.Column("seen_at_us", sa.BigInteger(), nullable=False),
        sa.Column("cause", sa.String(), nullable=False),
        sa.Column("closed_at_us", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("device", "boot", "stream", "start_sequence", name=op.f("pk_gap")),
        info={"owner": "ingest", "store": "hot"},
        sqlite_with_rowid=False,
    )
    op.create_table(
        "quarantine",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("device", sa.String(), nullable=False),
        sa.Column("received_us", sa.BigInteger(), nullable=False),
        sa.Column("why", sa.String(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quarantine")),
        info={"owner": "ingest", "store": "hot"},
    )
    op.create_index(op.f("ix_quarantine_device"), "quarantine", ["device"], unique=False)


def _downgrade_main() -> None:
    op.drop_index(op.f("ix_self_report_training_session_id"), table_name="self_report")
    op.drop_index(op.f("ix_self_report_patient_id"), table_name="self_report")
    op.drop_index(op.f("ix_self_report_at"), table_name="self_report")
    op.drop_table("self_report")
    op.drop_index(op.f("ix_correction_training_session_id"), table_name="correction")
    op.drop_table("correction")
    op.drop_index(op.f("ix_alert_acknowledgement_alert_id"), table_name="alert_acknowledgement")
    op.drop_table("alert_acknowledgement")
    op.drop_index(op.f("ix_training_set_training_session_id_number"), table_name="training_set")
    op.drop_table("training_set")
    op.drop_index(op.f("ix_repetition_training_set_id"), table_name="repetition")
    op.drop_table("repetition")
    op.drop_table("passkey_challenge")
    op.drop_index(op.f("ix_alert_training_session_id"), table_name="alert")
    op.drop_index(op.f("ix_alert_patient_id"), table_name="alert")
    op.drop_index(op.f("ix_alert_organisation_id"), table_name="alert")
    op.drop_index(op.f("ix_alert_found_at"), table_name="alert")
    op.drop_table("alert")
    op.drop_index(op.f("ix_training_session_patient_id_opened_at"), table_name="training_session")
    op.drop_index(op.f("ix_training_session_opened_at"), table_name="training_session")
    op.drop_index(op.f("ix_training_session_live_session_id"), table_name="training_session")
    op.drop_index(op.f("ix_training_session_closed_at"), table_name="training_session")
    op.drop_table("training_session")
    op.drop_index(op.f("ix_questionnaire_response_patient_id"), table_name="questionnaire_response")
    op.drop_index(op.f("ix_questionnaire_response_answered_at"), table_name="questionnaire_response")
    op.drop_table("questionnaire_response")
    op.drop_index(op.f("ix_one_time_link_tablet_id"), table_name="one_time_link")
    op.drop_index(op.f("ix_one_time_link_account_id"), table_name="one_time_link")
    op.drop_table("one_time_link")
    op.drop_index(op.f("ix_login_tablet_id"), table_name="login")
    op.drop_index(op.f("ix_login_previous_token_hash"), table_name="login")
    op.drop_index(op.f("ix_login_helper_id"), table_name="login")
    op.drop_index(op.f("ix_login_account_id"), table_name="login")
    op.drop_table("login")
    op.drop_index(op.f("ix_helper_grant_patient_id"), table_name="helper_grant")
    op.drop_index(op.f("ix_helper_grant_helper_id_patient_id"), table_name="helper_grant")
    op.drop_table("helper_grant")
    op.drop_index(op.f("ix_flag_action_flag_id"), table_name="flag_action")
    op.drop_table("flag_action")
    op.drop_index(op.f("ix_training_pause_patient_id"), table_name="training_pause")
    op.drop_table("training_pause")
    op.drop_index(op.f("ix_tablet_pairing_code_patient_id"), table_name="tablet_pairing_code")
    op.drop_index(op.f("ix_tablet_pairing_code_code_hash"), table_name="tablet_pairing_code")
    op.drop_table("tablet_pairing_code")
    op.drop_index(op.f("ix_tablet_patient_id"), table_name="tablet")
    op.drop_table("tablet")
    op.drop_index(op.f("ix_secret_look_patient_id"), table_name="secret_look")
    op.drop_table("secret_look")
    op.drop_index(op.f("ix_retraction_wrong_patient_id"), table_name="retraction")
    op.drop_index(op.f("ix_retraction_row_id"), table_name="retraction")
    op.drop_table("retraction")
    op.drop_index(op.f("ix_referral_patient_id"), table_name="referral")
    op.drop_table("referral")
    op.drop_index(op.f("ix_questionnaire_schedule_patient_id"), table_name="questionnaire_schedule")
    op.drop_table("questionnaire_schedule")
    op.drop_index(op.f("ix_plan_version_patient_id"), table_name="plan_version")
    op.drop_table("plan_version")
    op.drop_index(op.f("ix_patient_summary_organisation_id"), table_name="patient_summary")
    op.drop_table("patient_summary")
    op.drop_index(op.f("ix_participant_patient_id"), table_name="participant")
    op.drop_index(op.f("ix_participant_live_session_id"), table_name="participant")
    op.drop_index(op.f("ix_participant_helper_id"), table_name="participant")
    op.drop_index(op.f("ix_participant_account_id"), table_name="participant")
    op.drop_table("participant")
    op.drop_index(op.f("ix_notice_recipient_cause_day"), table_name="notice")
    op.drop_index(op.f("ix_notice_recipient"), table_name="notice")
    op.drop_index(op.f("ix_notice_patient_id"), table_name="notice")
    op.drop_index(op.f("ix_notice_organisation_id"), table_name="notice")
    op.drop_table("notice")
    op.drop_index(op.f("ix_message_sent_at"), table_name="message")
    op.drop_index(op.f("ix_message_patient_id"), table_name="message")
    op.drop_table("message")
    op.drop_index(op.f("ix_help_call_patient_id"), table_name="help_call")
    op.drop_index(op.f("ix_help_call_organisation_id"), table_name="help_call")
    op.drop_index(op.f("ix_help_call_live_session_id"), table_name="help_call")
    op.drop_index(op.f("ix_help_call_closed_at"), table_name="help_call")
    op.drop_index(op.f("ix_help_call_called_at"), table_name="help_call")
    op.drop_table("help_call")
    op.drop_index(op.f("ix_group_membership_patient_id"), table_name="group_membership")
    op.drop_index(op.f("ix_group_membership_group_id"), table_name="group_membership")
    op.drop_table("group_membership")
    op.drop_index(op.f("ix_goal_patient_id"), table_name="goal")
    op.drop_table("goal")
    op.drop_index(op.f("ix_flag_patient_id"), table_name="flag")
    op.drop_index(op.f("ix_flag_organisation_id"), table_name="flag")
    op.drop_index(op.f("ix_flag_ended_at"), table_name="flag")
    op.drop_table("flag")
    op.drop_index(op.f("ix_consent_patient_id"), table_name="consent")
    op.drop_table("consent")
    op.drop_index(op.f("ix_care_relation_team_id"), table_name="care_relation")
    op.drop_index(op.f("ix_care_relation_patient_id"), table_name="care_relation")
    op.drop_index(op.f("ix_care_relation_account_id_patient_id"), table_name="care_relation")
    op.drop_table("care_relation")
    op.drop_index(op.f("ix_calendar_feed_patient_id"), table_name="calendar_feed")
    op.drop_index(op.f("ix_calendar_feed_account_id"), table_name="calendar_feed")
    op.drop_table("calendar_feed")
    op.drop_index(op.f("ix_break_glass_patient_id"), table_name="break_glass")
    op.drop_index(op.f("ix_break_glass_organisation_id"), table_name="break_glass")
    op.drop_index(op.f("ix_break_glass_account_id_patient_id"), table_name="break_glass")
    op.drop_table("break_glass")
    op.drop_index(op.f("ix_assignment_patient_id"), table_name="assignment")
    op.drop_index(op.f("ix_assignment_device_name_starts_at"), table_name="assignment")
    op.drop_table("assignment")
    op.drop_index(op.f("ix_appointment_starts_at"), table_name="appointment")
    op.drop_index(op.f("ix_appointment_patient_id"), table_name="appointment")
    op.drop_index(op.f("ix_appointment_organisation_id"), table_name="appointment")
    op.drop_index(op.f("ix_appointment_live_session_id"), table_name="appointment")
    op.drop_index(op.f("ix_appointment_group_id"), table_name="appointment")
    op.drop_index(op.f("ix_appointment_account_id"), table_name="appointment")
    op.drop_table("appointment")
    op.drop_index(op.f("ix_patient_organisation_id"), table_name="patient")
    op.drop_index(op.f("ix_patient_import_id"), table_name="patient")
    op.drop_table("patient")
    op.drop_table("live_event")
    op.drop_index(op.f("ix_team_membership_team_id"), table_name="team_membership")
    op.drop_index(op.f("ix_team_membership_account_id_team_id"), table_name="team_membership")
    op.drop_table("team_membership")
    op.drop_index(op.f("ix_substitution_substitute_account_id"), table_name="substitution")
    op.drop_index(op.f("ix_substitution_absent_account_id"), table_name="substitution")
    op.drop_table("substitution")
    op.drop_index(op.f("ix_questionnaire_organisation_id"), table_name="questionnaire")
    op.drop_table("questionnaire")
    op.drop_index(op.f("ix_patient_import_organisation_id"), table_name="patient_import")
    op.drop_table("patient_import")
    op.drop_index(op.f("ix_patient_group_organisation_id"), table_name="patient_group")
    op.drop_index(op.f("ix_patient_group_account_id"), table_name="patient_group")
    op.drop_table("patient_group")
    op.drop_index(op.f("ix_passkey_helper_id"), table_name="passkey")
    op.drop_index(op.f("ix_passkey_account_id"), table_name="passkey")
    op.drop_table("passkey")
    op.drop_index(op.f("ix_local_exercise_organisation_id"), table_name="local_exercise")
    op.drop_index(op.f("ix_local_exercise_exercise_id"), table_name="local_exercise")
    op.drop_table("local_exercise")
    op.drop_index(op.f("ix_live_session_therapist_account_id"), table_name="live_session")
    op.drop_index(op.f("ix_live_session_organisation_id"), table_name="live_session")
    op.drop_table("live_session")
    op.drop_index(op.f("ix_duty_organisation_id"), table_name="duty")
    op.drop_index(op.f("ix_duty_account_id"), table_name="duty")
    op.drop_table("duty")
    op.drop_index(op.f("ix_device_organisation_id"), table_name="device")
    op.drop_index(op.f("ix_device_kit_id"), table_name="device")
    op.drop_table("device")
    op.drop_index(op.f("ix_team_organisation_id"), table_name="team")
    op.drop_table("team")
    op.drop_index(op.f("ix_kit_organisation_id"), table_name="kit")
    op.drop_table("kit")
    op.drop_index(op.f("ix_helper_organisation_id"), table_name="helper")
    op.drop_table("helper")
    op.drop_index(op.f("ix_account_organisation_id"), table_name="account")
    op.drop_table("account")
    op.drop_index(op.f("ix_worker_role"), table_name="worker")
    op.drop_table("worker")
    op.drop_table("organisation")
    op.drop_index(op.f("ix_job_kind_key"), table_name="job")
    op.drop_index(op.f("ix_job_due_at"), table_name="job")
    op.drop_table("job")
    op.drop_index(op.f("ix_audit_event_patient_id"), table_name="audit_event")
    op.drop_index(op.f("ix_audit_event_organisation_id"), table_name="audit_event")
    op.drop_index(op.f("ix_audit_event_at"), table_name="audit_event")
    op.drop_table("audit_event")


def _downgrade_hot() -> None:
    op.drop_index(op.f("ix_quarantine_device"), table_name="quarantine")
    op.drop_table("quarantine")
    op.drop_table("gap")
    op.drop_table("device_report")
    op.drop_table("clock_fit")
    op.drop_table("block")
