"""The seeds: small inputs made by the builders of tests/support, and files below `seeds/`; past findings among both."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

from support.btf_builder import BtfBuilder, bzimage, elf, stub_image
from support.catalogs import changed, small_catalog
from support.compressors import zstd, zstd_frame
from support.hostile_objects import hostile_objects
from support.small_kernel import FORMATS, RECORD_HEADER, format_text, small_btf
from support.small_object import small_object

SEEDS = Path(__file__).with_name("seeds")


def seeds(target: str) -> dict[str, bytes]:
    """The seeds of a target, by name."""
    files = sorted(path for path in (SEEDS / target).glob("*") if path.is_file())
    return {**_BUILT.get(target, dict)(), **{path.name: path.read_bytes() for path in files}}


# --- BTF and what it lies in


def _btf() -> dict[str, bytes]:
    hostile = small_btf()
    task = hostile.ptr(hostile.structure("task_struct", 8, []))
    hostile.event("named", [('a//");int f(void){return 1;}/*', task), ("int", task), ("\u0430", task)])
    return {
        "small": small_btf().blob(),
        "big-endian": small_btf(big_endian=True).blob(),
        "32-bit": small_btf(pointer_size=4).blob(),
        "hostile-names": hostile.blob(),
        "long-of-fifty-million-bytes": _with_long(50_000_000),
        "long-of-no-bytes": _with_long(0),
        "prototypes-that-double": _doubling(),
        "chain-of-pointers": _chain(),
        "int-called-void": _int_called_void(),
        "types-that-c-does-not-have": _not_of_c(),
        "thirty-letters-and-a-dash": _integer("x" * 30 + "-"),
    }


def _with_long(size: int) -> bytes:
    builder = BtfBuilder()
    long_ = builder.integer("long unsigned int", size)
    builder.event("e", [("a", long_)])
    return builder.blob()


def _doubling() -> bytes:
    builder = BtfBuilder()
    made = builder.integer("int", 4)
    for _ in range(18):
        made = builder.ptr(builder.func_proto(made, [("a", made), ("b", made)]))
    builder.event("e", [("a", made)])
    return builder.blob()


def _chain() -> bytes:
    builder = BtfBuilder()
    made = builder.integer("int", 4)
    for _ in range(40):
        made = builder.ptr(made)
    builder.event("e", [("a", made)])
    return builder.blob()


def _int_called_void() -> bytes:
    builder = BtfBuilder()
    builder.event("e", [("a", builder.ptr(builder.integer("void", 4)))])
    return builder.blob()


def _not_of_c() -> bytes:
    builder = BtfBuilder()
    number, array = builder.integer("int", 4), builder.array(0, 3)
    functions = [builder.func_proto(builder.array(number, 3), []), builder.func_proto(0, [("", array), ("", number)])]
    builder.event("e", [("a", builder.ptr(made)) for made in (array, *functions)])
    return builder.blob()


def _integer(name: str) -> bytes:
    builder = BtfBuilder()
    builder.event("e", [("a", builder.integer(name, 4))])
    return builder.blob()


def _images() -> dict[str, bytes]:
    blob = small_btf().blob()
    module = elf({".text": b"\x90", "__tracepoints_strings": b"ext4_unlink\0", ".BTF": blob, ".BTF.base": blob})
    kernel = elf({".text": b"\x90" * 64, ".BTF": blob})
    far = bytearray(kernel)
    far[0x28:0x30] = (1 << 63).to_bytes(8, "little")
    packers: dict[str, Callable[[bytes], bytes]] = {
        "gzip": lambda data: gzip.compress(data, mtime=0),
        "xz": lzma.compress,
        "lzma": lambda data: lzma.compress(data, lzma.FORMAT_ALONE),
        "bzip2": bz2.compress,
        "zstd": zstd,
    }
    return {
        "blob": blob,
        "module": module,
        "kernel": kernel,
        "32-bit-big-endian": elf({".BTF": small_btf(big_endian=True).blob()}, True, False, 8),
        "sections-far-away": bytes(far),
        "uncompressed": stub_image(b"\0" * 64 + blob),
        "stated-size-of-zstd": zstd_frame(blob, content_size=1 << 62),
        "bomb": gzip.compress(b"\0" * (128 << 20), 9, mtime=0),
        **{name: bzimage(pack(kernel)) for name, pack in packers.items()},
    }


# --- BPF objects


def _objects() -> dict[str, bytes]:
    small, big = small_object(), small_object(big_endian=True)
    return {
        "small": small,
        "big-endian": big,
        "inside": b"MZ" + small[:100] + small + b"\x7fELF" + big,
        "cut": small[: len(small) // 2],
        **hostile_objects(),
    }


# --- packages


def _packages() -> dict[str, bytes]:
    image, module = bzimage(lzma.compress(elf({".BTF": small_btf().blob()}))), elf({".BTF": small_btf().blob()})
    files = {
        "./boot/vmlinuz-6.1.0": image,
        "./lib/modules/6.1.0/kernel/x.ko": module,
        "./boot/config-6.1.0": b"CONFIG_X=y\n",
    }
    whole = _deb(_tar(files), lzma.compress, "data.tar.xz")
    return {
        "deb": whole,
        "deb-gzip": _deb(_tar(files), lambda data: gzip.compress(data, mtime=0), "data.tar.gz"),
        "deb-zstd": _deb(_tar(files), zstd, "data.tar.zst"),
        "deb-cut": whole[: len(whole) // 2],
        "deb-with-an-endless-header": _deb(_pax_bomb(), lambda data: gzip.compress(data, mtime=0), "data.tar.gz"),
        "rpm": _rpm(_cpio(files), gzip.compress),
        "rpm-cut": _rpm(_cpio(files), gzip.compress)[:300],
    }


def _tar(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return stream.getvalue()


def _pax_bomb() -> bytes:
    entry = tarfile.TarInfo("pax")
    entry.type, entry.size = tarfile.XHDTYPE, 48 << 20
    return entry.tobuf(tarfile.USTAR_FORMAT) + b"\0" * entry.size


def _deb(data: bytes, pack: Callable[[bytes], bytes], name: str) -> bytes:
    members = {"debian-binary": b"2.0\n", name: pack(data)}
    return b"!<arch>\n" + b"".join(
        f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n".encode() + content + b"\n" * (len(content) % 2)
        for name, content in members.items()
    )


def _cpio(files: dict[str, bytes]) -> bytes:
    parts = []
    for name, data in (*files.items(), ("TRAILER!!!", b"")):
        numbers = (1, 0o100644, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
        head = b"070701" + "".join(f"{number:08x}" for number in numbers).encode() + name.encode() + b"\0"
        parts += [head, b"\0" * (-len(head) % 4), data, b"\0" * (-len(data) % 4)]
    return b"".join(parts)


def _rpm(payload: bytes, pack: Callable[[bytes], bytes]) -> bytes:
    header = b"\x8e\xad\xe8\x01" + b"\0" * 4 + b"\0" * 8
    return b"\xed\xab\xee\xdb" + b"\0" * 92 + header + header + pack(payload)


# --- text


def _formats() -> dict[str, bytes]:
    head = f"name: e\nID: 1\nformat:\n{RECORD_HEADER}\n"
    own = {
        "contradiction": "\tfield:nid_t nid[3];\toffset:8;\tsize:4;\tsigned:0;\n",
        "keyword": "\tfield:int int;\toffset:8;\tsize:4;\tsigned:1;\n",
        "end-of-a-comment": "\tfield:int a*/;\toffset:8;\tsize:4;\tsigned:1;\n",
        "escape": "\tfield:int \x1b[2J;\toffset:8;\tsize:4;\tsigned:1;\n",
        "shifts": f"\tfield:int a[{'<<'.join(['1'] * 300)}];\toffset:8;\tsize:4;\tsigned:1;\n",
        "locators": "\tfield:__data_loc char[] a;\toffset:8;\tsize:4;\tsigned:1;\n"
        "\tfield:__rel_loc u64[] b;\toffset:12;\tsize:4;\tsigned:0;\n",
    }
    made = {name.replace("/", "-"): format_text(name.partition("/")[2], lines) for name, lines in FORMATS.items()}
    made |= {name: f'{head}{lines}\nprint fmt: "x"\n' for name, lines in own.items()}
    made["several"] = "\0".join(made.values())
    return {name: text.encode() for name, text in made.items()}


def _headers() -> dict[str, bytes]:
    data = Path(__file__).parents[1] / "data" / "headers"
    return {
        **{path.name: path.read_bytes() for path in sorted(data.glob("*.h"))},
        "event-many-times": b"EVENT" * 2000,
        "void-among-parameters": b"DECLARE_TRACE(merge, TP_PROTO(void (*f)(struct ref *, void)), TP_ARGS(f));",
        "function-of-an-unknown-type": b"DECLARE_TRACE(m, TP_PROTO(void (*f)(struct ref *, x_t)), TP_ARGS(f));",
        "pack-and-blanks": b"#pragma pack(" + b" " * 3000 + b"\nTRACE_EVENT(",
    }


def _declarations() -> dict[str, bytes]:
    lines = """struct task_struct *prev
char comm[16]
const u8 addr[6]
int (*callback)(void *, unsigned long)
struct page __rcu * const *pages
unsigned long long __attribute__((aligned(8))) x
enum zone_type zone
__data_loc char[] name
int a[1 << 3]"""
    return {
        "usual": lines.encode(),
        "deep": b"int " + b"(" * 200 + b"a" + b")" * 200,
        "shifted-out": b"int a[" + b"<<".join([b"1"] * 300) + b"]",
        "bad-ones": "\n".join(f"in {number} t" for number in range(100)).encode(),
    }


# --- files of tpgen's own


def _catalogs() -> dict[str, bytes]:
    statements = {
        "small": (),
        "blob-for-text": ("UPDATE kernel SET release = x'00ff'",),
        "blob-for-candidates": ("UPDATE class SET name = NULL, candidates = x'00ff'",),
        "deep": ("UPDATE kernel SET name = '" + "a" * 300 + "'",),
    }
    made = {}
    for name, changes in statements.items():
        with tempfile.TemporaryDirectory() as folder:
            made[name] = changed(small_catalog(Path(folder)), *changes).read_bytes()
    return made


def _builds() -> dict[str, bytes]:
    toml = '[[generate]]\nevents = ["sched:*"]\nbackend = "bpf"\noutput = "out"\nbtf = ["vmlinux"]\n'
    known = '{"format": 1, "complete": true, "arguments": [], "states": {}, "trees": {}, "files": {}, "outputs": {%s}}'
    outside = known % '"../outside/file": [["x"], null], "/dev/null": [["x"], null], "a\\u0000b": [["x"], null]'
    texts = {
        "usual": toml + "\0" + known % "",
        "outputs-elsewhere": toml + "\0" + outside,
        "output-elsewhere": toml.replace('"out"', '"../outside"'),
        "deep-json": "\0" + "[" * 3000,
        "deep-toml": "x = " + "[" * 3000,
        "many-digits": "x = " + "1" * 3800,
        "many-tables": "".join(f"[a{'.b' * (number % 40)}.c{number}]\n" for number in range(60)),
    }
    return {name: text.encode() for name, text in texts.items()}


_BUILT: dict[str, Callable[[], dict[str, bytes]]] = {
    "btf": _btf,
    "images": _images,
    "objects": _objects,
    "packages": _packages,
    "formats": _formats,
    "headers": _headers,
    "declarations": _declarations,
    "catalogs": _catalogs,
    "builds": _builds,
}
