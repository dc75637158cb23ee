"""The directory of a cache: how much stays in it, what goes first, and who may look into it."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

import pytest

from tpgen.cache import kernel_identity
from tpgen.cache.private_files import PrivateFiles

DAY = 86_400


def files(folder: Path, most: int = 100, total: int | None = None) -> PrivateFiles:
    return PrivateFiles("x", most, 10_000, str(folder / "tpgen" / "x"), total)


def names(kept: PrivateFiles) -> list[str]:
    return sorted(os.listdir(kept.directory or ""))


def aged(kept: PrivateFiles, name: str, seconds: float) -> None:
    at = time.time() - seconds
    os.utime(kept.path(name), (at, at))


def test_bound_in_bytes(tmp_path: Path) -> None:
    """2 500 bytes in all: after three of a thousand the oldest goes."""
    kept = files(tmp_path, total=2_500)
    for number in range(6):
        kept.write(f"f{number}", bytes(1_000))
        aged(kept, f"f{number}", 100 - number)
        assert sum(os.stat(kept.path(name)).st_size for name in names(kept)) <= 2_500
    assert names(kept) == ["f4", "f5"]
    kept.write("large", bytes(9_000))
    assert names(kept) == ["large"], "what was just written stays"


def test_what_would_never_be_read_is_not_kept(tmp_path: Path) -> None:
    kept = files(tmp_path)
    kept.write("x", bytes(10_000))
    with pytest.raises(OSError, match="larger"):
        kept.write("x", bytes(10_001))
    assert (names(kept), kept.read("x")) == (["x"], bytes(10_000))


def test_bound_in_number(tmp_path: Path) -> None:
    kept = files(tmp_path, most=3)
    for number in range(6):
        kept.write(f"f{number}", b"x")
        aged(kept, f"f{number}", 100 - number)
    assert names(kept) == ["f3", "f4", "f5"]


def test_the_least_recently_used_goes_first(tmp_path: Path) -> None:
    """Though it was written last."""
    kept = files(tmp_path, most=2)
    for name, age in (("a", 3 * DAY), ("b", 2 * DAY)):
        kept.write(name, b"x")
        aged(kept, name, age)
    assert kept.read("a") == b"x"
    kept.write("c", b"x")
    assert names(kept) == ["a", "c"]


def test_leftovers_of_killed_runs(tmp_path: Path) -> None:
    """They go a day later, and never count: a run of now may be at work on them."""
    kept = files(tmp_path, most=1)
    old, young = kept.new("old"), kept.new("young")
    aged(kept, os.path.basename(old), 2 * DAY)
    kept.write("a", b"x")
    assert names(kept) == sorted(["a", os.path.basename(young)])


@pytest.mark.parametrize("mask", [0, 0o022, 0o077])
def test_directories_are_closed_to_others(mask: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tpgen.catalog.store import make_user_directory

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "a" / "cache"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "a" / "data"))
    before = os.umask(mask)
    try:
        PrivateFiles("outputs", 1, 10).write("x", b"x")
        make_user_directory()
    finally:
        os.umask(before)
    made = [path for path in (tmp_path / "a").rglob("*") if path.is_dir()] + [tmp_path / "a"]
    assert len(made) == 7
    assert {stat.S_IMODE(path.stat().st_mode) for path in made} == {0o700}


def test_the_directory_of_former_versions_goes(tmp_path: Path) -> None:
    former = tmp_path / "tpgen" / "answers"
    former.mkdir(parents=True)
    (former / "0123").write_text("x")
    files(tmp_path).write("a", b"x")
    assert os.listdir(tmp_path / "tpgen") == ["x"]


def test_a_link_in_its_place_stays(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "mine").touch()
    (tmp_path / "tpgen").mkdir()
    (tmp_path / "tpgen" / "answers").symlink_to(tmp_path / "elsewhere")
    files(tmp_path).write("a", b"x")
    assert (tmp_path / "elsewhere" / "mine").exists()


def test_a_module_replaced_under_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where /proc/modules cannot be read its build id tells; without one the kernel cannot be told from others."""
    (tmp_path / "btf").mkdir()
    for name in ("vmlinux", "kvm"):
        (tmp_path / "btf" / name).touch()
    note = tmp_path / "kvm.note"
    monkeypatch.setattr(kernel_identity, "LIVE_BTF", str(tmp_path / "btf"))
    monkeypatch.setattr(kernel_identity, "_MODULES", str(tmp_path / "no such file"))
    monkeypatch.setattr(kernel_identity, "_MODULE_NOTE", f"{tmp_path}/%s.note")
    assert kernel_identity._modules() is None

    def with_id(build_id: bytes) -> list[str] | None:
        words = b"".join(number.to_bytes(4, "little") for number in (4, len(build_id), 3))
        note.write_bytes(words + b"GNU\0" + build_id)
        return kernel_identity._modules()

    first = with_id(b"0123")
    assert first is not None
    assert first == with_id(b"0123") != with_id(b"4567")
