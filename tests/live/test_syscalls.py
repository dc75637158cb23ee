"""System calls through sys_enter and sys_exit: arguments by name, as the process that made the calls knows them."""

from __future__ import annotations

import errno
import os
import struct
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.compilers import Compiler
from support.headers import write_header
from support.libbpf import BpfObject
from support.workload import Child

pytestmark = [
    pytest.mark.live,
    pytest.mark.compilers,
    pytest.mark.usefixtures("tracefs"),
    pytest.mark.skipif(os.uname().machine != "x86_64", reason="the calls are written for x86-64"),
]

# Linux ABI of x86-64: openat is 257, mmap is 9. Number 257 of the 32-bit ABI is remap_file_pages, which fails here.
OPENAT, MMAP = 257, 9
AT_FDCWD = -100
DIRTY = 0xDEAD_BEEF_0000_0000
# int 0x80 in a process of 64 bits is a call of the 32-bit ABI. The C ABI wants rbx back.
COMPAT_CALL = bytes.fromhex("53 b801010000 31db 31c9 31d2 31f6 31ff cd80 5b c3")

WORKLOAD = """
import ctypes, mmap, os, sys
call = ctypes.CDLL(None).syscall
call.restype = ctypes.c_long
call.argtypes = [ctypes.c_ulong] * 7
path, code = sys.argv[1].encode(), bytes.fromhex(sys.argv[2])
there, missing = ctypes.create_string_buffer(path), ctypes.create_string_buffer(path + b"-not")
here = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
here.write(code)
compat = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(here)))
address = ctypes.addressof
dirty = int(sys.argv[3])
os.write(1, b"ready\\n")
os.read(0, 16)
call(257, -100 & (1 << 64) - 1, address(there), 0o2000000, 0, 0, 0)
call(257, dirty | 0xFFFFFF9C, address(missing), dirty | 0o2, dirty | 0xABCD0000 | 0o640, 0, 0)
call(9, 0x700000001000, 0x3000, 1, 0x22, -1 & (1 << 64) - 1, 0x7000)
if code:
    compat()
os.write(1, b"done\\n")
os.read(0, 16)
"""

SOURCE = """
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include "raw_sys_enter.h"
#include "raw_sys_enter_openat.h"
#include "raw_sys_exit_openat.h"
#include "raw_sys_enter_mmap.h"

#define ROOM 8

struct open {
	long dfd, flags, mode;
	char path[128];
};

struct {
	unsigned long opens, exits, maps, numbers;
	struct open open[ROOM];
	long ret[ROOM];
	unsigned long map[6];
} seen;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, int);
	__type(value, int);
} watched SEC(".maps");

static __always_inline int is_watched(void)
{
	int pid = bpf_get_current_pid_tgid() >> 32;

	return bpf_map_lookup_elem(&watched, &pid) != 0;
}

SEC(KIND_SEC_sys_enter_openat)
int on_openat(void *ctx)
{
	struct open *open;

	if (!is_watched())
		return 0;
	/* What the number alone would say. */
	seen.numbers += raw_sys_enter_id(ctx) == 257;
	if (!raw_sys_enter_openat_matches(ctx))
		return 0;
	open = &seen.open[seen.opens++ & (ROOM - 1)];
	open->dfd = raw_sys_enter_openat_dfd(ctx);
	open->flags = raw_sys_enter_openat_flags(ctx);
	open->mode = raw_sys_enter_openat_mode(ctx);
	bpf_probe_read_user_str(open->path, sizeof(open->path), raw_sys_enter_openat_filename(ctx));
	return 0;
}

SEC(KIND_SEC_sys_exit_openat)
int on_openat_exit(void *ctx)
{
	if (is_watched() && raw_sys_exit_openat_matches(ctx))
		seen.ret[seen.exits++ & (ROOM - 1)] = raw_sys_exit_openat_ret(ctx);
	return 0;
}

SEC(KIND_SEC_sys_enter_mmap)
int on_mmap(void *ctx)
{
	if (!is_watched() || !raw_sys_enter_mmap_matches(ctx) || raw_sys_enter_mmap_addr(ctx) != 0x700000001000)
		return 0;
	seen.maps++;
	seen.map[0] = raw_sys_enter_mmap_addr(ctx);
	seen.map[1] = raw_sys_enter_mmap_len(ctx);
	seen.map[2] = raw_sys_enter_mmap_prot(ctx);
	seen.map[3] = raw_sys_enter_mmap_flags(ctx);
	seen.map[4] = raw_sys_enter_mmap_fd(ctx);
	seen.map[5] = raw_sys_enter_mmap_off(ctx);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
"""
PROGRAMS = ("on_openat", "on_openat_exit", "on_mmap")
COUNTS, OPEN, EXITS, MAP = struct.Struct("@4Q"), struct.Struct("@3q128s"), struct.Struct("@8q"), struct.Struct("@6Q")
ROOM = 8


@dataclass(frozen=True, slots=True)
class Seen:
    """What the programs saw of one process: (dfd, flags, mode, path) of each openat, its result, and mmap's arguments.

    `numbers` counts the calls whose number was openat's.
    """

    opens: tuple[tuple[int, int, int, str], ...]
    results: tuple[int, ...]
    maps: int
    map: tuple[int, ...]
    numbers: int


def unpack(section: bytes) -> Seen:
    opens, exits, maps, numbers = COUNTS.unpack_from(section)
    assert max(opens, exits) <= ROOM
    at = COUNTS.size
    shown = [OPEN.unpack_from(section, at + index * OPEN.size) for index in range(opens)]
    at += ROOM * OPEN.size
    named = tuple((dfd, flags, mode, os.fsdecode(path.split(b"\0")[0])) for dfd, flags, mode, path in shown)
    map_at = at + EXITS.size
    return Seen(named, EXITS.unpack_from(section, at)[:exits], maps, MAP.unpack_from(section, map_at), numbers)


def compat_calls() -> bool:
    """Whether this kernel has the 32-bit ABI: where it has not, int 0x80 kills."""
    with Path("/proc/kallsyms").open() as symbols:
        return any(" do_int80_emulation" in line or " entry_INT80_compat" in line for line in symbols)


@dataclass(frozen=True, slots=True)
class Calls:
    """What was seen of a process, the file that it opened, and whether it made a call of the 32-bit ABI as well."""

    seen: Seen
    path: Path
    compat: bool


@pytest.fixture(scope="module", params=["RAW", "BTF"])
def calls(
    request: pytest.FixtureRequest,
    compiler: Compiler,
    vmlinux_include: Path,
    libbpf_include: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Calls:
    """The calls of one process, watched by programs of one kind, raw_tp or tp_btf, from one compiler."""
    folder = tmp_path_factory.mktemp("syscalls")
    for event in ("sys_enter", "sys_enter_openat", "sys_exit_openat", "sys_enter_mmap"):
        write_header(folder, event, "raw")
    source = SOURCE.replace("KIND", request.param)
    obj = compiler.compile(source, folder / "calls.o", include=[folder], system=(vmlinux_include, libbpf_include))
    path, compat = folder / "file", compat_calls()
    path.touch()
    child = Child(WORKLOAD, [str(path), COMPAT_CALL.hex() if compat else "", str(DIRTY)])
    try:
        child.await_line("ready")
        with BpfObject(obj) as bpf:
            bpf.map("watched").update(struct.pack("@i", child.pid), struct.pack("@i", 1))
            for program in PROGRAMS:
                bpf.attach(program)
            child.go()
            child.await_line("done")
            bpf.detach()
            return Calls(unpack(bpf.section()), path, compat)
    finally:
        child.close()


def test_arguments(calls: Calls) -> None:
    """By name, each with the sign and the width of its declared type: what lies above is not the argument's."""
    missing = f"{calls.path}-not"
    assert calls.seen.opens == ((AT_FDCWD, os.O_CLOEXEC, 0, str(calls.path)), (AT_FDCWD, os.O_RDWR, 0o640, missing))


def test_results(calls: Calls) -> None:
    """The result is that of the same calls: a descriptor, and an error as a negative number."""
    opened, refused = calls.seen.results
    assert opened > 2
    assert refused == -errno.ENOENT


def test_six_arguments(calls: Calls) -> None:
    """mmap fills all six registers; an fd of -1 is an unsigned long in its declaration."""
    assert calls.seen.maps == 1
    assert calls.seen.map == (0x7000_0000_1000, 0x3000, 1, 0x22, (1 << 64) - 1, 0x7000)


def test_other_abi(calls: Calls) -> None:
    """A 32-bit call of openat's number is none of openat's, and would have passed for one by its number."""
    if not calls.compat:
        pytest.skip("this kernel has no 32-bit system calls")
    assert calls.seen.numbers == 3
    assert len(calls.seen.opens) == len(calls.seen.results) == 2
