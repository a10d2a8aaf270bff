"""The comparison: each recorded answer, for clients of every dialect, in the gateway's books and by genai-prices.

One rule: a difference is excused by what the answer itself shows of genai-prices' mistake, never by the name of a file.
"""

import asyncio
import json
import warnings
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

from tests.laws.cases import Case
from tests.pricing.oracle import HOSTS, NotCovered, Oracle, answer_of, covered
from tests.pricing.replaying import CLIENTS, Asked, every, playing

_CACHED = "Mistral's num_cached_tokens is not read by genai-prices, which takes cached tokens for fresh ones"
_SOUND = "Mistral counts sound beside prompt_tokens (its total says so), and genai-prices does not see it"
_EARLIER = "a figure stands in an earlier chunk only: genai-prices was shown the last"
_UNREAD = "what was read is not told: never 0 in our books, but an estimate"
_BROKEN = "it broke off, or is an error within a 200: what was not told to its end is estimated"
_SEARCHED = "OpenAI's searches stand among the answer's items, where genai-prices does not look"
CLOSED = (_SEARCHED, _CACHED, _SOUND, _EARLIER, _UNREAD, _BROKEN)
"""All reasons there may be."""


@dataclass
class Compared:
    equal: Counter = field(default_factory=Counter)
    """By place: comparisons in which both say the same."""
    excused: Counter = field(default_factory=Counter)
    """By reason."""
    uncovered: Counter = field(default_factory=Counter)
    """By reason: answers of which genai-prices says nothing."""
    wrong: list[str] = field(default_factory=list)
    apart: list[str] = field(default_factory=list)
    """Answers that cost one client what they do not cost another."""
    pairs: Counter = field(default_factory=Counter)
    """client ← upstream."""

    def told(self) -> str:
        lines = [
            f"equal: {dict(self.equal)}; client←upstream: {len(self.pairs)} pairs, the fewest {min(self.pairs.values(), default=0)}"
        ]
        lines += [f"{count:5} excused: {reason}" for reason, count in self.excused.most_common()]
        lines += [f"{count:5} not covered: {reason}" for reason, count in self.uncovered.most_common()]
        return "\n".join(lines)


def compare(tmp_path: Path, *, share: bool, most: int | None = None) -> Compared:
    """`share`: for a client of the answer's own dialect and one other; else for all. `most`: so many cases."""
    found = Compared()
    oracles: dict[int, Oracle] = {}
    wanted: list[Asked] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for number, case in enumerate(islice(every(), most)):
            try:
                oracle = covered(case)
                oracle.micros(datetime.now(tz=UTC))
            except NotCovered as reason:
                found.uncovered[f"{case.place}: {reason}"] += 1
                continue
            except ValueError as error:
                found.uncovered[f"{case.place}: genai-prices refuses it: {str(error).partition(' (')[0]}"] += 1
                continue
            oracles[id(case)] = oracle
            others = [client for client in CLIENTS if client != case.dialect]
            if isinstance(case.document, list) or case.body.startswith(b"["):  # only who asks Gemini so is answered in an array
                others = [case.dialect]
            clients = (case.dialect, others[number % len(others)]) if share or len(others) == 1 else CLIENTS
            wanted += [Asked(case, oracle.name, client) for client in dict.fromkeys(clients)]
        asyncio.run(_judge(tmp_path, wanted, oracles, found))
    return found


async def _judge(tmp_path: Path, wanted: list[Asked], oracles: dict[int, Oracle], found: Compared) -> None:
    async with playing(tmp_path, wanted) as (ask, told):
        asked = [(await ask(one), one) for one in wanted]
        rows = told()
    costs: dict[int, set[int | None]] = {}
    for request_id, one in asked:
        attempts = rows.get(request_id, [])
        label = f"{one.case.id} for {one.client}"
        if len(attempts) != 1:
            found.wrong.append(f"{label}: {len(attempts)} attempts")
            continue
        row = attempts[0]
        want = oracles[id(one.case)].micros(datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=row.at))
        costs.setdefault(id(one.case), set()).add(row.cost_micros)
        found.pairs[f"{one.client}←{one.case.dialect}"] += 1
        if row.cost_micros == want:
            found.equal[one.case.place] += 1
        elif reason := excuse(one.case, row, want):
            found.excused[reason] += 1
            if reason in (_BROKEN, _UNREAD):
                del costs[id(one.case)]
        else:
            found.wrong.append(f"{label}: {row.cost_micros} ({row.price_source}), not {want}: {row.cause} {row.message}")
    for _, one in asked:
        if len(costs.get(id(one.case), ())) > 1:
            found.apart.append(f"{one.case.id}: {costs[id(one.case)]}")


def excuse(case: Case, row, want: int) -> str:
    """Why genai-prices is wrong about this answer, by what stands in it; empty where it is not."""
    document = answer_of(case) or {}
    found = [item for item in document.get("output") or () if item.get("type") == "web_search_call"]
    searches = sum((item.get("action") or {}).get("type", "search") == "search" for item in found)
    if searches and row.cost_micros == want + 10_000 * searches:  # ten dollars for a thousand, as the list says for these models
        return _SEARCHED
    usage = document.get("usage") or {}
    details = usage.get("prompt_tokens_details") or {}
    if HOSTS[case.provider] == "mistral" and usage.get("num_cached_tokens") and not details.get("cached_tokens"):
        return _CACHED
    sound = details.get("audio_tokens")
    if (
        HOSTS[case.provider] == "mistral"
        and sound
        and usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"] + sound
    ):
        return _SOUND
    if case.dialect == "gemini" and case.text is not None and '"candidatesTokenCount"' in case.text:
        last = answer_of(case) or {}
        if "candidatesTokenCount" not in json.dumps(last.get("usageMetadata")):
            return _EARLIER
    if case.dialect == "gemini" and "promptTokenCount" not in json.dumps((answer_of(case) or {}).get("usageMetadata")):
        return _UNREAD
    return _BROKEN if row.cause else ""
