"""Who is alive."""

import os
import subprocess
import sys

import msgspec

from gatewright.stores.holder import Holder, here, surely_dead


def test_a_name_reads_back():
    """It is kept as text."""
    assert Holder.parse(here().text()) == here()
    assert Holder.parse("") is None
    assert Holder.parse("a b c") is None


def test_this_process_and_others_that_run_are_alive():
    """Nobody takes over from the living."""
    assert not surely_dead(here().text(), here())
    parent = msgspec.structs.replace(here(), pid=os.getppid(), mark="x")
    assert not surely_dead(parent.text(), here())


def test_a_process_that_has_ended_is_dead():
    """Whoever finds its lease takes it over at once."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert surely_dead(msgspec.structs.replace(here(), pid=process.pid, mark="x").text(), here())


def test_a_former_process_with_our_id_is_dead():
    """In a container every process is the first."""
    assert surely_dead(msgspec.structs.replace(here(), mark="before").text(), here())


def test_elsewhere_nobody_is_surely_dead():
    """Process ids of another machine or container mean nothing here."""
    assert not surely_dead(msgspec.structs.replace(here(), place="other/pid:[1]", mark="x").text(), here())
    assert not surely_dead("nonsense", here())
