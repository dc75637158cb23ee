"""Guards that depend on variables, kconfig, the kernel's version, symbols and relocations; pointers behind checks."""

from __future__ import annotations

import pytest
from support.bpf_text import assembled
from support.flow import accesses, analysed, loads, reasons, uses

from tpgen.doctor.accesses import Unfollowed
from tpgen.doctor.flow.analysis import Flow
from tpgen.doctor.relocated import Failed, Relocated, Resolved, Unknown

# --- variables of .rodata

TARGET = "r2 = &target; r2 = *(u32 *)(r2 + 0); if r2 == 0 goto out; r0 = *(u64 *)(r1 + 8); out: r0 = 0; exit"


@pytest.mark.parametrize(("content", "expected"), [(b"\0\0\0\0", set()), (b"\1\0\0\0", {(8, 8)})])
def test_a_variable_decides_with_the_value_of_the_object(content: bytes, expected: set[tuple[int, int]]) -> None:
    found = accesses(TARGET, rodata={"other": b"\7\0\0\0", "target": content})
    assert (loads(found), found.decided_by, found.undecided_by) == (expected, {"target"}, frozenset())


@pytest.mark.parametrize(("chosen", "expected"), [(0, set()), (1, {(8, 8)}), (-1, {(8, 8)}), (None, {(8, 8)})])
def test_a_variable_decides_with_a_chosen_value(chosen: int | None, expected: set[tuple[int, int]]) -> None:
    found = analysed(assembled(TARGET, rodata={"target": bytes(4)}), variables={"target": chosen})
    undecided = {"target"} if chosen is None else set()
    assert (loads(found), found.decided_by, found.undecided_by) == (expected, {"target"} - undecided, undecided)


def test_a_chosen_value_is_read_in_part_and_with_its_sign() -> None:
    text = "r2 = &target; r2 = *(s16 *)(r2 + {}); if r2 s< 0 goto out; r0 = *(u64 *)(r1 + 8); out: r0 = 0; exit"
    for big_endian, low in ((False, 0), (True, 2)):
        for offset, expected in ((low, set()), (2 - low, {(8, 8)})):
            made = assembled(text.format(offset), rodata={"target": bytes(4)}, big_endian=big_endian)
            assert loads(analysed(made, variables={"target": 0x1234FFFE})) == expected


def test_what_is_computed_from_a_variable_depends_on_it() -> None:
    text = """
        r2 = &first; r2 = *(u8 *)(r2 + 0); r3 = &second; r3 = *(u8 *)(r3 + 0); r2 |= r3; r2 &= 1
        *(u64 *)(r10 - 8) = r2; r4 = *(u64 *)(r10 - 8)
        if r4 != 0 goto out; r0 = *(u64 *)(r1 + 8); out: r0 = 0; exit
    """
    made = assembled(text, rodata={"first": b"\0", "second": b"\2"})
    assert analysed(made).decided_by == {"first", "second"}
    assert analysed(made, variables={"second": None}).undecided_by == {"first", "second"}
    assert loads(analysed(made, variables={"second": 1})) == set()


def test_a_variable_that_decides_nothing_that_is_reached() -> None:
    made = assembled(f"r2 = 0; if r2 == 0 goto end; {TARGET}; end: r0 = 0; exit", rodata={"target": bytes(4)})
    assert analysed(made).decided_by == frozenset()


# --- kconfig and symbols

VERSION = """
    r2 = &extern:LINUX_KERNEL_VERSION; r2 = *(u32 *)(r2 + 0)
    if r2 < 330496 goto old; r0 = *(u64 *)(r1 + 0); exit
    old: r0 = *(u64 *)(r1 + 8); exit
"""


@pytest.mark.parametrize(("version", "expected"), [(330495, {(8, 8)}), (330496, {(0, 8)}), (None, {(0, 8), (8, 8)})])
def test_the_kernel_version(version: int | None, expected: set[tuple[int, int]]) -> None:
    found = analysed(assembled(VERSION), kernel_version=version)
    assert loads(found) == expected
    assert (found.undecided_by == {"LINUX_KERNEL_VERSION"}) == (version is None)


def test_kconfig() -> None:
    text = "r2 = &extern:CONFIG_X; r2 = *(u8 *)(r2 + 0); if r2 == 0 goto out; r0 = *(u64 *)(r1 + 8); out: r0 = 0; exit"
    assert accesses(text).undecided_by == {"CONFIG_X"}
    assert loads(analysed(assembled(text), variables={"CONFIG_X": 0})) == set()
    assert loads(analysed(assembled(text), variables={"CONFIG_X": 1})) == {(8, 8)}


def test_weak_symbols_of_the_kernel() -> None:
    text = "r2 = &extern:bpf_new; if r2 == 0 goto old; r0 = *(u64 *)(r1 + 8); exit; old: r0 = *(u64 *)(r1 + 16); exit"
    made = assembled(text, kernel_symbols={"bpf_new": "func"}, weak=("bpf_new",))
    assert loads(analysed(made, symbols={"bpf_new": True})) == {(8, 8)}
    assert loads(analysed(made, symbols={"bpf_new": False})) == {(16, 8)}
    assert loads(analysed(made)) == {(8, 8), (16, 8)}
    assert analysed(made).undecided_by == {"bpf_new"}


# --- relocations

EXISTS = """
    r6 = r1; r2 = 1 @exists; if r2 == 0 goto old
    r0 = *(u32 *)(r6 + 8) @new; exit
    old: r0 = *(u32 *)(r6 + 16) @old; exit
"""


def test_a_member_that_exists() -> None:
    relocations = {"exists": Resolved(1), "new": Resolved(24), "old": Failed("struct.old")}
    found = analysed(assembled(EXISTS), relocations)
    assert (loads(found), found.failed) == ({(24, 4)}, frozenset())


def test_a_member_that_does_not_exist() -> None:
    made = assembled(EXISTS)
    found = analysed(made, {"exists": Resolved(0), "new": Failed("struct.new"), "old": Resolved(12, 2)})
    assert (loads(found), found.failed) == ({(12, 2)}, frozenset())
    found = analysed(made, {"exists": Resolved(1), "new": Failed("struct.new"), "old": Resolved(12, 2)})
    assert (loads(found), found.failed) == (set(), {made.places["new"]})


def test_a_member_of_which_nothing_is_known() -> None:
    relocations = {"exists": Unknown("struct.new"), "new": Unknown("struct.new"), "old": Resolved(12)}
    found = analysed(assembled(EXISTS), relocations)
    assert loads(found) == {(12, 4)}
    assert found.undecided_by == {"struct.new"}
    assert reasons(found) == {Unfollowed.UNKNOWN_RELOCATION}


def test_an_unknown_offset_added_to_the_context() -> None:
    text = "r2 = 8 @offset; r3 = r1; r3 += r2; r1 = r10; r1 += -8; r2 = 8; call 113; r0 = 0; exit"
    found = analysed(assembled(text), {"offset": Unknown("trace_event_raw_x.y")})
    assert reasons(found) == {Unfollowed.UNKNOWN_RELOCATION}
    assert found.accesses == frozenset()


@pytest.mark.parametrize("outcome", [Resolved(1234, None, "task_struct"), Unknown("task_struct.pid", "task_struct")])
@pytest.mark.parametrize(
    "reach",
    [
        "r3 = *(u64 *)(r1 + 8); r3 += 99 @offset",
        "r2 = 99 @offset; r3 = *(u64 *)(r1 + 8); r3 += r2",
        "r3 = 99 @offset; r2 = *(u64 *)(r1 + 8); r3 += r2",
    ],
)
def test_a_member_of_what_an_argument_points_to(reach: str, outcome: Relocated) -> None:
    """By its address, then by a helper that copies it."""
    made = assembled(f"{reach}; r1 = r10; r1 += -8; r2 = 4; call 113; r0 = 0; exit")
    assert uses(analysed(made, {"offset": outcome})) == {(8, "task_struct", False, False)}


def test_a_member_read_directly() -> None:
    made = assembled("r2 = *(u64 *)(r1 + 8); r0 = *(u32 *)(r2 + 99) @offset; exit")
    assert uses(analysed(made, {"offset": Resolved(1234, None, "task_struct")})) == {(8, "task_struct", True, False)}


# --- pointers and NULL


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("r2 = *(u64 *)(r1 + 8); r0 = *(u64 *)(r2 + 0); exit", {(8, None, True, False)}),
        (
            "r2 = *(u64 *)(r1 + 8); if r2 == 0 goto out; r0 = *(u64 *)(r2 + 0); out: r0 = 0; exit",
            {(8, None, True, True)},
        ),
        (
            "r2 = *(u64 *)(r1 + 8); if r2 != 0 goto on; r0 = *(u64 *)(r2 + 0); on: r0 = 0; exit",
            set(),
        ),
        # A copy that was made before; the same slot, read again.
        (
            "r2 = *(u64 *)(r1 + 8); *(u64 *)(r10 - 8) = r2; if r2 == 0 goto out; r3 = *(u64 *)(r10 - 8);"
            "r0 = *(u64 *)(r3 + 16); out: r0 = 0; exit",
            {(8, None, True, True)},
        ),
        (
            "r2 = *(u64 *)(r1 + 8); r3 = *(u64 *)(r1 + 8); if r2 == 0 goto out; r0 = *(u64 *)(r3 + 16);"
            "out: r0 = 0; exit",
            {(8, None, True, False)},
        ),
        # Less than a pointer.
        ("r2 = *(u32 *)(r1 + 8); r0 = *(u64 *)(r2 + 0); exit", set()),
    ],
)
def test_checks(text: str, expected: set[tuple[int, str | None, bool, bool]]) -> None:
    assert uses(accesses(text)) == expected


def test_a_pointer_that_never_is_null() -> None:
    text = "r2 = *(u64 *)(r1 + 8); if r2 == 0 goto none; r0 = 0; exit; none: r0 = *(u64 *)(r1 + 64); exit"
    assert loads(accesses(text)) == {(8, 8), (64, 8)}
    assert loads(analysed(assembled(text), never_null=frozenset({8}))) == {(8, 8)}


# --- results are shared


def test_kernels_that_answer_alike_share_a_result() -> None:
    made = assembled(EXISTS)
    flow = Flow(made.obj)
    first, second = made.places["exists"], made.places["old"]
    one = flow.accesses(made.program, {first: Resolved(1), second: Failed("struct.old")})
    other = flow.accesses(made.program, {first: Resolved(1), second: Resolved(24)}, kernel_version=7)
    third = flow.accesses(made.program, {first: Resolved(0), second: Resolved(24)})
    assert one is other
    assert loads(third) == {(24, 4)}


def test_a_locator_at_an_unknown_offset() -> None:
    """What a helper reads there is not known either, but it is no index of the run."""
    text = """
        r2 = *(u32 *)(r1 + 8) @locator; r2 &= 65535; *(u64 *)(r10 - 8) = r2; r2 = *(u64 *)(r10 - 8)
        r3 = r1; r3 += r2; r1 = r10; r1 += -24; r2 = 16; call 115; r0 = 0; exit
    """
    found = analysed(assembled(text), {"locator": Unknown("trace_event_raw_x.__data_loc_y")})
    assert reasons(found) == {Unfollowed.UNKNOWN_RELOCATION}
    assert (found.accesses, found.undecided_by) == (frozenset(), frozenset())


def test_addresses_and_rounds_depend_on_variables() -> None:
    index = "r2 = &slot; r2 = *(u32 *)(r2 + 0); r1 += r2; r0 = *(u64 *)(r1 + 0); exit"
    found = accesses(index, rodata={"slot": b"\x10\0\0\0"})
    assert (loads(found), found.decided_by) == ({(16, 8)}, {"slot"})
    rounds = "r1 = &slot; r1 = *(u32 *)(r1 + 0); r2 = &each; r3 = 0; r4 = 0; call 181; r0 = 0; exit"
    found = accesses(rounds, rodata={"slot": bytes(4)}, functions={"each": "r0 = 0; exit"})
    assert found.decided_by == {"slot"}
