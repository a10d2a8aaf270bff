"""Rules of limits and budgets: how much, of what, in which time, and for whom.

One rule: everything here is a function of its arguments. The time is an argument, and whoever calls holds the state.
"""
