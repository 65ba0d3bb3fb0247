"""Log lines: one per event, on stderr, as text for people or JSON for machines."""

import sys
from contextlib import suppress
from typing import Literal, TextIO, cast

import structlog
from structlog.typing import EventDict, Processor


class _Stderr:
    """Standard error, as long as it takes lines: a full disk or a closed pipe must not stop what is logged about."""

    def write(self, text: str) -> None:
        with suppress(OSError):
            sys.stderr.write(text)

    def flush(self) -> None:
        with suppress(OSError):
            sys.stderr.flush()


def configure(log_format: Literal["text", "json"], process: str) -> None:
    """Set up `structlog.get_logger()` for this process: every line carries its time (UTC), level and process."""

    def name(_logger: object, _method: str, event: EventDict) -> EventDict:
        event["process"] = process
        return event

    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            name,
            *_rendering(log_format),
        ],
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", _Stderr())),
        cache_logger_on_first_use=True,
    )


def _rendering(log_format: Literal["text", "json"]) -> tuple[Processor, ...]:
    if log_format == "json":
        return structlog.processors.format_exc_info, structlog.processors.JSONRenderer()
    plain = structlog.dev.plain_traceback
    return (structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain),)
