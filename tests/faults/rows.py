"""All rows of the lab, in the order of the table."""

from typing import Final

from tests.faults import before_the_answer as before
from tests.faults import behind_a_good_head as behind
from tests.faults.fault import Fault

ROWS: Final[tuple[Fault, ...]] = (
    *before.CONNECTING,
    *before.BEFORE_THE_HEAD,
    *before.BY_STATUS,
    *before.THROTTLED,
    *behind.BEFORE_CONTENT,
    *behind.AFTER_CONTENT,
    *before.FAILING_ONCE,
    *before.LEFT_ALONE,
    *before.AFTER_A_KEEP_ALIVE,
    *before.NO_FAILURE,
    *behind.NO_FAILURE,
)
