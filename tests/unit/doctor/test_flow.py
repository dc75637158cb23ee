"""What programs do with their context, by hand-assembled instructions; each expectation is worked out by hand."""

from __future__ import annotations

import pytest
from support.bpf_text import assembled
from support.flow import accesses, analysed, loads, reasons

from tpgen.doctor.accesses import Access, AccessKind, Unfollowed
from tpgen.doctor.flow.interpreter import Limits

# --- loads


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("r0 = *(u64 *)(r1 + 8); exit", {(8, 8)}),
        ("r0 = *(u32 *)(r1 + 12); exit", {(12, 4)}),
        ("r0 = *(u16 *)(r1 + 2); r0 = 0; exit", {(2, 2)}),
        ("r0 = *(s8 *)(r1 + 7); exit", {(7, 1)}),
        ("r0 = *(u64 *)(r1 - 8); exit", {(-8, 8)}),
        ("r6 = r1; r1 = 0; r0 = *(u64 *)(r6 + 0); exit", {(0, 8)}),
        ("r1 += 16; r0 = *(u64 *)(r1 + 8); exit", {(24, 8)}),
        ("r1 -= 8; r0 = *(u64 *)(r1 + 8); exit", {(0, 8)}),
        ("r2 = 16; r2 += r1; r0 = *(u64 *)(r2 + 0); exit", {(16, 8)}),
        ("r2 = 24; r3 = 8; r2 -= r3; r1 += r2; r0 = *(u64 *)(r1 + 0); exit", {(16, 8)}),
        ("r1 = 0; r0 = 0; exit", set()),
        ("r0 = 0; exit; r0 = *(u64 *)(r1 + 8); exit", set()),
        ("goto on; r0 = *(u64 *)(r1 + 8); on: r0 = *(u64 *)(r1 + 16); exit", {(16, 8)}),
        ("gotol on; r0 = *(u64 *)(r1 + 8); on: r0 = *(u64 *)(r1 + 16); exit", {(16, 8)}),
        ("load_acquire(*(u64 *)(r1 + 8), r0); exit", {(8, 8)}),
    ],
)
def test_loads(text: str, expected: set[tuple[int, int]]) -> None:
    found = accesses(text)
    assert loads(found) == expected
    assert found.gaps == frozenset()


def test_a_load_tells_its_place_and_what_was_added_before() -> None:
    made = assembled("r1 += 16; r0 = *(s32 *)(r1 + 8) @here; exit")
    assert analysed(made).accesses == {Access(AccessKind.LOAD, made.places["here"], 24, 4, 16, True)}


def test_a_helper_call_clobbers_the_argument_registers() -> None:
    assert loads(accesses("r6 = r1; call 14; r0 = *(u64 *)(r1 + 0); r0 = *(u64 *)(r6 + 8); exit")) == {(8, 8)}


# --- the stack


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("*(u64 *)(r10 - 8) = r1; r2 = *(u64 *)(r10 - 8); r0 = *(u64 *)(r2 + 8); exit", {(8, 8)}),
        ("r3 = r10; r3 += -16; *(u64 *)(r3 + 8) = r1; r2 = *(u64 *)(r10 - 8); r0 = *(u64 *)(r2 + 8); exit", {(8, 8)}),
        # Overwritten, in part too: the context is lost.
        ("*(u64 *)(r10 - 8) = r1; *(u64 *)(r10 - 8) = 0; r2 = *(u64 *)(r10 - 8); r0 = *(u64 *)(r2 + 8); exit", set()),
        ("*(u64 *)(r10 - 8) = r1; *(u8 *)(r10 - 1) = 0; r2 = *(u64 *)(r10 - 8); r0 = *(u64 *)(r2 + 8); exit", set()),
        # A helper writes there, or beside it.
        (
            "*(u64 *)(r10 - 8) = r1; r1 = r10; r1 += -24; r2 = 16; call 16; r2 = *(u64 *)(r10 - 8);"
            "r0 = *(u64 *)(r2 + 8); exit",
            {(8, 8)},
        ),
        (
            "*(u64 *)(r10 - 8) = r1; r1 = r10; r1 += -24; r2 = 17; call 16; r2 = *(u64 *)(r10 - 8);"
            "r0 = *(u64 *)(r2 + 8); exit",
            set(),
        ),
        # Numbers on the stack decide branches.
        (
            "r2 = 5; *(u64 *)(r10 - 8) = r2; r3 = *(u64 *)(r10 - 8); if r3 == 5 goto out; r0 = *(u64 *)(r1 + 8);"
            "out: r0 = 0; exit",
            set(),
        ),
        (
            "*(u64 *)(r10 - 8) = 0; r3 = *(u16 *)(r10 - 4); if r3 == 0 goto out; r0 = *(u64 *)(r1 + 8);"
            "out: r0 = 0; exit",
            set(),
        ),
    ],
)
def test_stack(text: str, expected: set[tuple[int, int]]) -> None:
    assert loads(accesses(text)) == expected


# --- branches


@pytest.mark.parametrize(
    ("condition", "reached"),
    [
        ("r2 = 5; if r2 == 5 goto there", True),
        ("r2 = 5; if r2 != 5 goto there", False),
        ("r2 = 5; if r2 > 4 goto there", True),
        ("r2 = -1; if r2 > 4 goto there", True),
        ("r2 = -1; if r2 s> 4 goto there", False),
        ("r2 = -1; if w2 s< 0 goto there", True),
        ("r2 = 4294967296 ll; if w2 == 0 goto there", True),
        ("r2 = 4294967296 ll; if r2 == 0 goto there", False),
        ("r2 = 6; if r2 & 2 goto there", True),
        ("r2 = 6; if r2 & 9 goto there", False),
        ("r2 = 6; r3 = 6; if r2 != r3 goto there", False),
        ("w2 = -1; if r2 == -1 goto there", False),
        ("r2 = 7; w2 *= 3; r2 -= 20; if r2 == 1 goto there", True),
        ("r2 = -16; r2 s>>= 2; if r2 == -4 goto there", True),
        ("w2 = -16; w2 >>= 28; if r2 == 15 goto there", True),
        ("r2 = 1; r2 = -r2; if r2 s< 0 goto there", True),
        ("r2 = 258; r2 = bswap16 r2; if r2 == 513 goto there", True),
        ("r2 = 255; r2 = (s8)r2; if r2 == -1 goto there", True),
    ],
)
def test_constant_conditions(condition: str, reached: bool) -> None:
    """A load stands behind a condition that only one way can be."""
    there = accesses(f"{condition}; r0 = 0; exit; there: r0 = *(u64 *)(r1 + 8); exit")
    other = accesses(f"{condition}; r0 = *(u64 *)(r1 + 8); exit; there: r0 = 0; exit")
    assert (loads(there) == {(8, 8)}, loads(other) == {(8, 8)}) == (reached, not reached)


def test_unknown_conditions_go_both_ways() -> None:
    found = accesses("""
        r6 = r1; call 14; if r0 == 7 goto seven
        r0 = *(u64 *)(r6 + 8); exit
        seven: if r0 != 7 goto never
        r0 = *(u64 *)(r6 + 16); exit
        never: r0 = *(u64 *)(r6 + 24); exit
    """)
    assert loads(found) == {(8, 8), (16, 8)}


def test_paths_that_meet_remember_where_the_context_is() -> None:
    """Which register has the context depends on the way; the second condition is the first one again."""
    found = accesses("""
        r6 = r1; call 14
        r7 = 0
        if r0 == 0 goto on
        r7 = 1; r8 = r6
        on: r6 = 0
        if r7 == 0 goto out
        r0 = *(u64 *)(r8 + 8)
        out: exit
    """)
    assert loads(found) == {(8, 8)}
    assert found.gaps == frozenset()


def test_loops_end() -> None:
    found = accesses("r2 = 0; again: r2 += 1; r0 = *(u64 *)(r1 + 0); if r2 < 1000000 goto again; exit")
    assert loads(found) == {(0, 8)}
    assert found.gaps == frozenset()


def test_an_unrolled_loop_reads_each_slot() -> None:
    found = accesses("""
        r2 = 0
        again: r3 = r1; r3 += r2; r0 = *(u64 *)(r3 + 0); r2 += 8; if r2 < 40 goto again
        exit
    """)
    assert loads(found) == {(0, 8), (8, 8), (16, 8), (24, 8), (32, 8)}


@pytest.mark.parametrize("jump", ["may_goto out", "if r0 == 3 goto out"])
def test_a_loop_with_an_unknown_end(jump: str) -> None:
    assert loads(accesses(f"r6 = r1; again: call 5; {jump}; goto again; out: r0 = *(u64 *)(r6 + 8); exit")) == {(8, 8)}


# --- what cannot be followed


def test_an_index_of_the_run() -> None:
    made = assembled("r6 = r1; call 14; r6 += r0; r0 = *(u64 *)(r6 + 8) @here; exit")
    found = analysed(made)
    assert reasons(found) == {Unfollowed.VARIABLE_OFFSET}
    assert found.accesses == {Access(AccessKind.LOAD, made.places["here"], None, 8)}


def test_the_context_escapes() -> None:
    assert reasons(accesses("r6 = r1; r1 = 0; call 1; *(u64 *)(r0 + 0) = r6; exit")) == {Unfollowed.ESCAPED}


@pytest.mark.parametrize("text", ["r0 = 0", "goto on; on: r0 = 1", "r0 = 0; again: goto again2; again2: r0 = 1"])
def test_a_program_without_an_end(text: str) -> None:
    assert reasons(accesses(text)) == {Unfollowed.CORRUPT}


def test_steps_are_bounded() -> None:
    loop = "r6 = r1; again: call 5; r7 += r0; if r7 > 5 goto again; r0 = 0; exit"
    assert reasons(analysed(assembled(loop), limits=Limits(steps=3))) == {Unfollowed.LIMIT}
    assert reasons(analysed(assembled(loop), limits=Limits(values=3))) == {Unfollowed.LIMIT}
    assert reasons(analysed(assembled(loop))) == set()
