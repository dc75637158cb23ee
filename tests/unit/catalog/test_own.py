"""This user's kernels: kept, listed, shown and removed by name; an index of names that is never wrong."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest
from support.btf_builder import SIGNED, elf
from support.catalogs import X86_64, changed, small_catalog
from support.cli import Done, refusal, tpgen
from support.small_kernel import small_btf

from tpgen.catalog.collection import names
from tpgen.catalog.read import Catalog
from tpgen.catalog.schema import KernelInfo
from tpgen.catalog.store import stored_kernels
from tpgen.paths import cache_directory
from tpgen.target import target_named

DONE = Done(0, "", "")
IMAGE, OTHER = "00112233445566778899aabbccddeeff00112233", "ffeeddccbbaa99887766554433221100ffeeddcc"
S390X = target_named("s390x")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this user's catalogs lie, beside which there are no others."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for module in ("store", "known_classes"):
        monkeypatch.setattr(f"tpgen.catalog.{module}.shipped_catalogs", lambda: str(tmp_path / "none"))
    return tmp_path / "data" / "tpgen" / "catalog"


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """A file of three kernels."""
    infos = (
        KernelInfo("lab-a", X86_64, "6.1.1-lab", "lab", IMAGE, ("btf", "tracefs")),
        KernelInfo("lab-b", X86_64, "6.12.2-lab", "lab", OTHER, ("btf",)),
        KernelInfo("other", X86_64, "7.2.0", None, None, ("btf",)),
    )
    return small_catalog(tmp_path, *infos, name="lab.tpgen")


def kept() -> list[str]:
    return [item.info.name for item in stored_kernels()[0]]


# --- add, remove


def test_add_of_a_file(lab: Path, home: Path) -> None:
    """Each kernel in a file of its own, the one that `export` would make of it."""
    assert tpgen("catalog", "add", lab) == DONE
    assert kept() == ["lab-a", "lab-b", "other"]
    for name in kept():
        assert tpgen("catalog", "export", f"{lab}:{name}", "-o", home.parent / "alone") == DONE
        assert (home / f"{name}.tpgen").read_bytes() == (home.parent / "alone").read_bytes()


def test_add_of_a_file_replaces(lab: Path, home: Path) -> None:
    tpgen("catalog", "add", "lab-a", "--kernel", f"{lab}:other")
    assert [item.info.release for item in stored_kernels()[0]] == ["7.2.0"]
    assert tpgen("catalog", "add", lab) == DONE
    assert [item.info.release for item in stored_kernels()[0]] == ["6.1.1-lab", "6.12.2-lab", "7.2.0"]


@pytest.mark.parametrize(
    "statement",
    ["UPDATE kernel SET name = 'live' WHERE id = 3", "UPDATE event SET name = 'a b'", "DELETE FROM kernel_group"],
)
def test_add_of_a_file_keeps_all_or_nothing(statement: str, lab: Path, home: Path) -> None:
    changed(lab, statement)
    done = tpgen("catalog", "add", lab)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert not home.exists() or list(home.iterdir()) == []


@pytest.mark.parametrize("options", [("-o", "x"), ("--distribution", "d"), ("--release", "1"), ("--arch", "s390x")])
def test_add_of_a_file_as_it_is(options: tuple[str, str], lab: Path, home: Path) -> None:
    hint = f"`tpgen catalog add NAME --kernel {lab}` stores one under another name"
    message = f"the kernels of a catalog file are stored under their own names [usage]; {hint}"
    assert tpgen("catalog", "add", lab, *options) == refusal(message)


def test_add_to_a_file(lab: Path, home: Path, tmp_path: Path) -> None:
    """Nothing is kept, and the name may be that of a shipped kernel: whoever makes the catalog that ships does this."""
    output = tmp_path / "shard.tpgen"
    assert tpgen("catalog", "add", "debian-6.12-amd64", "--kernel", f"{lab}:lab-b", "-o", output) == DONE
    assert not home.exists()
    assert [info.name for info in Catalog(str(output)).kernels] == ["debian-6.12-amd64"]
    hint = "letters, digits and `_.+~-`"
    refused = refusal(f"'a b' cannot be a catalog's name [usage]; {hint}")
    assert tpgen("catalog", "add", "a b", "--kernel", f"{lab}:lab-b", "-o", output) == refused


def test_remove(lab: Path, home: Path) -> None:
    tpgen("catalog", "add", lab)
    assert tpgen("catalog", "remove", "lab-*") == DONE
    assert kept() == ["other"]
    assert [path.name for path in home.iterdir()] == ["other.tpgen"]
    message = "no kernel of yours is called {0!r} [unknown-kernel]; `tpgen catalog list` lists all"
    refused = refusal(message.format("lab-a"), message.format("x*"))
    assert tpgen("catalog", "remove", "other", "lab-a", "x*") == refused
    assert kept() == ["other"]


def test_remove_of_a_file_of_several(lab: Path, home: Path) -> None:
    """Who puts one there has its kernels; the file goes with the last."""
    home.mkdir(parents=True)
    lab.rename(home / "lab.tpgen")
    assert tpgen("catalog", "remove", "lab-a") == DONE
    assert kept() == ["lab-b", "other"]
    assert tpgen("show", "sched_switch", "--kernel", "lab-b").code == 0
    assert tpgen("catalog", "remove", "*") == DONE
    assert list(home.iterdir()) == []


def test_remove_of_what_cannot_be_read(lab: Path, home: Path) -> None:
    tpgen("catalog", "add", lab)
    changed(home / "lab-a.tpgen", "PRAGMA user_version = 3")
    assert tpgen("catalog", "list").code == 2
    assert tpgen("catalog", "remove", "lab-a") == DONE
    assert tpgen("catalog", "list").code == 0


def test_remove_of_a_shipped_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    hint = "shipped kernels cannot be removed; `tpgen catalog list` shows which are yours"
    message = f"no kernel of yours is called 'debian-6.12-amd64' [unknown-kernel]; {hint}"
    assert tpgen("catalog", "remove", "debian-6.12-amd64") == refusal(message)


# --- list, show


@pytest.mark.parametrize(
    ("pattern", "found"),
    {
        "lab-*": ["lab-a", "lab-b"],
        "other": ["other"],
        "6.12": ["lab-b"],
        "6": ["lab-a", "lab-b"],
        "6.1.1-lab": ["lab-a"],
        "lab-6.12": ["lab-b"],
        "7.2-amd64": ["other"],
        IMAGE: ["lab-a"],
        IMAGE[:12]: ["lab-a"],
    }.items(),
)
def test_list_by_pattern(pattern: str, found: list[str], lab: Path, home: Path) -> None:
    tpgen("catalog", "add", lab)
    listed = json.loads(tpgen("catalog", "list", pattern, "--json").out)
    assert [item["name"] for item in listed] == found


@pytest.mark.parametrize("pattern", ["x*", "7.2-s390x", "001122", "abcdefabcdef"])
def test_list_of_none(pattern: str, lab: Path, home: Path) -> None:
    tpgen("catalog", "add", lab)
    refused = refusal(f"no kernel is called {pattern!r} [unknown-kernel]; `tpgen catalog list` lists all")
    assert tpgen("catalog", "list", "other", pattern) == refused


def test_list_by_the_build_id_of_a_module(lab: Path, home: Path) -> None:
    changed(lab, f"INSERT INTO module VALUES (2, 'mac80211', x'{OTHER[::-1]}')")
    tpgen("catalog", "add", lab)
    assert [line.split()[0] for line in tpgen("catalog", "list", OTHER[::-1]).out.splitlines()] == ["lab-b"]


def test_show(lab: Path) -> None:
    """Counted by hand: the small kernel has five tracepoints, one of them bare, and two events of system calls."""
    (shown,) = json.loads(tpgen("catalog", "show", f"{lab}:lab-a", "--json").out)
    events = json.loads(tpgen("show", "*", "--json", "--kernel", f"{lab}:lab-a").out)
    assert (shown["name"], shown["release"], shown["build_id"], shown["version"]) == ("lab-a", "6.1.1-lab", IMAGE, 1)
    assert shown["events"] == len(events) == sum(kind["events"] for kind in shown["kinds"])
    for kind in shown["kinds"]:
        of_kind = [event for event in events if event["kind"] == kind["kind"]]
        assert kind["events"] == len(of_kind)
        assert kind["record"] == sum(event["record"] is not None for event in of_kind)
        assert kind["arguments"] == sum(event["args"] is not None for event in of_kind)
    assert shown["nullness"] == {"unknown": sum(len(event["args"] or ()) for event in events)}
    assert shown["modules"] == [{"name": None, "events": len(events), "build_id": IMAGE}]


def test_show_for_people(lab: Path) -> None:
    done = tpgen("catalog", "show", lab)
    assert (done.code, done.err) == (0, "")
    assert [line for line in done.out.splitlines() if line.endswith(":")] == ["lab-a:", "lab-b:", "other:"]
    assert f"  build id      {IMAGE}\n" in done.out
    assert "  target        x86_64, pointers of 8 bytes, little-endian\n" in done.out


def test_kernel_by_build_id(lab: Path, home: Path) -> None:
    tpgen("catalog", "add", lab)
    for wanted in (IMAGE, IMAGE[:16]):
        done = tpgen("list", "--kernel", wanted)
        assert (done.code, done.out) == (0, tpgen("list", "--kernel", "lab-a").out)
    assert tpgen("list", "--kernel", IMAGE[:8]).code == 2


def image_of(build_id: str, **sections: bytes) -> bytes:
    """An ELF file whose notes have a build id."""
    note = (4).to_bytes(4, "little") + (20).to_bytes(4, "little") + (3).to_bytes(4, "little") + b"GNU\0"
    others = {f".{name}": content for name, content in sections.items()}
    return elf({".text": b"\x90" * 64, ".notes": note + bytes.fromhex(build_id), **others})


def told_of(image: Path) -> str:
    """The note that a stored kernel is read in the place of its image."""
    message = "this image is not read: a catalog has the kernel of its build id, lab-a"
    return f"{image}: note: {message} [kernel-image]; --btf reads the image\n"


@pytest.mark.parametrize(
    "command", [("list",), ("catalog", "show"), ("history", "sched_switch"), ("check", "sched_switch")]
)
def test_kernel_by_image(command: tuple[str, ...], lab: Path, home: Path, tmp_path: Path) -> None:
    """An image with no BTF at all."""
    tpgen("catalog", "add", lab)
    image = tmp_path / "vmlinux"
    image.write_bytes(image_of(IMAGE))
    option = () if command[0] == "catalog" else ("--kernel",)
    by_name = tpgen(*command, *option, "lab-a")
    assert tpgen(*command, *option, image) == replace(by_name, err=told_of(image) + by_name.err)
    image.write_bytes(image_of("00" * 20))
    done = tpgen(*command, *option, image)
    assert (done.code, "[catalog-foreign]" in done.err) == (2, True)


def test_list_by_image(lab: Path, home: Path, tmp_path: Path) -> None:
    tpgen("catalog", "add", lab)
    image = tmp_path / "vmlinux"
    image.write_bytes(image_of(IMAGE))
    assert [line.split()[0] for line in tpgen("catalog", "list", image).out.splitlines()] == ["lab-a"]


def test_diff_reads_an_image_itself(lab: Path, home: Path, tmp_path: Path) -> None:
    """Whether a kernel of its build id is stored or not."""
    b = small_btf()
    b.event("only_in_the_image", [("number", b.integer("int", 4, SIGNED))])
    tpgen("catalog", "add", lab)
    image = tmp_path / "vmlinux"
    found = []
    for build_id in (IMAGE, "00" * 20):
        image.write_bytes(image_of(build_id, BTF=b.blob()))
        found.append(tpgen("diff", "lab-a", image, "only_in_the_image", "--json"))
    assert found[0] == found[1]
    (event,) = json.loads(found[0].out)["events"]
    assert [change["change"] for change in event["changes"]] == ["event-new"]


def test_diff_of_an_image_without_btf(lab: Path, home: Path, tmp_path: Path) -> None:
    tpgen("catalog", "add", lab)
    image = tmp_path / "vmlinux"
    image.write_bytes(image_of(IMAGE))
    done = tpgen("diff", "lab-b", image)
    by_name = tpgen("diff", "lab-b", "lab-a")
    out, err = (text.replace("lab-a", str(image)) for text in (by_name.out, by_name.err))
    assert done == replace(by_name, out=out, err=told_of(image) + err)
    image.write_bytes(image_of("00" * 20))
    done = tpgen("diff", "lab-b", image)
    assert (done.code, "[image-no-btf]" in done.err) == (2, True)


def test_diff_of_a_name_that_no_file_has(lab: Path, home: Path) -> None:
    """It is told of the broken file that it may be in, not of a file of its name."""
    tpgen("catalog", "add", lab)
    (home / "broken.tpgen").write_text("x")
    done = tpgen("diff", "lab-a", "lab-z")
    assert (done.code, done.err) == (2, tpgen("list", "--kernel", "lab-z").err)
    assert "broken.tpgen: error: not a catalog [catalog-foreign]" in done.err


# --- the index of names


@pytest.fixture
def many(home: Path, tmp_path: Path) -> Path:
    """So many files that an index is worth it, all of them old."""
    home.mkdir(parents=True)
    for number in range(12):
        small_catalog(home, KernelInfo(f"k{number:02}", X86_64, f"6.{number}"), name=f"k{number:02}.tpgen")
    for path in home.iterdir():
        if path.suffix == ".tpgen":
            age(path)
    return home


def age(path: Path) -> None:
    """A file whose stamp is of yesterday; the time of the inode cannot be set, so that is what counts as now."""
    os.utime(path, (time.time() - 86_400,) * 2)


@pytest.fixture(autouse=True)
def _nothing_is_young(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "is_young", lambda changed_ns, at_ns: False)


def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are opened from now on."""
    found: list[str] = []

    class Watched(Catalog):
        def __init__(self, path: str) -> None:
            found.append(os.path.basename(path))
            super().__init__(path)

    monkeypatch.setattr(names, "Catalog", Watched)
    return found


def test_files_that_did_not_change_are_not_opened(many: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = stored_kernels()
    files = opened(monkeypatch)
    assert stored_kernels() == before
    assert files == []
    assert [item.events for item in before[0]] == [Catalog(item.path).kernel().count for item in before[0]]


def test_a_name_is_opened_alone(many: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With no index, too: a kernel is in the file of its name."""
    files = opened(monkeypatch)
    assert tpgen("list", "--kernel", "k07").code == 0
    assert files == []


def replaced(many: Path) -> None:
    small_catalog(many, KernelInfo("new", S390X, "9.9"), name="k03.tpgen")


def rewritten(many: Path) -> None:
    """In place, with the size and the time of the content that it had."""
    path = many / "k03.tpgen"
    before, content = path.stat(), path.read_bytes()
    path.write_bytes(content.replace(b"k03", b"new"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def added(many: Path) -> None:
    small_catalog(many, KernelInfo("new", X86_64, "9.9"), name="another.tpgen")


def removed(many: Path) -> None:
    (many / "k03.tpgen").unlink()


def swapped(many: Path) -> None:
    (many / "k03.tpgen").rename(many / "x")
    (many / "k04.tpgen").rename(many / "k03.tpgen")
    (many / "x").rename(many / "k04.tpgen")


def broken(many: Path) -> None:
    (many / "k03.tpgen").write_bytes(b"x")


@pytest.mark.parametrize("change", [replaced, rewritten, added, removed, swapped, broken])
def test_the_index_is_never_wrong(change: object, many: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a change, and after the next, it says what a user without an index is told."""
    stored_kernels()
    change(many)  # type: ignore[operator]
    for _ in range(2):
        with_index = stored_kernels()
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / f"empty{time.monotonic_ns()}"))
        assert stored_kernels() == with_index
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def index_files() -> list[Path]:
    directory = cache_directory("names")
    assert directory
    return list(Path(directory).iterdir())


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"[]", b"{}", b'{"k03.tpgen": 7}', b'{"k03.tpgen": [[1, 2, 3, 4], 7]}', b"\xff", b"[" * 100_000,
        b"null", b'{"k03.tpgen": [[1, 2, 3, 4], [["a"]]]}',
    ],
)  # fmt: skip
def test_a_damaged_index(content: bytes, many: Path) -> None:
    before = stored_kernels()
    (index,) = index_files()
    whole = index.read_bytes()
    index.write_bytes(content)
    assert stored_kernels() == before
    assert index.read_bytes() == whole


def test_rows_that_no_kernel_has(many: Path) -> None:
    """The stamps are right, and what stands behind them is not: the file is asked."""
    before = stored_kernels()
    (index,) = index_files()
    whole = index.read_bytes()
    for old, new in ((b'"k03"', b'"k 3"'), (b'"x86_64"', b"7"), (b",8,", b",9,"), (b'"6.3"', b"[]")):
        index.write_bytes(whole.replace(old, new))
        assert stored_kernels() == before


def test_an_index_of_others_is_not_believed(many: Path) -> None:
    before = stored_kernels()
    (index,) = index_files()
    index.write_bytes(index.read_bytes().replace(b"k03", b"evil"))
    index.parent.chmod(0o777)
    assert stored_kernels() == before


def test_no_index_can_be_written(many: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("x")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert len(stored_kernels()[0]) == 12


def test_a_young_file_is_not_in_the_index(many: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It could change again within a tick of the clock."""
    monkeypatch.setattr(names, "is_young", lambda changed_ns, at_ns: True)
    stored_kernels()
    assert not os.path.isdir(str(cache_directory("names"))) or index_files() == []


def test_a_message_does_not_list_hundreds(many: Path) -> None:
    for number in range(12, 50):
        small_catalog(many, KernelInfo(f"k{number:02}", X86_64, f"6.{number}"), name=f"k{number:02}.tpgen")
    done = tpgen("list", "--kernel", "nothing")
    assert done.err.endswith("; live is the running one, and `tpgen catalog list` lists the others\n")
    assert tpgen("list", "--kernel", "kk45").err.endswith("; did you mean k45?\n")
