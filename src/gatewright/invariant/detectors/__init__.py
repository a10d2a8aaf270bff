"""What of Invariant's library of detectors can be had from the text alone. Pure; who binds them to a policy is `guards`."""
