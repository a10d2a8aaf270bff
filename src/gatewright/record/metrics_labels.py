"""Labels: names that clients choose become names that are known, or `other`.

A model is known when the configuration names it, or when its provider has answered a call for it, up to a number a gateway.
One rule: whatever clients send, the number of label values has an end.
"""

from collections.abc import Iterable
from typing import Final

OTHER: Final = "other"
OVERFLOW: Final = "overflow"
DIRECT: Final = "direct"
"""The route of names that nobody configured: `provider/model`."""
MOST_RULES: Final = 200
"""Names of guards' rules that are told apart: some come with requests."""
LONGEST: Final = 128
"""Characters of a model's name."""


class Labels:
    """What is known by name."""

    def __init__(self, max_models: int) -> None:
        self.max_models = max_models
        self._providers: frozenset[str] = frozenset()
        self._routes: frozenset[str] = frozenset()
        self._configured: frozenset[str] = frozenset()
        self._answered: set[str] = set()
        self._rules: set[str] = set()

    def follow(self, providers: Iterable[str], routes: Iterable[str], targets: Iterable[str]) -> None:
        """These are configured from now on. `targets`: as `provider/model`."""
        self._providers, self._routes = frozenset(providers), frozenset(routes)
        self._configured = frozenset(targets)
        self._answered = {target for target in self._answered if target.partition("/")[0] in self._providers}

    def answered(self, target: str) -> bool:
        """A provider has answered a call for it: whether that makes known what was not."""
        if target in self._configured or target in self._answered or len(self._answered) >= self.max_models:
            return False
        provider, _, model = target.partition("/")
        if provider not in self._providers or not model or len(model) > LONGEST or not model.isprintable():
            return False
        self._answered.add(target)
        return True

    def target(self, target: str) -> tuple[str, str]:
        """Provider and model. Both empty: nobody was asked."""
        if not target:
            return "", ""
        provider, _, model = target.partition("/")
        if provider not in self._providers:
            return OTHER, OTHER
        known = not model or target in self._configured or target in self._answered
        return provider, model if known else OTHER

    def route(self, name: str) -> str:
        return name if not name or name in self._routes else DIRECT

    def rule(self, name: str) -> str:
        if name not in self._rules:
            if len(self._rules) >= MOST_RULES or len(name) > LONGEST:
                return OTHER
            self._rules.add(name)
        return name
