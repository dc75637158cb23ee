"""Subprograms, callbacks, helpers and functions of the kernel, by hand-assembled instructions."""

from __future__ import annotations

import pytest
from support.bpf_text import assembled
from support.flow import accesses, analysed, loads, read_by, reasons, uses

from tpgen.doctor.accesses import Access, AccessKind, Unfollowed

READ = {"reader": "r0 = *(u64 *)(r1 + 16); exit"}


# --- subprograms


def test_a_subprogram_is_given_the_context() -> None:
    assert loads(accesses("call reader; r0 = 0; exit", functions=READ)) == {(16, 8)}


def test_a_subprogram_is_given_something_else() -> None:
    found = accesses("r6 = r1; r1 = 0; call reader; r0 = *(u64 *)(r6 + 8); exit", functions=READ)
    assert loads(found) == {(8, 8)}


def test_a_subprogram_finds_the_context_in_the_frame_of_its_caller() -> None:
    text = "*(u64 *)(r10 - 8) = r1; r1 = r10; r1 += -8; call deep; r0 = 0; exit"
    deep = {"deep": "r2 = *(u64 *)(r1 + 0); r0 = *(u64 *)(r2 + 24); exit"}
    assert loads(accesses(text, functions=deep)) == {(24, 8)}


def test_a_subprogram_writes_to_the_frame_of_its_caller() -> None:
    text = """
        r6 = r1; *(u64 *)(r10 - 8) = 0
        r2 = r10; r2 += -8; call fill
        r3 = *(u64 *)(r10 - 8); if r3 == 0 goto out
        r0 = *(u64 *)(r3 + 32)
        out: r0 = 0; exit
    """
    found = accesses(text, functions={"fill": "*(u64 *)(r2 + 0) = r1; r0 = 0; exit"})
    assert loads(found) == {(32, 8)}


def test_each_way_out_of_a_subprogram_is_followed() -> None:
    """The value that is returned goes with what was written."""
    text = """
        r6 = r1; r2 = r10; r2 += -8; *(u64 *)(r10 - 8) = 0; call fill
        if r0 == 0 goto out
        r3 = *(u64 *)(r10 - 8); r0 = *(u64 *)(r3 + 40)
        out: r0 = 0; exit
    """
    fill = "r6 = r2; r7 = r1; call 14; if r0 == 5 goto no; *(u64 *)(r6 + 0) = r7; r0 = 1; exit; no: r0 = 0; exit"
    found = accesses(text, functions={"fill": fill})
    assert (loads(found), found.gaps) == ({(40, 8)}, frozenset())


def test_a_constant_argument_decides_within_a_subprogram() -> None:
    reader = "if r2 == 1 goto first; r0 = *(u64 *)(r1 + 8); exit; first: r0 = *(u64 *)(r1 + 0); exit"
    assert loads(accesses("r2 = 1; call reader; r0 = 0; exit", functions={"reader": reader})) == {(0, 8)}
    both = "r6 = r1; r2 = 1; call reader; r1 = r6; r2 = 2; call reader; r0 = 0; exit"
    assert loads(accesses(both, functions={"reader": reader})) == {(0, 8), (8, 8)}


def test_a_subprogram_keeps_the_registers_of_its_caller() -> None:
    text = "r6 = r1; call other; r0 = *(u64 *)(r6 + 8); exit"
    assert loads(accesses(text, functions={"other": "r6 = 0; r0 = 0; exit"})) == {(8, 8)}


def test_recursion_ends() -> None:
    found = accesses("call again; exit", functions={"again": "call again; exit"})
    assert reasons(found) == {Unfollowed.LIMIT}


def test_a_global_function_is_followed_by_itself() -> None:
    """It is given the context, but neither the constants nor the frames of its callers, nor is its result known."""
    text = """
        r6 = r1; r2 = 1; *(u64 *)(r10 - 8) = 7; r3 = r10; r3 += -8; call reader
        if r0 == 1 goto out
        r0 = *(u64 *)(r6 + 8)
        out: r0 = 0; exit
    """
    reader = "if r2 == 1 goto first; r0 = *(u64 *)(r1 + 24); exit; first: r0 = *(u64 *)(r1 + 16); r0 = 1; exit"
    alone = accesses(text, functions={"reader": reader}, global_functions=("reader",))
    assert loads(alone) == {(8, 8), (16, 8), (24, 8)}
    assert loads(accesses(text, functions={"reader": reader})) == {(16, 8)}


# --- callbacks

#: bpf_loop(count, callback, context, flags): the callback is given (index, context).
LOOP = """
    *(u64 *)(r10 - 8) = r1; r1 = {count}; r2 = &callback; r3 = r10; r3 += -8; r4 = 0; call 181
    r1 = *(u64 *)(r10 - 8); if r1 == 0 goto out; r0 = *(u64 *)(r1 + 8)
    out: r0 = 0; exit
"""


def test_a_callback_of_a_loop() -> None:
    callback = "r3 = *(u64 *)(r2 + 0); r0 = *(u64 *)(r3 + 16); r0 = 0; exit"
    assert loads(accesses(LOOP.format(count=4), functions={"callback": callback})) == {(8, 8), (16, 8)}
    assert loads(accesses(LOOP.format(count=0), functions={"callback": callback})) == {(8, 8)}


def test_a_callback_changes_what_its_next_call_sees() -> None:
    """The first call adds 8 to the address, the second 8 more, and so on: not to be told."""
    text = """
        *(u64 *)(r10 - 8) = r1; *(u64 *)(r10 - 16) = 0; r1 = 2; r2 = &callback; r3 = r10; r3 += -16; r4 = 0; call 181
        r0 = 0; exit
    """
    callback = """
        r3 = *(u64 *)(r2 + 0); r4 = *(u64 *)(r2 + 8)
        if r3 == 1 goto second
        *(u64 *)(r2 + 0) = 1; r0 = *(u64 *)(r4 + 0); r0 = 0; exit
        second: r0 = *(u64 *)(r4 + 8); r0 = 0; exit
    """
    assert loads(accesses(text, functions={"callback": callback})) == {(0, 8), (8, 8)}


@pytest.mark.parametrize(
    ("helper", "before", "argument"),
    [
        (164, "r1 = &some_map; r2 = &callback; r3 = r10; r3 += -8; r4 = 0", "r4"),
        (209, "r1 = &some_map; r2 = &callback; r3 = r10; r3 += -8; r4 = 0", "r2"),
        (180, "r1 = 0; r2 = 0; r3 = &callback; r4 = r10; r4 += -8; r5 = 0", "r3"),
    ],
)
def test_other_callbacks(helper: int, before: str, argument: str) -> None:
    callback = {"callback": f"r5 = *(u64 *)({argument} + 0); r0 = *(u64 *)(r5 + 48); r0 = 0; exit"}
    found = accesses(f"*(u64 *)(r10 - 8) = r1; {before}; call {helper}; r0 = 0; exit", functions=callback)
    assert loads(found) == {(48, 8)}


@pytest.mark.parametrize("call", ["call 170", "call extern:bpf_wq_set_callback_impl"])
def test_a_timer_is_reached_without_the_context(call: str) -> None:
    made = assembled(
        f"r1 = 0; r2 = &callback; {call}; r0 = 0; exit",
        functions={"callback": "r0 = *(u64 *)(r1 + 8) @here; r0 = 0; exit"},
    )
    found = analysed(made)
    assert made.places["here"] in found.reached
    assert found.accesses == frozenset()


# --- helpers that read by address


@pytest.mark.parametrize("helper", [4, 112, 113])
def test_a_helper_reads_bytes_of_the_context(helper: int) -> None:
    made = assembled(f"r3 = r1; r3 += 16; r1 = r10; r1 += -8; r2 = 8; call {helper} @here; r0 = 0; exit")
    assert analysed(made).accesses == {Access(AccessKind.HELPER, made.places["here"], 16, 8, 16)}


@pytest.mark.parametrize("helper", [45, 114, 115])
def test_a_helper_reads_a_string_of_the_context(helper: int) -> None:
    found = accesses(f"r3 = r1; r3 += 12; r1 = r10; r1 += -16; r2 = 16; call {helper}; r0 = 0; exit")
    assert read_by(found, AccessKind.HELPER_STRING) == {(12, 16)}


def test_a_helper_reads_a_size_of_the_run() -> None:
    found = accesses("r6 = r1; call 14; r3 = r6; r1 = r10; r1 += -16; r2 = r0; call 113; r0 = 0; exit")
    assert read_by(found, AccessKind.HELPER) == {(0, None)}


def test_a_helper_reads_somewhere_in_the_context() -> None:
    found = accesses("r6 = r1; call 14; r3 = r6; r3 += r0; r1 = r10; r1 += -16; r2 = 4; call 113; r0 = 0; exit")
    assert read_by(found, AccessKind.HELPER) == {(None, 4)}
    assert reasons(found) == {Unfollowed.VARIABLE_OFFSET}


def test_what_a_helper_copied_is_known_to_be_of_the_context() -> None:
    """A pointer is followed that bpf_probe_read() copied: alone, and within all that was copied."""
    alone = "r3 = r1; r3 += 16; r1 = r10; r1 += -8; r2 = 8; call 4; r3 = *(u64 *)(r10 - 8)"
    within = "r3 = r1; r1 = r10; r1 += -48; r2 = 48; call 4; r3 = *(u64 *)(r10 - 32)"
    overwritten = f"{within.partition('; r3 = *')[0]}; *(u32 *)(r10 - 40) = 0; r3 = *(u64 *)(r10 - 32)"
    for text in (alone, within, overwritten):
        found = accesses(f"{text}; r1 = r10; r1 += -8; r2 = 8; call 112; r0 = 0; exit")
        assert uses(found) == {(16, None, False, False)}


# --- locators


def locator(narrowing: str, distance: int = 0, **parts: bool) -> set[tuple[int | None, int | None]]:
    text = f"r6 = r1; {narrowing}; r6 += r2; r6 += {distance}; r1 = r10; r1 += -16; r2 = 16; r3 = r6; call 115; exit"
    found = accesses(f"r0 = 0; {text}", **parts)
    assert found.gaps == frozenset()
    return read_by(found, AccessKind.DYNAMIC)


@pytest.mark.parametrize(
    "narrowing",
    [
        "r2 = *(u16 *)(r1 + 8)",
        "r2 = *(u32 *)(r1 + 8); r2 &= 65535",
        "r2 = *(u32 *)(r1 + 8); w2 &= 65535",
        "r2 = *(u32 *)(r1 + 8); r2 <<= 48; r2 >>= 48",
        "r2 = *(u32 *)(r1 + 8); w2 <<= 16; w2 >>= 16",
        "*(u64 *)(r10 - 8) = r1; r2 = *(u32 *)(r1 + 8); *(u32 *)(r10 - 8) = r2; r2 = *(u16 *)(r10 - 8)",
    ],
)
def test_locators(narrowing: str) -> None:
    assert locator(narrowing) == {(8, 16)}


@pytest.mark.parametrize(
    "narrowing",
    [
        "r2 = *(u16 *)(r1 + 10)",
        "r2 = *(u32 *)(r1 + 8); r2 &= 65535",
        "r2 = *(u32 *)(r1 + 8); w2 <<= 16; w2 >>= 16",
        "r2 = *(u32 *)(r1 + 8); *(u32 *)(r10 - 8) = r2; r2 = *(u16 *)(r10 - 6)",
        "r2 = *(u64 *)(r1 + 8); *(u64 *)(r10 - 8) = r2; r2 = *(u16 *)(r10 - 6)",
    ],
)
def test_locators_of_big_endian_objects(narrowing: str) -> None:
    """The lower half lies behind the upper one; the last case reads the lower half of the first 4 bytes of 8."""
    assert locator(narrowing, big_endian=True) == {(8, 16)}


def test_the_length_of_a_locator_is_no_offset() -> None:
    found = accesses("r2 = *(u32 *)(r1 + 8); r2 >>= 16; r3 = r1; r3 += r2; r1 = r10; r1 += -8; r2 = 8; call 113; exit")
    assert reasons(found) == {Unfollowed.VARIABLE_OFFSET}


def test_a_locator_relative_to_its_end() -> None:
    """`__rel_loc`: ctx + 12 + (u16)ctx[8]."""
    made = assembled(
        "r3 = r1; r2 = *(u16 *)(r1 + 8); r3 += r2; r3 += 12; r1 = r10; r1 += -8; r2 = 8; call 113 @here; exit"
    )
    assert Access(AccessKind.DYNAMIC, made.places["here"], 8, 8, 12) in analysed(made).accesses


# --- the context as an argument


def test_helpers_take_the_context_as_their_first_argument() -> None:
    assert accesses("r2 = &some_map; r3 = 0; call 27; r0 = 0; exit").accesses == frozenset()


def test_a_part_of_the_context_is_passed() -> None:
    made = assembled("r1 += 8; r2 = &some_map; r3 = 0; call 27 @here; r0 = 0; exit")
    assert analysed(made).accesses == {Access(AccessKind.PASSED, made.places["here"], 8, None, 8, detail="27")}
    made = assembled("r4 = r1; r5 = 8; r2 = &some_map; r3 = 0; call 25 @here; r0 = 0; exit")
    assert analysed(made).accesses == {Access(AccessKind.PASSED, made.places["here"], 0, None, 0, detail="25")}


def test_a_tail_call() -> None:
    found = accesses("r6 = r1; r2 = &programs; r3 = 4; call 12; r0 = *(u64 *)(r6 + 8); exit")
    assert found.tail_calls
    assert loads(found) == {(8, 8)}
    assert not accesses("r0 = 0; exit").tail_calls


def test_an_argument_by_helper() -> None:
    made = assembled("r2 = 2; r3 = r10; r3 += -8; call 183 @here; r1 = *(u64 *)(r10 - 8); r0 = *(u64 *)(r1 + 4); exit")
    found = analysed(made)
    assert found.accesses == {Access(AccessKind.ARGUMENT, made.places["here"], 16, 8)}
    assert uses(found) == {(16, None, True, False)}


def test_an_exception_ends_the_path() -> None:
    assert loads(accesses("r6 = r1; r1 = 0; call extern:bpf_throw; r0 = *(u64 *)(r6 + 8); exit")) == set()


def test_a_function_of_the_kernel_returns() -> None:
    found = accesses(
        "*(u64 *)(r10 - 8) = r1; call extern:bpf_rcu_read_lock; r1 = *(u64 *)(r10 - 8); r0 = *(u64 *)(r1 + 8); exit"
    )
    assert loads(found) == {(8, 8)}
