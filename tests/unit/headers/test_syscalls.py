"""System calls of a kernel's C files, and the events that they make."""

from __future__ import annotations

from pathlib import Path

import pytest

from tpgen.kernel.events import EventKey
from tpgen.kernel.resolve import Kernel
from tpgen.kernel.sources import HeaderOptions, open_files
from tpgen.sources.headers.trace_events.syscall_defines import SyscallDefines, read_syscall_defines
from tpgen.spelling import spell
from tpgen.target import target_named

X86_64 = target_named("x86_64")


def defines(tree: Path, config: dict[str, str] | None = None, arch: str = "x86_64") -> SyscallDefines:
    return read_syscall_defines(str(tree), target_named(arch), config)


def write(tree: Path, path: str, text: str) -> None:
    file = tree / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def params(found: SyscallDefines, name: str) -> list[str]:
    return [spell(param.type, param.name) for param in found.calls[name].params]


def test_parameters(tmp_path: Path) -> None:
    text = "SYSCALL_DEFINE4(openat, int, dfd, const char __user *, filename,\n\t\tint, flags, umode_t, mode)\n{\n}\n"
    write(tmp_path, "fs/open.c", f"/* open */\n{text}")
    found = defines(tmp_path)
    assert params(found, "openat") == ["int dfd", "const char __user *filename", "int flags", "umode_t mode"]
    position = found.calls["openat"].position
    assert (position.path, position.line, position.column) == (str(tmp_path / "fs/open.c"), 2, 1)
    assert found.skipped == ()


def test_no_parameters(tmp_path: Path) -> None:
    write(tmp_path, "kernel/sys.c", "SYSCALL_DEFINE0(getpid)\n{\n\treturn 1;\n}\n")
    assert params(defines(tmp_path), "getpid") == []


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("COMPAT_SYSCALL_DEFINE1(x, int, a)\n", id="of 32-bit programs"),
        pytest.param("/*\nSYSCALL_DEFINE1(x, int, a)\n*/\n", id="in a comment"),
        pytest.param("#define SYSCALL_DEFINE1(name, ...) SYSCALL_DEFINEx(1, _##name, __VA_ARGS__)\n", id="the macro"),
        pytest.param("#if 0\nSYSCALL_DEFINE1(x, int, a)\n#endif\n", id="in a dead branch"),
    ],
)
def test_no_call(tmp_path: Path, text: str) -> None:
    write(tmp_path, "kernel/x.c", text)
    assert defines(tmp_path) == SyscallDefines({}, ())


class TestConfiguration:
    CLONE = (
        "#ifdef CONFIG_CLONE_BACKWARDS2\nSYSCALL_DEFINE2(clone, unsigned long, newsp, unsigned long, flags)\n"
        "#else\nSYSCALL_DEFINE2(clone, unsigned long, flags, unsigned long, newsp)\n#endif\n"
    )

    def test_decides(self, tmp_path: Path) -> None:
        write(tmp_path, "kernel/fork.c", self.CLONE)
        assert params(defines(tmp_path, {"CONFIG_CLONE_BACKWARDS2": "y"}), "clone")[0] == "unsigned long newsp"
        assert params(defines(tmp_path, {}), "clone")[0] == "unsigned long flags"

    def test_unknown_leaves_it_open(self, tmp_path: Path) -> None:
        write(tmp_path, "kernel/fork.c", self.CLONE)
        found = defines(tmp_path)
        path = tmp_path / "kernel/fork.c"
        assert found.calls == {}
        assert [str(d) for d in found.skipped] == [
            f"{path}:2:1: sys_clone is defined otherwise at {path}:4:1 [syscall-define]"
        ]

    def test_makefile_decides_about_a_file(self, tmp_path: Path) -> None:
        write(tmp_path, "mm/mempolicy.c", "SYSCALL_DEFINE1(mbind, int, mode)\n")
        write(tmp_path, "mm/Makefile", "obj-y += mmap.o\nobj-$(CONFIG_NUMA) += migrate.o \\\n\tmempolicy.o\n")
        assert list(defines(tmp_path, {"CONFIG_NUMA": "y"}).calls) == ["mbind"]
        assert list(defines(tmp_path, {}).calls) == []
        assert list(defines(tmp_path).calls) == ["mbind"]


def test_of_several_architectures_the_targets(tmp_path: Path) -> None:
    write(tmp_path, "arch/x86/kernel/sys.c", "SYSCALL_DEFINE1(mmap, unsigned long, x86)\n")
    write(tmp_path, "arch/x86/um/sys.c", "SYSCALL_DEFINE1(mmap, unsigned long, um)\n")
    write(tmp_path, "arch/arm64/kernel/sys.c", "SYSCALL_DEFINE1(mmap, unsigned long, arm)\n")
    assert params(defines(tmp_path), "mmap") == ["unsigned long x86"]
    assert params(defines(tmp_path, arch="aarch64"), "mmap") == ["unsigned long arm"]


def test_equal_definitions_are_one(tmp_path: Path) -> None:
    for name in ("mmap", "nommu"):
        write(tmp_path, f"mm/{name}.c", "SYSCALL_DEFINE1(brk, unsigned long, brk)\n")
    found = defines(tmp_path)
    assert (params(found, "brk"), found.skipped) == (["unsigned long brk"], ())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("SYSCALL_DEFINE2(x, int, a)\n", "1:1: this is no call with 2 parameters [syscall-define]"),
        ("SYSCALL_DEFINE1(x, int, a\n", "1:1: this is no call with 1 parameters [syscall-define]"),
        ("\nSYSCALL_DEFINE1(x, int +, a)\n", "2:1: sys_x has a parameter that cannot be read"),
    ],
)
def test_what_cannot_be_read_is_said(tmp_path: Path, text: str, message: str) -> None:
    write(tmp_path, "kernel/x.c", text)
    found = defines(tmp_path)
    assert found.calls == {}
    assert [str(d).startswith(f"{tmp_path}/kernel/x.c:{message}") for d in found.skipped] == [True]


class TestEvents:
    def kernel(self, tree: Path, *texts: str) -> Kernel:
        write(tree, "kernel/x.c", "".join(f"{text}\n" for text in texts))
        return Kernel(open_files(headers=HeaderOptions((str(tree),), use_cache=False), arch="x86_64", syscalls=True))

    def test_both_sides_of_what_has_a_number(self, tmp_path: Path) -> None:
        kernel = self.kernel(tmp_path, "SYSCALL_DEFINE1(close, unsigned int, fd)", "SYSCALL_DEFINE1(waitpid, int, pid)")
        # x86_64 has a number for close alone.
        assert kernel.keys() == [EventKey("syscalls", "sys_enter_close"), EventKey("syscalls", "sys_exit_close")]

    def test_fields(self, tmp_path: Path) -> None:
        kernel = self.kernel(tmp_path, "SYSCALL_DEFINE2(dup2, unsigned int, oldfd, unsigned int, newfd)")
        entered = kernel.event(EventKey("syscalls", "sys_enter_dup2"))
        left = kernel.event(EventKey("syscalls", "sys_exit_dup2"))
        assert entered.record is not None
        assert left.record is not None
        assert [(field.name, field.signed) for field in entered.record.fields] == [
            ("__syscall_nr", True), ("oldfd", False), ("newfd", False),
        ]  # fmt: skip
        assert [(field.name, field.size_bytes) for field in left.record.fields] == [("__syscall_nr", 4), ("ret", 8)]
        assert entered.syscall is not None
        assert entered.syscall.number == 33
