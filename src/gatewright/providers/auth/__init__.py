"""What makes a call its account holder's, where that is more than one fixed header: tokens, signatures, pools of keys.

One rule: a credential does no I/O of its own: clock, chance and the way to the network are arguments.
"""
