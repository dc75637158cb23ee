"""A kernel with one event that has everything that is hard to say in another language, and what one record of it means.

Its arguments and fields have names that are words of Rust, Go, Python or bpftrace, or that differ by a prefix alone;
the event's begins with a digit. A second event has neither arguments nor fields.
"""

from __future__ import annotations

import struct
from pathlib import Path

from support.btf_builder import BOOL, SIGNED, BtfBuilder
from support.small_kernel import Line, write_tracefs

EVENT = "802154_self"
FORMATS = {
    f"odd/{EVENT}": (
        Line("__data_loc char[] type", 8, 4),
        Line("int type", 12, 4, 1),
        Line("bool in", 16, 1),
        Line("u8 saddr[4]", 17, 4),
        Line("s8 self", 21, 1, 1),
        Line("__rel_loc unsigned int[] fn", 24, 4),
        Line("unsigned long crate", 32, 8),
        Line("u16 words[3]", 40, 6),
        Line("enum tiny super", 46, 1),
        Line("struct pair func", 48, 4),
        Line("char comm[5]", 52, 5),
        Line("u32 _", 60, 4),
    ),
    "odd/nothing": (),
}
SIZE = 64
#: The slots of the context, as the kernel fills them: a narrow value is zero-extended, the rest may be dirt.
SLOTS = (
    0xFFFF_FFF5, 0x80, 0x100, 0xFFFF_8880_0000_1000, 0xFFFF_FFFF_FFFF_FFFF, 0xFFFF_FFFF_8100_0000,
    0x0102_0304, 0xFF, 0xFFFF_8000, 0xDEAD_BEEF, 0xFFFF_FFFF_FFFF_FFFE, 0x1_2345,
)  # fmt: skip
#: The arguments by name, and what they are of these slots.
ARGUMENTS = {
    "self": -11, "super": -128, "crate": 0, "Self": 0xFFFF_8880_0000_1000, "type": 0xFFFF_FFFF_FFFF_FFFF,
    "fn": 0xFFFF_FFFF_8100_0000, "in": 0x0102_0304, "func": 255, "range": -32768, "None": 0xDEAD_BEEF, "map": -2,
    "_": 0x2345,
}  # fmt: skip


def record(order: str) -> bytes:
    """A record in the byte order `<` or `>`, with its dynamic data behind it."""
    text, numbers = b"abcde\0\0\0", struct.pack(f"{order}2I", 7, 4_000_000_000)
    end_of_fn = 28
    fixed = (
        struct.pack(f"{order}HBBi", 77, 1, 2, 1234)
        + struct.pack(f"{order}Ii?", 6 << 16 | SIZE, -5, True)
        + bytes((1, 2, 3, 4))
        + struct.pack(f"{order}bxxI4x", -3, 8 << 16 | SIZE + len(text) - end_of_fn)
        + struct.pack(f"{order}Q3HBx", (1 << 63) + 1, 1, 65535, 3, 200)
        + bytes((9, 8, 7, 6))
        + b"ab\0xy"
        + struct.pack(f"{order}3xI", 0xFEDC_BA98)
    )
    assert len(fixed) == SIZE
    return fixed + text + numbers


def write(folder: Path, big_endian: bool = False) -> tuple[Path, Path]:
    """The kernel's BTF and its tracefs, written below `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    btf = folder / "vmlinux"
    btf.write_bytes(_btf(big_endian).blob())
    return btf, write_tracefs(folder / "tracefs", FORMATS)


def _btf(big_endian: bool) -> BtfBuilder:
    b = BtfBuilder(big_endian)
    uint, int_, char = b.integer("unsigned int", 4), b.integer("int", 4, SIGNED), b.integer("char", 1)
    ulong, long_ = b.integer("long unsigned int", 8), b.integer("long int", 8, SIGNED)
    bool_ = b.typedef("bool", b.integer("_Bool", 1, BOOL))
    u8, s8 = (
        b.typedef(*pair)
        for pair in (("u8", b.integer("unsigned char", 1)), ("s8", b.integer("signed char", 1, SIGNED)))
    )
    u16, s16 = b.typedef("u16", b.integer("short unsigned int", 2)), b.integer("short int", 2, SIGNED)
    u32 = b.typedef("u32", uint)
    pair = b.structure("pair", 4, [("a", u16, 0), ("b", u16, 2)])
    pointer = b.ptr(b.qualifier("CONST", b.structure("type", 4, [("a", int_, 0)])))
    function, tiny = b.ptr(b.func_proto(int_, [("", uint)])), b.enum("tiny", 1, [("BIG", 200)])
    entry = b.structure(
        "trace_entry", 8, [("type", u16, 0), ("flags", u8, 2), ("preempt_count", u8, 3), ("pid", int_, 4)]
    )
    types = [int_, s8, bool_, pointer, ulong, function, pair, tiny, s16, uint, long_, u16]
    b.event(EVENT, list(zip(ARGUMENTS, types, strict=True)))
    flexible = b.array(char, 0)
    members = [
        ("ent", entry, 0), ("__data_loc_type", u32, 8), ("type", int_, 12), ("in", bool_, 16),
        ("saddr", b.array(u8, 4), 17), ("self", s8, 21), ("__rel_loc_fn", u32, 24), ("crate", ulong, 32),
        ("words", b.array(u16, 3), 40), ("super", tiny, 46), ("func", pair, 48), ("comm", b.array(char, 5), 52),
        ("_", u32, 60), ("__data", flexible, 64),
    ]  # fmt: skip
    b.event_class(EVENT, types, SIZE, members)
    b.event("nothing", [])
    b.event_class("nothing", [], 8, [("ent", entry, 0), ("__data", flexible, 8)])
    return b
