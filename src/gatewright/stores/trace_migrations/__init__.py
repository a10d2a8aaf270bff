"""The tables of traces, step by step: a line of their own, beside the ledger's.

One rule: a step that was released is never changed; it stands on its own, whatever `stores/trace_tables.py` says today.
"""
