"""Kind `presidio`: names and places, as a model of spaCy's sees them. The extra `pii` brings it.

One rule: nothing is fetched. A model that is not installed is an error of the configuration, told before Presidio would look for
it (and, not finding it, download it or end the process).
https://microsoft.github.io/presidio/analyzer/
"""

from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Annotated, Any, Final, Protocol

import msgspec

from gatewright.guards.detect.scan import apart
from gatewright.guards.detect.settings import read, wrong
from gatewright.guards.rules import Compiled
from gatewright.guards.terms import Span
from gatewright.jsontypes import JsonObject

MOST_AT_ONCE: Final = 100_000
"""Characters that are analysed in one go: what spaCy takes is ten times that, and its memory grows with it."""


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    model: str = "en_core_web_lg"
    """The spaCy model, installed."""
    language: str = "en"
    entities: tuple[str, ...] = ("PERSON", "LOCATION")
    score: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.5
    """From which of Presidio's scores on they count."""


class Result(Protocol):
    start: int
    end: int
    entity_type: str


class Analyzer(Protocol):
    def analyze(self, *, text: str, language: str, entities: list[str], score_threshold: float) -> Sequence[Result]: ...


class Presidio:
    """The detector. What it finds depends on the whole text."""

    def __init__(self, analyzer: Analyzer, said: Settings) -> None:
        self._analyzer = analyzer
        self._said = said

    def find(self, text: str, start: int = 0) -> list[Span]:
        said = self._said
        found: list[Span] = []
        for at in range(start, len(text), MOST_AT_ONCE):
            part = text[at : at + MOST_AT_ONCE]
            try:
                results = self._analyzer.analyze(
                    text=part, language=said.language, entities=list(said.entities), score_threshold=said.score
                )
            except Exception:  # noqa: BLE001 - a recogniser's bug: what was not looked at is not let through
                found.append(Span(at, at + len(part), "unreadable"))
                continue
            found += [Span(at + one.start, at + one.end, one.entity_type.lower()) for one in results if one.start < one.end]
        return apart(found)

    def open_from(self, text: str, start: int = 0) -> int:
        return min(start, len(text))


def compiled(settings: JsonObject) -> Compiled:
    """Raises ValueError; also where the extra, or the model, is not installed."""
    said = read(settings, Settings)
    if not said.entities:
        raise wrong("entities", "at least one entity is needed")
    if find_spec("presidio_analyzer") is None:
        raise ValueError("kind `presidio` needs the extra: pip install 'gatewright[pii]'")
    if not said.model.isidentifier() or find_spec(said.model) is None:
        raise wrong("model", f"the spaCy model {said.model!r} is not installed; install its package: nothing is downloaded here")
    return Compiled(detector=Presidio(_analyzer(said), said), whole=True)


def _analyzer(said: Settings) -> Analyzer:
    presidio: Any = import_module("presidio_analyzer")
    engines: Any = import_module("presidio_analyzer.nlp_engine")
    models = [{"lang_code": said.language, "model_name": said.model}]
    engine = engines.NlpEngineProvider(nlp_configuration={"nlp_engine_name": "spacy", "models": models}).create_engine()
    analyzer: Analyzer = presidio.AnalyzerEngine(nlp_engine=engine, supported_languages=[said.language])
    return analyzer
