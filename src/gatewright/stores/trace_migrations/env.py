"""What Alembic runs: the steps, on the connection that `stores/sql.py` has opened and locked."""

from alembic import context

from gatewright.stores.sql import TRACES

context.configure(connection=context.config.attributes["connection"], render_as_batch=True, version_table=TRACES.version_table)
context.run_migrations()
