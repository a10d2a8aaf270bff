"""From the configuration to traces: who records exchanges, what is taken out of them, and where they are kept.

Part of the composition root. One rule: where neither `enabled`, `otlp` nor `explorer` is set under `traces`, nothing of this is
made, and no stage is in the stack.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gatewright import __version__
from gatewright.config import Config
from gatewright.config.known_secrets import secrets_in
from gatewright.guards.kinds import compile_kind
from gatewright.pipeline.attempt import Attempt
from gatewright.pipeline.trace import TraceStage
from gatewright.record.explorer_sink import ExplorerSink, PushRule
from gatewright.record.export_meaning import both
from gatewright.record.otlp import OtlpSink, Tally
from gatewright.record.otlp_rule import OtlpRule, is_disabled, otlp_rule
from gatewright.record.otlp_spans import onward
from gatewright.record.rows import Pricer
from gatewright.record.trace_keeping import KeepTraces
from gatewright.record.trace_making import Maker
from gatewright.record.trace_queue import Recording
from gatewright.record.trace_reader import Settings
from gatewright.record.trace_reading import ReadTraces
from gatewright.record.trace_redaction import Redactor
from gatewright.record.traces import TraceSink
from gatewright.stores.sealed import FILE_NAME, VARIABLE, secret_key

FILE: Final = "traces.db"

if TYPE_CHECKING:
    from gatewright.stores.traces_sql import SqlTraces


class Tracing:
    """One for all generations: what is captured goes one way, whatever is configured meanwhile."""

    def __init__(self, config: Config, environ: Mapping[str, str], price: Pricer) -> None:
        self._config = config
        """As the process was started: where the database is takes a restart."""
        self._environ = environ
        self._price = price
        self.recording: Recording | None = None
        """None: nothing was ever traced."""
        self._ways = (config.otlp, config.explorer)
        """How they are sent, by the sinks that there are."""
        self.sent: Tally | None = None
        """What became of those for a collector. None: there never was one."""
        self.explorer: ExplorerSink | None = None
        """Who pushes ordinary conversations. None: nobody does."""

    def stages(self, config: Config, attempt: Attempt) -> tuple[TraceStage, ...]:
        """What stands outermost in each stack that calls a model: nothing, where nothing is traced. `attempt` is told of it."""
        rule = config.traces
        if not rule.enabled and config.otlp is None and config.explorer is None:
            return ()
        maker = Maker(self._price, most=rule.max_body_bytes, more_headers=rule.headers)

        def redactor() -> Redactor:
            found = (compile_kind(kind, dict(settings)).detector for kind, settings in rule.redact)
            return Redactor(secrets_in(config), [detector for detector in found if detector is not None])

        if self.recording is None:
            self.recording = Recording(rule, maker, redactor, self._sinks(config))
        else:
            same = rule == self.recording.rule and (config.otlp, config.explorer) == self._ways
            self.recording.renew(rule, maker, redactor, None if same else self._sinks(config))
            self._ways = (config.otlp, config.explorer)
        stage = TraceStage(self.recording, rule.max_body_bytes, onward if config.otlp and config.otlp.propagate else None)
        attempt.tap = stage
        return (stage,)

    def start(self) -> None:
        """Begin to write, where anything is to be written. Idempotent."""
        if self.recording is not None:
            self.recording.start()

    def reading(self) -> "SqlTraces | None":
        """What is kept, for whoever may read it. None: nothing ever was. Raises BadDatabase, BadKey."""
        place = place_of(self._config)
        if "://" not in place and not (Path(place) / FILE).exists():
            return None
        return store_of(self._config, self._environ)

    def close(self) -> None:
        """Write what is left. Blocks, for `trace_queue.CLOSING_S` at most."""
        if self.recording is not None:
            self.recording.close()

    def _sinks(self, config: Config) -> tuple[TraceSink, ...]:
        """New ones, as configured; none of them has begun yet."""
        rule = config.traces
        sinks: list[TraceSink] = []
        if (sent := sent_by(config, self._environ)) is not None:
            self.sent = self.sent or Tally()
            sinks.append(OtlpSink(sent, both, self._environ, self.sent))
        if (pushed := config.explorer) is not None:
            to = PushRule(
                url=pushed.url,
                key=pushed.key.reveal(),
                dataset=pushed.dataset,
                queue=pushed.queue,
                deadline_s=pushed.deadline_s,
            )
            self.explorer = ExplorerSink(to, both, self._environ)
            sinks.append(self.explorer)
        if not rule.enabled:
            return tuple(sinks)
        from gatewright.stores.traces import packer_of  # noqa: PLC0415 - takes its time

        state_dir = Path(self._config.server.state_dir)
        key = secret_key(state_dir, self._environ) if rule.encrypt else b""

        def store() -> "SqlTraces":
            return store_of(self._config, self._environ, seals=rule.encrypt)

        sinks.append(KeepTraces(store, packer_of(key), keep_s=rule.keep_s, max_bytes=rule.max_bytes))
        if rule.index_share:
            sinks.append(ReadTraces(state_dir, Settings(place_of(self._config), key.hex(), rule.encrypt, rule.index_share)))
        return tuple(sinks)


def place_of(config: Config) -> str:
    """Where traces are: the database that is shared, else the state folder."""
    shared = "" if config.database is None else config.database.reveal()
    return shared if shared.startswith("postgres") else config.server.state_dir


def store_of(config: Config, environ: Mapping[str, str], *, seals: bool = False) -> "SqlTraces":
    """The traces of a configuration, for whoever reads or writes them. Raises BadDatabase, BadKey."""
    from gatewright.stores.traces import open_traces  # noqa: PLC0415 - takes its time

    state_dir = Path(config.server.state_dir)
    has_key = seals or config.traces.encrypt or VARIABLE in environ or (state_dir / FILE_NAME).exists()
    return open_traces(place_of(config), secret_key(state_dir, environ) if has_key else b"", seals=seals)


def sent_by(config: Config, environ: Mapping[str, str]) -> OtlpRule | None:
    """How traces are sent to a collector. None: they are not."""
    otlp = config.otlp
    if otlp is None or is_disabled(environ):
        return None
    return otlp_rule(
        environ,
        endpoint=otlp.endpoint,
        headers={name: value.reveal() for name, value in otlp.headers},
        content=otlp.content,
        langfuse=otlp.langfuse,
        timeout_s=otlp.timeout_s,
        queue=otlp.queue_size,
        hosts={name: provider.kind for name, provider in config.providers.items()},
        version=__version__,
    )
