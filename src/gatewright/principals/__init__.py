"""Who may call: organizations, teams, users and keys as records, and the principals that they make together.

One rule: whatever is written at one level narrows what the levels above allow, and never widens it.
"""
