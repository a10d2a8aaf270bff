"""Blocks that share a window tell a match where it begins."""

from gatewright.guards.redact import Redactor
from gatewright.guards.text_run import TextRun
from gatewright.guards.window import Hit, Window
from tests.guards.looking import Words, rule


def test_a_match_is_told_in_the_characters_of_the_block_it_begins_in() -> None:
    """As far as it goes there; blocks without text take no part."""
    one = rule(Words(("cd",)), "flag")
    run = TextRun(Window([one], Redactor(), 64))
    for index, text in (0, "ab"), (2, "xc"), (5, "dcd"):
        run.begins(index).feed(text)
        run.window.seam()
    run.window.close()
    told = {run.place(hit) for hit in run.window.hits}  # seen in a block alone and in all together: one place
    assert told == {("blocks[2].text", 1, 2), ("blocks[5].text", 1, 3)}
    assert run.place(Hit(one, 0, 7, "word")) == ("blocks[0].text", 0, 2)
