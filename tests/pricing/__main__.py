"""All recorded answers for clients of all dialects: `python -m tests.pricing`. Prints the counts; exit code 1 where one differs."""

import sys
import tempfile
from pathlib import Path

from tests.pricing.comparing import compare

with tempfile.TemporaryDirectory() as folder:
    found = compare(Path(folder), share=False)
print(found.told())
print(*found.wrong, *found.apart, sep="\n")
sys.exit(1 if found.wrong or found.apart else 0)
