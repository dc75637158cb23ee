"""The bpf backend: what it makes of every kind of argument and field; clang judges that it is C, big-endian too."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from support.btf_builder import BOOL, SIGNED, BtfBuilder
from support.cli import refusal, tpgen
from support.small_kernel import Line, small_btf, write_btf, write_tracefs

from tpgen.backends.bpf.header import Load, loads_of


def odd_kernel(big_endian: bool, long_bytes: int) -> BtfBuilder:
    """One event, `odd`, with an argument of every kind, and its record with a field of every kind.

    The fields' offsets are those of a kernel with 8-byte longs and alignment.
    """
    b = BtfBuilder(big_endian)
    number, uint, char = b.integer("int", 4, SIGNED), b.integer("unsigned int", 4), b.integer("char", 1)
    long_, ulong = b.integer("long int", long_bytes, SIGNED), b.integer("long unsigned int", long_bytes)
    s8, u16 = b.integer("signed char", 1, SIGNED), b.integer("short unsigned int", 2)
    u64 = b.typedef("u64", b.integer("long long unsigned int", 8))
    bool_ = b.typedef("bool", b.integer("_Bool", 1, BOOL))
    task = b.ptr(b.structure("task_struct", 4, [("pid", number, 0)]))
    pte = b.typedef("pte_t", b.structure("", 8, [("pte", u64, 0)]))
    small = b.structure("subchannel_id", 4, [("sch", u16, 0), ("no", u16, 2)])
    tiny, negative = b.enum("tiny", 1, [("A", 0)]), b.enum("negative", 4, [("B", -1)], signed=True)
    function = b.ptr(b.func_proto(number, [("", task), ("", 0)]))
    matrix = b.ptr(b.array(char, 6))
    user = b.ptr(b.type_tag("user", b.qualifier("CONST", char)))
    arguments = [
        ("on", bool_), ("delta", s8), ("len", u16), ("ret", number), ("state", long_), ("flags", ulong), ("ns", u64),
        ("new", task), ("pte", pte), ("id", small), ("tiny", tiny), ("err", negative),
    ]  # fmt: skip
    b.event("odd", arguments)
    b.event("odder", [("fn", function), ("addr", matrix), ("buf", user), ("vol", b.qualifier("VOLATILE", number))])
    b.event("none", [])
    entry = b.structure("trace_entry", 8)
    members = [
        ("ent", entry, 0), ("on", bool_, 8), ("delta", s8, 9), ("len", u16, 10), ("ret", number, 12), ("ns", u64, 16),
        ("comm", b.array(char, 16), 24), ("addr", b.array(b.integer("unsigned char", 1), 6), 40),
        ("type", tiny, 46), ("id", small, 48), ("__data_loc_name", uint, 52), ("new", task, 56),
        ("words", b.array(u16, 3), 64), ("__data", b.array(char, 0), 70),
    ]  # fmt: skip
    b.event_class("odd", [ctype for _, ctype in arguments], 72, members)
    for event in ("odder", "none"):
        b.structure(f"trace_event_raw_{event}", 8, [("ent", entry, 0)])
    return b


def header(tmp_path: Path, *arguments: str, big_endian: bool = False, long_bytes: int = 8) -> str:
    path = write_btf(tmp_path / "vmlinux", odd_kernel(big_endian, long_bytes))
    done = tpgen(*arguments, "--btf", path)
    assert (done.code, done.err) == (0, "")
    return done.out


def accessors(text: str) -> dict[str, str]:
    """Each accessor's name with its result type."""
    found = re.findall(r"^TPGEN_INLINE (.*?)(\w+)\(const void \*ctx", text, re.MULTILINE)
    return {name: result.strip() for result, name in found}


RAW = {
    "on": "bool", "delta": "signed char", "len": "unsigned short", "ret": "int", "state": "long",
    "flags": "unsigned long", "ns": "unsigned long long", "new": "struct task_struct *", "pte": "raw_odd_pte_t",
    "id": "raw_odd_id_t", "tiny": "unsigned char", "err": "int",
}  # fmt: skip


def test_raw_accessors(tmp_path: Path) -> None:
    """An accessor per argument with the argument's own type, in the order of the slots."""
    text = header(tmp_path, "odd", "--raw")
    assert accessors(text) == {f"raw_odd_{name}": result for name, result in RAW.items()}
    loads = re.findall(r"^\t.*TPGEN_LOAD\(u64, ctx, (\d+)\)", text, re.MULTILINE)
    assert [int(offset) for offset in loads] == [8 * slot for slot in range(12)]


def test_long_of_a_32_bit_kernel(tmp_path: Path) -> None:
    """BPF's long has 8 bytes: that of a 32-bit kernel has 4."""
    found = accessors(header(tmp_path, "odd", "--raw", long_bytes=4))
    assert (found["raw_odd_state"], found["raw_odd_flags"]) == ("int", "unsigned int")
    assert found["raw_odd_ns"] == "unsigned long long"


def test_no_arguments(tmp_path: Path) -> None:
    text = header(tmp_path, "none", "--raw")
    assert accessors(text) == {}
    assert "struct raw_none" not in text


CLASSIC = {
    "on": "bool", "delta": "signed char", "len": "unsigned short", "ret": "int", "ns": "unsigned long long",
    "comm_read": "long", "addr_read": "long", "type": "unsigned char", "id_read": "long", "name_read_bytes": "long",
    "new": "struct task_struct *", "words_read": "long",
}  # fmt: skip


def test_classic_accessors(tmp_path: Path) -> None:
    """A value for a scalar, a copy for what is an array, a struct or dynamic: of bytes, where BTF is all there is."""
    text = header(tmp_path, "odd", "--classic")
    found = accessors(text)
    assert found == {f"tp_odd_{name}": result for name, result in CLASSIC.items()}
    assert "tpgen_read_string(dst, size, (const char *)ctx + 24, 16)" in text
    assert "tpgen_read_bytes(dst, size, (const char *)ctx + 40, 6)" in text
    assert "tpgen_read_bytes(dst, size, (const char *)ctx + 64, 6)" in text
    assert "unsigned long long locator = TPGEN_LOAD(u32, ctx, 52);" in text


MEMBERS = {
    "on": 8, "delta": 9, "len": 10, "ret": 12, "ns": 16, "comm": 24, "addr": 40, "type": 46, "id": 48,
    "__data_loc_name": 52, "new": 56, "words": 64,
}  # fmt: skip


def test_classic_struct(tmp_path: Path) -> None:
    text = header(tmp_path, "odd", "--classic")
    asserted = re.findall(r"__builtin_offsetof\(struct tp_odd, (?:TPGEN_MEMBER\()?(\w+)\)+ == (\d+)", text)
    named = {name: int(offset) for name, offset in asserted if not name.startswith(("__pad", "__hole"))}
    assert named == MEMBERS
    assert "_Static_assert(sizeof(struct tp_odd) == 72," in text


# What the verifier takes: a load of size 1, 2, 4 or 8 at an offset that is a multiple of it.
LOADS = {
    (8, 8): (Load("u64", 8, 0, 0),),
    (9, 1): (Load("u8", 9, 0, 0),),
    (12, 4): (Load("u32", 12, 0, 0),),
    (10, 2): (Load("u16", 10, 0, 0),),
    (12, 8): (Load("u32", 12, 0, 32), Load("u32", 16, 32, 0)),
    (22, 4): (Load("u16", 22, 0, 16), Load("u16", 24, 16, 0)),
    (9, 2): (Load("u8", 9, 0, 8), Load("u8", 10, 8, 0)),
    (13, 4): (Load("u8", 13, 0, 24), Load("u8", 14, 8, 16), Load("u8", 15, 16, 8), Load("u8", 16, 24, 0)),
}


@pytest.mark.parametrize(("place", "loads"), LOADS.items(), ids=map(str, LOADS))
def test_loads(place: tuple[int, int], loads: tuple[Load, ...]) -> None:
    assert loads_of(*place) == loads


@pytest.mark.parametrize("place", LOADS, ids=map(str, LOADS))
@pytest.mark.parametrize("order", ["little", "big"])
def test_loads_make_up_the_value(place: tuple[int, int], order: str) -> None:
    """The parts, loaded from memory and shifted, are what one load would have given."""
    offset, size = place
    memory = bytes(range(1, 65))
    value = 0
    for load in loads_of(offset, size):
        width = int(load.width[1:]) // 8
        assert load.offset % width == 0
        part = int.from_bytes(memory[load.offset : load.offset + width], order)  # type: ignore[arg-type]
        value |= part << (load.shift_little if order == "little" else load.shift_big)
    assert value == int.from_bytes(memory[offset : offset + size], order)  # type: ignore[arg-type]


@pytest.mark.parametrize("keyword", ["bool", "true", "typeof", "nullptr", "constexpr", "asm"])
def test_c23_keyword_as_a_name(keyword: str, tmp_path: Path) -> None:
    """A member cannot have it, the accessor's name can."""
    b = BtfBuilder()
    b.event("e", [(keyword, b.integer("int", 4, SIGNED))])
    done = tpgen("e", "--raw", "--btf", write_btf(tmp_path / "b", b))
    assert f"TPGEN_SLOT(int {keyword}_, 4);" in done.out
    assert list(accessors(done.out)) == [f"raw_e_{keyword}"]


def test_relative_locator(tmp_path: Path) -> None:
    """It counts from its own end, a data_loc from the record's start."""
    root = write_tracefs(tmp_path, {"s/e": (Line("__data_loc char[] a", 8, 4), Line("__rel_loc u8[] b", 12, 4))})
    done = tpgen("e", "--classic", "--tracefs", root)
    assert "tpgen_read_string(dst, size, (const char *)ctx + (locator & 0xffff), locator >> 16)" in done.out
    assert "tpgen_read_bytes(dst, size, (const char *)ctx + 16 + (locator & 0xffff), locator >> 16)" in done.out


def test_syscall(tmp_path: Path) -> None:
    """An argument's slot has 8 bytes, its value those of its type."""
    lines = (Line("int __syscall_nr", 8, 4, 1), Line("int fd", 16, 8), Line("unsigned int count", 24, 8))
    root = write_tracefs(tmp_path, {"syscalls/sys_enter_x": lines})
    text = tpgen("sys_enter_x", "--tracefs", root).out
    assert accessors(text) == {
        "tp_sys_enter_x___syscall_nr": "int", "tp_sys_enter_x_fd": "int", "tp_sys_enter_x_count": "unsigned int",
    }  # fmt: skip
    assert "TPGEN_SLOT(int fd, 4);" in text


def test_function_of_an_unknown_type(tmp_path: Path) -> None:
    """A parameter of which nobody knows more than a typedef's name cannot be declared, and so neither the function."""
    (tmp_path / "t.h").write_text(
        "DECLARE_TRACE(merge, TP_PROTO(void (*f)(struct ref *, x_t), int (*g)(x_t *)), TP_ARGS(f, g));"
    )
    done = tpgen("merge", "--raw", "--headers", tmp_path / "t.h", "--no-cache")
    assert (done.code, accessors(done.out)) == (0, {"raw_merge_f": "void *", "raw_merge_g": "raw_merge_g_t"})
    assert "typedef int (*raw_merge_g_t)(void *);" in done.out


@pytest.mark.compilers
@pytest.mark.parametrize("target", ["bpfel", "bpfeb"])
@pytest.mark.parametrize("std", ["c11", "c2x"])
@pytest.mark.parametrize("long_bytes", [8, 4], ids=["64", "32"])
def test_compiles(target: str, std: str, long_bytes: int, tmp_path: Path) -> None:
    """All headers of the odd kernel in one unit: no warning, and every _Static_assert holds."""
    clang = shutil.which("clang")
    if clang is None:
        pytest.skip("clang is not installed")
    big_endian = target == "bpfeb"
    forms = [("odd", "--raw"), ("odder", "--raw"), ("none", "--raw")]
    forms += [("odd", "--classic")] if long_bytes == 8 else []  # its offsets are those of a 64-bit kernel
    for name, form in forms:
        text = header(tmp_path, name, form, big_endian=big_endian, long_bytes=long_bytes)
        (tmp_path / f"{name}{form}.h").write_text(text)
    unit = tmp_path / "unit.c"
    unit.write_text("".join(f'#include "{name}{form}.h"\n' for name, form in forms * 2))
    command = (clang, "-target", target, f"-std={std}", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", str(unit))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_two_fields_of_one_accessor(tmp_path: Path) -> None:
    """An array `a` is read by `…_a_read`, which is also what the scalar `a_read` would be called."""
    b = BtfBuilder()
    number, char = b.integer("int", 4, SIGNED), b.integer("char", 1)
    entry = b.structure("trace_entry", 8)
    b.event("e", [("n", number)])
    b.event_class("e", [number], 16, [("ent", entry, 0), ("a", b.array(char, 4), 8), ("a_read", number, 12)])
    done = tpgen("e", "--classic", "--btf", write_btf(tmp_path / "vmlinux", b))
    assert done == refusal("e: two of its fields make an accessor tp_e_a_read [name-clash]")


# --- whether the kernel has it

PRESENCE = re.compile(r"^TPGEN_INLINE _Bool (\w+)\(void\) { return 1; }$", re.MULTILINE)


@pytest.mark.parametrize(("form", "prefix", "values"), [("--raw", "raw", RAW), ("--classic", "tp", MEMBERS)])
def test_presence(form: str, prefix: str, values: dict[str, object], tmp_path: Path) -> None:
    """A test for every argument and field, by the name that it has in the kernel."""
    names = [name.removeprefix("__data_loc_") for name in values]
    assert PRESENCE.findall(header(tmp_path, "odd", form)) == [f"{prefix}_odd_has_{name}" for name in names]


def test_presence_of_nothing(tmp_path: Path) -> None:
    assert "_has_" not in header(tmp_path, "none", "--raw")


def test_argument_that_is_called_like_a_test(tmp_path: Path) -> None:
    """The argument keeps its accessor, the test for the other one gets out of its way."""
    b = BtfBuilder()
    number = b.integer("int", 4, SIGNED)
    b.event("e", [("x", number), ("has_x", number)])
    text = tpgen("e", "--raw", "--btf", write_btf(tmp_path / "b", b)).out
    assert list(accessors(text)) == ["raw_e_x", "raw_e_has_x"]
    assert PRESENCE.findall(text) == ["raw_e_has_x_", "raw_e_has_has_x"]


def test_presence_of_two_fields_of_one_name(tmp_path: Path) -> None:
    """Linux 5.10 has such an event, regcache_sync: the dynamic one's accessor is another, the test is one."""
    lines = (Line("__data_loc char[] type", 8, 4), Line("int type", 12, 4, 1))
    text = tpgen("e", "--classic", "--tracefs", write_tracefs(tmp_path, {"s/e": lines})).out
    assert accessors(text) == {"tp_e_type": "int", "tp_e_type_read": "long"}
    assert PRESENCE.findall(text) == ["tp_e_has_type"]


@pytest.mark.parametrize(("form", "says"), [("--raw", "A tp_btf program follows"), ("--classic", "A tp program gets")])
def test_what_its_programs_get(form: str, says: str, tmp_path: Path) -> None:
    """The first lines say what each kind of program is given."""
    head = header(tmp_path, "odd", form).partition("#ifndef")[0]
    assert head.count("\n") == 8
    assert says in head


# --- what SEC() takes

SECTIONS = re.compile(r'^#define (\w+_SEC_\w+) "(.*)"$', re.MULTILINE)


def sections(*arguments: str | Path) -> dict[str, str]:
    done = tpgen(*arguments)
    assert (done.code, done.err) == (0, "")
    return dict(SECTIONS.findall(done.out))


def test_sections(tmp_path: Path) -> None:
    """The event's own name for raw programs, whatever its class is; the system as well for a classic one."""
    sources = ("--btf", write_btf(tmp_path / "b"), "--tracefs", write_tracefs(tmp_path))
    assert sections("sched_wakeup", *sources) == {
        "RAW_SEC_sched_wakeup": "raw_tp/sched_wakeup",
        "BTF_SEC_sched_wakeup": "tp_btf/sched_wakeup",
        "TP_SEC_sched_wakeup": "tp/sched/sched_wakeup",
    }
    assert sections("pelt_se_tp", *sources) == {
        "RAW_SEC_pelt_se_tp": "raw_tp/pelt_se_tp",
        "BTF_SEC_pelt_se_tp": "tp_btf/pelt_se_tp",
    }


def test_no_section_without_a_system(tmp_path: Path, no_shipped_catalog: None) -> None:
    """Only tracefs, headers and catalogs tell where a classic program attaches."""
    assert sections("sched_switch", "--classic", "--btf", write_btf(tmp_path / "b")) == {}


def test_writable(tmp_path: Path) -> None:
    b = BtfBuilder()
    b.event("bpf_test_finish", [("err", b.ptr(b.integer("int", 4, SIGNED)))])
    found = sections("bpf_test_finish", "--raw", "--btf", write_btf(tmp_path / "vmlinux", b))
    assert found["RAW_W_SEC_bpf_test_finish"] == "raw_tp.w/bpf_test_finish"
    assert len(found) == 3


@pytest.mark.parametrize("sleepable", [False, True])
def test_sleepable(sleepable: bool, tmp_path: Path) -> None:
    """Where the kernel can call programs that may fault, it does so at the tracepoints of system calls only."""
    b = small_btf()
    regs = b.ptr(b.fwd("pt_regs"))
    b.event("sys_enter", [("regs", regs), ("id", b.integer("long int", 8, SIGNED))])
    if sleepable:
        b.func("trace_call_bpf_faultable", b.func_proto(0, []))
    sources = ("--btf", write_btf(tmp_path / "b", b), "--tracefs", write_tracefs(tmp_path))
    plain = {"RAW_SEC_sys_enter": "raw_tp/sys_enter", "BTF_SEC_sys_enter": "tp_btf/sys_enter"}
    more = {"RAW_S_SEC_sys_enter": "raw_tp.s/sys_enter", "BTF_S_SEC_sys_enter": "tp_btf.s/sys_enter"}
    assert sections("sys_enter", "--raw", *sources) == plain | (more if sleepable else {})
    classic = {"TP_SEC_sys_enter_close": "tp/syscalls/sys_enter_close"}
    more = {"TP_S_SEC_sys_enter_close": "tp.s/syscalls/sys_enter_close"}
    assert sections("sys_enter_close", "--classic", *sources) == classic | (more if sleepable else {})
    assert not any("_S_" in name for name in sections("sched_switch", *sources))


def test_two_modules_of_one_event(tmp_path: Path) -> None:
    """For a tp_btf program a colon tells which; the module that is alone with its event needs none."""
    base = small_btf()
    write_btf(tmp_path / "vmlinux", base)
    sources: list[str | Path] = ["--btf", tmp_path / "vmlinux"]
    for module, events in (("i915", ["intel_cpu_fifo"]), ("xe", ["intel_cpu_fifo", "xe_vma_bind"])):
        b = BtfBuilder(base=base)
        for event in events:
            b.event(event, [("n", b.integer("int", 4, SIGNED))])
        sources += ["--btf", write_btf(tmp_path / f"{module}.ko", b)]
    for module in ("i915", "xe"):
        found = sections("intel_cpu_fifo", "--raw", "--module", module, *sources)
        assert found["BTF_SEC_intel_cpu_fifo"] == f"tp_btf/{module}:intel_cpu_fifo"
        assert found["RAW_SEC_intel_cpu_fifo"] == "raw_tp/intel_cpu_fifo"
    assert sections("xe_vma_bind", "--raw", *sources)["BTF_SEC_xe_vma_bind"] == "tp_btf/xe_vma_bind"


@pytest.mark.parametrize(
    ("kernels", "function"),
    [
        (("5.10",), "tpgen_read_string"),
        (("6.1",), "tpgen_read_string"),
        (("6.12",), "tpgen_copy_string"),
        (("6.12", "7.2"), "tpgen_copy_string"),
        (("6.1", "7.2"), "tpgen_read_string"),
    ],
)
def test_a_string_is_copied_at_once_where_the_kernels_are_known_to_take_any_buffer(
    kernels: tuple[str, ...], function: str
) -> None:
    """Linux 6715df8d5d24 ("bpf: Allow reads from uninit stack") is in v6.3."""
    words = "--classic", *(word for kernel in kernels for word in ("--kernel", kernel))
    text = tpgen("sched_process_exec", *words).out
    assert text.count(f"return {function}(dst, size, (const char *)ctx + (locator & 0xffff), locator >> 16);") == 1
    # Of a length that is known it is, whatever the kernel.
    if len(kernels) == 1:
        assert "return tpgen_read_string(dst, size," in tpgen("sched_switch", *words).out
