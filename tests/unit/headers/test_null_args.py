"""The verifier's table of arguments that may be NULL, and what it says of an argument."""

from __future__ import annotations

import pytest

from tpgen.model import Argument, Int, Nullness, Pointer, Qualified, Struct
from tpgen.sources.source_tree.null_args import nullness, parse_null_args

TABLE = """\
struct entry { int x; };
static const struct bpf_raw_tp_null_args raw_tp_null_args[] = {
	/* a comment with a { "decoy", 0x1 } */
	{ "first_may", 0x1 },
	{ "second_may", 0x10 }, // another { "decoy2", 0x1 }
#if IS_ENABLED(CONFIG_THING)
	{ "mixed", 0x1 | 0x200 },
#endif
	{"close" , 0X3},
	{ "twice", 0x1 },
	{ "twice", 0x10 },
};
static int after[] = { 1 };
"""


def test_the_masks() -> None:
    assert parse_null_args(TABLE) == {"first_may": 1, "second_may": 0x10, "mixed": 0x201, "close": 3, "twice": 1}


def test_no_table() -> None:
    """A kernel before 6.13 has the file but not the table."""
    assert parse_null_args("int btf_distill_func_proto(void);") is None


TASK = Pointer(Struct("struct", "task_struct"))


@pytest.mark.parametrize(
    ("event", "slot", "in_module", "expected"),
    [
        ("first_may", 0, False, Nullness.MAYBE),
        ("first_may", 1, False, Nullness.NEVER),
        ("second_may", 0, False, Nullness.NEVER),
        ("second_may", 1, False, Nullness.MAYBE),
        ("mixed", 2, True, Nullness.ERROR),
        ("mixed", 1, True, Nullness.NEVER),
        ("close", 0, False, Nullness.ERROR),
        ("unlisted", 0, False, Nullness.NEVER),
        ("unlisted", 0, True, Nullness.MAYBE),
        ("unlisted", 0, None, None),
    ],
)
def test_what_the_verifier_assumes(event: str, slot: int, in_module: bool | None, expected: Nullness | None) -> None:
    assert nullness(event, Argument("p", TASK, slot), in_module, parse_null_args(TABLE)) == expected


TEXT = Pointer(Qualified("const", Int("char", 1, False)))


@pytest.mark.parametrize(("event", "slot"), [("unlisted", 0), ("first_may", 1)])
@pytest.mark.parametrize("in_module", [False, True])
def test_pointer_to_no_struct(event: str, slot: int, in_module: bool) -> None:
    """It is a number to the verifier, of which only the table tells anything."""
    assert nullness(event, Argument("text", TEXT, slot), in_module, parse_null_args(TABLE)) is None
    assert nullness("first_may", Argument("text", TEXT, 0), in_module, parse_null_args(TABLE)) == Nullness.MAYBE


def test_without_the_table_only_the_suffix_tells() -> None:
    assert nullness("any", Argument("task__nullable", TASK, 0), False, None) == Nullness.MAYBE
    assert nullness("any", Argument("task", TASK, 0), False, None) is None
    assert nullness("any", Argument("n", Int("int", 4, True), 0), False, None) is None
