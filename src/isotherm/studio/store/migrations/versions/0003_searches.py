"""Indexes that searches for words and lists of choices are answered from, without a look at every run."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

NO_TRIGRAMS = ("0A000", "42501", "58P01", "42704")
"""What PostgreSQL answers where the extension is not there, or not allowed; then every run is looked at for words."""


def upgrade() -> None:
    op.create_index("runs_by_verdicts", "runs", ["verdicts"])
    if op.get_bind().dialect.name == "sqlite":
        op.create_index("runs_by_words", "runs", ["created_s", "id", "words"])
        return
    try:
        with op.get_bind().begin_nested():
            op.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
            op.create_index(
                "runs_by_words", "runs", ["words"], postgresql_using="gin", postgresql_ops={"words": "gin_trgm_ops"}
            )
    except sa.exc.DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) not in NO_TRIGRAMS:
            raise


def downgrade() -> None:
    op.drop_index("runs_by_words", "runs", if_exists=True)
    op.drop_index("runs_by_verdicts", "runs")
