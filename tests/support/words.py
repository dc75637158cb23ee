"""A kernel whose arguments and fields are called like words of C, Rust, Go, Python and bpftrace, and their values."""

from __future__ import annotations

import keyword
import struct
from pathlib import Path

from support.btf_builder import SIGNED, BtfBuilder
from support.small_kernel import Line, write_tracefs

# From the languages' references.
C = """auto break case char const continue default do double else enum extern float for goto if inline int long
    register restrict return short signed sizeof static struct switch typedef union unsigned void volatile while
    asm typeof _Bool __attribute__""".split()
RUST = """as async await box dyn fn impl in let loop match mod move mut pub ref trait type unsafe use where abstract
    become final macro override priv try unsized virtual yield""".split()
#: Those that cannot be written as r#word.
RUST_PATHS = "crate self super Self".split()
GO = """chan defer fallthrough func go import interface map package range select var string len nil error byte uint32
    iota make new panic append""".split()
PYTHON = [word for word in [*keyword.kwlist, *keyword.softkwlist] if word not in C and word != "_"]
BPFTRACE = """pid tid uid gid comm args nsecs cpu curtask rand retval probe username cgroup kstack ustack elapsed ctx
    arg0 str buf buffer inet printf print delete exit unroll offsetof hist count sum avg bool int8 uint64
    BEGIN END kprobe tracepoint interval""".split()
# What the generated code itself is made of.
OURS = """Read Size Offset binary ErrShort u32 Option core read_bytes None_ Some as_dict data SIZE NAME SYSTEM _KEYS
    cls id property tuple bytes __init__ __slots__ __class__ dst size value locator tpgen_value""".split()
#: What an argument can be called; C's own words are names of fields alone, those of probes.
WORDS = list(dict.fromkeys([*RUST, *RUST_PATHS, *GO, *PYTHON, *BPFTRACE, *OURS]))
_MOST_ARGUMENTS = 12


def _batches(words: list[str]) -> list[tuple[str, ...]]:
    return [tuple(words[at : at + _MOST_ARGUMENTS]) for at in range(0, len(words), _MOST_ARGUMENTS)]


#: The events of words, by name: each word is a u32 argument, and a u32 field at 8 and so on.
EVENTS = {f"w{number}": words for number, words in enumerate(_batches(WORDS))}
#: Events that have C's words as fields, and no tracepoint that anybody knows.
C_EVENTS = {f"c{number}": words for number, words in enumerate(_batches(C))}

#: Texts by both kinds of locators, two in an array as a probe of strings has them, and an event without fields.
OTHERS = {
    "texts": (
        Line("__rel_loc char foo[]", 8, 4), Line("__data_loc char[] fn", 12, 4),
        Line("__data_loc char[][2] both", 16, 8), Line("u32 last", 24, 4),
    ),
    "none": (),
}  # fmt: skip
_LOCATORS = struct.pack("<5I", 3 << 16 | 28 - 12, 3 << 16 | 31, 3 << 16 | 34, 3 << 16 | 37, 7)
TEXTS_RECORD = bytes(8) + _LOCATORS + b"ab\0cd\0ef\0gh\0"


def value(at: int) -> int:
    """The value of the argument or the field number `at`."""
    return 0xFFFF_0000 + at


def record(words: tuple[str, ...]) -> bytes:
    """A little-endian record."""
    return bytes(8) + b"".join(struct.pack("<I", value(at)) for at in range(len(words)))


def slots(words: tuple[str, ...]) -> bytes:
    """A little-endian context of raw arguments, with dirt above each."""
    return b"".join(struct.pack("<II", value(at), 0xDEAD) for at in range(len(words)))


def write(folder: Path) -> tuple[Path, Path]:
    """The kernel's BTF and tracefs, written below `folder`."""
    b = BtfBuilder()
    u32 = b.typedef("u32", b.integer("unsigned int", 4))
    short, byte, int_ = b.integer("short unsigned int", 2), b.integer("unsigned char", 1), b.integer("int", 4, SIGNED)
    header = [("type", short, 0), ("flags", byte, 2), ("preempt_count", byte, 3), ("pid", int_, 4)]
    entry, tail = b.structure("trace_entry", 8, header), b.array(b.integer("char", 1), 0)
    for event, words in EVENTS.items():
        end = 8 + 4 * len(words)
        b.event(event, [(word, u32) for word in words])
        members = [(word, u32, 8 + 4 * at) for at, word in enumerate(words)]
        b.event_class(event, [u32] * len(words), end, [("ent", entry, 0), *members, ("__data", tail, end)])
    btf = folder / "vmlinux"
    btf.write_bytes(b.blob())
    formats = {
        f"words/{event}": tuple(Line(f"u32 {word}", 8 + 4 * at, 4) for at, word in enumerate(words))
        for event, words in (EVENTS | C_EVENTS).items()
    }
    formats |= {f"words/{event}": lines for event, lines in OTHERS.items()}
    return btf, write_tracefs(folder / "tracefs", formats)
