"""Build ids among the notes of images: of ELF files, of images without section headers, of packages."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
from support.btf_builder import BtfBuilder, elf
from support.cli import tpgen
from support.packages import make_deb, missing_package_tools
from support.small_kernel import small_btf

from tpgen.sources.elf import elf_build_id, image_build_id
from tpgen.sources.images import btf_sections, image_build_id_in

IMAGE, MODULE, VDSO = (bytes(range(start, start + 20)) for start in (1, 101, 201))


def note(build_id: bytes, order: str = "little", name: bytes = b"GNU\0", kind: int = 3) -> bytes:
    """As elf(5) has a note: the sizes of name and text, the type, both."""
    words = (len(name), len(build_id), kind)
    return b"".join(word.to_bytes(4, order) for word in words) + name + build_id  # type: ignore[arg-type]


def flat(*parts: tuple[int, bytes], size: int = 1 << 16) -> bytes:
    """An image of so many bytes with these parts at these places."""
    image = bytearray(b"\x90" * size)
    for at, part in parts:
        image[at : at + len(part)] = part
    return bytes(image)


@pytest.mark.parametrize("section", [".notes", ".note.gnu.build-id"])
def test_of_an_elf_file(section: str) -> None:
    notes = note(b"\x01\x02\x03\x04", name=b"Linux\0\0\0", kind=257) + note(IMAGE)
    assert elf_build_id(elf({".text": b"x" * 64, section: notes}), "x") == IMAGE.hex()


@pytest.mark.parametrize(
    "sections",
    [{}, {".notes": b""}, {".notes": b"\xff" * 40}, {".notes": note(IMAGE)[:-1]}, {".notes": note(IMAGE, kind=1)}],
)
def test_of_an_elf_file_without_one(sections: dict[str, bytes]) -> None:
    assert elf_build_id(elf({".text": b"x" * 64, **sections}), "x") is None


def test_of_an_elf_file_that_is_cut() -> None:
    whole = elf({".text": b"x" * 64, ".notes": note(IMAGE)})
    assert {elf_build_id(whole[:length], "x") for length in range(4, len(whole))} <= {None, IMAGE.hex()}


@pytest.mark.parametrize("order", ["little", "big"])
def test_of_a_flat_image(order: str) -> None:
    """The vdso in it is an ELF file of its own, at the start of a page, with a note of its own."""
    vdso = b"\x7fELF" + bytes(0x29C) + note(VDSO, order)
    image = flat((0x4000, vdso), (0x9004, note(IMAGE, order)), (0xC000, vdso))
    assert image_build_id(image) == IMAGE.hex()


@pytest.mark.parametrize(
    "image",
    {
        "none": flat(),
        "that of a vdso": flat((0x4000, b"\x7fELF" + bytes(0x29C) + note(VDSO))),
        "several": flat((0x4000, note(IMAGE)), (0x8000, note(MODULE))),
        "cut": flat((0x4000, note(IMAGE)))[: 0x4000 + 30],
        "another's": flat((0x4000, note(IMAGE, name=b"Xen\0"))),
    }.items(),
    ids=lambda pair: pair[0],
)
def test_of_a_flat_image_that_does_not_decide(image: tuple[str, bytes]) -> None:
    assert image_build_id(image[1]) is None


def module(builder: BtfBuilder) -> BtfBuilder:
    """BTF that continues that of the kernel, with an event."""
    split = BtfBuilder(base=builder)
    split.event("of_module", [("value", split.integer("signed char", 1))])
    return split


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """An image and a module with BTF, each with its note."""
    kernel = small_btf()
    image, part = tmp_path / "root/boot/vmlinuz-6.9", tmp_path / "root/lib/modules/6.9/kernel/part-x.ko"
    image.parent.mkdir(parents=True)
    part.parent.mkdir(parents=True)
    image.write_bytes(elf({".text": b"x" * 64, ".BTF": kernel.blob(), ".notes": note(IMAGE)}))
    part.write_bytes(elf({".BTF": module(kernel).blob(), ".note.gnu.build-id": note(MODULE)}))
    return image, part


def test_beside_btf(files: tuple[Path, Path]) -> None:
    image, part = (path.read_bytes() for path in files)
    assert (btf_sections(image, "x").build_id, btf_sections(part, "x").build_id) == (IMAGE.hex(), MODULE.hex())
    assert image_build_id_in(image, "x") == IMAGE.hex()


def images(catalog: Path) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(catalog)
    rows = connection.execute("SELECT module, build_id FROM images ORDER BY module").fetchall()
    connection.close()
    return rows


def test_a_catalog_keeps_them(files: tuple[Path, Path], tmp_path: Path) -> None:
    """From files, from packages, and through another catalog; of modules with events."""
    image, part = files
    one, two, three = (tmp_path / f"{name}.tpgen" for name in ("one", "two", "three"))
    words = ("--arch", "x86_64", "--release", "6.9")
    assert tpgen("catalog", "add", "k", "--btf", image, "--btf", part, *words, "-o", one).code == 0
    assert images(one) == [(None, IMAGE.hex()), ("part_x", MODULE.hex())]
    assert tpgen("catalog", "export", one, "-o", two).code == 0
    assert two.read_bytes() == one.read_bytes()
    (shown,) = json.loads(tpgen("catalog", "show", one, "--json").out)
    assert shown["build_id"] == IMAGE.hex()
    assert shown["modules"][1] == {"name": "part_x", "events": 1, "build_id": MODULE.hex()}
    if missing_package_tools() is None:
        package = make_deb(tmp_path / "root", tmp_path / "linux.deb")
        assert tpgen("catalog", "add", "k", package, "--arch", "x86_64", "-o", three).code == 0
        assert images(three) == images(one)
