"""Reasoning effort and token budgets, each way. Dialects that know only one of the two ask here for the other."""

EFFORT_BUDGET: dict[str, int] = {
    "none": 0,
    "minimal": 1024,
    "low": 2048,
    "medium": 8192,
    "high": 16384,
    "xhigh": 24576,
    "max": 32768,
}
"""Tokens of reasoning that an effort stands for; no provider publishes figures."""


def budget_of(effort: str, max_tokens: int | None = None) -> int:
    """Tokens for an effort word (an unknown one counts as medium), kept below `max_tokens` when that is given."""
    budget = EFFORT_BUDGET.get(effort, EFFORT_BUDGET["medium"])
    return budget if max_tokens is None else max(0, min(budget, max_tokens - 1))


def effort_of(budget: int) -> str:
    """The effort word whose budget is the nearest not below `budget`; -1 (the model decides) is `medium`."""
    if budget < 0:
        return "medium"
    return next((effort for effort, tokens in EFFORT_BUDGET.items() if budget <= tokens), "max")
