"""Identity providers (OIDC): whose tokens are taken in place of keys, and who is behind one.

One rule: a token is believed for its signature by a key that its issuer publishes, at an address the operator named, and for
nothing that it says of itself.
"""
