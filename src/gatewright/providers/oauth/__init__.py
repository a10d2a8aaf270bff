"""Accounts that people log in with: how a login is made, kept fresh and used, described as data.

    descriptions ─▶ device | pkce ─▶ tokens ─▶ (the store) ─▶ renewal ─▶ credential ─▶ each call

One rule: a provider whose credential is a login is a row in `descriptions.py`; nothing else here names one.
"""
