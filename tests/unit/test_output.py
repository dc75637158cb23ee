"""Writing: all or nothing, atomically, and only what changed."""

from __future__ import annotations

import errno
import os
import stat
import threading
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from tpgen.diagnostics import TpgenError
from tpgen.output import write_file, write_files

OLD = 1_000_000_000  # a time long ago, in seconds
FILES = [("a.h", b"one\n"), ("b.h", b"two\n"), ("c.h", b"three\n")]


def contents(folder: Path) -> dict[str, str]:
    """Every file below a folder, hidden ones too."""
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def aged(path: Path) -> Path:
    os.utime(path, (OLD, OLD))
    return path


class TestWritten:
    def test_into_a_new_directory(self, tmp_path: Path) -> None:
        folder = tmp_path / "new" / "er"
        assert write_files(str(folder), FILES) == [str(folder / name) for name in ("a.h", "b.h", "c.h")]
        assert contents(tmp_path) == {"new/er/a.h": "one\n", "new/er/b.h": "two\n", "new/er/c.h": "three\n"}

    def test_names_with_directories(self, tmp_path: Path) -> None:
        files = [("sched/a.h", b"one\n"), ("b.o", b"\xff\0")]
        assert write_files(str(tmp_path / "out"), files) == [f"{tmp_path}/out/sched/a.h", f"{tmp_path}/out/b.o"]
        assert (tmp_path / "out" / "sched" / "a.h").read_text() == "one\n"
        assert (tmp_path / "out" / "b.o").read_bytes() == b"\xff\0"

    def test_no_files(self, tmp_path: Path) -> None:
        assert write_files(str(tmp_path), []) == []

    def test_one_file_at_a_time_is_in_memory(self, tmp_path: Path) -> None:
        """Files that are made as they are taken: here of 100 MB in all."""
        size = 1_000_000
        tracemalloc.start()
        try:
            written = write_files(str(tmp_path), ((f"{number}.h", bytes(size)) for number in range(100)))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert len(written) == 100
        assert all((tmp_path / f"{number}.h").stat().st_size == size for number in range(100))
        assert peak < 3 * size

    def test_only_what_changed(self, tmp_path: Path) -> None:
        """make sees a changed time only where there is a change."""
        write_files(str(tmp_path), FILES)
        for name in ("a.h", "b.h", "c.h"):
            aged(tmp_path / name)
        changed = [FILES[0], ("b.h", b"2\n"), FILES[2]]
        assert write_files(str(tmp_path), changed) == [str(tmp_path / "b.h")]
        assert contents(tmp_path) == {"a.h": "one\n", "b.h": "2\n", "c.h": "three\n"}
        untouched = [(tmp_path / name).stat().st_mtime == OLD for name in ("a.h", "b.h", "c.h")]
        assert untouched == [True, False, True]

    def test_one_file_unchanged(self, tmp_path: Path) -> None:
        path = tmp_path / "x.h"
        assert write_file(str(path), b"x") == [str(path)]
        aged(path)
        assert write_file(str(path), b"x") == []
        assert path.stat().st_mtime == OLD
        assert write_file(str(path), b"y") == [str(path)]

    @pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
    def test_mode_is_a_plain_files(self, mask: int, tmp_path: Path) -> None:
        before = os.umask(mask)
        try:
            write_file(str(tmp_path / "x.h"), b"x")
        finally:
            os.umask(before)
        assert stat.S_IMODE((tmp_path / "x.h").stat().st_mode) == 0o666 & ~mask

    def test_relative_path(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        write_file("x.h", b"x")
        assert contents(tmp_path) == {"x.h": "x"}

    def test_text_is_utf8(self, tmp_path: Path) -> None:
        write_file(str(tmp_path / "x.h"), "×".encode())
        assert (tmp_path / "x.h").read_bytes() == b"\xc3\x97"

    def test_symbolic_link_stays(self, tmp_path: Path) -> None:
        target = tmp_path / "target.h"
        target.write_text("old")
        (tmp_path / "link.h").symlink_to("target.h")
        write_file(str(tmp_path / "link.h"), b"new")
        assert (tmp_path / "link.h").is_symlink()
        assert target.read_text() == "new"

    def test_device_is_written_to(self, tmp_path: Path) -> None:
        """`-o /dev/null` as root must not put a file in its place; a link to it stands for it here."""
        path = tmp_path / "null"
        path.symlink_to("/dev/null")
        write_file(str(path), b"x")
        assert path.is_symlink()
        assert stat.S_ISCHR(path.stat().st_mode)

    def test_pipe_is_written_to(self, tmp_path: Path) -> None:
        path = tmp_path / "pipe"
        os.mkfifo(path)
        read: list[str] = []
        reader = threading.Thread(target=lambda: read.append(path.read_text()), daemon=True)
        reader.start()
        write_file(str(path), b"through")
        reader.join(10)
        assert read == ["through"]
        assert stat.S_ISFIFO(path.stat().st_mode)


class TestReplaced:
    """A file that is replaced keeps what is not its content."""

    @pytest.mark.parametrize("mode", [0o600, 0o640, 0o755, 0o444, 0o666])
    def test_mode(self, mode: int, tmp_path: Path) -> None:
        path = tmp_path / "x.h"
        path.write_text("old")
        path.chmod(mode)
        write_files(str(tmp_path), [("x.h", b"new"), ("y.h", b"new")])
        assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("new", mode)
        assert stat.S_IMODE((tmp_path / "y.h").stat().st_mode) == 0o644

    def test_no_set_uid(self, tmp_path: Path) -> None:
        path = tmp_path / "x.h"
        path.write_text("old")
        path.chmod(0o6755)
        write_file(str(path), b"new")
        assert stat.S_IMODE(path.stat().st_mode) == 0o755

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
    def test_owner(self, tmp_path: Path) -> None:
        for name in ("x.h", "target.h"):
            (tmp_path / name).write_text("old")
            os.chown(tmp_path / name, 12345, 54321)
        (tmp_path / "link.h").symlink_to("target.h")
        for name in ("x.h", "link.h", "new.h"):
            write_file(str(tmp_path / name), b"new")
        owners = {name: (tmp_path / name).stat()[4:6] for name in ("x.h", "target.h", "new.h")}
        assert owners == {"x.h": (12345, 54321), "target.h": (12345, 54321), "new.h": (os.geteuid(), os.getegid())}

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
    @pytest.mark.parametrize(
        ("mode", "owner", "followed"),
        [(0o1777, 12345, False), (0o1777, 0, True), (0o1777, 777, True), (0o755, 12345, True), (0o1755, 12345, True)],
    )
    def test_links_of_others(self, mode: int, owner: int, followed: bool, tmp_path: Path) -> None:
        """In a directory that everybody may write to, as fs.protected_symlinks has it: mine, or the directory's."""
        folder = tmp_path / "tmp"
        folder.mkdir()
        os.chown(folder, 777, 777)
        folder.chmod(mode)
        (tmp_path / "victim").write_text("old")
        (folder / "x.h").symlink_to(tmp_path / "victim")
        os.lchown(folder / "x.h", owner, owner)
        for write in (lambda: write_file(f"{folder}/x.h", b"new"), lambda: write_files(str(folder), [("x.h", b"n")])):
            if followed:
                write()
                assert (tmp_path / "victim").read_text()[:1] == "n"
                continue
            with pytest.raises(TpgenError, match=r"x.h: cannot write: this is a symbolic link \[unwritable\]"):
                write()
            assert (tmp_path / "victim").read_text() == "old"

    def test_leftovers_of_killed_runs(self, tmp_path: Path) -> None:
        """They go a day later; nothing that is called otherwise does."""
        old, young = f".tpgen-{'0' * 16}-0", f".tpgen-{'a' * 16}-12"
        others = (".tpgen-manifest", ".tpgen-0-0", f".tpgen-{'g' * 16}-0", f"tpgen-{'0' * 16}-0", f"{old}.h")
        for name in (old, *others):
            os.utime(aged_file(tmp_path / name), (OLD, OLD))
        aged_file(tmp_path / young)
        directory = tmp_path / f".tpgen-{'b' * 16}-0"
        directory.mkdir()
        aged_file(directory / "a.h")
        os.utime(directory, (OLD, OLD))
        write_file(str(tmp_path / "x.h"), b"x")
        assert sorted(os.listdir(tmp_path)) == sorted([young, *others, "x.h"])

    def test_leftovers_beside_a_new_directory(self, tmp_path: Path) -> None:
        aged(aged_file(tmp_path / f".tpgen-{'0' * 16}-0"))
        write_files(str(tmp_path / "out"), FILES)
        assert os.listdir(tmp_path) == ["out"]

    def test_a_new_directory_is_there_with_all_in_it(self, tmp_path: Path) -> None:
        """It has the mode that the user's mask gives, and nobody sees it half full."""
        seen = []

        def made() -> Iterator[tuple[str, bytes]]:
            for name, data in FILES:
                seen.append((tmp_path / "out").exists())
                yield name, data

        previous = os.umask(0o027)
        try:
            write_files(f"{tmp_path}/out/", made())
        finally:
            os.umask(previous)
        assert seen == [False] * 3
        assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o750
        assert os.listdir(tmp_path) == ["out"]

    def test_somebody_makes_the_new_directory_meanwhile(self, tmp_path: Path) -> None:
        def made() -> Iterator[tuple[str, bytes]]:
            yield from FILES
            (tmp_path / "out").mkdir()
            (tmp_path / "out" / "a.h").write_text("another")
            (tmp_path / "out" / "d.h").write_text("another")

        write_files(str(tmp_path / "out"), made())
        assert contents(tmp_path) == {
            "out/a.h": "one\n", "out/b.h": "two\n", "out/c.h": "three\n", "out/d.h": "another",
        }  # fmt: skip
        assert os.listdir(tmp_path) == ["out"]


def aged_file(path: Path) -> Path:
    path.write_text("half")
    return path


class TestRefused:
    """An error is a TpgenError with the file's path, and what was there before is there afterwards."""

    @staticmethod
    def refused(folder: Path, expected: str) -> None:
        before = contents(folder)
        with pytest.raises(TpgenError) as caught:
            write_files(str(folder), FILES)
        assert str(caught.value) == expected
        assert contents(folder) == before

    def test_directory_in_the_place_of_a_file(self, tmp_path: Path) -> None:
        """The files before it are not written either."""
        (tmp_path / "a.h").write_text("old")
        (tmp_path / "c.h").mkdir()
        self.refused(tmp_path, f"{tmp_path}/c.h: cannot write: Is a directory [unwritable]")

    def test_file_in_the_place_of_the_directory(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("old")
        with pytest.raises(TpgenError) as caught:
            write_files(str(tmp_path / "file" / "sub"), FILES)
        assert str(caught.value) == f"{tmp_path}/file/sub: cannot write: Not a directory [unwritable]"
        assert contents(tmp_path) == {"file": "old"}

    def test_directory_of_a_file_that_cannot_be_made(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("old")
        with pytest.raises(TpgenError) as caught:
            write_file(str(tmp_path / "file" / "no" / "x.h"), b"x")
        assert str(caught.value) == f"{tmp_path}/file/no: cannot write: Not a directory [unwritable]"
        assert contents(tmp_path) == {"file": "old"}

    def test_directories_of_a_file_that_cannot_be_written(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(*_: object) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(os, "write", full)
        with pytest.raises(TpgenError):
            write_file(str(tmp_path / "new" / "sub" / "x.h"), b"x")
        assert contents(tmp_path) == {}

    def test_directory_for_one_file(self, tmp_path: Path) -> None:
        (tmp_path / "sub").mkdir()
        with pytest.raises(TpgenError) as caught:
            write_file(str(tmp_path / "sub"), b"x")
        assert str(caught.value) == f"{tmp_path}/sub: cannot write: Is a directory [unwritable]"
        assert contents(tmp_path) == {}

    @pytest.mark.parametrize("at", [1, 2, 3])
    def test_full_disk(self, at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The disk is full at the first, second or third file: no file is written and none is left behind."""
        (tmp_path / "a.h").write_text("old")
        write, written = os.write, []

        def full(descriptor: int, data: bytes) -> int:
            """Takes one byte at a time, and none of this file's last."""
            written.append(data)
            if len(data) == 1 and sum(len(each) == 1 for each in written) == at:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return write(descriptor, data[:1])

        monkeypatch.setattr("tpgen.output.os.write", full)
        self.refused(tmp_path, f"{tmp_path}/{'abc'[at - 1]}.h: cannot write: No space left on device [unwritable]")
        del written[:]
        with pytest.raises(TpgenError, match=rf"^{tmp_path}/new/er/{'abc'[at - 1]}\.h: cannot write: No space"):
            write_files(str(tmp_path / "new" / "er"), FILES)
        assert os.listdir(tmp_path) == ["a.h"]

    def test_interrupted(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Ctrl-C is no OSError, and leaves no half file either."""

        def interrupted(descriptor: int, data: bytes) -> int:
            raise KeyboardInterrupt

        (tmp_path / "a.h").write_text("old")
        monkeypatch.setattr("tpgen.output.os.write", interrupted)
        with pytest.raises(KeyboardInterrupt):
            write_files(str(tmp_path), FILES)
        with pytest.raises(KeyboardInterrupt):
            write_files(str(tmp_path / "new"), FILES)
        assert contents(tmp_path) == {"a.h": "old"}
        assert os.listdir(tmp_path) == ["a.h"]

    def test_failure_of_a_file_that_is_made(self, tmp_path: Path) -> None:
        """It leaves nothing of those before it, nor the directories that were made for them."""

        def made() -> Iterator[tuple[str, bytes]]:
            yield "new/a.h", b"new"
            yield "there/a.h", b"new"
            yield "new/er/b.h", b"new"
            raise ValueError("no third")

        (tmp_path / "out" / "there").mkdir(parents=True)
        (tmp_path / "out" / "there" / "a.h").write_text("old")
        with pytest.raises(ValueError, match="no third"):
            write_files(str(tmp_path / "out"), made())
        assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")} == {
            "out", "out/there", "out/there/a.h",
        }  # fmt: skip
        assert (tmp_path / "out" / "there" / "a.h").read_text() == "old"
        with pytest.raises(ValueError, match="no third"):
            write_files(str(tmp_path / "far" / "off"), made())
        assert not (tmp_path / "far").exists()
