"""tracefs format files: what is read of hand-written ones, and where malformed ones are said to be so."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.cli import refusal, tpgen
from support.small_kernel import FORMATS, RECORD_HEADER, Line, format_text, write_tracefs

from tpgen.diagnostics import TpgenError
from tpgen.model import Array, Dynamic, Int, Pointer, Qualified, Struct, Typedef, TypeTag, Void
from tpgen.sources.formats import Format, parse_formats
from tpgen.sources.tracefs import TraceFs
from tpgen.spelling import spell
from tpgen.target import target_named

X86 = target_named("x86_64")
CHAR, INT, LONG = Int("char", 1, False), Int("int", 4, True), Int("long", 8, True)


def parsed(text: str) -> Format:
    (found,) = parse_formats([("sched", "format", text)], X86)
    return found


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
}  # fmt: skip


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
    assert tpgen("show", "sched_switch", "--tracefs", root) == refusal(f"{path}:{message} [format-malformed]")


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


def test_first_bad_file_of_many_is_named() -> None:
    texts = [("s", f"format {i}", GOOD) for i in range(9)]
    texts[5] = ("s", "format 5", GOOD.replace("char b[16]", "char b[16"))
    with pytest.raises(TpgenError, match=r"^format 5:10:14: not a field declaration: `char b\[16`"):
        parse_formats(texts, X86)


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

    def test_missing_directory(self, tmp_path: Path) -> None:
        path = tmp_path / "nothing"
        assert tpgen("list", "--tracefs", path) == refusal(
            f"{path}: cannot read: No such file or directory [unreadable]"
        )

    def test_file_for_a_directory(self, tmp_path: Path) -> None:
        path = tmp_path / "file"
        path.write_text("")
        assert tpgen("list", "--tracefs", path) == refusal(f"{path}: cannot read: Not a directory [unreadable]")

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
        assert tpgen("show", "sched_switch", "--tracefs", tmp_path) == refusal(
            f"{path}: cannot read: Is a directory [unreadable]"
        )

    def test_missing_format(self, tmp_path: Path) -> None:
        path = write_tracefs(tmp_path) / "events/sched/sched_switch/format"
        path.unlink()
        assert tpgen("show", "sched_switch", "--tracefs", tmp_path) == refusal(
            f"{path}: cannot read: No such file or directory [unreadable]"
        )

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
        done = tpgen("show", "sched_switch", "--tracefs", tmp_path)
        assert done == refusal(f"{path}: cannot read: {reason} [unreadable]")


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
