"""Opening the sources of one kernel: its BTF, its tracefs, its headers, at the places that the user names."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence

from tpgen.basics.frozen import frozen
from tpgen.basics.typing import TYPE_CHECKING, NamedTuple, Protocol
from tpgen.diagnostics import Diagnostic, Severity, TpgenError, fail, unreadable
from tpgen.paths import LIVE_BTF, live_kernel_askable, live_kernel_readable, live_tracefs
from tpgen.sources.btf import Btf
from tpgen.sources.btf_encoding import BtfSections, is_split
from tpgen.sources.btf_tracepoints import TRACEPOINT_NAMES, BtfTracepoints
from tpgen.sources.files import mapped, read_bytes
from tpgen.sources.tracefs import TraceFs
from tpgen.sources.verifier import Verifier
from tpgen.target import Target, target_named

if TYPE_CHECKING:
    from tpgen.model import CType, Field, Record
    from tpgen.sources.headers.facts import HeaderFacts, HeaderReader
    from tpgen.sources.headers.trace_events.syscall_defines import SyscallDefines
    from tpgen.sources.source_tree.makefiles import Makefiles

# A vmlinux with debugging information has less than half of that.
_BIGGEST_FILE = 2 << 30
NO_CONTENTS: Mapping[str, bytes] = {}
NO_MODULES: Mapping[str, Sequence[str]] = {}
NO_BUILD_IDS: Mapping[str | None, str] = {}
NO_DEFINES: Mapping[str, str | None] = {}


class KnownClasses(Protocol):
    """The events of other kernels, for what this one's sources leave open."""

    def of(self, name: str, module: str | None, possible: Collection[str]) -> str | None:
        """Return which of the `possible` classes the event is of; None where that is unknown."""

    def system_of(self, name: str, module: str | None) -> str | None:
        """Return the event's system; None where that is unknown."""

    def element(self, classes: Iterable[str], record: Record, field: Field) -> CType | None:
        """Return the type of a dynamic field's elements in any of these classes; None where that is unknown."""


class SourceTree(NamedTuple):
    """A tree of headers and sources, as far as it is read.

    `roots` are the trees, directories and headers that were given. Headers at or below `drivers` are in no tree of the
    kernel: the events in them come with their driver. `makefiles` define names for the modules' files.
    `null_args` is the verifier's table of arguments that may be NULL, None where the tree lacks it. `syscalls` are the
    system calls that its C files define, None where these are not read.
    """

    headers: HeaderReader
    makefiles: Makefiles | None = None
    null_args: Mapping[str, int] | None = None
    syscalls: SyscallDefines | None = None
    drivers: tuple[str, ...] = ()
    roots: tuple[str, ...] = ()

    def looked_at(self, target: Target) -> str:
        """Say how many headers were looked at for events."""
        from tpgen.sources.source_tree.listing import is_directory, list_headers

        counts = (len(list_headers(root, target.arch).paths) if is_directory(root) else 1 for root in self.roots)
        return _counted(sum(counts), "header")

    def is_of_driver(self, path: str) -> bool:
        """Whether a header is a driver's."""
        return any(path == root or path.startswith(os.path.join(root, "")) for root in self.drivers)


def _counted(number: int, thing: str) -> str:
    return f"{number} {thing}{'s' * (number != 1)}"


@frozen
class Sources:
    """The opened sources of one kernel; what it lacks is empty or None.

    `label` names it in messages, `release` is its uname -r where that is known. `notes` report what could not be read
    and why that matters. `known_classes` help where there are no headers. `modules_without_btf` has the
    tracepoints of modules that have no BTF, by module. `verifier` is the running kernel's. `build_ids` are the GNU
    build ids of the image, which is None, and of modules, in hex, where something else than `btfs` shows them.
    """

    label: str
    target: Target
    release: str | None = None
    btfs: tuple[BtfTracepoints, ...] = ()
    tracefs: TraceFs | None = None
    tree: SourceTree | None = None
    notes: tuple[Diagnostic, ...] = ()
    known_classes: KnownClasses | None = None
    modules_without_btf: Mapping[str, Sequence[str]] = NO_MODULES
    verifier: Verifier | None = None
    build_ids: Mapping[str | None, str] = NO_BUILD_IDS

    @property
    def headers(self) -> HeaderFacts | None:
        """The facts of the trace headers, with types as they are written."""
        return self.tree.headers.facts if self.tree else None

    def looked_at(self) -> str:
        """Say how many files of each sort were looked at for events."""
        btfs = f"{len(self.btfs)} {'file' if len(self.btfs) == 1 else 'files'} with BTF" if self.btfs else None
        formats = _counted(len(self.tracefs.events()), "format file") if self.tracefs else None
        return ", ".join(filter(None, (btfs, formats, self.tree.looked_at(self.target) if self.tree else None)))


class HeaderOptions(NamedTuple):
    """The options of trace headers: where they lie, and what decides their `#if`.

    Of several `paths` the first that defines an event counts. All of them are searched for what others include.
    `config` is the kernel's .config or autoconf.h. `defines` have the text of a macro, or None for one that is not
    defined. `release` is that of the kernel, where it is not the one of the tree. With `use_cache` what a directory
    of headers states may come from the user's cache, and is kept there.
    """

    paths: tuple[str, ...] = ()
    config: str | None = None
    defines: Mapping[str, str | None] = NO_DEFINES
    release: str | None = None
    use_cache: bool = True


def open_live(headers: HeaderOptions | None = None, known_classes: KnownClasses | None = None) -> Sources:
    """Open the running kernel: vmlinux and every module with BTF, and tracefs where this user may read it.

    Without headers, `known_classes` tell which of several classes an event is of.

    A kernel without BTF is opened with what tracefs has. Raises `TpgenError` if there is neither.
    """
    uname = os.uname()
    btfs, notes = _open_live_btf(uname.machine)
    target = btfs[0].target if btfs else target_named(uname.machine)
    tracefs, missing = _open_live_tracefs(target)
    notes += missing
    tree = _open_tree(headers or HeaderOptions(), target, kernel_release=uname.release, with_types=not btfs)
    known = known_classes if tree is None else None
    return Sources("the running kernel", target, uname.release, btfs, tracefs, tree, notes, known, verifier=Verifier())


def open_files(
    btf: Sequence[str] = (),
    tracefs: str | None = None,
    headers: HeaderOptions | None = None,
    arch: str | None = None,
    contents: Mapping[str, bytes] = NO_CONTENTS,
    syscalls: bool = False,
    known_classes: KnownClasses | None = None,
) -> Sources:
    """Open a kernel from files: BTF in any form that `images` reads, a copy of tracefs, a tree of headers.

    `arch` names the target where BTF does not show it; without either it is this machine's. `contents` are those of
    files for BTF and configuration that are not on disk under their names. With `syscalls` the C files beside the
    headers are read for the system calls that they define, which takes seconds. `known_classes` tell of BTF alone what
    other sources would.
    """
    without_btf: dict[str, Sequence[str]] = {}
    btfs = _open_btf(btf, arch, contents, without_btf=without_btf)
    if arch is not None:
        target = target_named(arch)
        if btfs and (target.pointer_size, target.big_endian) != (
            btfs[0].target.pointer_size,
            btfs[0].target.big_endian,
        ):
            raise fail("arch-mismatch", f"this BTF is not for {arch}: byte order or pointer size differ", btf[0])
    else:
        target = btfs[0].target if btfs else target_named(os.uname().machine)
    headers = headers or HeaderOptions()
    opened = TraceFs(tracefs, target) if tracefs else None
    images = (*btf[:1], f"{len(btf) - 1} more") if len(btf) > 2 else btf
    label = ", ".join(filter(None, (*images, tracefs, *headers.paths)))
    tree = _open_tree(headers, target, contents, syscalls, with_types=not btfs)
    known = known_classes if tree is None and opened is None else None
    return Sources(label, target, headers.release, btfs, opened, tree, (), known, without_btf)


def open_headers(headers: HeaderOptions, target: Target, label: str, release: str | None) -> Sources:
    """Open the headers of drivers for a kernel of that release. Raises `TpgenError`."""
    return Sources(label, target, release, tree=_open_tree(headers, target, kernel_release=release))


def _open_live_btf(arch: str) -> tuple[tuple[BtfTracepoints, ...], tuple[Diagnostic, ...]]:
    """Open the BTF of the running kernel. If it has none, but tracefs can be read, return the reason."""
    if live_kernel_readable() or not live_kernel_askable():
        return _open_btf(_live_btf_paths(), arch, one_kernel=True), ()
    message = "the running kernel has no BTF: raw arguments are unknown, and records are known from tracefs"
    return (), (Diagnostic("btf-missing", message, hint="--headers adds its sources", severity=Severity.NOTE),)


def open_modules_btf(modules: Collection[str | None]) -> Mapping[str | None, BtfTracepoints]:
    """Open the running kernel's BTF of these modules alone, and of vmlinux, which is None. Raises `TpgenError`."""
    paths = [os.path.join(LIVE_BTF, name) for name in ("vmlinux", *sorted(filter(None, modules)))]
    return {btf.module: btf for btf in _open_btf(paths, os.uname().machine, one_kernel=True)}


def _live_btf_paths() -> list[str]:
    """vmlinux first, then the modules in a stable order."""
    try:
        modules = sorted(set(os.listdir(LIVE_BTF)) - {"vmlinux"})
    except OSError as error:
        raise unreadable(LIVE_BTF, error, "this kernel has no BTF; give --btf, --tracefs or --headers") from None
    return [os.path.join(LIVE_BTF, name) for name in ("vmlinux", *modules)]


def _open_live_tracefs(target: Target) -> tuple[TraceFs | None, tuple[Diagnostic, ...]]:
    path = live_tracefs()
    if path is None:
        hint = "as root: mount -t tracefs tracefs /sys/kernel/tracing"
        note = Diagnostic("tracefs-missing", "tracefs is not mounted", hint=hint, severity=Severity.NOTE)
        return None, (note,)
    if not os.access(path, os.R_OK | os.X_OK):
        message = "tracefs is readable for root only; systems and dynamic fields' types are those that catalogs know"
        return None, (Diagnostic("tracefs-unreadable", message, severity=Severity.NOTE),)
    return TraceFs(path, target), ()


def _open_tree(
    given: HeaderOptions,
    target: Target,
    contents: Mapping[str, bytes] = NO_CONTENTS,
    with_syscalls: bool = False,
    kernel_release: str | None = None,
    with_types: bool = False,
) -> SourceTree | None:
    """Open the trees of headers; a tree of no kernel is compiled for the one of another, or of `kernel_release`.

    With `with_types` only the headers define types.
    """
    if not given.paths:
        return None
    from tpgen.sources.headers.read import Headers
    from tpgen.sources.source_tree.makefiles import Makefiles
    from tpgen.sources.source_tree.null_args import read_null_args
    from tpgen.sources.source_tree.release import find_release, find_version_code, is_kernel_tree

    config = _config(given.config, contents)
    releases = [find_release(path) for path in given.paths]
    defines = given.defines
    if given.release is None:
        code = next(filter(None, map(find_version_code, given.paths)), None)
        defines = {"LINUX_VERSION_CODE": str(code), **defines} if code else defines
    of_kernel = given.release or next(filter(None, releases), kernel_release)
    trees = [
        Headers(
            path, target, config, use_cache=given.use_cache, release=given.release or own or of_kernel,
            defines=defines, around=[other for other in given.paths if other != path], with_types=with_types,
        )
        for path, own in zip(given.paths, releases, strict=True)
    ]  # fmt: skip
    syscalls = None
    if with_syscalls:
        from tpgen.sources.headers.trace_events.syscall_defines import read_syscall_defines

        found = [read_syscall_defines(path, target, config) for path in given.paths]
        syscalls = next((defines for defines in found if defines.calls), found[0])
    null_args = next((table for path in given.paths if (table := read_null_args(path)) is not None), None)
    drivers = tuple(path for path in given.paths if not is_kernel_tree(path))
    return SourceTree(_joined(trees), Makefiles(*given.paths), null_args, syscalls, drivers, tuple(given.paths))


def _joined(trees: Sequence[HeaderReader]) -> HeaderReader:
    if len(trees) == 1:
        return trees[0]
    from tpgen.sources.headers.joined import JoinedHeaders

    return JoinedHeaders(trees)


def _config(path: str | None, contents: Mapping[str, bytes]) -> dict[str, str] | None:
    from tpgen.sources.source_tree.config import parse_config

    return None if path is None else parse_config(_read(path, contents).decode("utf-8", "replace"))


# --- BTF


def _open_btf(
    paths: Sequence[str],
    arch: str | None,
    contents: Mapping[str, bytes] = NO_CONTENTS,
    one_kernel: bool = False,
    without_btf: dict[str, Sequence[str]] | None = None,
) -> tuple[BtfTracepoints, ...]:
    """Open the BTF of all `paths`: those that stand alone first, then the split ones on their base.

    With `one_kernel` all are known to be of one kernel. `without_btf` takes the tracepoints of modules without BTF.
    """
    opening = ((path, _sections(path, contents, without_btf)) for path in paths)
    blobs = [(path, sections) for path, sections in opening if sections is not None]
    arch = arch or next((sections.arch for _, sections in blobs if sections.arch), None)
    alone: list[tuple[str, BtfSections]] = []
    split: list[tuple[str, BtfSections]] = []
    for path, sections in blobs:
        (split if is_split(sections.btf, path) else alone).append((path, sections))
    if len(alone) > 1:
        raise fail(
            "btf-two-kernels", f"this and {alone[0][0]} are both the BTF of a kernel", alone[1][0], "give one of them"
        )
    opened = [
        BtfTracepoints(Btf(found.btf, path, names=TRACEPOINT_NAMES, arch=arch), build_id=found.build_id)
        for path, found in alone
    ]
    for path, sections in split:
        from tpgen.sources.images import module_name

        if sections.base is not None:  # an out-of-tree module carries the part of the base that it needs
            base = Btf(sections.base, path, names=TRACEPOINT_NAMES, arch=arch)
        elif alone:
            base = opened[0].btf
        else:
            hint = "give the kernel's own BTF as well: --btf vmlinux --btf MODULE"
            raise fail("btf-no-base", "this is the BTF of a module, and the BTF of its kernel is missing", path, hint)
        btf = Btf(sections.btf, path, base, TRACEPOINT_NAMES)
        if not (one_kernel or btf.names_fit_base()):
            hint = "give the BTF of the kernel that the module was built for"
            raise fail("btf-wrong-base", f"the BTF of this module was not made for that in {base.path}", path, hint)
        opened.append(BtfTracepoints(btf, module_name(path), sections.build_id))
    return tuple(opened)


def _sections(
    path: str, contents: Mapping[str, bytes], without_btf: dict[str, Sequence[str]] | None
) -> BtfSections | None:
    """Return the BTF in a file; None for a module without, of which `without_btf` takes the tracepoints' names."""
    if path == os.path.join(LIVE_BTF, "vmlinux") and (memory := mapped(path)) is not None:
        return BtfSections(memory)
    from tpgen.sources.images import btf_sections, module_name, module_tracepoints

    data = _read(path, contents)
    try:
        return btf_sections(data, path)
    except TpgenError as error:
        if without_btf is None or error.diagnostics[0].code != "image-no-btf":
            raise
        if not (tracepoints := module_tracepoints(data, path)):
            raise
        without_btf[module_name(path)] = tracepoints
        return None


def _read(path: str, contents: Mapping[str, bytes]) -> bytes:
    return contents[path] if path in contents else read_bytes(path, _BIGGEST_FILE)
