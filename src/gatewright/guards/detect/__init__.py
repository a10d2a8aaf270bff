"""What rules look for: one file a kind, each with its settings and the function that compiles them."""
