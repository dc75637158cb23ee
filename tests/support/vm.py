"""Debian's kernels booted under qemu's emulation, with a plan for tests/vm/guest.c to carry out, and its answers.

Nothing of a distribution is in the machine: the kernel, the modules that the plan names, and that one program as init.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from support.debian import Tree, cache_dir, plain_module

_GUEST = Path(__file__).parents[1] / "vm" / "guest.c"
# A kernel that hangs must not keep the tests from their end.
_TIMEOUT_SECONDS = 1800
_INSN_BYTES = 8


@dataclass(frozen=True, slots=True)
class Machine:
    """How qemu makes a machine of an architecture, and compilers make code for it.

    `options` give it two ways out: the console, and the device `answers` that only init writes to.
    """

    qemu: str
    options: str
    console: str
    answers: str
    zig_target: str
    bpf_target: str


#: By Debian's name of the architecture.
MACHINES: Mapping[str, Machine] = {
    "amd64": Machine(
        "qemu-system-x86_64",
        "-machine q35,accel=tcg -cpu max -serial file:console -serial file:answers",
        "ttyS0", "/dev/ttyS1", "x86_64-linux-musl", "bpfel",
    ),
    "i386": Machine(
        "qemu-system-i386",
        "-machine q35,accel=tcg -cpu max -serial file:console -serial file:answers",
        "ttyS0", "/dev/ttyS1", "x86-linux-musl", "bpfel",
    ),
    "ppc64el": Machine(
        "qemu-system-ppc64",
        "-machine pseries,accel=tcg,x-vof=on -cpu power9 -serial file:console -serial file:answers",
        "hvc0", "/dev/hvc1", "powerpc64le-linux-musl", "bpfel",
    ),
    "riscv64": Machine(
        "qemu-system-riscv64",
        "-machine virt,accel=tcg -cpu rv64 -serial file:console"
        " -chardev file,id=answers,path=answers -device pci-serial,chardev=answers",
        "ttyS0", "/dev/ttyS1", "riscv64-linux-musl", "bpfel",
    ),
    "s390x": Machine(
        "qemu-system-s390x",
        "-machine s390-ccw-virtio,accel=tcg -cpu max"
        " -chardev file,id=console,path=console -device sclpconsole,chardev=console"
        " -chardev file,id=answers,path=answers -device virtio-serial-ccw -device virtserialport,chardev=answers",
        "ttysclp0", "/dev/vport0p1", "s390x-linux-musl", "bpfeb",
    ),
}  # fmt: skip


def missing_machines() -> str | None:
    """Which of qemu's programs is not there, None when all are."""
    missing = [f"{machine.qemu} is not installed" for machine in MACHINES.values() if not shutil.which(machine.qemu)]
    return "; ".join(missing) or None


# --- the plan and its answers


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the plan. A program's instructions go where guest.c looks for them."""

    text: str
    insns: bytes | None = None
    keep: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a line: `done` and 0, or the stage that failed and its errno. `text` is as guest.c says."""

    line: Line
    stage: str
    error: int
    text: tuple[str, ...]


def raw_tp(event: str, insns: bytes, keep: bool = False, variant: str = "") -> Line:
    """Loads a raw_tp program and attaches it by name. `variant` is `_writable`, `_sleepable` or nothing."""
    return Line(f"raw_tp{variant} {event}", insns, keep)


def tp_btf(event: str, image: str, type_id: int, insns: bytes, keep: bool = False, variant: str = "") -> Line:
    """Loads a tp_btf program for the typedef `btf_trace_<event>` in the BTF of `image` and attaches it."""
    return Line(f"tp_btf{variant} {event} {image} {type_id}", insns, keep)


def takes(image: str, type_id: int, insns: bytes) -> Line:
    """Loads a tp_btf program for a typedef in the BTF of `image`, and does not attach it."""
    return Line(f"takes {image} {type_id}", insns)


def tp(system: str, event: str, insns: bytes, keep: bool = False, variant: str = "") -> Line:
    """Loads a classic program and attaches it through perf_event_open(2)."""
    return Line(f"tp{variant} {system} {event}", insns, keep)


def _plan_files(lines: Sequence[Line]) -> tuple[bytes, bytes]:
    """The texts of /plan and /code."""
    plan, code = [], bytearray()
    for line in lines:
        if line.insns is None:
            plan.append(line.text)
            continue
        place = f"{len(code) // _INSN_BYTES} {len(line.insns) // _INSN_BYTES} {int(line.keep)}"
        plan.append(f"{line.text} {place}")
        code += line.insns
    return "".join(f"{line}\n" for line in plan).encode(), bytes(code) or bytes(_INSN_BYTES)


def answers_in(lines: Sequence[Line], text: str) -> Iterator[Answer]:
    """The answers in a text; fewer than lines where the machine came to a bad end."""
    told: list[str] = []
    rest = iter(lines)
    for line in text.splitlines():
        if line.startswith("| "):
            told.append(line[2:])
        elif found := re.fullmatch(r"(\w+) (\d+)", line):
            yield Answer(next(rest), found[1], int(found[2]), tuple(told))
            told = []


def write_formats(told: Iterable[str], root: Path) -> None:
    """Lay out what `formats` tells as the format files of a tracefs that is a copy."""
    text = "\n".join(told)
    for part in f"\n{text}".split("\n=== ")[1:]:
        name, _, content = part.partition("\n")
        path = root / "events" / name / "format"
        path.parent.mkdir(parents=True)
        path.write_text(f"{content}\n")


# --- modules


def module_name(path: Path) -> str:
    """The name under which the kernel has a module."""
    return path.name.partition(".")[0].replace("-", "_")


def in_loading_order(tree: Tree, wanted: Iterable[Path]) -> dict[Path, bytes]:
    """These modules and what they depend on, each behind its own, with the bytes to load."""
    paths = {module_name(path): path for path in tree.modules}
    found: dict[Path, bytes] = {}

    def add(path: Path) -> None:
        if path not in found:
            data = plain_module(path)
            for name in _depends(data):
                if name in paths:
                    add(paths[name])
            found[path] = data

    for path in wanted:
        add(path)
    return found


def _depends(module: bytes) -> list[str]:
    """The names after `depends=` in the section .modinfo."""
    stated = re.search(rb"\0depends=([\w,-]*)\0", module)
    return [name.replace("-", "_") for name in stated[1].decode().split(",") if name] if stated else []


# --- the initramfs


def _cpio(files: Mapping[str, bytes]) -> Iterator[bytes]:
    """An archive as Documentation/driver-api/early-userspace/buffer-format.rst says; directories are those of paths."""
    folders = {parent for path in files for parent in map(str, Path(path).parents) if parent != "."}
    for number, name in enumerate((*sorted(folders), *files, "TRAILER!!!"), 1):
        data = files.get(name, b"")
        mode = 0o40755 if name in folders else 0o100755
        fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
        head = b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
        yield head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4)


# Where init mounts the kernel's own filesystems.
_MOUNT_POINTS = {f"{name}/.keep": b"" for name in ("dev", "proc", "sys")}


def guest(arch: str, folder: Path) -> bytes:
    """guest.c as a static program of the architecture.

    zig makes its C library the first time, which takes most of a minute, so that is kept beside the kernels.
    """
    output = folder / f"guest-{arch}"
    kept = str(cache_dir() / "zig")
    command = (sys.executable, "-m", "ziglang", "cc", "-target", MACHINES[arch].zig_target, "-static", "-s", "-O1")
    warnings = ("-std=gnu11", "-Wall", "-Wextra", "-Werror")
    environment = os.environ | {"ZIG_GLOBAL_CACHE_DIR": kept, "ZIG_LOCAL_CACHE_DIR": kept}
    subprocess.run((*command, *warnings, str(_GUEST), "-o", str(output)), env=environment, check=True)
    return output.read_bytes()


# --- the machine


@dataclass(frozen=True, slots=True)
class Run:
    """A boot: the answers in the order of the plan, as many as came, what the kernel logged, and the time it took."""

    answers: tuple[Answer, ...]
    console: str
    seconds: float


def boot(
    tree: Tree,
    init: bytes,
    lines: Sequence[Line],
    folder: Path,
    modules: Mapping[Path, bytes],
    others: Mapping[str, bytes] | None = None,
) -> Run:
    """Boots the kernel of `tree` with these modules at hand, and waits until it has answered and is off.

    `others` are more files, by their names in the machine.
    AssertionError with the end of the console's log where lines are left without an answer.
    """
    machine = MACHINES[tree.arch]
    folder.mkdir(parents=True, exist_ok=True)
    plan, code = _plan_files(lines)
    files = {"init": init, "plan": plan, "code": code, **_MOUNT_POINTS}
    files |= {module_file(path): data for path, data in modules.items()}
    files |= others or {}
    (folder / "initramfs").write_bytes(b"".join(_cpio(files)))
    # Detaching waits for readers under RCU, thousands of times: expedited, that takes no time.
    # An emulated processor has no jitter to find: a kernel that looks for it at its start does so for minutes.
    # A busy machine lets the emulated timer wait, and a kernel that looks whether it comes in time would panic.
    append = f"console={machine.console} panic=-1 rcupdate.rcu_expedited=1 initcall_blacklist=jent_mod_init"
    append += " no_timer_check"
    append += f" answers={machine.answers}"
    command = [machine.qemu, *machine.options.split(), "-display", "none", "-nodefaults", "-no-reboot", "-m", "2G"]
    command += ["-kernel", str(tree.vmlinuz), "-initrd", "initramfs", "-append", append]
    start = time.monotonic()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_TIMEOUT_SECONDS, check=False)
    seconds = time.monotonic() - start
    (folder / "initramfs").unlink()
    console = (folder / "console").read_text(errors="replace")
    answers = tuple(answers_in(lines, (folder / "answers").read_text(errors="replace")))
    assert len(answers) == len(lines), f"{done.stderr}{len(answers)} of {len(lines)} answers\n{console[-4000:]}"
    return Run(answers, console, seconds)


def module_file(path: Path) -> str:
    """Where a module is in the machine."""
    return f"modules/{module_name(path)}.ko"


def load_modules(modules: Iterable[Path]) -> list[Line]:
    """Loads each."""
    return [Line(f"module /{module_file(path)}") for path in modules]
