"""Licences by their own words."""

import pytest

from gatewright.invariant.detectors.licences import find_licences


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("/**\n* GNU GENERAL PUBLIC LICENSE, Version 3, 29 June 2007\n*/", "GNU_GPL_V3"),
        ("# GNU AFFERO GENERAL PUBLIC LICENSE\n#   Version 3", "GNU_AGPL_V3"),
        ("Permission is hereby granted, free of charge, to any person\nobtaining a copy", "MIT_LICENSE"),
        ("// Licensed under the Apache License, Version 2.0", "APACHE_V2"),
    ],
)
def test_a_licence_is_found_within_comments(text, kind):
    [(found, start, end)] = find_licences(text)
    assert found == kind
    assert text[start:end].split()[0].isalpha()


def test_talk_of_licences_is_none():
    assert not list(find_licences("Which licence is best, MIT or the GPL? export const x = 1; version 3"))


def test_a_text_of_beginnings_costs_its_length():
    """Half a million words that begin every pattern: an answer, in one pass."""
    assert not list(find_licences("GNU GENERAL PUBLIC * / " * 20_000))
