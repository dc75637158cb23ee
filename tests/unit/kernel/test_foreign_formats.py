"""Kernels that are not Debian's own: real-time and vendors' headers of records, 32 bits, format files and nothing else.

The layouts are those that kernel/trace/trace_syscalls.c makes of `struct trace_entry`, worked out by hand.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.btf_builder import SIGNED, BtfBuilder
from support.cli import line, tpgen
from support.small_kernel import FORMATS, Line, format_text, write_btf, write_tracefs

COMMON_LONG = "\tfield:unsigned char common_preempt_lazy_count;\toffset:8;\tsize:1;\tsigned:0;\n"


def tracefs(root: Path, events: dict[str, tuple[Line, ...]], long_header: bool = False) -> Path:
    for event, lines in events.items():
        folder = root / "events" / event
        folder.mkdir(parents=True)
        text = format_text(folder.name, lines)
        (folder / "format").write_text(text.replace("\n\n", f"\n{COMMON_LONG}\n", 1) if long_header else text)
    return root


def btf(path: Path, header: int, number_at: int, args_at: int, word: int = 8, args: int = 6) -> Path:
    """A kernel whose record of a system call has the number right behind the header, and whose context has it else."""
    b = BtfBuilder()
    number, ulong = b.integer("int", 4, SIGNED), b.integer("long unsigned int", word)
    b.ptr(number)
    entry = b.structure("trace_entry", header)
    first = -(-(header + 4) // word) * word
    enter = [("ent", entry, 0), ("nr", number, header), ("args", b.array(ulong, 0), first)]
    b.structure("syscall_trace_enter", first, enter)
    six = [("regs", ulong, 0), ("syscall_nr", ulong if word == 8 else number, number_at)]
    b.structure("syscall_tp_t", args_at + args * word, [*six, ("args", b.array(ulong, args), args_at)])
    return write_btf(path, b)


def close(number_at: int, fd_at: int, size: int = 8) -> dict[str, tuple[Line, ...]]:
    return {
        "syscalls/sys_enter_close": (Line("int __syscall_nr", number_at, 4, 1), Line("unsigned int fd", fd_at, size))
    }


def fields(*sources: str) -> list[tuple[str, int]]:
    done = tpgen("show", "sys_enter_close", "--json", *sources)
    assert done.code == 0, done.err
    return [(field["name"], field["offset"]) for field in json.loads(done.out)[0]["record"]["fields"]]


def test_real_time(tmp_path: Path) -> None:
    """5.10-rt: 12 bytes of header in the record, and a context of 8, 8 and the arguments: no contradiction."""
    root, image = tracefs(tmp_path / "t", close(12, 16), long_header=True), btf(tmp_path / "vmlinux", 12, 8, 16)
    sources = ("--tracefs", str(root), "--btf", str(image))
    done = tpgen("check", *sources)
    assert (done.code, done.err) == (0, ""), done.out
    assert fields(*sources) == [("__syscall_nr", 8), ("fd", 16)]
    text = tpgen("sys_enter_close", "--classic", *sources).out
    assert "struct tp_sys_enter_close" in text


def test_red_hat(tmp_path: Path) -> None:
    """RHEL 9.3: number and arguments 8 bytes further in the context than in the record."""
    root, image = tracefs(tmp_path / "t", close(12, 16), long_header=True), btf(tmp_path / "vmlinux", 12, 16, 24)
    sources = ("--tracefs", str(root), "--btf", str(image))
    assert tpgen("check", *sources).code == 0
    assert fields(*sources) == [("__syscall_nr", 16), ("fd", 24)]


def test_a_record_that_differs_is_found(tmp_path: Path) -> None:
    root, image = tracefs(tmp_path / "t", close(12, 24), long_header=True), btf(tmp_path / "vmlinux", 12, 8, 16)
    sources = ("--tracefs", str(root), "--btf", str(image))
    done = tpgen("check", *sources)
    assert done.code == 1
    assert "syscalls:sys_enter_close: field fd: offset 24 in the format file, 16 in BTF [record-offset]" in done.out
    assert tpgen("sys_enter_close", "--classic", *sources).code == 1


def test_the_raw_form_does_not_depend_on_the_record(tmp_path: Path) -> None:
    """That its record differs is no reason to refuse what the registers tell (which this BTF does not)."""
    root, image = tracefs(tmp_path / "t", close(8, 24)), btf(tmp_path / "vmlinux", 8, 8, 16)
    done = tpgen("sys_enter_close", "--raw", "--tracefs", str(root), "--btf", str(image))
    assert "no BTF shows where the kernel has the registers of a system call [no-such-form]" in done.err
    assert "record-offset" not in done.err


def test_too_many_arguments_for_the_context(tmp_path: Path) -> None:
    """Room for one argument, and two in the format file."""
    lines = (*close(8, 16)["syscalls/sys_enter_close"], Line("int how", 24, 8))
    root, image = (
        tracefs(tmp_path / "t", {"syscalls/sys_enter_close": lines}),
        btf(tmp_path / "vmlinux", 8, 8, 16, args=1),
    )
    done = tpgen("check", "--tracefs", str(root), "--btf", str(image))
    assert done.code == 1
    assert "field how lies behind the end of the record in BTF [record-size]" in done.out


def test_32_bits(tmp_path: Path) -> None:
    """i386: words of 4 bytes, the first right behind the number."""
    lines = (Line("int __syscall_nr", 8, 4, 1), Line("unsigned int fd", 12, 4), Line("char * buf", 16, 4))
    root = tracefs(tmp_path / "t", {"syscalls/sys_enter_close": lines})
    image = btf(tmp_path / "vmlinux", 8, 8, 12, word=4)
    sources = ("--tracefs", str(root), "--btf", str(image), "--arch", "i386")
    done = tpgen("check", *sources)
    assert (done.code, done.err) == (0, ""), done.out
    assert fields(*sources) == [("__syscall_nr", 8), ("fd", 12), ("buf", 16)]


def test_format_files_alone_with_a_long_header(tmp_path: Path) -> None:
    """Where the context has them is the kernel's own affair, so whoever generates is told."""
    root = tracefs(tmp_path / "t", close(12, 16), long_header=True)
    note = "{}: note: syscalls:sys_enter_close: its programs may find number and arguments elsewhere"
    done = tpgen("sys_enter_close", "--classic", "--tracefs", str(root), "--arch", "x86_64")
    assert done.code == 0
    assert done.err.startswith(note.format(root / "events/syscalls/sys_enter_close/format"))
    assert done.err.endswith("[syscall-context]; give --btf\n")
    assert done.err.count("\n") == 1
    checked = tpgen("check", "--tracefs", str(root), "--arch", "x86_64")
    assert checked.code == 0
    assert "[syscall-context]" in checked.out
    plain = tracefs(tmp_path / "plain", close(8, 16))
    assert tpgen("sys_enter_close", "--classic", "--tracefs", str(plain), "--arch", "x86_64").err == ""


# --- types that tracefs only names

# Declaration, size and sign as the kernel prints them of a trace event; what C makes of it on x86-64.
NAMED = {
    "pid_t pid": (4, 1, "int"),
    "bool on": (1, 0, "bool"),
    "u64 when": (8, 0, "unsigned long long"),
    "umode_t mode": (2, 0, "unsigned short"),
    "enum zone_type zone": (4, 1, "int"),
    "enum hrtimer_mode mode": (4, 0, "unsigned int"),
    "const enum zone_type zone": (4, 1, "int"),
    "unheard_t who": (4, 1, "int"),
    "pid_t wide": (8, 1, "long long"),  # not the pid_t that we know
}


@pytest.mark.parametrize("declaration", NAMED)
def test_fields_of_named_types(declaration: str, tmp_path: Path) -> None:
    size, sign, expected = NAMED[declaration]
    root = tracefs(tmp_path, {"s/e": (Line(declaration, 8, size, sign),)})
    text = tpgen("s:e", "--classic", "--tracefs", str(root), "--arch", "x86_64").out
    name = declaration.split()[-1]
    assert f" {expected} tp_e_{name}(" in text, text


# A system call's argument fills a slot whatever its type, and the kernel prints no sign.
ARGUMENTS = {
    "pid_t pid": (4, True, "int"),
    "umode_t mode": (2, False, "unsigned short"),
    "qid_t id": (8, None, "unsigned long long"),  # unknown to every kernel's types
    "unsigned int fd": (4, False, "unsigned int"),
    "size_t count": (8, False, "unsigned long"),
    "key_t key": (8, None, "unsigned long long"),
}


@pytest.mark.parametrize("declaration", ARGUMENTS)
def test_arguments_of_system_calls(declaration: str, tmp_path: Path) -> None:
    _, signed, expected = ARGUMENTS[declaration]
    lines = (Line("int __syscall_nr", 8, 4, 1), Line(declaration, 16, 8))
    root, name = tracefs(tmp_path, {"syscalls/sys_enter_x": lines}), declaration.split()[-1]
    sources = ("--tracefs", str(root), "--arch", "x86_64")
    assert f" {expected} tp_sys_enter_x_{name}(" in tpgen("sys_enter_x", "--classic", *sources).out
    (event,) = json.loads(tpgen("show", "sys_enter_x", "--json", *sources).out)
    assert event["record"]["fields"][1]["signed"] is signed


def test_elements_of_dynamic_fields(tmp_path: Path) -> None:
    root = tracefs(tmp_path, {"s/e": (Line("__data_loc u64[] values", 8, 4),)})
    text = tpgen("s:e", "-b", "python", "--tracefs", str(root), "--arch", "x86_64").out
    assert '_DynamicNumbers(8, 0, "Q")' in text


# --- what is not known is said so


def test_what_tracefs_alone_does_not_tell(tmp_path: Path) -> None:
    """That an event's arguments are unknown does not mean that it has no tracepoint."""
    root = tracefs(tmp_path, {"s/e": (Line("int a", 8, 4, 1),)})
    done = tpgen("s:e", "--raw", "--tracefs", str(root), "--arch", "x86_64")
    message = "no raw form of s:e: its raw arguments are unknown: neither BTF nor headers have them [no-such-form]"
    assert (done.code, done.err) == (2, line(message))


def test_a_system_call_without_tracefs(tmp_path: Path) -> None:
    done = tpgen("sys_enter_openat", "--btf", str(write_btf(tmp_path / "vmlinux")))
    assert done.code == 2
    hint = "only tracefs has the events of system calls: read it as root, or give --tracefs"
    assert done.err.endswith(f" [unknown-event]; {hint}\n")


# --- a copy of tracefs that lacks files


def test_what_a_copy_lacks_is_unknown(tmp_path: Path) -> None:
    """One file of five was copied. The others have records all the same, and only pelt_se_tp has none."""
    whole = write_tracefs(tmp_path / "whole")
    part = write_tracefs(tmp_path / "part", {"sched/sched_switch": FORMATS["sched/sched_switch"]})
    image = str(write_btf(tmp_path / "vmlinux"))
    kinds = {}
    for root in (whole, part):
        events = json.loads(tpgen("show", "*", "--json", "--btf", image, "--tracefs", str(root)).out)
        kinds[root] = {event["name"]: event["kind"] for event in events if event["kind"] != "syscall"}
    assert kinds[part] == kinds[whole]
    assert [name for name, kind in kinds[part].items() if kind == "tracepoint"] == ["pelt_se_tp"]
    wakeup = tpgen("sched_wakeup", "--classic", "--btf", image, "--tracefs", str(part))
    assert (wakeup.code, wakeup.err) == (0, "")
    assert "tp_sched_wakeup_pfn(" in wakeup.out
    assert tpgen("check", "--btf", image, "--tracefs", str(part)).code == 0
