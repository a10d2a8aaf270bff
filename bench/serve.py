"""`gatewright serve` as the measuring kit starts it, with more in the configuration than the kit writes.

    python -m bench.serve plain|full serve --config FILE --port N

`plain`: the key check and the counting of usage, and nothing else: no books are kept, and no metrics.
`full`: books, limits at three levels, and a budget.
"""

import os
import sys
from pathlib import Path
from typing import Final

PLAIN: Final = "ledger: {enabled: false}\nmetrics: {enabled: false}\n"
FULL: Final = """
limits: [{per: minute, requests: 100000000}]
budgets: {everybody: [{per: day, dollars: 1000000}]}
teams: {bench: {limits: [{per: minute, tokens: 100000000000}, {per: hour, requests: 1000000000}]}}
pricing: {models: {"burst/*": {input: 1, output: 2}}}
"""
KEY: Final = "key: sk-bench-1234}"
LIMITED: Final = "key: sk-bench-1234, team: bench, limits: [{per: second, requests: 1000000}, {concurrent: 100000}]}"


def main() -> None:
    kind, *arguments = sys.argv[1:]
    place = arguments.index("--config") + 1
    file = Path(arguments[place])
    text = file.read_text()
    if kind == "plain":
        text += PLAIN
    else:
        assert KEY in text, "the kit's configuration has another key"
        text = text.replace(KEY, LIMITED) + FULL
    state = file.with_name(f"state-{kind}")
    ours = file.with_name(f"gatewright-{kind}.yaml")
    ours.write_text(f"server: {{state_dir: {state}}}\n{text}")
    arguments[place] = str(ours)
    os.execv(sys.executable, [sys.executable, "-m", "gatewright", *arguments])


if __name__ == "__main__":
    main()
