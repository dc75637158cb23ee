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


class Flow:
    """Analyses the programs of `obj`. Kernels that answer alike what a program depends on share a result."""

    def __init__(self, obj: BpfObject, limits: Limits | None = None) -> None:
        self._code = ProgramCode(obj)
        self._limits = limits or Limits()
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
        recorder = Recorder()
        interpreter = Interpreter(self._code, recorder, asker, self._limits)
        try:
            interpreter.follow(FunctionCall(function.place, _ARGUMENTS, (), 0))
        except LimitReached:
            recorder.gap(Unfollowed.LIMIT, function.place)
        return recorder.result()
