"""`tpgen check` of headers: lengths that are written as expressions, packed structs, names that a Makefile defines."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from support.btf_builder import BtfBuilder
from support.cli import Done, tpgen
from support.small_kernel import GivenHeaders, small_btf, write_btf

from tpgen.kernel.check import CheckedKernel
from tpgen.kernel.resolve import Kernel
from tpgen.kernel.sources import HeaderOptions, Sources, SourceTree, open_files
from tpgen.model import Struct
from tpgen.sources.btf import Btf
from tpgen.sources.btf_tracepoints import TRACEPOINT_NAMES, BtfTracepoints
from tpgen.sources.headers.facts import HeaderFacts
from tpgen.sources.headers.read import read_text
from tpgen.target import target_named

INT, CHAR, ULONG, UCHAR, FLEXIBLE, ENTRY = 2, 3, 4, 9, 11, 21  # ids in small_btf()


def header(name: str, fields: str, args: str = "int a") -> str:
    """A trace header with one event."""
    return f"""
#undef TRACE_SYSTEM
#define TRACE_SYSTEM odd
#include "../lengths.h"
TRACE_EVENT({name}, TP_PROTO({args}), TP_ARGS(a), TP_STRUCT__entry({fields}), TP_fast_assign(), TP_printk(""));
"""


def check(folder: Path, builder: BtfBuilder, files: Mapping[str, str], *options: str) -> Done:
    """`tpgen check odd` of some BTF and of a tree of these files."""
    tree = folder / "tree"
    for name, text in files.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)
    btf = write_btf(folder / "vmlinux", builder)
    return tpgen("check", "odd", "--btf", btf, "--headers", tree, "--arch", "x86_64", "--no-cache", *options)


def compared(done: Done, subject: str) -> list[int]:
    """How many were compared, agree, differ and are not comparable, by a line of the table."""
    (line,) = re.findall(rf"^  {re.escape(subject)} +(\d.*)$", done.out, re.MULTILINE)
    agree, differ, without = map(int, line.split())
    return [agree + differ, agree, differ, without]


RECORD, RAW = "classic record: headers and the kernel", "raw arguments: headers and BTF"


# --- lengths


def with_array(length: int) -> BtfBuilder:
    """A kernel with an event whose record is `char name[length]; int last`."""
    b = small_btf()
    b.structure("state", 12, [("a", INT, 0)])
    b.enum("", values=[("IN_BTF", 16)])
    last = 8 + -(-length // 4) * 4
    b.event("odd", [("a", INT)])
    members = [("name", b.array(CHAR, length), 8), ("last", INT, last), ("__data", FLEXIBLE, last + 4)]
    b.event_class("odd", [INT], last + 4, [("ent", ENTRY, 0), *members])
    return b


# How the header writes the length, what lengths.h has, and the length that C makes of it.
LENGTHS = {
    "macro": ("LEN", "#define LEN 16", 16),
    "macro of macros": ("LEN(2)", "#define TWICE(x) ((x) * 2)\n#define LEN(x) (TWICE(x) + 1)", 5),
    "enumerator": ("LAST", "enum { FIRST = 6, LAST };", 7),
    "struct's size": ("sizeof(struct own)", "struct own { int a; short b; };", 8),
    "enumerator that only BTF has": ("IN_BTF + 2", "", 18),
    "struct that only BTF has": ("2 * sizeof(struct state)", "", 24),
}


@pytest.mark.parametrize(("length", "defined", "expected"), LENGTHS.values(), ids=LENGTHS)
@pytest.mark.parametrize("more", [0, 4], ids=["equal", "different"])
def test_length(length: str, defined: str, expected: int, more: int, tmp_path: Path) -> None:
    """The kernel's array is as long, or longer by four: then type, size and the offset behind it differ."""
    fields = f"__array(char, name, {length}) __field(int, last)"
    files = {"include/lengths.h": defined, "include/trace/odd.h": header("odd", fields)}
    done = check(tmp_path, with_array(expected + more), files)
    assert done.err == ""
    assert (done.code, compared(done, RECORD)) == ((1, [1, 0, 1, 0]) if more else (0, [1, 1, 0, 0]))
    codes = re.findall(r"^\S+: error: .* \[([a-z-]+)\]$", done.out, re.MULTILINE)
    assert codes == (["record-size", "record-type", "record-offset"] if more else [])
    if more:
        difference = f"field name: size {expected} in the headers, {expected + more} in BTF [record-size]"
        assert f"{tmp_path}/tree/include/trace/odd.h:5:1: error: odd:odd: {difference}" in done.out


@pytest.mark.parametrize("length", ["UNKNOWN", "sizeof(struct nowhere)"])
def test_unknown_length_is_not_equal(length: str, tmp_path: Path) -> None:
    """What lies behind it was not compared, and that is said."""
    fields = f"__array(char, name, {length}) __field(int, last)"
    done = check(tmp_path, with_array(16), {"include/trace/odd.h": header("odd", fields)})
    assert (done.code, done.err, compared(done, RECORD)) == (0, "", [0, 0, 0, 1])
    assert "odd.h:5:1: odd:odd: the size of field name is unknown, and so what lies behind it" in done.out


def test_difference_in_front_of_an_unknown_length(tmp_path: Path) -> None:
    fields = "__field(unsigned int, name) __array(char, more, UNKNOWN)"
    b = small_btf()
    b.event("odd", [("a", INT)])
    members = [("name", INT, 8), ("more", b.array(CHAR, 4), 12), ("__data", FLEXIBLE, 16)]
    b.event_class("odd", [INT], 16, [("ent", ENTRY, 0), *members])
    done = check(tmp_path, b, {"include/trace/odd.h": header("odd", fields)})
    assert (done.code, compared(done, RECORD)) == (1, [1, 0, 1, 0])
    assert "type `unsigned int` in the headers, `int` in BTF [record-type]" in done.out


@pytest.mark.parametrize(
    ("fields", "looked_up"),
    [
        ("__array(char, name, 16) __field(int, last)", False),
        ("__array(char, name, 15) __field(int, last)", True),
        ("__array(char, name, IN_BTF) __field(int, last)", True),
        ("__array(char, name, 16) __field(state_t, last)", True),
    ],
    ids=["equal", "not equal", "a length by name", "a type by name"],
)
def test_types_in_the_headers_are_looked_up_where_they_decide(fields: str, looked_up: bool, tmp_path: Path) -> None:
    facts = read_text(header("odd", fields), target_named("x86_64"))
    asked: list[HeaderFacts] = []

    class Noted(GivenHeaders):
        @property
        def resolved(self) -> HeaderFacts:
            asked.append(facts)
            return facts

    blob = Btf(with_array(16).blob(), "vmlinux", None, TRACEPOINT_NAMES, "x86_64")
    kernel = CheckedKernel(Sources("small", blob.target, btfs=(BtfTracepoints(blob),), tree=SourceTree(Noted(facts))))
    (key,) = kernel.select("odd")
    kernel.event(key)
    assert asked == []
    assert len(list(kernel.comparisons(key))) > 2
    assert bool(asked) == looked_up


# --- packed


def with_struct(offset: int) -> BtfBuilder:
    """A kernel whose record is `u8 first; struct wire_header whdr; int last`, and the struct lies at `offset`.

    Its members are naturally aligned to 4, so that BTF cannot tell that it is packed.
    """
    b = small_btf()
    wire = b.structure("wire_header", 12, [("id", INT, 0), ("flags", INT, 4), ("cid", INT, 8)])
    b.event("odd", [("a", INT)])
    last = (offset + 12 + 3) // 4 * 4
    members = [("first", UCHAR, 8), ("whdr", wire, offset), ("last", INT, last), ("__data", FLEXIBLE, last + 4)]
    b.event_class("odd", [INT], last + 4, [("ent", ENTRY, 0), *members])
    return b


FIELDS = "__field(unsigned char, first) __field_struct(struct wire_header, whdr) __field(int, last)"
DEFINED = "struct wire_header {{ int id; int flags; int cid; }}{packed};"
# What of the struct the headers define, where it lies in the record, and whether they agree.
PACKED = {
    "headers do not have it, packed": ("", 9, True),
    "headers do not have it, not packed": ("", 12, True),
    "headers say packed": (DEFINED.format(packed=" __packed"), 9, True),
    "headers do not say packed": (DEFINED.format(packed=""), 12, True),
    "packed in the headers alone": (DEFINED.format(packed=" __packed"), 12, False),
    "no packing explains it": ("", 10, False),
}


@pytest.mark.parametrize(("defined", "offset", "agree"), PACKED.values(), ids=PACKED)
def test_packed_struct(defined: str, offset: int, agree: bool, tmp_path: Path) -> None:
    """rxrpc_tx_packet: headers that only name its struct agree with a record in which that is packed."""
    files = {"include/lengths.h": defined, "include/trace/odd.h": header("odd", FIELDS)}
    done = check(tmp_path, with_struct(offset), files)
    assert done.err == ""
    assert compared(done, RECORD) == ([1, 1, 0, 0] if agree else [1, 0, 1, 0])
    assert done.code == (0 if agree else 1)
    assert ("[layout-packed]" in done.out) == (offset == 9)


def test_only_one_of_two_structs_is_packed(tmp_path: Path) -> None:
    """The other one stays where its alignment puts it: `u8; packed struct at 9; u8 at 21; struct pair at 24`."""
    b = small_btf()
    wire = b.structure("wire_header", 12, [("id", INT, 0), ("flags", INT, 4), ("cid", INT, 8)])
    pair = b.structure("pair", 8, [("a", INT, 0), ("b", INT, 4)])
    b.event("odd", [("a", INT)])
    members = [("first", UCHAR, 8), ("whdr", wire, 9), ("next", UCHAR, 21), ("pair", pair, 24)]
    b.event_class("odd", [INT], 32, [("ent", ENTRY, 0), *members, ("__data", FLEXIBLE, 32)])
    bytes_, structs = "__field(unsigned char, {})", "__field_struct(struct {}, {})"
    fields = [bytes_.format("first"), structs.format("wire_header", "whdr"), bytes_.format("next")]
    fields.append(structs.format("pair", "pair"))
    done = check(tmp_path, b, {"include/trace/odd.h": header("odd", " ".join(fields))})
    assert (done.code, done.err, compared(done, RECORD)) == (0, "", [1, 1, 0, 0])


# --- a module that compiles a header with names of its own

SHARED = "drivers/gpu/drm/i915/display/odd.h"
XE_MAKEFILE = """
# SPDX: none
subdir-ccflags-y += -I$(src) -Wall
subdir-ccflags-$(CONFIG_DRM_XE_DISPLAY) += \\
	-I$(src)/display \\
	-Dunused_name=another \\
	-Ddrm_i915_private=xe_device

xe-y += xe_bb.o
obj-$(CONFIG_DRM_XE) += xe.o
"""


def of_module(
    folder: Path, files: Mapping[str, str], struct: str = "xe_device", module: str = "xe", in_record: bool = True
) -> Done:
    """`tpgen check` of a module whose event `odd` is given the struct, for which the header says drm_i915_private.

    Its record has the struct's address as well, or a number.
    """
    base = small_btf()
    b = BtfBuilder(base=base)
    device = b.ptr(b.fwd(struct))
    b.event("odd", [("a", device)])
    members = [("dev", device if in_record else ULONG, 8), ("last", INT, 16), ("__data", FLEXIBLE, 20)]
    b.event_class("odd", [device], 24, [("ent", ENTRY, 0), *members])
    dev = "struct drm_i915_private *" if in_record else "unsigned long"
    split = write_btf(folder / f"{module}.ko", b)
    said = header("odd", f"__field({dev}, dev) __field(int, last)", "struct drm_i915_private *a")
    return check(folder, base, {SHARED: said, **files}, "--btf", str(split))


def test_names_that_the_makefile_defines(tmp_path: Path) -> None:
    """6.12's xe compiles i915's intel_display_trace.h: a note says so, with the line of the define, and all agree."""
    done = of_module(tmp_path, {"drivers/gpu/drm/xe/Makefile": XE_MAKEFILE})
    assert (done.code, done.err) == (0, "")
    assert compared(done, RAW) == compared(done, RECORD) == [1, 1, 0, 0]
    note = "odd:odd: as the headers say, for xe compiles them with -Ddrm_i915_private=xe_device [header-defines]"
    path = f"{tmp_path}/tree/drivers/gpu/drm/xe/Makefile:7"
    assert done.out.count(f"{path}: note: {note}\n") == 2


def test_only_what_differs_is_explained(tmp_path: Path) -> None:
    done = of_module(tmp_path, {"drivers/gpu/drm/xe/Makefile": XE_MAKEFILE}, in_record=False)
    assert (done.code, compared(done, RECORD), compared(done, RAW)) == (0, [1, 1, 0, 0], [1, 1, 0, 0])
    assert done.out.count("[header-defines]") == 1


def test_module_of_another_name_in_its_file(tmp_path: Path) -> None:
    """A module is a file with dashes or underscores; what the Makefile above hands down counts as well."""
    files = {
        "drivers/gpu/drm/Makefile": "subdir-ccflags-y := -Ddrm_i915_private=xe_device\n",
        "drivers/gpu/drm/xe/Makefile": "obj-m := my-xe.o\n",
    }
    assert of_module(tmp_path, files, module="my-xe").code == 0


REFUSED = {
    "no Makefile": {},
    "of another module": {"drivers/gpu/drm/xe/Makefile": XE_MAKEFILE.replace("xe.o", "xe2.o")},
    "a part of another module": {"drivers/gpu/drm/xe/Makefile": XE_MAKEFILE.replace("obj-$(CONFIG_DRM_XE)", "all-y")},
    "defined as something else": {"drivers/gpu/drm/xe/Makefile": XE_MAKEFILE.replace("xe_device", "xe_bo")},
    "for the directory above alone": {
        "drivers/gpu/drm/Makefile": "ccflags-y := -Ddrm_i915_private=xe_device\n",
        "drivers/gpu/drm/xe/Makefile": "obj-m := xe.o\n",
    },
    "in a comment": {"drivers/gpu/drm/xe/Makefile": "obj-m := xe.o\n# ccflags-y += -Ddrm_i915_private=xe_device\n"},
}


@pytest.mark.parametrize("files", REFUSED.values(), ids=REFUSED)
def test_a_difference_that_no_makefile_explains(files: Mapping[str, str], tmp_path: Path) -> None:
    done = of_module(tmp_path, files)
    assert (done.code, done.err) == (1, "")
    assert compared(done, RAW) == compared(done, RECORD) == [1, 0, 1, 0]
    assert "raw argument 0 is `struct xe_device *` in BTF, `struct drm_i915_private *` in the headers" in done.out
    assert "[header-defines]" not in done.out


def test_no_define_is_asked_for_where_nothing_differs(tmp_path: Path) -> None:
    """i915 itself, of whose header xe's Makefile says nothing."""
    done = of_module(tmp_path, {"drivers/gpu/drm/xe/Makefile": XE_MAKEFILE}, "drm_i915_private", "i915")
    assert (done.code, done.err) == (0, "")
    assert "[header-defines]" not in done.out


# --- elements


def test_elements_that_only_the_headers_define(tmp_path: Path) -> None:
    """Only the header knows what struct own, of an int and a short, is."""
    files = {
        "include/lengths.h": "struct own { int a; short b; };",
        "include/trace/odd.h": header("odd", "__dynamic_array(struct own, items, 3)"),
    }
    b = small_btf()
    b.event("odd", [("a", INT)])
    members = [("__data_loc_items", b.integer("u32", 4), 8), ("__data", FLEXIBLE, 12)]
    b.event_class("odd", [INT], 12, [("ent", ENTRY, 0), *members])
    check(tmp_path, b, files)
    tree = HeaderOptions((str(tmp_path / "tree"),))
    kernel = Kernel(open_files([str(tmp_path / "vmlinux")], headers=tree, arch="x86_64"))
    (key,) = kernel.keys_of("odd")
    record = kernel.event(key).record
    assert record is not None
    (items,) = record.fields
    assert isinstance(items.type, Struct)
    assert (items.dynamic, items.type.name, items.type.size_bytes) == ("data_loc", "own", 8)
