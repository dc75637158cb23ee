"""The accesses of an object's programs to their context, for one kernel after the other."""

from __future__ import annotations

from collections.abc import Mapping

from tpgen.doctor.accesses import ProgramAccesses, Unfollowed
from tpgen.doctor.flow.calls import FunctionCall
from tpgen.doctor.flow.code import ProgramCode
from tpgen.doctor.flow.givens import Answers, Asker, Given, agree
from tpgen.doctor.flow.interpreter import Interpreter, LimitReached, Limits
from tpgen.doctor.flow.recorder import Recorder
from tpgen.doctor.flow.values import Context
from tpgen.doctor.relocated import Relocations
from tpgen.sources.bpf_object.facts import BpfObject, Function, Program

_ARGUMENTS = (Context(0), None, None, None, None)
#: States of a place that are told apart at first; more where that was too few, and the program is not too large.
_FEW_STATES = 12
_SMALL = 30_000
#: Instructions that are followed for one object, whatever its programs and kernels: some seconds. Real objects take a
#: twentieth for a kernel, at most.
_MOST_STEPS = 5_000_000


class Flow:
    """Analyses the programs of `obj`. Kernels that answer alike what a program depends on share a result."""

    def __init__(self, obj: BpfObject, limits: Limits | None = None, most_steps: int = _MOST_STEPS) -> None:
        self._code = ProgramCode(obj)
        self._limits = limits or Limits()
        self._steps = most_steps
        self._results: dict[Function, list[tuple[Answers, ProgramAccesses]]] = {}

    def accesses(
        self,
        program: Program,
        relocations: Relocations,
        *,
        variables: Mapping[str, int | None] | None = None,
        kernel_version: int | None = None,
        symbols: Mapping[str, bool] | None = None,
        never_null: frozenset[int] = frozenset(),
    ) -> ProgramAccesses:
        """The accesses of a program, and what it does with the pointers; the arguments are those of `Given`."""
        given = Given(relocations, variables or {}, kernel_version, symbols or {}, never_null)
        results = self._results.setdefault(program.function, [])
        for answers, found in results:
            if agree(answers, given):
                return found
        asker = Asker(self._code.obj, given)
        found = self._analysed(program.function, asker)
        results.append((asker.answers, found))
        return found

    def _analysed(self, function: Function, asker: Asker) -> ProgramAccesses:
        few = self._limits._replace(states=min(_FEW_STATES, self._limits.states))
        before = self._steps
        found, has_joined = self._run(function, asker, few)
        if has_joined and few != self._limits:
            is_small = before - self._steps < _SMALL
            if is_small or any(gap.reason == Unfollowed.VARIABLE_OFFSET for gap in found.gaps):
                again, _ = self._run(function, asker, self._limits)
                return again if not _is_cut_short(again) else found
        return found

    def _run(self, function: Function, asker: Asker, limits: Limits) -> tuple[ProgramAccesses, bool]:
        """The accesses within limits, and whether states were joined: there may be fewer accesses than these."""
        recorder = Recorder()
        steps = min(limits.steps, self._steps)
        interpreter = Interpreter(self._code, recorder, asker, limits._replace(steps=steps))
        try:
            interpreter.follow(FunctionCall(function.place, _ARGUMENTS, (), 0))
        except LimitReached:
            recorder.gap(Unfollowed.LIMIT, function.place)
        self._steps -= steps - max(interpreter.steps, 0)
        return recorder.result(), interpreter.has_joined


def _is_cut_short(found: ProgramAccesses) -> bool:
    return any(gap.reason == Unfollowed.LIMIT for gap in found.gaps)
