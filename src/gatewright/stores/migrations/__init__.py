"""Migrations, one folder for both engines. A file a step, `NNNN_what.py`, each after the one before; what was released stays.

A step writes its tables out in full: `stores/*_tables.py` says how they are today, and a migration how they were then.
"""
