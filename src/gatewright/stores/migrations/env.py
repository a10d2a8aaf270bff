"""What Alembic runs: the steps, on the connection that `stores/sql.py` has opened and locked."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], render_as_batch=True)
context.run_migrations()
