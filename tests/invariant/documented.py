"""Every rule in Invariant's own documentation, with a conversation for which it is documented to hold and one for which it is not.

Rules stand in `examples/*.yaml` as they are documented, conversations in words of our own. `docs/invariant-policies.md` is made
from them by `python -m tests.docs.generate`.

One rule: an outcome is what the documentation says, or the words with which we refuse; never what happens to come out.
"""

from functools import lru_cache
from pathlib import Path

import msgspec
from ruamel.yaml import YAML

from gatewright.guards.policy_rule import bound
from gatewright.invariant.policy import PolicyError, parse
from gatewright.jsontypes import JsonObject

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent / "examples"
SITE = "https://github.com/invariantlabs-ai/docs/blob/main/"


class Example(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    fence: str
    """`guardrail`: the documentation marks it as a rule. `python`: a rule that it marks as code."""
    policy: str
    holds_for: tuple[JsonObject, ...] = ()
    quiet_for: tuple[JsonObject, ...] = ()
    refused: str = ""


class Page(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    page: str
    examples: tuple[Example, ...]


class Outcome(msgspec.Struct, frozen=True):
    error: str
    """With which it is refused. Empty: it is not."""
    held: bool = False
    quiet: bool = False

    @property
    def as_documented(self) -> bool:
        return not self.error and self.held and self.quiet


@lru_cache(maxsize=1)
def documented() -> tuple[Page, ...]:
    """All pages, in a stable order."""
    yaml = YAML(typ="safe", pure=True)
    return tuple(msgspec.convert(yaml.load(path.read_text(encoding="utf-8")), Page) for path in sorted(HERE.glob("*.yaml")))


def outcome_of(example: Example) -> Outcome:
    try:
        policy = parse(example.policy, bound())
    except PolicyError as error:
        return Outcome(str(error))
    held, quiet = policy.evaluate(example.holds_for), policy.evaluate(example.quiet_for)
    return Outcome("", any(not one.failed for one in held), not quiet)


def page() -> str:
    """docs/invariant-policies.md: prose from invariant-policies.head.md, then the table."""
    head = (ROOT / "docs" / "invariant-policies.head.md").read_text(encoding="utf-8").rstrip()
    rows: list[str] = []
    good = marked = marked_good = total = 0
    for one in documented():
        rows += [
            "",
            f"### [{one.page.removeprefix('docs/').removesuffix('.md')}]({SITE}{one.page})",
            "",
            "| rule | outcome |",
            "|---|---|",
        ]
        for example in one.examples:
            outcome = outcome_of(example)
            total += 1
            good += outcome.as_documented
            marked += example.fence == "guardrail"
            marked_good += example.fence == "guardrail" and outcome.as_documented
            told = "as documented" if outcome.as_documented else f"refused: `{outcome.error}`"
            rows.append(f"| {example.name} | {told.replace('|', chr(92) + '|')} |")
    summary = (
        f"Of {marked} rules that the documentation marks as such (```` ```guardrail ````), {marked_good} evaluate as documented "
        f"({100 * marked_good // marked} %); of all {total}, those among its code included, {good} ({100 * good // total} %). "
        "The others are refused when the policy is read, with the error that stands beside them. Of `mcp-scan/guardrails-reference`, "
        "which repeats the other pages, only what it has beside them is here."
    )
    return "\n".join((head, "", summary, *rows)) + "\n"
