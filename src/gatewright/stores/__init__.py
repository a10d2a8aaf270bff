"""What must outlive a request: kept responses and seals. Embedded SQLite by default; nothing to install."""
