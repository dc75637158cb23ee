"""Evidence that a kernel supports raw tracepoints (BPF_PROG_TYPE_RAW_TRACEPOINT), or does not.

The strongest evidence comes first. On the running kernel, a program of two instructions is loaded and opened; nothing
is attached. Otherwise BTF or a symbol is evidence. A missing one proves nothing: BTF can be stripped, a System.map can
be a stub. A release is only a hint, since vendors backport. No event is resolved.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterable, Iterator

from tpgen.basics.frozen import frozen
from tpgen.diagnostics import unreadable
from tpgen.kernel.events import KernelEvents
from tpgen.sources.bpf_call import PROG_LOAD, RAW_TRACEPOINT_OPEN, bpf, u32, u64
from tpgen.sources.btf_tracepoints import BtfTracepoints

LIVE_SYMBOLS = "/proc/kallsyms"


@frozen
class Evidence:
    """A single piece of evidence. `supported` is None if it does not decide."""

    what: str
    supported: bool | None


def answer(evidence: Iterable[Evidence]) -> bool | None:
    """Whether raw tracepoints are supported; None if nothing decides."""
    return next((item.supported for item in evidence if item.supported is not None), None)


# --- live

_BPF_PROG_TYPE_RAW_TRACEPOINT = 17
# r0 = 0; exit. Both are the same in either byte order: their only set bits are in the opcode.
_TWO_INSTRUCTIONS = bytes.fromhex("b7000000000000009500000000000000")


def loading() -> Evidence:
    """Load a program, and open it on a tracepoint that does not exist: a kernel that knows how says ENOENT."""
    program = _load()
    if isinstance(program, OSError):
        known = {errno.EINVAL: False}.get(program.errno or 0)
        return Evidence(f"loading a two-instruction raw tracepoint program: {program.strerror}", known)
    try:
        error = _open(program)
    finally:
        os.close(program)
    supported = error.errno == errno.ENOENT
    what = "a two-instruction raw tracepoint program loads"
    if supported:
        return Evidence(f"{what}, and the kernel looks for a tracepoint to open it on", True)
    return Evidence(f"{what}, opening it: {error.strerror}", False if error.errno == errno.EINVAL else None)


def _load() -> int | OSError:
    import ctypes

    code = ctypes.create_string_buffer(_TWO_INSTRUCTIONS, len(_TWO_INSTRUCTIONS))
    licence = ctypes.create_string_buffer(b"GPL")
    # union bpf_attr for BPF_PROG_LOAD: prog_type, insn_cnt, insns, license, and nothing else of it.
    attributes = (
        u32(_BPF_PROG_TYPE_RAW_TRACEPOINT) + u32(len(_TWO_INSTRUCTIONS) // 8)
        + u64(ctypes.addressof(code)) + u64(ctypes.addressof(licence))
    )  # fmt: skip
    return bpf(PROG_LOAD, attributes.ljust(64, b"\0"))


def _open(program: int) -> OSError:
    import ctypes

    name = ctypes.create_string_buffer(b"tpgen_no_such_tracepoint")
    opened = bpf(RAW_TRACEPOINT_OPEN, u64(ctypes.addressof(name)) + u32(program).ljust(8, b"\0"))
    if isinstance(opened, OSError):
        return opened
    os.close(opened)
    return OSError(0, "a tracepoint that does not exist was opened")


# --- offline


def btf(tracepoints: BtfTracepoints) -> Iterator[Evidence]:
    """Evidence from the kernel's own BTF."""
    return (Evidence(*looked_at) for looked_at in tracepoints.raw_evidence())


def of_kernel(kernel: KernelEvents) -> tuple[Evidence, ...]:
    """Evidence from a kernel's own data: its BTF or its catalog, and its release."""
    evidence = [Evidence(*looked_at) for looked_at in kernel.raw_evidence()]
    return (*evidence, release(kernel.release)) if kernel.release is not None else tuple(evidence)


def catalog(kernel: KernelEvents) -> Evidence:
    """Evidence from a catalog."""
    (looked_at,) = kernel.raw_evidence()
    return Evidence(*looked_at)


# Since Linux c4f6699dfcb8 ("bpf: introduce BPF_RAW_TRACEPOINT") (in v4.17); `find` became `get` in v4.20.
_SYMBOL = re.compile(rb"^[0-9a-f]+ \w (bpf_(?:get|find)_raw_tracepoint|__bpf_trace_\w+)\b", re.MULTILINE)


def symbols(path: str) -> Evidence:
    """Evidence from a System.map, or from kallsyms. Raises `unreadable`."""
    try:
        with open(path, "rb") as file:
            found = _SYMBOL.search(file.read())
    except OSError as error:
        raise unreadable(path, error) from None
    if found:
        return Evidence(f"{path} has {found[1].decode()}", True)
    return Evidence(f"{path} has no bpf_get_raw_tracepoint, which proves nothing", None)


def release(known: str) -> Evidence:
    """Evidence from the version, which never decides."""
    version = re.match(r"(\d+)\.(\d+)", known)
    newer = version is not None and (int(version[1]), int(version[2])) >= (4, 17)
    return Evidence(f"release {known} is {'4.17 or newer' if newer else 'older than 4.17'}: a hint", None)
