"""Who hosts models: the catalogue of hosts as data, and what the environment says of them."""
