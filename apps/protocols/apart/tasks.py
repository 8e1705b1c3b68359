"""What a process apart can be asked, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from apps.protocols.authentication.reader import authenticate
from apps.protocols.authentication.types import Authentication, Origin
from apps.protocols.letters.reader import read_letter
from apps.protocols.letters.types import Letter
from apps.protocols.reports.reader import read_report
from apps.protocols.reports.types import Report

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class NoOptions:
    """Nothing beside the octets."""


@dataclass(frozen=True, slots=True)
class Task(Generic[Value]):
    """A function of octets and options; what it gives must be made of what `values.py` knows."""

    name: str
    run: Callable[[bytes, Any], Value]
    answer: type[Value]
    options: type[Any] = NoOptions
    cpu_seconds: int = 5
    seconds: float = 15.0


def _report(raw: bytes, _options: NoOptions) -> Report:
    return read_report(raw)


def _letter(raw: bytes, _options: NoOptions) -> Letter:
    return read_letter(raw)


AUTHENTICATE = Task("authenticate", authenticate, Authentication, Origin, cpu_seconds=10, seconds=20.0)
REPORT = Task("report", _report, Report)
LETTER = Task("letter", _letter, Letter, cpu_seconds=10, seconds=30.0)
TASKS: dict[str, Task[Any]] = {task.name: task for task in (REPORT, LETTER, AUTHENTICATE)}
