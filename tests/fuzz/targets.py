"""The fuzz targets: each takes the bytes of one input and a directory of its own, and raises where it finds a fault.

Most inputs go to the reader alone, a few through the whole command line: `judges.every` picks them by their bytes, so
that an input is judged alike each time.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from fuzz.judges import command, described, every, refused
from support.small_kernel import small_btf

from tpgen.building import config, manifest
from tpgen.catalog.collection.merge import merge
from tpgen.catalog.read import Catalog
from tpgen.diagnostics import TpgenError
from tpgen.doctor.judge import Judge
from tpgen.doctor.kernels import KnownKernel
from tpgen.kernel.request import KernelRequest
from tpgen.opening import open_checked
from tpgen.sources.bpf_object.read import read_objects
from tpgen.sources.btf import Btf
from tpgen.sources.btf_tracepoints import TRACEPOINT_NAMES, BtfTracepoints
from tpgen.sources.cdecl import BadDeclaration, parse_declarations
from tpgen.sources.formats import BadFormat, parse_formats
from tpgen.sources.headers.read import read_text
from tpgen.sources.images import btf_sections, module_tracepoints
from tpgen.sources.packages import read_packages
from tpgen.spelling import spell
from tpgen.target import target_named

_BTF = small_btf().blob()
_ARCHES = ("x86_64", "s390x", "arm")
_TARGETS = tuple(map(target_named, _ARCHES))


@contextlib.contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except TpgenError as error:
        refused(*error.diagnostics)


def _file(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def btf(data: bytes, folder: Path) -> None:
    """A blob of BTF, asked everything that a kernel's is."""
    with _refusals():
        tracepoints = BtfTracepoints(Btf(data, "vmlinux", names=TRACEPOINT_NAMES))
        with _refusals():
            tracepoints.btf.validate()
        for event in tracepoints.events:
            for ask in (tracepoints.raw, tracepoints.classes_like):
                with _refusals():
                    ask(event)
        for each in tracepoints.classes:
            with _refusals():
                tracepoints.record(each)
        for number in tracepoints.btf.own_ids():
            for question in (tracepoints.btf.ctype, tracepoints.btf.size, tracepoints.btf.align):
                with _refusals():
                    question(number)
        tracepoints.btf.enumerator("BPF_PROG_TYPE_RAW_TRACEPOINT")
        tracepoints.btf.names_fit_base()
    if every(500, data):
        described("--btf", _file(folder, "vmlinux.btf", data), "--arch", "x86_64")


def images(data: bytes, folder: Path) -> None:
    """ELF files, modules and compressed kernel images."""
    with _refusals():
        Btf(btf_sections(data, "vmlinuz").btf, "vmlinuz")
    with _refusals():
        for name in module_tracepoints(data, "vmlinuz"):
            assert name.replace("_", "a").isalnum(), name
    if every(500, data):
        described("--btf", _file(folder, "vmlinuz", data))


@cache
def _kernels() -> tuple[KnownKernel, KnownKernel]:
    """The small kernel, and what a catalog would know of it."""
    with tempfile.TemporaryDirectory() as folder:
        path = _file(Path(folder), "vmlinux.btf", _BTF)
        events = open_checked(KernelRequest(btf=(str(path),), arch="x86_64"))
        return KnownKernel.of("small", events), KnownKernel("stored", events)


def objects(data: bytes, folder: Path) -> None:
    """A BPF object, or a file with some inside, whose programs are judged."""
    with _refusals():
        for obj in read_objects(data, "object.o"):
            judge = Judge(obj)
            for kernel in _kernels():
                with _refusals():
                    for judgement in judge.judgements(kernel, obj.programs, {}):
                        assert all(finding.message for finding in judgement.findings)
    if every(200, data):
        kernel_file = _file(folder, "vmlinux.btf", _BTF)
        words = ("doctor", _file(folder, "object.o", data), "--btf", kernel_file, "--arch", "x86_64")
        for more in ((), ("--json",), ("--annotate", "sarif")):
            command(*words, *more)


def formats(data: bytes, folder: Path) -> None:
    """Format files, and now and then a tracefs that holds one for each NUL-terminated piece."""
    texts = [("system", f"{number}/format", text) for number, text in enumerate(_pieces(data))]
    arch = _ARCHES[len(data) % len(_ARCHES)]
    for found in parse_formats(texts, target_named(arch)):
        if isinstance(found, BadFormat):
            refused(found.reason)
        else:
            refused(*found.faults)
            assert all(field.size_bytes is None or field.size_bytes >= 0 for field in found.fields)
    if every(500, data):
        for number, (_, _, text) in enumerate(texts[:8]):
            name = text.partition("\n")[0].removeprefix("name: ")
            name = name if name.isidentifier() and len(name) < 100 else f"event_{number}"
            _file(folder, f"tracefs/events/system/{name}/format", text.encode())
        described("--tracefs", folder / "tracefs", "--arch", arch)


def _pieces(data: bytes) -> list[str]:
    return data.decode("utf-8", "replace").split("\0")[:50]


def headers(data: bytes, folder: Path) -> None:
    """One trace header."""
    text = data.decode("utf-8", "replace")
    with _refusals():
        facts = read_text(text, _TARGETS[0], "t.h")
        refused(*facts.skipped)
    if every(500, data):
        kernel = ("--btf", _file(folder, "vmlinux.btf", _BTF), "--arch", "x86_64")
        described("--headers", _file(folder, "include/trace/events/t.h", data), *kernel)


def declarations(data: bytes, folder: Path) -> None:
    """C declarations, one a line; what is spelled anew means the same."""
    lines = _text_lines(data)
    for text, found in parse_declarations(lines, _TARGETS[0]).items():
        if isinstance(found, BadDeclaration):
            assert found.reason
            continue
        with contextlib.suppress(ValueError):
            spelled = spell(found.type, found.name or "x")
            (again,) = parse_declarations([spelled], _TARGETS[0]).values()
            assert isinstance(again, BadDeclaration) or again.type == found.type, (text, spelled)


def _text_lines(data: bytes) -> list[str]:
    return data.decode("utf-8", "replace").split("\n")[:100]


def packages(data: bytes, folder: Path) -> None:
    """A .deb or an .rpm."""
    with _refusals():
        contents = read_packages([str(_file(folder, "kernel.deb", data))])
        assert all(name.isascii() for name in contents.modules_without_btf)
    if every(500, data):
        command("catalog", "add", "fuzzed", folder / "kernel.deb", "-o", folder / "made.tpgen")


def catalogs(data: bytes, folder: Path) -> None:
    """A catalog, each kernel and event of it, and what a merge makes of them: it can be read, or there is none."""
    path = _file(folder, "kernels.tpgen", data)
    merged = folder / "merged.tpgen"
    if every(20, data):
        merged.unlink(missing_ok=True)
        with _refusals():
            merge(str(merged), [str(path)])
        for info in Catalog(str(merged)).kernels if merged.exists() else ():
            kernel = Catalog(str(merged)).kernel(info.name)
            assert len(kernel.events(kernel.keys())) == kernel.count
    with _refusals():
        for name in [info.name for info in Catalog(str(path)).kernels]:
            with _refusals():
                kernel = Catalog(str(path)).kernel(name)
                for key in kernel.keys():  # noqa: SIM118
                    with _refusals():
                        kernel.events([key])
                        kernel.comparisons(key)
    if every(200, data):
        described("--kernel", path)


def builds(data: bytes, folder: Path) -> None:
    """A tpgen.toml and, behind the first NUL, the manifest of an earlier build."""
    toml, _, known = data.partition(b"\0")
    with _refusals():
        config.parse(toml.decode("utf-8", "replace"), "tpgen.toml")
    loaded = manifest.load(str(_file(folder, "project/.tpgen.manifest", known)))
    loaded.fresh(str(folder / "project"), [])
    manifest.dump(loaded)
    if every(200, data):
        other = _file(folder, "outside/file", b"not to be touched")
        path = _file(folder, "project/tpgen.toml", toml)
        command("build", path)
        assert other.read_bytes() == b"not to be touched"
        left = {found.name for found in folder.iterdir()}
        assert left <= {"project", "outside"}, left


class FuzzTarget(NamedTuple):
    """A target, the longest input in bytes, and words that inputs are made of."""

    run: Callable[[bytes, Path], None]
    longest: int
    words: str = ""


_IMAGE_WORDS = r"\x7fELF .BTF .BTF.base __tracepoints_strings \x1f\x8b\x08 \xfd7zXZ\x00 \x5d\x00\x00 \x28\xb5\x2f\xfd"
_OBJECT_WORDS = r"""
raw_tp/sched_switch tp_btf/sched_switch tp/sched/sched_switch ?raw_tp.s/sched_switch tracepoint/syscalls/sys_enter_close
.text .rodata .maps maps/ license .BTF .BTF.ext \x9f\xeb\x01\x00 \xeb\x9f\x01\x00 \xf7\x00 0:1:2 task_struct___x
trace_event_raw_sched_switch btf_trace_sched_switch \x85\x00\x00\x00 \x85\x10\x00\x00 \x95\x00\x00\x00 \x18\x01
"""
_FORMAT_WORDS = "field: offset: size: signed: __data_loc __rel_loc char[] [16] long name: ID: unsigned"
_HEADER_WORDS = """
TRACE_EVENT( DEFINE_EVENT( DECLARE_EVENT_CLASS( TP_PROTO( TP_ARGS( TP_STRUCT__entry( __field( __array( __string(
__dynamic_array( TP_fast_assign() TP_printk( #define #if #else #endif #include #undef defined( ## LINUX_VERSION_CODE
KERNEL_VERSION( IS_ENABLED( CONFIG_X TRACE_SYSTEM struct typedef #pragma
"""
_DECLARATION_WORDS = "struct union enum const volatile unsigned long (*) __user __rcu [16] __attribute__(("
_BUILD_WORDS = '[[generate]] events backend output kernel btf tracefs headers raw classic "files": "outputs": [] {}'

TARGETS = {
    "btf": FuzzTarget(btf, 8192),
    "images": FuzzTarget(images, 8192, _IMAGE_WORDS),
    "objects": FuzzTarget(objects, 16384, _OBJECT_WORDS),
    "formats": FuzzTarget(formats, 4096, _FORMAT_WORDS),
    "headers": FuzzTarget(headers, 4096, _HEADER_WORDS),
    "declarations": FuzzTarget(declarations, 2048, _DECLARATION_WORDS),
    "packages": FuzzTarget(packages, 65536, "!<arch> data.tar.xz data.tar 070701 TRAILER!!!"),
    "catalogs": FuzzTarget(catalogs, 262144),
    "builds": FuzzTarget(builds, 4096, _BUILD_WORDS),
}


def run(name: str, data: bytes, folder: Path) -> None:
    """Run a target in an empty directory."""
    for path in folder.iterdir() if folder.exists() else ():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    folder.mkdir(exist_ok=True)
    TARGETS[name].run(data, folder)
