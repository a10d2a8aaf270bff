"""Rules by which requests survive: which target, whether again, when not to call at all.

One rule: everything here is a function of its arguments. The time is an argument (seconds), chance is an argument, and nothing
waits; whoever calls holds the state and does the waiting.
"""
