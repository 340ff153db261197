"""A driver's scenario: steps that run one after the other, each with a verdict.

A step is a function that takes the driver's scene and returns a short note; it raises `Skip` where the server lacks
what it needs, and anything else is a failure of this step alone, unless the scenario cannot go on without it.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from conformance.verdicts import Outcome, Verdict

Scene = TypeVar("Scene")


class Skip(Exception):
    """The step does not apply to this server; the text says what is missing."""


def check(holds: object, text: object) -> None:
    """Fail the step with `text` unless `holds` is true.

    Raises AssertionError.
    """
    if not holds:
        raise AssertionError(str(text))


@dataclass(frozen=True, slots=True)
class Step(Generic[Scene]):
    """One step: its name in the verdicts, what it does, and whether the steps after it make sense without it."""

    name: str
    run: Callable[[Scene], str]
    vital: bool


class Scenario(Generic[Scene]):
    """The steps of a driver in the order in which they were declared."""

    def __init__(self) -> None:
        self.steps: list[Step[Scene]] = []

    def step(self, function: Callable[[Scene], str]) -> Callable[[Scene], str]:
        """Declare a step that may fail alone."""
        self.steps.append(Step(function.__name__, function, vital=False))
        return function

    def vital(self, function: Callable[[Scene], str]) -> Callable[[Scene], str]:
        """Declare a step without which the scenario ends."""
        self.steps.append(Step(function.__name__, function, vital=True))
        return function

    def play(self, scene: Scene, before: Callable[[str], None], only: Sequence[str] = ()) -> Iterator[Verdict]:
        """Run the steps; `before` is told the name of each. With `only`, those and the vital ones."""
        for step in self.steps:
            if only and step.name not in only and not step.vital:
                continue
            before(step.name)
            begun = time.monotonic()
            verdict = outcome(step, scene)
            took = time.monotonic() - begun
            print(f"{verdict.outcome} {step.name:22} {took:5.1f} s  {verdict.note[:400]}", flush=True)
            yield verdict
            if step.vital and verdict.outcome is Outcome.FAIL:
                print("     (the steps after this one need it)", flush=True)
                return


def outcome(step: Step[Scene], scene: Scene) -> Verdict:
    """Run one step. Whatever it raises is its verdict, so that one failure does not hide the steps after it."""
    try:
        return Verdict(step.name, Outcome.PASS, step.run(scene))
    except Skip as skip:
        return Verdict(step.name, Outcome.SKIP, str(skip))
    except AssertionError as error:
        return Verdict(step.name, Outcome.FAIL, str(error))
    except Exception as error:  # noqa: BLE001 - see above
        traceback.print_exc()
        return Verdict(step.name, Outcome.FAIL, f"{type(error).__name__}: {error}")
