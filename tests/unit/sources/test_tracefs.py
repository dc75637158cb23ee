"""tracefs format files: what is read of hand-written ones, and where malformed ones are said to be so."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.cli import line, refusal, tpgen
from support.small_kernel import FORMATS, RECORD_HEADER, Line, format_text, small_btf, write_btf, write_tracefs

from tpgen.diagnostics import TpgenError
from tpgen.model import Array, Dynamic, Int, Pointer, Qualified, Struct, Typedef, TypeTag, Void
from tpgen.sources import formats
from tpgen.sources.formats import BadFormat, Format, parse_formats
from tpgen.sources.tracefs import TraceFs
from tpgen.spelling import spell
from tpgen.target import target_named

X86 = target_named("x86_64")
CHAR, INT, LONG = Int("char", 1, False), Int("int", 4, True), Int("long", 8, True)


def parsed(text: str) -> Format:
    (found,) = parse_formats([("sched", "format", text)], X86)
    if isinstance(found, BadFormat):
        raise TpgenError(found.reason)
    return found


def reason_of(event: str, root: Path) -> str:
    """The one line that is reported where the format file of an event cannot be read; the event is shown without it."""
    done = tpgen("show", event, "--tracefs", root)
    assert done.code == 1
    assert done.out.startswith(f"sched:{event}\n")
    assert done.err.count("\n") == 1
    place, error, message = done.err.rstrip("\n").partition(": error: ")
    assert error
    return f"{place}: {message}"


# Declaration, then the name, the type and the kind of locator that it means.
DECLARATIONS = {
    "int ret": ("ret", INT, None),
    "unsigned short common_type": ("common_type", Int("unsigned short", 2, False), None),
    "long unsigned int pfn": ("pfn", Int("unsigned long", 8, False), None),
    "signed char delta": ("delta", Int("signed char", 1, True), None),
    "pid_t pid": ("pid", Typedef("pid_t"), None),
    "bool up": ("up", Typedef("bool"), None),
    "enum hrtimer_mode mode": ("mode", None, None),
    "struct task_struct * p": ("p", Pointer(Struct("struct", "task_struct")), None),
    "struct task_struct *p": ("p", Pointer(Struct("struct", "task_struct")), None),
    "const void * addr": ("addr", Pointer(Qualified("const", Void())), None),
    "const void * const addr": ("addr", Qualified("const", Pointer(Qualified("const", Void()))), None),
    "const char * const * argv": ("argv", Pointer(Qualified("const", Pointer(Qualified("const", CHAR)))), None),
    "void __seg_gs * address": ("address", Pointer(TypeTag("seg_gs", Void())), None),
    "char __user * buf": ("buf", Pointer(TypeTag("user", CHAR)), None),
    "volatile u32 v": ("v", Qualified("volatile", Typedef("u32")), None),
    # words that C++ or tools trip over
    "int new": ("new", INT, None),
    "u8 type": ("type", Typedef("u8"), None),
    "struct type * delete": ("delete", Pointer(Struct("struct", "type")), None),
    "int field": ("field", INT, None),
    "int offset": ("offset", INT, None),
    # arrays
    "char comm[16]": ("comm", Array(CHAR, 16), None),
    "char name[32 + 2]": ("name", Array(CHAR, 34), None),
    "__u8 saddr[sizeof(struct sockaddr_in6)]": (
        "saddr", Array(Typedef("__u8"), None, "sizeof(struct sockaddr_in6)"), None,
    ),
    "char comm[TASK_COMM_LEN]": ("comm", Array(CHAR, None, "TASK_COMM_LEN"), None),
    "u32 m[(1 << 4)]": ("m", Array(Typedef("u32"), 16), None),
    "u8 addr[0x10]": ("addr", Array(Typedef("u8"), 16), None),
    "int table[2][3]": ("table", Array(Array(INT, 3), 2), None),
    # dynamic
    "__data_loc char[] name": ("name", CHAR, Dynamic.DATA_LOC),
    "__rel_loc char[] name": ("name", CHAR, Dynamic.REL_LOC),
    "__data_loc unsigned long[] args": ("args", Int("unsigned long", 8, False), Dynamic.DATA_LOC),
    "__data_loc cpumask_t cpumask": ("cpumask", Typedef("cpumask_t"), Dynamic.DATA_LOC),
    "__data_loc struct in6_addr[] to": ("to", Struct("struct", "in6_addr"), Dynamic.DATA_LOC),
    "__rel_loc cpumask_t mask": ("mask", Typedef("cpumask_t"), Dynamic.REL_LOC),
    "u32 __data_loc_type": ("__data_loc_type", Typedef("u32"), None),
    # As kernels print __rel_dynamic_array, and a probe's array of strings: so many locators.
    "__rel_loc char foo[]": ("foo", CHAR, Dynamic.REL_LOC),
    "__rel_loc unsigned long foo[]": ("foo", Int("unsigned long", 8, False), Dynamic.REL_LOC),
    "__data_loc char[][2] s": ("s", Array(Int("unsigned int", 4, False), 2), None),
    # Names that only a probe's definition can give.
    "int int": ("int", INT, None),
    "u64 default": ("default", Typedef("u64"), None),
    "unsigned long if": ("if", Int("unsigned long", 8, False), None),
    "struct task_struct * struct": ("struct", Pointer(Struct("struct", "task_struct")), None),
    # Clang's attributes.
    'const char __attribute__((btf_type_tag("user"))) * name': (
        "name", Pointer(TypeTag("user", Qualified("const", CHAR))), None
    ),
    'struct sk_buff __attribute__((btf_type_tag("rcu"))) * skb': (
        "skb", Pointer(TypeTag("rcu", Struct("struct", "sk_buff"))), None
    ),
    'char * __attribute__((btf_type_tag("user"))) * argv': ("argv", Pointer(TypeTag("user", Pointer(CHAR))), None),
    "unsigned int __attribute__((noderef)) * p": ("p", Pointer(Int("unsigned int", 4, False)), None),
}  # fmt: skip


def test_locators_have_no_sign() -> None:
    """The kernel's `signed:` of an array of strings is that of their characters."""
    (field,) = parsed(format_text("e", [Line("__data_loc char[][2] s", 8, 8, 1)])).fields
    assert field.signed is False


def faults_of(lines: Sequence[Line], system: str = "s", arch: str = "x86_64", common: str = "") -> list[str]:
    text = format_text("e", lines).replace(RECORD_HEADER, RECORD_HEADER + common)
    (found,) = parse_formats([(system, "f", text)], target_named(arch))
    assert isinstance(found, Format)
    return [str(fault) for fault in found.faults]


# The types `int`, `char` and `struct trace_entry` of small_btf().
BTF_INT, BTF_CHAR, BTF_ENTRY = 2, 3, 21
ARCH = " [format-contradiction]; was it made on another architecture? --arch names it"
CODE = " [format-contradiction]"
CONTRADICTIONS: dict[str, tuple[list[Line], list[str]]] = {
    # __field(nid_t, nid[3]): the size is that of one, and what follows lies over the others.
    "declarator in the name": (
        [Line("nid_t nid[3]", 8, 4), Line("int depth", 12, 4)],
        ["f:9:8: s:e: `nid_t nid[3]` has 4 bytes here, which 3 does not divide" + CODE],
    ),
    "the same as it should be": ([Line("nid_t nid[3]", 8, 12), Line("int depth", 20, 4)], []),
    "size of one char": (
        [Line("char name[8]", 8, 1)], ["f:9:8: s:e: `char name[8]` has 8 bytes on x86_64, here 1" + CODE]
    ),
    "two fields in one place": (
        [Line("int a", 8, 4), Line("int b", 8, 4)],
        ["f:10:8: s:e: field b (offset 8, size 4) lies over field a (offset 8, size 4) of line 9" + CODE],
    ),
    "one byte too far in front": (
        [Line("u64 a", 8, 8), Line("u8 b", 15, 1)],
        ["f:10:8: s:e: field b (offset 15, size 1) lies over field a (offset 8, size 8) of line 9" + CODE],
    ),
    "side by side": ([Line("u64 a", 8, 8), Line("u8 b", 16, 1), Line("u8 c", 17, 1)], []),
    "not in the order of their places": ([Line("u32 a", 12, 4), Line("u32 b", 8, 4)], []),
    "nothing over something": ([Line("u64 a", 8, 8), Line("u8 none[0]", 16, 0), Line("u32 b", 16, 4)], []),
    "in the common header": (
        [Line("int a", 4, 4)],
        ["f:9:8: s:e: field a (offset 4, size 4) lies over field common_pid (offset 4, size 4) of line 7" + CODE],
    ),
    "array of unknown length": (
        [Line("int a[N]", 8, 6)], ["f:9:8: s:e: `int a[N]` has 6 bytes here, which 4 does not divide" + CODE]
    ),
    "array of unknown length that fits": ([Line("int a[N]", 8, 8)], []),
    "long of four bytes": (
        [Line("unsigned long flags", 8, 4)],
        ["f:9:8: s:e: `unsigned long flags` has 8 bytes on x86_64, here 4" + ARCH],
    ),
    "pointer of four bytes": (
        [Line("const char * s", 8, 4)], ["f:9:8: s:e: `const char *s` has 8 bytes on x86_64, here 4" + ARCH]
    ),
    "typedef of a long": (
        [Line("size_t count", 8, 4), Line("const uintptr_t at", 12, 4), Line("ssize_t same", 16, 8, 1)],
        [
            "f:9:8: s:e: `size_t count` has 8 bytes on x86_64, here 4" + ARCH,
            "f:10:8: s:e: `const uintptr_t at` has 8 bytes on x86_64, here 4" + ARCH,
        ],
    ),
    "array of longs": (
        [Line("unsigned long args[6]", 8, 24)],
        ["f:9:8: s:e: `unsigned long args[6]` has 48 bytes on x86_64, here 24" + ARCH],
    ),
    "array of typedefs of a long": (
        [Line("size_t sizes[2]", 8, 8)], ["f:9:8: s:e: `size_t sizes[2]` has 16 bytes on x86_64, here 8" + ARCH]
    ),
    "array of pointers of four bytes": (
        [Line("void * p[2]", 8, 8)], ["f:9:8: s:e: `void *p[2]` has 16 bytes on x86_64, here 8" + ARCH]
    ),
    "locator of two bytes": (
        [Line("__data_loc char[] s", 8, 2)], ["f:9:8: s:e: field s locates dynamic data with 2 bytes" + CODE]
    ),
    "locator of eight bytes, as synthetic events have": ([Line("__data_loc char[] s", 8, 8)], []),
    "types that are not known": ([Line("pid_t p", 8, 1), Line("enum e x", 9, 3)], []),
}  # fmt: skip


class TestContradictions:
    @pytest.mark.parametrize(("lines", "expected"), CONTRADICTIONS.values(), ids=CONTRADICTIONS)
    def test_told_with_their_places(self, lines: list[Line], expected: list[str]) -> None:
        assert faults_of(lines) == expected

    def test_arguments_of_system_calls(self) -> None:
        """They have the size of a long whatever their type; but a long and a pointer have no other."""
        lines = [Line("int __syscall_nr", 8, 4, 1), Line("int fd", 16, 8), Line("char * buf", 24, 8)]
        assert faults_of(lines, "syscalls") == []
        expected = ["f:11:8: syscalls:e: `char *buf` has 4 bytes on i386, here 8" + ARCH]
        assert faults_of(lines, "syscalls", "i386") == expected

    def test_only_source(self, tmp_path: Path) -> None:
        """Such a record is not given away where nothing else tells it; with BTF it is the BTF's."""
        lines = (Line("pid_t pid[3]", 8, 4), Line("unsigned long pfn", 16, 8))
        root = write_tracefs(tmp_path, {"sched/sched_wakeup": lines})
        path = root / "events/sched/sched_wakeup/format"
        message = f"{path}:9:8: sched:sched_wakeup: `pid_t pid[3]` has 4 bytes here, which 3 does not divide{CODE}"
        done = tpgen("sched_wakeup", "--classic", "--tracefs", root, "-o", tmp_path / "out.h")
        assert (done.code, done.out, done.err) == (1, "", line(message))
        assert line(message).rstrip("\n") in tpgen("check", "--tracefs", root).out.splitlines()

    def test_declarator_in_the_name_with_btf(self, tmp_path: Path) -> None:
        """clang's BTF of `struct { struct trace_entry ent; char name[8]; char __data[]; }` has the array."""
        b = small_btf()
        b.event("named", [("x", BTF_INT)])
        b.event_class("named", [BTF_INT], 16, [("ent", BTF_ENTRY, 0), ("name", b.array(BTF_CHAR, 8), 8)])
        root = write_tracefs(tmp_path, {"s/named": (Line("char name[8]", 8, 1),)})
        done = tpgen(
            "named", "--classic", "--btf", write_btf(tmp_path / "btf", b), "--tracefs", root, "-o", tmp_path / "out.h"
        )
        assert (done.code, done.err) == (0, "")
        assert "char name[8];" in (tmp_path / "out.h").read_text()


class TestAlone:
    """tracefs without BTF: what every kernel has the same is known."""

    def test_c(self, tmp_path: Path) -> None:
        """The accessors have the widths and signs that C gives the types."""
        lines = (
            Line("pid_t pid", 8, 4, 1),
            Line("bool up", 12, 1),
            Line("enum colour c", 16, 4, 1),
            Line("vendor_t v", 20, 4, 1),
            Line("pid_t of_another_size", 24, 2, 1),
        )
        root = write_tracefs(tmp_path, {"s/alone": lines})
        assert tpgen("alone", "--classic", "--tracefs", root, "-o", tmp_path / "out.h").code == 0
        text = (tmp_path / "out.h").read_text()
        assert re.findall(r"TPGEN_INLINE (.*) tp_alone_(\w+)\(const void", text) == [
            ("int", "pid"),
            ("bool", "up"),
            ("int", "c"),
            ("int", "v"),
            ("short", "of_another_size"),
        ]

    def test_arguments_of_system_calls(self, tmp_path: Path) -> None:
        """The kernel prints `signed:0` and a long's size for every one of them."""
        lines = (Line("int __syscall_nr", 8, 4, 1), Line("pid_t pid", 16, 8), Line("umode_t mode", 24, 8))
        root = write_tracefs(tmp_path, {"syscalls/sys_enter_x": lines})
        fields = json.loads(tpgen("show", "sys_enter_x", "--tracefs", root, "--json").out)[0]["record"]["fields"]
        assert [(field["name"], field["signed"]) for field in fields] == [
            ("__syscall_nr", True), ("pid", True), ("mode", False),
        ]  # fmt: skip


class TestCopies:
    """Files that went through a terminal, a mail or Windows."""

    @pytest.mark.parametrize(
        "change",
        [
            lambda text: text.replace("\n", "\r\n"),
            lambda text: text.replace("\t", "        "),
            lambda text: text.replace(";\t", "; ").replace("\t", " "),
            lambda text: text.replace("\n\n", "\n \n"),
            lambda text: text.replace(";\n", ";  \n"),
        ],
        ids=["CRLF", "blanks", "one blank", "blank lines with blanks", "blanks at the ends"],
    )
    def test_read_as_the_original(self, change: Callable[[str], str]) -> None:
        text = format_text("sched_switch", FORMATS["sched/sched_switch"])
        assert parsed(change(text)) == parsed(text)

    def test_one_blank_line_without_own_fields(self) -> None:
        """As the events of a hypervisor without arguments have it."""
        text = format_text("e", []).replace("\n\n\nprint", "\n\nprint")
        found = parsed(text)
        assert (found.fields, len(found.common), found.print_fmt) == ((), 4, '"%d", REC->pid')


class TestParse:
    @pytest.mark.parametrize("declaration", DECLARATIONS)
    def test_declaration(self, declaration: str) -> None:
        name, ctype, dynamic = DECLARATIONS[declaration]
        (field,) = parsed(format_text("e", [Line(declaration, 8, 4)])).fields
        assert (field.name, field.dynamic) == (name, dynamic)
        if ctype is not None:
            assert field.type == ctype
        else:
            assert field.type is not None
            assert spell(field.type, field.name) == declaration

    def test_all_declarations_in_one_go(self) -> None:
        """However many files are parsed together, each gets its own."""
        lines = [Line(declaration, 8 * at, 4) for at, declaration in enumerate(DECLARATIONS, 1)]
        texts = [("s", f"format {i}", format_text("e", lines[i:] + lines[:i])) for i in range(len(lines))]
        for first, found in enumerate(parse_formats(texts, X86)):
            names = [field.name for field in found.fields]
            expected = [name for name, _, _ in DECLARATIONS.values()]
            assert names == expected[first:] + expected[:first]
            assert found.fields[0].offset_bytes == 8 * (first + 1)

    def test_whole_file(self) -> None:
        lines = FORMATS["sched/sched_switch"]
        found = parsed(format_text("sched_switch", lines, '"%s", REC->prev_comm', 318))
        assert (found.system, found.name, found.event_id, found.path) == ("sched", "sched_switch", 318, "format")
        common = [("common_type", 0, 2), ("common_flags", 2, 1), ("common_preempt_count", 3, 1), ("common_pid", 4, 4)]
        assert [(f.name, f.offset_bytes, f.size_bytes) for f in found.common] == common
        assert [(f.name, f.offset_bytes, f.size_bytes, f.signed) for f in found.fields] == [
            ("prev_comm", 8, 16, False), ("prev_pid", 24, 4, True), ("prev_prio", 28, 4, True),
            ("prev_state", 32, 8, True), ("next_comm", 40, 16, False), ("next_pid", 56, 4, True),
            ("next_prio", 60, 4, True),
        ]  # fmt: skip
        assert found.print_fmt == '"%s", REC->prev_comm'

    def test_no_fields(self) -> None:
        assert parsed(format_text("e", [])).fields == ()

    def test_no_sign(self) -> None:
        """Kernels before 2.6.33 print none; nor does a line here and there of later ones."""
        signs = [
            field.signed
            for field in parsed(format_text("e", [Line("int a", 8, 4, None), Line("int b", 12, 4, 1)])).fields
        ]
        assert signs == [None, True]

    @pytest.mark.parametrize(
        "print_fmt",
        ['"a\nb\n\nc", REC->x', '"field:int x;\toffset:0;\tsize:4;\tsigned:1;\n"', "", '"\\n\\t\\x1b"', '"\x0c\x85"'],
    )
    def test_print_fmt_is_kept(self, print_fmt: str) -> None:
        """Raw newlines and whatever looks like a field line are a part of it."""
        found = parsed(format_text("e", [Line("int a", 8, 4, 1)], print_fmt))
        assert found.print_fmt == print_fmt
        assert len(found.fields) == 1

    def test_longer_common_header(self) -> None:
        """As vendors' real-time kernels have it."""
        text = format_text("e", [Line("int a", 12, 4, 1)]).replace(
            "\n\n", "\n\tfield:unsigned char common_preempt_lazy_count;\toffset:8;\tsize:1;\tsigned:0;\n\n", 1
        )
        found = parsed(text)
        assert (len(found.common), found.fields[0].offset_bytes) == (5, 12)

    def test_plain_char_is_the_targets(self) -> None:
        """The types are those of the target: an i386 long has 4 bytes."""
        text = format_text("e", [Line("unsigned long a", 8, 4)])
        (found,) = parse_formats([("s", "format", text)], target_named("i386"))
        assert found.fields[0].type == Int("unsigned long", 4, False)


# --- malformed: the text, and the message behind the path. What is missing is so at the column behind the last one.

GOOD = format_text("e", [Line("int a", 8, 4, 1), Line("char b[16]", 12, 16)])
HEADER_LINES = RECORD_HEADER.count("\n")
FRAME = "not a tracefs format file: expected "
MALFORMED = {
    "empty": ("", f"1:1: {FRAME}`name:`, `ID:` and `format:` lines; the file ends here"),
    "something else": ("hello\n", f"1:1: {FRAME}`name:`, `ID:` and `format:` lines"),
    "no name": (GOOD.replace("name: e", "name: "), f"1:1: {FRAME}`name:`, `ID:` and `format:` lines"),
    "id that is no number": (GOOD.replace("ID: 300", "ID: x"), f"1:1: {FRAME}`name:`, `ID:` and `format:` lines"),
    "id of 5000 digits": (
        GOOD.replace("ID: 300", "ID: " + "9" * 5000), f"1:1: {FRAME}`name:`, `ID:` and `format:` lines"
    ),
    "cut behind the head": ("name: e\nID: 1\nformat:\n", f"4:1: {FRAME}a `field:` line; the file ends here"),
    "cut in the common header": (
        GOOD[: GOOD.index("common_flags")], f"5:1: {FRAME}a `field:` line"
    ),
    "cut behind the common header": (
        GOOD[: GOOD.index("\tfield:int a")], f"9:1: {FRAME}a `field:` line; the file ends here"
    ),
    "cut in a field": (GOOD[: GOOD.index("\toffset:12")], f"10:1: {FRAME}a `field:` line"),
    "cut behind the fields": (
        GOOD[: GOOD.index("\nprint fmt")], f"11:1: {FRAME}a `field:` line; the file ends here"
    ),
    "cut before print fmt": (
        GOOD[: GOOD.index("print fmt")], f"12:1: {FRAME}a `print fmt:` line; the file ends here"
    ),
    "something for print fmt": (
        GOOD.replace("print fmt", "prnt fmt"), f"12:1: {FRAME}a `print fmt:` line"
    ),
    "no blank line": (GOOD.replace("\n\n\tfield:int a", "\n\tfield:int a"), f"11:1: {FRAME}a `field:` line"),
    "offset that is no number": (GOOD.replace("offset:12;", "offset:x;"), f"10:1: {FRAME}a `field:` line"),
    "negative size": (GOOD.replace("size:16;", "size:-16;"), f"10:1: {FRAME}a `field:` line"),
    "offset beyond any record": (GOOD.replace("offset:12;", "offset:100000;"), f"10:1: {FRAME}a `field:` line"),
    "sign that is none": (
        GOOD.replace("signed:1;\n\tfield:char", "signed:2;\n\tfield:char"), f"9:1: {FRAME}a `field:` line",
    ),
    "no type": (GOOD.replace("int a;", "a;"), "9:9: not a field declaration: `a`"),
    "no declaration": (GOOD.replace("int a;", ";"), "9:8: not a field declaration: ``"),
    "no name in a field": (GOOD.replace("int a;", "int *;"), "9:13: not a field declaration: `int *`"),
    "unclosed bracket": (GOOD.replace("b[16]", "b[16"), "10:14: not a field declaration: `char b[16`"),
    "stray character": (GOOD.replace("int a;", "int a$;"), "9:13: not a field declaration: `int a$`"),
    "stray character in the middle": (GOOD.replace("int a;", "in%t a;"), "9:10: not a field declaration: `in%t a`"),
    "locator without a type": (
        GOOD.replace("int a;", "__data_loc name;"), "9:23: not a field declaration: `__data_loc name`"
    ),
    "function for a field": (
        GOOD.replace("int a;", "int (*a)(int);"), "9:12: not a field declaration: `int (*a)(int)`"
    ),
    "form feed": (GOOD.replace("int a;", "int\x0ca;"), "9:11: not a field declaration: `int\\x0ca`"),
    "next line": (GOOD.replace("int a;", "int\x85 a;"), "9:11: not a field declaration: `int\\x85 a`"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "message"), MALFORMED.values(), ids=MALFORMED)
def test_malformed(text: str, message: str, tmp_path: Path) -> None:
    root = write_tracefs(tmp_path, FORMATS)
    path = root / "events/sched/sched_switch/format"
    path.write_text(text)
    assert reason_of("sched_switch", root) == f"{path}:{message} [format-malformed]"


def type_message(declaration: str) -> str:
    with pytest.raises(TpgenError) as caught:
        parsed(GOOD.replace("int a;", f"{declaration};"))
    return str(caught.value)


@pytest.mark.parametrize(
    ("declaration", "beginning"),
    {
        "struct a": "format:9:8: not a C type: `struct`: ",
        "unsigned struct foo a": "format:9:8: not a C type: `unsigned struct foo`: ",
        "unsigned float a": "format:9:8: not a C type: `unsigned float`: ",
        "long long long a": "format:9:8: not a C type: `long long long`: ",
        "goto a": "format:9:8: not a C type: `goto`: ",
        "int b[16 +]": "format:9:8: not a C type: `int [16 +]`: ",
        "int b[)(]": "format:9:8: not a C type: `int [)(]`: ",
        "unsigned int foo a": "format:9:8: not a C type: `unsigned int foo`: it has a name [format-malformed]",
        "struct foo bar a": "format:9:8: not a C type: `struct foo bar`: it has a name [format-malformed]",
    }.items(),
)
def test_not_a_type(declaration: str, beginning: str) -> None:
    """The place is exact; the reason may be pycparser's own words. The other fields of the file are not to blame."""
    message = type_message(declaration)
    assert message.startswith(beginning)
    assert message.endswith(" [format-malformed]")
    assert "\n" not in message


ALIKE = (
    "int a", "int b", "int  b", "int\tb", "int*a", "int *a", "const char * x", "u8 a[4]", "u8 b[4]", "u8 b [4]",
    "u8 b[ N + 1 ][2]", "__data_loc char[] s", "__data_loc char[] t", "__rel_loc char s[]", "__rel_loc char t[]",
    "__data_loc char[][2] s", "__data_loc a", "int __data_loc", "int __data_located", "int const", "int volatile",
    "struct a b", "struct a", "a", "", "[3]", "int [3]", "int a]", "int a[", "int a[3] b[4]", "void (*f)(int)", "int é",
    "int eé", "é e", "int 3", "int a;", "_ _", f"u8 {'a' * 300}", f"u8 {'[' * 40}", "u8 a \f", "u8\fa",
)  # fmt: skip


@pytest.mark.parametrize("text", ALIKE)
def test_a_declaration_among_others_is_what_it_is_alone(text: str) -> None:
    """Whatever the parser does once for all that differ in their names alone."""
    assert formats._parsed([text, *ALIKE])[text] == formats._take_apart([text])[text]


def test_a_bad_file_costs_itself() -> None:
    texts = [("s", f"format {i}", GOOD) for i in range(9)]
    texts[2] = ("s", "format 2", "")
    texts[5] = ("s", "format 5", GOOD.replace("char b[16]", "char b[16"))
    found = parse_formats(texts, X86)
    good, bad = [], []
    for one in found:
        (bad if isinstance(one, BadFormat) else good).append(one.path)
    assert bad == ["format 2", "format 5"]
    assert good == [f"format {i}" for i in (0, 1, 3, 4, 6, 7, 8)]
    assert isinstance(found[5], BadFormat)
    assert str(found[5].reason).startswith("format 5:10:14: not a field declaration: `char b[16`")


# --- files


class TestFiles:
    def test_events(self, tmp_path: Path) -> None:
        """ftrace's own records are no tracepoints'; files beside the directories are none."""
        root = write_tracefs(tmp_path, FORMATS | {"ftrace/function": ()})
        (root / "events/enable").write_text("0\n")
        (root / "events/sched/filter").write_text("none\n")
        tracefs = TraceFs(str(root), X86)
        assert tracefs.events() == [
            ("dma_fence", "dma_fence_init"), ("page_ref", "page_ref_mod"), ("sched", "sched_switch"),
            ("sched", "sched_wakeup"), ("syscalls", "sys_enter_close"),
        ]  # fmt: skip
        assert tracefs.systems_of("sched_switch") == ("sched",)
        assert tracefs.systems_of("function") == ()

    @pytest.mark.parametrize("name", ["", ".", "..", "sched/sched_switch", "\0", "x" * 300])
    def test_names_that_are_no_events(self, name: str, tmp_path: Path) -> None:
        assert TraceFs(str(write_tracefs(tmp_path)), X86).systems_of(name) == ()

    def test_events_directory_itself(self, tmp_path: Path) -> None:
        """Copies often lack the level of `events`."""
        write_tracefs(tmp_path)
        assert tpgen("list", "--tracefs", tmp_path / "events") == tpgen("list", "--tracefs", tmp_path)

    def test_a_system_that_goes_away(self, tmp_path: Path) -> None:
        """The kernel lists the directory of removed probes for a while."""
        for system in ("kprobes", "sched"):
            (tmp_path / "events" / system / "one").mkdir(parents=True)
        tracefs = TraceFs(str(tmp_path), X86)
        shutil.rmtree(tmp_path / "events" / "kprobes")
        assert tracefs.events() == [("sched", "one")]

    def test_missing_directory(self, tmp_path: Path) -> None:
        path = tmp_path / "nothing"
        assert tpgen("list", "--tracefs", path) == refusal(
            f"{path}: cannot read: No such file or directory [unreadable]"
        )

    def test_file_for_a_directory(self, tmp_path: Path) -> None:
        path = tmp_path / "file"
        path.write_text("")
        assert tpgen("list", "--tracefs", path) == refusal(f"{path}: cannot read: Not a directory [unreadable]")

    def test_directory_of_something_else(self, tmp_path: Path) -> None:
        """Of /usr, say, no directory is taken for an event; of a copied events directory, all are."""
        (tmp_path / "lib" / "python3").mkdir(parents=True)
        assert tpgen("list", "--tracefs", tmp_path).err.startswith(f"{tmp_path}: error: no events in this tracefs ")
        (tmp_path / "lib" / "python3" / "format").touch()
        assert "lib:python3" in tpgen("list", "--tracefs", tmp_path).out

    def test_empty_directory(self, tmp_path: Path) -> None:
        """An unmounted /sys/kernel/tracing looks like that."""
        assert tpgen("list", "--tracefs", tmp_path) == refusal(
            f"{tmp_path}: no events in this tracefs directory [tracefs-missing]; "
            "give the directory that has events/ in it; as root: mount -t tracefs tracefs /sys/kernel/tracing"
        )

    def test_unreadable_format(self, tmp_path: Path) -> None:
        path = write_tracefs(tmp_path) / "events/sched/sched_switch/format"
        path.unlink()
        path.mkdir()
        assert reason_of("sched_switch", tmp_path) == f"{path}: cannot read: Is a directory [unreadable]"

    def test_missing_format(self, tmp_path: Path) -> None:
        path = write_tracefs(tmp_path) / "events/sched/sched_switch/format"
        path.unlink()
        assert reason_of("sched_switch", tmp_path) == f"{path}: cannot read: No such file or directory [unreadable]"

    def test_only_what_is_asked_for_is_read(self, tmp_path: Path) -> None:
        path = write_tracefs(tmp_path) / "events/sched/sched_wakeup/format"
        path.write_text("garbage")
        assert tpgen("show", "sched_switch", "--tracefs", tmp_path).code == 0

    def test_short_reads(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A seq_file can come in pieces: it is read to its end."""
        read = os.read
        monkeypatch.setattr(os, "read", lambda descriptor, size: read(descriptor, min(size, 100)))
        (found,) = TraceFs(str(write_tracefs(tmp_path)), X86).formats([("sched", "sched_switch")])
        assert found.fields[-1].name == "next_prio"

    @pytest.mark.parametrize("kind", ["pipe", "device", "loop", "directory", "too large"])
    def test_no_regular_file(self, kind: str, tmp_path: Path) -> None:
        """Told at once, and as what it is."""
        path = write_tracefs(tmp_path) / "events/sched/sched_switch/format"
        path.unlink()
        match kind:
            case "pipe":
                os.mkfifo(path)
                reason = "not a regular file"
            case "device":
                path.symlink_to("/dev/zero")
                reason = "not a regular file"
            case "loop":
                path.symlink_to(path)
                reason = "Too many levels of symbolic links"
            case "directory":
                path.mkdir()
                reason = "Is a directory"
            case _:
                path.touch()
                os.truncate(path, 1 << 40)
                reason = "more than 4 MiB"
        assert reason_of("sched_switch", tmp_path) == f"{path}: cannot read: {reason} [unreadable]"


pieces = st.text("\t\n ;:[]()*,.$_abcx0129é\x0c\x00\u2028", max_size=8)
cut = st.tuples(st.integers(0, len(GOOD)), st.integers(0, 6), pieces)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(changes=st.lists(cut, min_size=1, max_size=3))
def test_any_mutation(changes: list[tuple[int, int, str]]) -> None:
    """A format or a `format-malformed` with a position: no other exception."""
    text = GOOD
    for at, length, piece in changes:
        text = text[:at] + piece + text[at + length :]
    try:
        parsed(text)
    except TpgenError as error:
        (diagnostic,) = error.diagnostics
        assert diagnostic.code == "format-malformed"
        assert diagnostic.position is not None
        assert re.fullmatch(r"format:\d+:\d+", str(diagnostic.position))


# --- the running kernel


@pytest.mark.live
def test_running_kernel(tracefs: Path) -> None:
    """Every format file, against a plain reading of its lines: names, offsets, sizes, signs, in this order."""
    ours = TraceFs(str(tracefs), X86)
    events = ours.events()
    listed = {(path.parent.parent.name, path.parent.name) for path in tracefs.glob("events/*/*/format")}
    assert set(events) == {(system, event) for system, event in listed if system != "ftrace"}
    assert len(events) > 500
    for found in ours.formats(events):
        text = Path(found.path).read_text(errors="replace")
        body, _, print_fmt = text.partition("\nprint fmt: ")
        lines = re.findall(r"\tfield:(.*);\toffset:(\d+);\tsize:(\d+);\tsigned:(\d);", body)
        assert found.name == body.split()[1] == Path(found.path).parent.name
        assert found.print_fmt == print_fmt.removesuffix("\n")
        fields = [
            (f.name, str(f.offset_bytes), str(f.size_bytes), str(int(bool(f.signed))))
            for f in found.common + found.fields
        ]
        assert fields == [(name_in(declared), *rest) for declared, *rest in lines]
        dynamic = [f.dynamic is not None for f in found.common + found.fields]
        assert dynamic == [declared.startswith(("__data_loc ", "__rel_loc ")) for declared, *_ in lines]


def name_in(declaration: str) -> str:
    """The last word in front of the brackets."""
    return str(re.findall(r"\w+", re.sub(r"(\[[^]]*\])+$", "", declaration))[-1])
