"""The first format."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:  # a flat table of tables
    """Makes the tables."""
    op.create_table(
        "everloop_runs",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("lifecycle", sa.Text, nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("phase", sa.Text, nullable=False),
        sa.Column("as_of", _TIME, nullable=True),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("finished_at", _TIME, nullable=True),
        sa.Column("facts", sa.JSON, nullable=False),
    )
    op.create_index("everloop_runs_by_time", "everloop_runs", ["lifecycle", "at"])
    op.create_table(
        "everloop_steps",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("lifecycle", sa.Text, nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("run", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("phase", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("seconds", sa.Double, nullable=False),
        sa.Column("facts", sa.JSON, nullable=False),
    )
    op.create_index("everloop_steps_by_key", "everloop_steps", ["key"])
    op.create_index("everloop_steps_by_run", "everloop_steps", ["run"])
    op.create_index("everloop_steps_by_time", "everloop_steps", ["lifecycle", "at"])
    op.create_table(
        "everloop_versions",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("lifecycle", sa.Text, nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("run", sa.Text, nullable=False),
        sa.Column("package", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("metrics", sa.JSON, nullable=False),
        sa.Column("facts", sa.JSON, nullable=False),
        sa.UniqueConstraint("lifecycle", "number", name="everloop_versions_unique"),
    )
    op.create_index("everloop_versions_by_run", "everloop_versions", ["run"])
    op.create_index("everloop_versions_by_time", "everloop_versions", ["lifecycle", "at"])
    op.create_table(
        "everloop_deployments",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("lifecycle", sa.Text, nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("generation", sa.BigInteger, nullable=False),
        sa.Column("champion", sa.Text, nullable=True),
        sa.Column("challenger", sa.Text, nullable=True),
        sa.Column("facts", sa.JSON, nullable=False),
        sa.UniqueConstraint("lifecycle", "generation", name="everloop_deployments_unique"),
    )
    op.create_index("everloop_deployments_by_time", "everloop_deployments", ["lifecycle", "at"])
    op.create_table(
        "everloop_rollouts",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("lifecycle", sa.Text, nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("champion", sa.Text, nullable=True),
        sa.Column("challenger", sa.Text, nullable=False),
        sa.Column("strategy", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("step", sa.BigInteger, nullable=False),
        sa.Column("share", sa.Double, nullable=False),
        sa.Column("facts", sa.JSON, nullable=False),
        sa.Column("updated_at", _TIME, nullable=True),
    )
    op.create_index("everloop_rollouts_by_state", "everloop_rollouts", ["lifecycle", "state", "at"])
    op.create_index("everloop_rollouts_by_time", "everloop_rollouts", ["lifecycle", "at"])
    op.create_table(
        "everloop_windows",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("lifecycle", sa.Text, nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("since", _TIME, nullable=True),
        sa.Column("until", _TIME, nullable=True),
        sa.Column("version", sa.Text, nullable=True),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("predictions", sa.BigInteger, nullable=False),
        sa.Column("actuals", sa.BigInteger, nullable=False),
        sa.Column("facts", sa.JSON, nullable=False),
    )
    op.create_index("everloop_windows_by_status", "everloop_windows", ["lifecycle", "status", "at"])
    op.create_index("everloop_windows_by_time", "everloop_windows", ["lifecycle", "at"])
    op.create_index("everloop_windows_by_until", "everloop_windows", ["lifecycle", "until"])
    op.create_index("everloop_windows_by_version", "everloop_windows", ["version"])
    op.create_table(
        "everloop_alerts",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("lifecycle", sa.Text, nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("window", sa.Text, nullable=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("severity", sa.Text, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("facts", sa.JSON, nullable=False),
    )
    op.create_index("everloop_alerts_by_time", "everloop_alerts", ["lifecycle", "at"])
    op.create_index("everloop_alerts_by_window", "everloop_alerts", ["window"])
    op.create_table(
        "everloop_decisions",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("lifecycle", sa.Text, nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("answer", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("facts", sa.JSON, nullable=False),
    )
    op.create_index("everloop_decisions_by_kind", "everloop_decisions", ["lifecycle", "kind", "at"])
    op.create_index("everloop_decisions_by_time", "everloop_decisions", ["lifecycle", "at"])
    op.create_table(
        "everloop_links",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("cause", sa.Text, nullable=False),
        sa.Column("effect", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.UniqueConstraint("cause", "effect", "role", name="everloop_links_unique"),
    )
    op.create_index("ix_everloop_links_effect", "everloop_links", ["effect"])
    op.create_table(
        "everloop_measurements",
        sa.Column("owner", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value", sa.Double, nullable=True),
    )
    op.create_table(
        "everloop_states",
        sa.Column("lifecycle", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("value", sa.JSON, nullable=False),
        sa.Column("generation", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "everloop_leases",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("until", _TIME, nullable=False),
    )
