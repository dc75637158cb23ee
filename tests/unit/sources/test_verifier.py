"""What the verifier assumes, from which programs it takes: a kernel that knows its answers, and the programs for it."""

from __future__ import annotations

import errno
import struct
from collections.abc import Mapping

import pytest
from support.btf_builder import BtfBuilder

from tpgen.model import Nullness
from tpgen.sources.btf import Btf
from tpgen.sources.btf_tracepoints import TRACEPOINT_NAMES, BtfTracepoints
from tpgen.sources.verifier import Verifier

NEVER, MAYBE, ERROR = Nullness.NEVER, Nullness.MAYBE, Nullness.ERROR
# Of enum bpf_attach_type and the instruction set (Documentation/bpf/standardization/instruction-set.rst).
MOVE, SET, MULTIPLY, IF_EQUAL, EXIT = 0xBF, 0xB7, 0x27, 0x15, 0x95
LOADS = {0x71: 1, 0x61: 4, 0x79: 8}


class FakeKernel:
    """A kernel with an answer for each slot: an assumption, or None for what cannot be followed at all.

    `first` is the place that is read behind a pointer, an offset and a size, by slot.
    """

    def __init__(
        self, answers: Mapping[int, Nullness | None], first: Mapping[int, tuple[int, int]], big_endian: bool = False
    ) -> None:
        self.answers = answers
        self.first = first
        self.big_endian = big_endian
        self.loaded: list[tuple[str | None, int]] = []

    def load(self, module: str | None, type_id: int, program: bytes) -> int:
        self.loaded.append((module, type_id))
        return 0 if self._fine(program) else errno.EACCES

    def _fine(self, program: bytes) -> bool:
        # What each register has: the context, a number, or the argument of a slot, and whether that was tested.
        registers: dict[int, str | int] = {1: "context"}
        tested = set()
        for code, pair, offset, immediate in struct.iter_unpack(">BBhi" if self.big_endian else "<BBhi", program):
            to, of = (pair >> 4, pair & 15) if self.big_endian else (pair & 15, pair >> 4)
            held = registers.get(of if code in LOADS or code == MOVE else to)
            if code == EXIT:
                return registers[0] == "number"
            if code == MOVE:
                assert held is not None
                registers[to] = held
            elif code == SET:
                registers[to] = "number"
            elif code == IF_EQUAL:
                assert (offset, immediate) == (1, 0)
                tested.add(held)
            elif code == MULTIPLY:
                if self.answers[int(str(held))] != ERROR:
                    return False
            elif held == "context":
                slot, rest = divmod(offset, 8)
                assert (LOADS[code], rest) == (8, 0)
                if self.answers[slot] is None:
                    return False
                registers[to] = slot
            else:
                slot = int(str(held))
                assert self.first[slot] == (offset, LOADS[code])
                if self.answers[slot] == ERROR or (self.answers[slot] == MAYBE and slot not in tested):
                    return False
                registers[to] = "number"
        return False


def tracepoints(big_endian: bool = False, module: str | None = None) -> tuple[BtfTracepoints, int]:
    """An event `ev` with arguments of many types, and the id of its typedef.

    Pointers to structs that begin with an int, a pointer before a number, bit-fields, a union of an array in a struct,
    nothing, that have pointers alone, and to a union of a pointer and a number, at whose place the verifier sees the
    first.
    """
    btf = BtfBuilder(big_endian)
    number, char, wide = btf.integer("int", 4, 1), btf.integer("char", 1), btf.integer("long unsigned int", 8)
    task = btf.structure("task", 8, [("a", number, 0), ("b", number, 4)])
    linked = btf.structure("linked", 16, [("next", btf.ptr(task), 0), ("n", wide, 8)])
    bits = btf.bit_fields("bits", 12, [("x", number, 0, 3), ("y", number, 3, 29), ("next", number, 64, 0)])
    inner = btf.union("", 16, [("none", btf.array(char, 0), 0), ("text", btf.array(btf.typedef("u8", char), 16), 0)])
    nested = btf.structure("nested", 24, [("empty", btf.structure("", 0), 8), ("u", inner, 8)])
    empty = btf.structure("empty", 0)
    pair = btf.structure("pair", 16, [("first", btf.ptr(task), 0), ("second", btf.ptr(task), 8)])
    either = btf.union("either", 8, [("pointer", btf.ptr(task), 0), ("number", wide, 0)])
    gone, const = btf.fwd("gone"), btf.typedef("linked_t", btf.qualifier("CONST", linked))
    params = [
        ("n", number), ("task", btf.ptr(task)), ("linked", btf.ptr(const)), ("bits", btf.ptr(bits)),
        ("nested", btf.ptr(nested)), ("empty", btf.ptr(empty)), ("text", btf.ptr(char)), ("gone", btf.ptr(gone)),
        ("pair", btf.ptr(pair)), ("either", btf.ptr(either)),
    ]  # fmt: skip
    typedef = btf.event("ev", params)
    return BtfTracepoints(Btf(btf.blob(), "btf", names=TRACEPOINT_NAMES), module), typedef


#: Where those can be read, by slot; all other slots have nothing to follow.
FIRST = {1: (0, 1), 2: (8, 1), 3: (8, 1), 4: (8, 1), 8: (0, 8), 9: (0, 8)}


@pytest.mark.parametrize("big_endian", [False, True])
@pytest.mark.parametrize(
    "answers",
    [
        {1: NEVER, 2: NEVER, 3: NEVER, 4: NEVER, 8: NEVER, 9: NEVER},
        {1: NEVER, 2: MAYBE, 3: ERROR, 4: NEVER, 8: MAYBE, 9: ERROR},
        {1: MAYBE, 2: MAYBE, 3: MAYBE, 4: MAYBE, 8: MAYBE, 9: MAYBE},
        {1: None, 2: NEVER, 3: None, 4: ERROR, 8: None, 9: NEVER},
    ],
)
def test_answers(answers: Mapping[int, Nullness | None], big_endian: bool) -> None:
    kernel = FakeKernel(answers, FIRST, big_endian)
    found, _ = tracepoints(big_endian)
    expected = {slot: answer for slot, answer in answers.items() if answer}
    assert Verifier(kernel.load).assumptions(found, "ev") == expected


@pytest.mark.parametrize("module", [None, "xfs"])
def test_one_program_where_all_are_followed(module: str | None) -> None:
    """And that is loaded once, for the typedef of the event in its image."""
    kernel = FakeKernel(dict.fromkeys(FIRST, NEVER), FIRST)
    found, typedef = tracepoints(module=module)
    verifier = Verifier(kernel.load)
    for _ in range(2):
        assert verifier.assumptions(found, "ev") == dict.fromkeys(FIRST, NEVER)
    assert kernel.loaded == [(module, typedef)]


@pytest.mark.parametrize("error", [errno.EPERM, errno.EINVAL, errno.ENOMEM])
def test_what_cannot_be_asked_is_unknown(error: int) -> None:
    """A kernel that says neither yes nor no says nothing of NULL."""
    found, _ = tracepoints()
    assert Verifier(lambda *_: error).assumptions(found, "ev") == {}
