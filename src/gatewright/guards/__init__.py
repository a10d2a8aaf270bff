"""Rules over what a request and its answer say: detectors, rules, the hold-back window. Sans I/O; `pipeline.guard` asks them."""
