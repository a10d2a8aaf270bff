"""`copyright(text)`: texts of known licences, by the words that only they have.

One rule: a licence is told by its own title or grant, spaces and comment signs between its words aside; no word of it is guessed.
https://spdx.org/licenses/
"""

import re
from collections.abc import Iterator

from gatewright.invariant.detectors.shapes import Shapes

_GAP = r"[\s*#/;\"'.,()-]+"


def _words(text: str) -> str:
    """The words in their order, whatever separates them in a comment."""
    return _GAP.join(re.escape(word) for word in text.split())


_LICENCES: tuple[tuple[str, str], ...] = (
    ("GNU_AGPL_V3", "GNU AFFERO GENERAL PUBLIC LICENSE Version 3"),
    ("GNU_LGPL_V3", "GNU LESSER GENERAL PUBLIC LICENSE Version 3"),
    ("GNU_LGPL_V2", "GNU LESSER GENERAL PUBLIC LICENSE Version 2"),
    ("GNU_GPL_V3", "GNU GENERAL PUBLIC LICENSE Version 3"),
    ("GNU_GPL_V2", "GNU GENERAL PUBLIC LICENSE Version 2"),
    ("MIT_LICENSE", "Permission is hereby granted free of charge to any person obtaining a copy"),
    ("MIT_LICENSE", "The MIT License"),
    ("APACHE_V2", "Apache License Version 2 0"),
    ("BSD", "Redistribution and use in source and binary forms with or without modification are permitted"),
    ("MPL_V2", "Mozilla Public License Version 2 0"),
    ("EPL_V2", "Eclipse Public License v 2 0"),
    ("CC0", "CC0 1 0 Universal"),
    ("CC_BY", "Creative Commons Attribution 4 0 International"),
    ("UNLICENSE", "This is free and unencumbered software released into the public domain"),
    ("PROPRIETARY", "All rights reserved Unauthorized copying of this file"),
)
KINDS = frozenset(kind for kind, _ in _LICENCES)
_SHAPES = Shapes([(kind, _words(words)) for kind, words in _LICENCES])


def find_licences(text: str) -> Iterator[tuple[str, int, int]]:
    """(licence, start, end)."""
    return _SHAPES.find(text)
