"""Structured logs: one JSON object a line, with the report's correlation id where a line is about one report.

No free text of a report, no reporter and no secret is ever an argument of a log call.
"""

import logging
import sys
from typing import cast

import structlog

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


def configure(level: str, **fields: str) -> None:
    """Sends our logs and those of libraries to standard error as JSON lines that all carry `fields`."""
    number = _LEVELS.get(level.lower(), logging.INFO)
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer(ensure_ascii=False)],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(**fields)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(ensure_ascii=False),
            ],
        )
    )
    root = logging.root
    root.handlers[:] = [handler]
    # Libraries print whole statements and records at lower levels; those may hold what a log must not.
    root.setLevel(max(number, logging.WARNING))


def silence(level: str) -> None:
    """Keeps our logs and those of libraries off a person's screen, where a command says all in one sentence.

    At the level `debug` they are shown all the same.
    """
    if level.lower() == "debug":
        configure(level)
        return
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.disable(logging.CRITICAL)


def logger(name: str) -> structlog.typing.FilteringBoundLogger:
    """A logger whose lines carry the module's name. Events are words with underscores; values are fields."""
    return cast("structlog.typing.FilteringBoundLogger", structlog.get_logger(module=name))


def library_logger(name: str) -> logging.Logger:
    """A standard-library logger to hand to a library that wants one; it says only what is at least a warning."""
    made = logging.getLogger(name)  # noqa: TID251 -- the one place that may
    made.setLevel(logging.WARNING)
    return made


def where_raised(error: BaseException) -> str:
    """File and line where an error was raised: what may be told of one whose text could quote a row or a body."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    return f"{frame.tb_frame.f_code.co_filename}:{frame.tb_lineno}" if frame is not None else "nowhere"
