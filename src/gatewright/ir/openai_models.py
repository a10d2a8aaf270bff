"""What OpenAI's own models accept, read off the name: two dialects speak to them, and neither knows the other.

One rule: only names that are certainly OpenAI's say anything; of every other model all is believed.
https://platform.openai.com/docs/guides/latest-model , https://platform.openai.com/docs/guides/reasoning
"""

import re
from typing import Literal

import msgspec


class ModelFacts(msgspec.Struct, frozen=True, kw_only=True):
    samples: Literal["always", "unless reasoning", "never"] = "always"
    """When temperature, top_p, log probabilities, penalties and stop strings are taken."""
    reasons: bool = True
    """Whether a reasoning effort is taken."""

    def takes_sampling(self, effort: object) -> bool:
        """Whether sampling settings may stand beside this effort."""
        return self.samples == "always" or (self.samples == "unless reasoning" and effort == "none")


_FACTS: tuple[tuple[re.Pattern[str], ModelFacts], ...] = (
    (re.compile(r"gpt-3\.5|gpt-4|chatgpt-|gpt-5(\.\d+)?-chat"), ModelFacts(reasons=False)),
    (re.compile(r"gpt-5\.\d|gpt-6"), ModelFacts(samples="unless reasoning")),
    (re.compile(r"gpt-5(-|$)|o[1-9](-|$)"), ModelFacts(samples="never")),
)
"""The first that a name begins with."""
_ALL = ModelFacts()


def facts_of(model: str) -> ModelFacts:
    """What a request for `model` may say; hosts put a vendor before the name."""
    name = model.lower().rpartition("/")[2]
    return next((facts for begins, facts in _FACTS if begins.match(name)), _ALL)
