"""Identity of the running kernel, as this process sees it: a key of everything that is cached of it.

It consists of the build ids of the image and of the modules, and of everything else that decides which events there are
and what can be known of them: the loaded modules, whether this user may read tracefs and load programs, the dynamic
events (probes and synthetic events) that somebody made there, and the catalogs that could have an event's class.
"""

from __future__ import annotations

import os
import sys

from tpgen.cache.fingerprint import path_stamp
from tpgen.kernel.options import split_catalog
from tpgen.paths import LIVE_BTF, catalog_files, live_kernel_readable, live_tracefs, user_catalogs

TYPE_CHECKING = False  # as in typing, whose import is not worth it
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Literal

_NOTES, _MODULES = "/sys/kernel/notes", "/proc/modules"
_MODULE_NOTE = "/sys/module/%s/notes/.note.gnu.build-id"
_NT_GNU_BUILD_ID = 3
# CAP_SYS_ADMIN, or since Linux 5.8 CAP_PERFMON with CAP_BPF.
_MAY_LOAD = (1 << 21, 1 << 38 | 1 << 39)


def current() -> str | None:
    """The identity as one string; None when a build id is missing, so that two kernels could share it.

    Takes a fraction of what it takes to read the kernel's BTF, which it stands for.
    """
    image = build_id()
    modules = _modules()
    if image is None or modules is None or not live_kernel_readable():
        return None
    about = os.uname()
    facts = (*modules, *_tracefs(), *_catalogs(), f"may load: {may_load_bpf()}")
    return "\n".join((image, about.release, about.version, about.machine, *facts))


def of(names: Sequence[str]) -> str | None:
    """The identity of the kernels that have these names, as for `--kernel`; of the running one where there are none.

    None where one of them could be another without a sign of it. Which catalogs there are, and the machine, decide what
    a name means; the shipped ones are part of the installation.
    """
    if not names:
        return current()
    live = current() if "live" in names else ""
    if live is None:
        return None
    files = [path_stamp(path) for name in names if os.path.exists(path := split_catalog(name)[0])]
    return "\n".join((live, os.uname().machine, *files, *_catalogs()))


def may_load_bpf() -> bool:
    """Whether this process has the capabilities to load programs for tracing. The kernel may still refuse."""
    status = _read("/proc/self/status") or b""
    capabilities = int(status.partition(b"\nCapEff:")[2].split(None, 1)[0] or b"0", 16) if b"\nCapEff:" in status else 0
    return any(capabilities & needed == needed for needed in _MAY_LOAD)


def build_id() -> str | None:
    """The GNU build id of the running kernel in hex; None where it has none or shows none."""
    return build_id_in(_read(_NOTES) or b"", sys.byteorder)


def build_ids() -> dict[str | None, str]:
    """The GNU build ids in hex of the running kernel, which is None, and of its modules with BTF, where they show."""
    try:
        modules = [name for name in os.listdir(LIVE_BTF) if name != "vmlinux"]
    except OSError:
        modules = []
    found: dict[str | None, str | None] = {None: build_id()}
    found.update((name, _module_build_id(name)) for name in modules)
    return {name: known for name, known in found.items() if known is not None}


def _module_build_id(name: str) -> str | None:
    return build_id_in(_read(_MODULE_NOTE % name) or b"", sys.byteorder)


def build_id_in(notes: bytes, order: Literal["little", "big"]) -> str | None:
    """The build id among ELF notes: each is three words, then a name and a text, both padded to whole words."""
    at = 0
    while at + 12 <= len(notes):
        name_size, size, kind = (int.from_bytes(notes[at + i : at + i + 4], order) for i in (0, 4, 8))
        start = at + 12 + name_size + -name_size % 4
        if kind == _NT_GNU_BUILD_ID and notes[at + 12 : at + 15] == b"GNU":
            return notes[start : start + size].hex() or None if start + size <= len(notes) else None
        at = start + size + -size % 4
    return None


def _modules() -> list[str] | None:
    """The loaded modules, each with its size, its build id and its taint; None where one with BTF has no build id.

    A module that taints the kernel in some ways gets no trace events. Of the file's columns the others vary from read
    to read.
    """
    listed = (_read(_MODULES) or b"").decode("ascii", "replace").splitlines()  # a kernel without modules has no file
    try:
        with_btf = set(os.listdir(LIVE_BTF))
    except OSError:
        return None
    found, seen = [], {"vmlinux"}
    for line in sorted(listed):
        name, size, *rest = line.split()
        known = _module_build_id(name)
        if known is None and name in with_btf:
            return None
        taint = rest[-1] if rest and rest[-1].startswith("(") else ""
        found.append(f"{name} {size} {known} {taint}")
        seen.add(name)
    # Where the file cannot be read, the build ids of those with BTF are all there is.
    for name in sorted(with_btf - seen):
        if (known := _module_build_id(name)) is None:
            return None
        found.append(f"{name} {known}")
    return [*found, *sorted(with_btf)]


def _tracefs() -> list[str]:
    """The mount point of tracefs, whether this user may read it, and the dynamic events in it."""
    path = live_tracefs()
    if path is None or not os.access(path, os.R_OK | os.X_OK):
        return [f"{path}: unread"]
    # Since Linux 5448d44c3855 ("tracing: Add unified dynamic event framework") (in v5.0) one file has them all.
    made = _read(os.path.join(path, "dynamic_events"))
    if made is None:
        made = b"".join(_read(os.path.join(path, name)) or b"" for name in ("kprobe_events", "uprobe_events"))
    return [path, str(os.stat(path).st_dev), made.decode("utf-8", "backslashreplace")]


def _catalogs() -> list[str]:
    """The stamps of the user's catalogs. Those that travel with tpgen are part of the installation."""
    return [path_stamp(path) for path in catalog_files(user_catalogs())]


def _read(path: str) -> bytes | None:
    """The content of a file that the kernel makes, which may come in pieces; None where it cannot be read."""
    try:
        with open(path, "rb", buffering=0) as file:
            chunks = []
            while chunk := file.read(1 << 16):
                chunks.append(chunk)
    except OSError:
        return None
    return b"".join(chunks)
