"""Kernels straight from package files: what dpkg-deb and rpmbuild pack is found, and what is broken is refused."""

from __future__ import annotations

import gzip
import io
import lzma
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from support.btf_builder import SIGNED, BtfBuilder, bzimage, elf, stub_image
from support.cli import Done, refusal, tpgen
from support.packages import make_deb, make_rpm
from support.small_kernel import small_btf

from tpgen.diagnostics import TpgenError
from tpgen.sources import packages
from tpgen.sources.packages import package_files, read_packages

pytestmark = pytest.mark.package_tools
RELEASE = "6.99.1-test"
MODULES = f"lib/modules/{RELEASE}/kernel/fs"
# As DEFINE_TRACE has them: NUL-terminated, each at a multiple of 32, and none that is not the name of a tracepoint.
STRINGS = b"ext9_open\0".ljust(32, b"\0") + b"802154_ev\0".ljust(32, b"\0") + b"evil; }\0"


def traced_module() -> bytes:
    """A module with BTF that has one tracepoint."""
    base = small_btf()
    b = BtfBuilder(base=base)
    b.event("in_module", [("x", b.integer("s128", 4, SIGNED))])
    return elf({".text": b"\x90", ".BTF": b.blob()})


def quiet_module() -> bytes:
    """A module with BTF and no tracepoint."""
    b = BtfBuilder(base=small_btf())
    b.integer("other", 4)
    return elf({".BTF": b.blob()})


def write_kernel(root: Path) -> Path:
    """A kernel's files as Debian installs them, with modules in all sorts of state."""
    files = {
        f"boot/vmlinuz-{RELEASE}": bzimage(gzip.compress(elf({".BTF": small_btf().blob()}), mtime=0)),
        f"boot/config-{RELEASE}": b"CONFIG_BPF=y\n",
        f"boot/System.map-{RELEASE}": b"ffffffffffffffff B The real System.map is in the debug package\n",
        f"{MODULES}/traced-by.ko.xz": lzma.compress(traced_module()),
        f"{MODULES}/quiet.ko": quiet_module(),
        f"{MODULES}/old.ko": elf({"__tracepoints_strings": STRINGS}),
        f"{MODULES}/older.ko": elf({".text": b"\x90"}),
        "usr/share/doc/kernel/vmlinuz-of-a-friend": b"no kernel",
    }
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root


MAKERS: dict[str, Callable[[Path, Path], Path]] = {
    **{f"deb {how}": lambda root, path, how=how: make_deb(root, path, how) for how in ("xz", "gzip", "zstd", "none")},
    **{
        f"rpm {how}": lambda root, path, how=how: make_rpm(root, path, how)
        for how in ("w19.zstdio", "w7.xzdio", "w9.gzdio", "w9.bzdio", "w2.lzdio", "w.ufdio")
    },
}  # type: ignore[misc]  # of lambdas with a default


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_what_is_found(make: Callable[[Path, Path], Path], tmp_path: Path) -> None:
    package = str(make(write_kernel(tmp_path / "root"), tmp_path / "package"))
    files = read_packages([package])
    assert files.release == RELEASE
    image, module = f"{package}:boot/vmlinuz-{RELEASE}", f"{package}:{MODULES}/traced-by.ko.xz"
    assert files.btf == [image, module]
    assert files.config == f"{package}:boot/config-{RELEASE}"
    assert files.contents[files.config] == b"CONFIG_BPF=y\n"
    assert set(files.contents) == {image, module, files.config}
    assert files.modules_without_btf == {"old": ("802154_ev", "ext9_open")}


@pytest.mark.parametrize("make", [make_deb, make_rpm])
def test_all_files_come_out(make: Callable[[Path, Path], Path], tmp_path: Path) -> None:
    root = write_kernel(tmp_path / "root")
    package = make(root, tmp_path / "package")
    packed = {name: read() for name, read in package_files(str(package))}
    assert packed == {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "data" / "tpgen" / "catalog"


@pytest.mark.parametrize("make", [make_deb, make_rpm])
def test_add(make: Callable[[Path, Path], Path], home: Path, tmp_path: Path) -> None:
    package = make(write_kernel(tmp_path / "root"), tmp_path / "package")
    assert tpgen("catalog", "add", "boxed", package) == Done(0, "", "")
    listed = [line.split() for line in tpgen("catalog", "list").out.splitlines()]
    assert ["boxed", RELEASE, "x86_64", "8", str(home / "boxed.tpgen")] in listed
    shown = tpgen("show", "sched_switch", "in_module", "--kernel", "6.99-x86_64")
    assert (shown.code, shown.err) == (0, "")
    assert "struct task_struct *prev" in shown.out
    # Of a module without BTF its tracepoints are known, and no more than that.
    assert tpgen("ext9_open", "--raw", "--kernel", "boxed").code == 2
    assert tpgen("show", "ext9_open", "--kernel", "boxed").code == 0


def test_where_a_package_lies_leaves_no_trace(home: Path, tmp_path: Path) -> None:
    """A class whose layout nothing explains is a finding in the module, whose path is that within the package."""
    root = write_kernel(tmp_path / "root")
    odd = small_btf()
    integer = odd.integer("int", 4)
    odd.event("odd", [("a", integer)])
    odd.event_class("odd", [integer], 20, [("first", integer, 8), ("second", integer, 13)])
    (root / f"boot/vmlinuz-{RELEASE}").write_bytes(bzimage(gzip.compress(elf({".BTF": odd.blob()}))))
    shutil.rmtree(root / "lib")
    contents = []
    for name in ("here", "there/and/further"):
        (tmp_path / name).mkdir(parents=True)
        package = make_deb(root, tmp_path / name / "package.deb")
        assert tpgen("catalog", "add", "odd", package) == Done(0, "", "")
        contents.append((home / "odd.tpgen").read_bytes())
    assert contents[0] == contents[1]
    assert str(tmp_path).encode() not in contents[0]
    checked = tpgen("check", "odd", "--kernel", "odd")
    assert (
        f"package.deb:boot/vmlinuz-{RELEASE}: error: class odd: field second: offset 12 in the computed" in checked.out
    )


def test_a_kernel_in_several_packages(home: Path, tmp_path: Path) -> None:
    """As Debian has it from 7.2 on: image, modules and configuration apart, each compressed in its own way."""
    parts = []
    for number, moved in enumerate(("lib", "boot")):
        rest = write_kernel(tmp_path / f"root{number}")
        for other in {"lib", "boot", "usr"} - {moved}:
            subprocess.run(["rm", "-r", str(rest / other)], check=True)
        parts.append(make_deb(rest, tmp_path / f"{moved}.deb", ("xz", "gzip")[number]))
    assert tpgen("catalog", "add", "apart", *parts) == Done(0, "", "")
    assert tpgen("show", "in_module", "--kernel", "apart").code == 0


HINT = "the image may be in a package of its own"


def test_no_kernel(home: Path, tmp_path: Path) -> None:
    root = write_kernel(tmp_path / "root")
    subprocess.run(["rm", "-r", str(root / "boot")], check=True)
    package = make_deb(root, tmp_path / "modules.deb")
    message = f"{package}: no kernel image in these packages [package-kernel]; {HINT}"
    assert tpgen("catalog", "add", "x", package) == refusal(message)
    assert not home.exists() or not list(home.iterdir())


def test_two_kernels(home: Path, tmp_path: Path) -> None:
    root = write_kernel(tmp_path / "root")
    (root / "boot" / "vmlinuz-6.1.0").write_bytes(b"x")
    package = make_deb(root, tmp_path / "both.deb")
    message = f"{package}: several kernels: 6.1.0, {RELEASE} in these packages [package-kernel]"
    assert tpgen("catalog", "add", "x", package) == refusal(f"{message}; give the packages of one kernel")


@pytest.mark.parametrize("make", [make_deb, make_rpm])
def test_damaged_packages(make: Callable[[Path, Path], Path], tmp_path: Path) -> None:
    """Cut anywhere, or a byte changed anywhere: the kernel as it was packed, or a TpgenError of one line."""
    whole = make(write_kernel(tmp_path / "root"), tmp_path / "package").read_bytes()
    damaged = tmp_path / "damaged"
    cuts = [whole[: len(whole) * part // 40] for part in range(1, 40)]
    flips = [whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :] for at in range(0, len(whole), len(whole) // 60)]
    refusals = []
    for content in (*cuts, *flips):
        damaged.write_bytes(content)
        try:
            assert read_packages([str(damaged)]).release
        except TpgenError as error:
            refusals.append(str(error.diagnostics[0]))
    assert len(refusals) > len(cuts) // 2
    assert not [told for told in refusals if "\n" in told]


@pytest.mark.parametrize("content", [b"", b"hello", b"!<arch>\n", b"\xed\xab\xee\xdb", b"!<arch>\n" + b"x" * 60])
def test_no_package(content: bytes, home: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.deb"
    path.write_bytes(content)
    done = tpgen("catalog", "add", "x", path)
    assert (done.code, done.out) == (2, "")
    assert re.fullmatch(rf"{path}: error: [^\n]* \[package-(?:unknown|corrupt|kernel)\][^\n]*\n", done.err)


# --- what is in front of the modules


@pytest.mark.parametrize("make", [make_deb, make_rpm])
def test_image_without_btf(make: Callable[[Path, Path], Path], home: Path, tmp_path: Path) -> None:
    """It is told before the modules are looked at: these are no modules at all."""
    root = write_kernel(tmp_path / "root")
    (root / f"boot/vmlinuz-{RELEASE}").write_bytes(bzimage(gzip.compress(bytes(range(256)) * (1 << 12), mtime=0)))
    (root / MODULES / "other.ko.xz").write_bytes(b"garbage")
    package = make(root, tmp_path / "package")
    done = tpgen("catalog", "add", "x", package)
    assert done == refusal(
        f"{package}:boot/vmlinuz-{RELEASE}: kernel image without BTF [image-no-btf]; "
        "was it built with CONFIG_DEBUG_INFO_BTF?"
    )


def test_architecture_from_the_image(home: Path, tmp_path: Path) -> None:
    """An arm64 Image is no ELF file; what marks it stands in its header."""
    root = write_kernel(tmp_path / "root")
    image = bytearray(stub_image(small_btf().blob()))
    image[0x38:0x3C] = b"ARM\x64"
    (root / f"boot/vmlinuz-{RELEASE}").write_bytes(image)
    assert tpgen("catalog", "add", "boxed", make_deb(root, tmp_path / "kernel.deb")) == Done(0, "", "")
    listed = [line.split() for line in tpgen("catalog", "list").out.splitlines()]
    assert ["boxed", RELEASE, "aarch64", "8", str(home / "boxed.tpgen")] in listed


# --- bombs


def tar_header(name: str, size: int, kind: bytes = b"0") -> bytes:
    """The header of a file in a tar archive, by POSIX's ustar."""
    fields = name.encode().ljust(100, b"\0") + b"0000644\0" + b"0000000\0" * 2 + b"%011o\0" % size + b"00000000000\0"
    rest = kind + b"\0" * 100 + b"ustar\x0000" + b"\0" * 247
    checksum = sum(fields) + 8 * 0x20 + sum(rest)
    return fields + b"%06o\0 " % checksum + rest


def deb_of(tar: Iterable[bytes], path: Path) -> Path:
    """A .deb whose data.tar.xz is what the pieces make."""
    compressor = lzma.LZMACompressor(preset=0)
    data = b"".join([*(compressor.compress(piece) for piece in tar), compressor.flush()])
    head = b"data.tar.xz     0           0     0     100644  " + str(len(data)).ljust(10).encode() + b"`\n"
    path.write_bytes(b"!<arch>\n" + head + data)
    return path


TOO_DENSE = "it unpacks to more than a hundred times its size"
MIB = b"\0" * (1 << 20)
BOMBS = {
    "long name": ([tar_header("x", 3 << 20, b"x"), *[MIB] * 3], "headers of more than 1 MiB in it"),
    "long name of GNU": ([tar_header("x", 3 << 20, b"L"), *[MIB] * 3], "headers of more than 1 MiB in it"),
    "image": (
        [tar_header(f"boot/vmlinuz-{RELEASE}", 65 << 20), *[MIB] * 65], TOO_DENSE
    ),
    "file of no interest": (
        [tar_header("usr/share/x", 65 << 20), *[MIB] * 65], TOO_DENSE
    ),
    "file larger than any": (
        [tar_header(f"boot/vmlinuz-{RELEASE}", (1 << 30) + 1), MIB], "a file of 1073741825 bytes in it"
    ),
}  # fmt: skip


@pytest.mark.parametrize(("tar", "reason"), BOMBS.values(), ids=BOMBS)
def test_bomb(tar: list[bytes], reason: str, home: Path, tmp_path: Path) -> None:
    package = deb_of([*tar, b"\0" * 1024], tmp_path / "bomb.deb")
    done = tpgen("catalog", "add", "x", package)
    assert done == refusal(f"{package}: damaged package: {reason} [package-corrupt]")


def test_many_modules_that_are_bombs(home: Path, tmp_path: Path) -> None:
    module = lzma.compress(b"\x7fELF" + b"\0" * (65 << 20), preset=0)
    piece = tar_header(f"{MODULES}/a.ko.xz", len(module)) + module + b"\0" * (-len(module) % 512)
    package = deb_of([piece] * 10, tmp_path / "bombs.deb")
    message = f"{package}:{MODULES}/a.ko.xz: unpacks to more than 64 MiB [image-too-large]"
    assert tpgen("catalog", "add", "x", package) == refusal(message)


def test_member_of_less_than_nothing(home: Path, tmp_path: Path) -> None:
    """It would be read again and again."""
    package = tmp_path / "x.deb"
    package.write_bytes(b"!<arch>\n" + b"debian-binary   0           0     0     100644  -60       `\n")
    done = tpgen("catalog", "add", "x", package)
    assert done == refusal(f"{package}: damaged package: a member of less than no bytes [package-corrupt]")


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_no_regular_file(kind: str, home: Path, tmp_path: Path) -> None:
    package = tmp_path / "x.deb"
    if kind == "pipe":
        os.mkfifo(package)
    else:
        package.symlink_to("/dev/zero")
    assert tpgen("catalog", "add", "x", package) == refusal(f"{package}: cannot read: not a regular file [unreadable]")


@pytest.mark.parametrize("make", [make_deb, make_rpm])
def test_download_that_was_cut(make: Callable[[Path, Path], Path], home: Path, tmp_path: Path) -> None:
    """In the middle of a large file, which is read when its turn has come."""
    root = write_kernel(tmp_path / "root")
    (root / MODULES / "big.ko").write_bytes(elf({".BTF": os.urandom(1 << 20)}))
    package = make(root, tmp_path / "package")
    whole = package.read_bytes()
    for part in (0.2, 0.5, 0.9, 0.99):
        package.write_bytes(whole[: int(len(whole) * part)])
        done = tpgen("catalog", "add", "x", package)
        assert (done.code, done.out) == (2, "")
        assert re.fullmatch(rf"{package}: error: damaged package: [^\n]* \[package-corrupt\]\n", done.err)


def test_long_names_do_not_count_as_headers(monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands between two files may be 200 bytes here; a name of 120 is not among them."""
    monkeypatch.setattr(packages, "_MOST_HEADERS", 200)
    names, contents = [letter * 119 for letter in "ab"], b"x" * 300
    archive = b"".join(cpio_entry(name, contents) for name in names) + cpio_entry("TRAILER!!!", b"")
    stream = packages._Metered(io.BytesIO(archive), len(archive))
    assert [(name[:1], read()) for name, read in packages._cpio_files(stream)] == [("a", contents), ("b", contents)]


def cpio_entry(name: str, contents: bytes) -> bytes:
    """An entry of a cpio archive, new ASCII format: thirteen numbers, the name with its NUL, the contents."""
    mode, size, name_size = 0o100644 if contents else 0, len(contents), len(name) + 1
    numbers = (1, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, name_size, 0)
    head = b"070701" + b"".join(b"%08X" % number for number in numbers) + name.encode() + b"\0"
    return head + bytes(-len(head) % 4) + contents + bytes(-size % 4)
