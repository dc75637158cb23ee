"""A project that somebody else made: whatever its files say, nothing outside of it is written, replaced or removed."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.cli import Done, line, tpgen
from support.small_kernel import write_btf

from tpgen.diagnostics import TpgenError
from tpgen.output import Inside, write_files

CHECKOUT = Path(__file__).parents[3]
KERNEL = '[kernel.k]\nbtf = "vmlinux"\n'
PLAIN = '[[generate]]\nevents = "sched_switch"\nkernel = "k"\nforms = "raw"\n'
VICTIM = b"precious\n"


def everything(folder: Path) -> dict[str, tuple[object, ...]]:
    """All that there is below a folder: kind, mode, owner, time, inode, and content or target."""
    found: dict[str, tuple[object, ...]] = {}
    for path in [folder, *folder.rglob("*")]:
        status = path.lstat()
        kind = stat.S_IFMT(status.st_mode)
        content: object = None
        if kind == stat.S_IFREG:
            content = path.read_bytes()
        elif kind == stat.S_IFLNK:
            content = os.readlink(path)
        found[str(path)] = (status.st_mode, status.st_uid, status.st_gid, status.st_mtime_ns, status.st_ino, content)
    return found


class Clone:
    """A project at `root`, and `outside`, which it must leave alone."""

    def __init__(self, folder: Path) -> None:
        self.outside, self.root = folder / "outside", folder / "clone"
        self.outside.mkdir()
        self.root.mkdir()
        (self.outside / "victim.h").write_bytes(VICTIM)
        (self.outside / "empty").mkdir()
        (self.outside / "secret").write_text("a secret\n")
        write_btf(self.root / "vmlinux")
        self.toml(PLAIN)

    def toml(self, text: str) -> None:
        (self.root / "tpgen.toml").write_text(KERNEL + text)

    def manifest(self, *names: str, content: bytes = VICTIM, form: int = 2) -> None:
        """A manifest that calls these names outputs, with the digest that the victim has."""
        digest = hashlib.sha256(content).hexdigest()
        data = {
            "format": form, "complete": True, "arguments": [str(self.root / "tpgen.toml")], "states": {}, "trees": {},
            "files": {}, "outputs": {name: [[digest], None] for name in names},
        }  # fmt: skip
        head = "" if form == 1 else "0" * 64 + "\n"
        (self.root / ".tpgen.manifest").write_text(head + json.dumps(data) + "\n")


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Clone:
    made = Clone(tmp_path)
    monkeypatch.chdir(made.root)
    return made


def names_in_manifest(name: str) -> Callable[[Clone], None]:
    return lambda clone: clone.manifest(name)


def old_manifest(clone: Clone) -> None:
    clone.manifest("../outside/victim.h", form=1)


def wanted_in(text: str) -> Callable[[Clone], None]:
    return lambda clone: clone.toml(f"{PLAIN}{text}\n")


def directory_that_is_a_link(clone: Clone) -> None:
    (clone.root / "include").symlink_to("../outside")
    clone.toml(f'{PLAIN}directory = "include"\n')


def directory_below_a_link(clone: Clone) -> None:
    (clone.root / "include").symlink_to(clone.outside)
    clone.toml(f'{PLAIN}directory = "include/a/b"\n')


def output_that_is_a_link(clone: Clone) -> None:
    (clone.root / "raw_sched_switch.h").symlink_to("../outside/victim.h")
    clone.manifest("raw_sched_switch.h")


def output_that_is_a_link_to_nowhere(clone: Clone) -> None:
    (clone.root / "raw_sched_switch.h").symlink_to("../outside/new.h")


def listed_below_a_link(clone: Clone) -> None:
    (clone.root / "include").symlink_to(clone.outside)
    clone.manifest("include/victim.h", "include/empty/x")


def manifest_that_is_a_link(clone: Clone) -> None:
    (clone.root / ".tpgen.manifest").symlink_to("../outside/victim.h")


def manifest_that_is_a_link_to_nowhere(clone: Clone) -> None:
    (clone.root / ".tpgen.manifest").symlink_to("../outside/new")


def manifest_linked_to_one(clone: Clone) -> None:
    clone.manifest("../outside/victim.h")
    (clone.root / ".tpgen.manifest").rename(clone.root / "other")
    (clone.root / ".tpgen.manifest").symlink_to("other")


HOSTILE = {
    "name above": names_in_manifest("../outside/victim.h"),
    "name above inside": names_in_manifest("include/../../outside/victim.h"),
    "absolute name": lambda clone: clone.manifest(str(clone.outside / "victim.h")),
    "NUL": names_in_manifest("../outside/victim.h\0"),
    "directory": names_in_manifest("../outside/empty"),
    "old manifest": old_manifest,
    "listed below a link": listed_below_a_link,
    "directory above": wanted_in('directory = "../outside"'),
    "directory above inside": wanted_in('directory = "a/../../outside"'),
    "file above": wanted_in('file = "../outside/victim.h"'),
    "absolute file": lambda clone: clone.toml(f'{PLAIN}file = "{clone.outside}/victim.h"\n'),
    "absolute directory": lambda clone: clone.toml(f'{PLAIN}directory = "{clone.outside}"\n'),
    "git": wanted_in('file = ".git/hooks/post-checkout"'),
    "git in capitals": wanted_in('directory = "a/.GIT"'),
    "manifest as an output": wanted_in('file = ".tpgen.manifest"'),
    "directory that is a link": directory_that_is_a_link,
    "directory below a link": directory_below_a_link,
    "output that is a link": output_that_is_a_link,
    "output that is a link to nowhere": output_that_is_a_link_to_nowhere,
    "manifest that is a link": manifest_that_is_a_link,
    "manifest that is a link to nowhere": manifest_that_is_a_link_to_nowhere,
    "manifest linked to one": manifest_linked_to_one,
}
WAYS = {"build": (), "adopt": ("--adopt",), "check": ("--check",)}


@pytest.mark.parametrize("words", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE)
def test_nothing_outside_changes(hostile: Callable[[Clone], None], words: tuple[str, ...], clone: Clone) -> None:
    hostile(clone)
    before = everything(clone.outside)
    for _ in range(2):
        done = tpgen("build", *words)
        assert done.code in (0, 1, 2)
        assert "secret" not in done.out
        assert VICTIM.decode() not in done.out, "a file outside is shown as the old text of an output"
        assert everything(clone.outside) == before
    assert not (clone.root / ".git").exists()


def test_what_is_refused_is_told_with_its_place(clone: Clone) -> None:
    clone.toml(f'{PLAIN}directory = "../outside"\n')
    message = "tpgen.toml:7:1: directory leads out of the project [toml-value]"
    assert tpgen("build").err == line(f"{message}; only `tpgen build -o DIR` names a directory elsewhere")
    directory_that_is_a_link(clone)
    assert tpgen("build").err == (
        "./include: error: cannot write: this is a symbolic link [unwritable]; below the directory of a build "
        "no link is followed: name where it leads with -o DIR\n"
    )
    assert tpgen("build", "-o", "include", "--check").code == 1, "what the user names is another matter"


def test_what_the_user_names_is_written(clone: Clone) -> None:
    assert tpgen("build", "-o", "../outside") == Done(0, "", "")
    assert (clone.outside / "raw_sched_switch.h").exists()


# --- the manifest is a hint


def test_a_foreign_manifest_removes_nothing(clone: Clone) -> None:
    """Nor does the next build, for which it is not foreign any more."""
    (clone.root / "main.c").write_bytes(VICTIM)
    clone.manifest("main.c")
    note = "main.c is no longer asked for, and left: this user did not write the manifest on this machine"
    assert tpgen("build") == Done(0, "", f".: note: {note} [foreign-manifest]\n")
    assert tpgen("build") == Done(0, "", "")
    assert (clone.root / "main.c").read_bytes() == VICTIM


def test_a_foreign_manifest_says_what_may_be_overwritten(clone: Clone) -> None:
    """A stale header of a commit is brought up to date, one that somebody edited is not."""
    header = clone.root / "raw_sched_switch.h"
    header.write_bytes(VICTIM)
    clone.manifest("raw_sched_switch.h")
    assert tpgen("build") == Done(0, "", "")
    assert b"raw_sched_switch_prev" in header.read_bytes()
    clone.manifest("raw_sched_switch.h")
    header.write_bytes(b"edited")
    assert "[foreign-file]" in tpgen("build").err
    assert header.read_bytes() == b"edited"


def test_without_the_key_all_is_made_again(clone: Clone, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Another machine, another user or an emptied cache: the same files, and then there is nothing to do."""
    (clone.root / "tpgen.toml").write_text(KERNEL + PLAIN)
    assert tpgen("build") == Done(0, "", "")
    before = everything(clone.root)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert tpgen("build") == Done(0, "", "")
    changed = {path for path, about in everything(clone.root).items() if before[path] != about}
    assert changed == {str(clone.root), str(clone.root / ".tpgen.manifest")}
    key = tmp_path / "cache" / "tpgen" / "keys" / "manifests"
    assert (stat.S_IMODE(key.stat().st_mode), key.stat().st_size) == (0o600, 32)
    assert stat.S_IMODE(key.parent.stat().st_mode) == 0o700


def test_without_a_cache_it_builds_as_well(clone: Clone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tpgen.cache.private_files.cache_directory", lambda name: None)
    for _ in range(2):
        assert tpgen("build") == Done(0, "", "")
    assert (clone.root / ".tpgen.manifest").read_bytes().startswith(b"unsigned\n")


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 1_000_000, b"x\n" + b'{"a":' * 100_000, b"x\n{}", b'x\n{"format": 2}', b'x\n{"format": 2, "outputs": 7}',
        b'x\n{"format": 2, "outputs": {"a": 1, "b": [1], "c": [[1], 2]}}', b'x\n{"format": {}, "outputs": []}',
        b'x\n{"format": 2, "outputs": {"raw_sched_switch.h": [["\\ud800", 7, null], []]}}', b"\xff\xfe\n\0", b"\n" * 99,
        b"x\n" + b"9" * 5000, b'x\n{"format": 2, "outputs": {"' + b"a/" * 50_000 + b'": [["a"], null]}}',
    ],
)  # fmt: skip
def test_any_manifest(content: bytes, clone: Clone) -> None:
    (clone.root / ".tpgen.manifest").write_bytes(content)
    assert tpgen("build") == Done(0, "", "")


# --- what could wait forever, or take all memory


@pytest.mark.parametrize("name", ["tpgen.toml", "vmlinux", ".tpgen.manifest", "raw_sched_switch.h"])
@pytest.mark.parametrize("kind", ["pipe", "zero", "loop", "directory"])
def test_no_regular_file(kind: str, name: str, clone: Clone) -> None:
    """In a process: one that waits fails the test."""
    path = clone.root / name
    path.unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero" if kind == "zero" else name)
    command = (sys.executable, "-m", "tpgen", "build")
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode in (0, 2)
    assert done.stdout == ""
    assert done.stderr.count("\n") == (done.returncode == 2)
    assert "internal" not in done.stderr


NESTED = 100_000
BAD_TOML = {
    "deep arrays": ("a = " + "[" * NESTED + "]" * NESTED, "toml-syntax"),
    "deep tables": ("a = " + "{a=" * NESTED + "1" + "}" * NESTED, "toml-syntax"),
    "digits": (f"a = {'9' * 5000}", "toml-syntax"),
    "hexadecimal digits": (f"{PLAIN}options = {{ a = 0x{'f' * 9000} }}", "toml-value"),
    "NUL in a key": ('"a\\u0000" = 1', "toml-key"),
    "NUL in a path": ('[[generate]]\nevents = "x"\nfile = "a\\u0000b"', "toml-value"),
    "newline in a path": ('[[generate]]\nevents = "x"\nfile = "a\\nb"', "toml-value"),
    "many mistakes": ("[[generate]]\nwrong = 1\n" * 20_000, "toml-key"),
    "many keys": ("".join(f"k{n} = 1\n" for n in range(20_000)), "toml-key"),
}


@pytest.mark.parametrize(("text", "code"), BAD_TOML.values(), ids=BAD_TOML)
def test_bad_toml(text: str, code: str, clone: Clone) -> None:
    (clone.root / "tpgen.toml").write_text(text)
    begun = time.process_time()
    done = tpgen("build")
    assert time.process_time() - begun < 20
    assert (done.code, done.out) == (2, "")
    assert {line.rpartition("[")[2].partition("]")[0] for line in done.err.splitlines()} <= {code, "toml-value"}
    assert f"[{code}]" in done.err
    assert done.err.count("\n") <= 100


def test_many_tables(clone: Clone) -> None:
    """The place of each is found without looking at all others: of the last as of the first."""
    (clone.root / "tpgen.toml").write_text('[[generate]]\nevents = "x"\n' * 20_000 + "[[generate]]\nevents = 1\n")
    begun = time.process_time()
    done = tpgen("build")
    assert time.process_time() - begun < 20
    assert "tpgen.toml:40002:1: error: events must be an array of strings" in done.err


# --- code of the project's


def test_a_plugin_of_the_project_is_not_run(clone: Clone) -> None:
    """A package that lies in the current directory is not installed, and neither is a module of a library's name."""
    info = clone.root / "evil-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: evil\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[tpgen.backends]\nevil = evil:Backend\n")
    ran = f"open({str(clone.outside / 'ran')!r}, 'w')\n"
    for name in ("evil", "json", "argparse", "tomllib", "jinja2", "sitecustomize", "difflib"):
        (clone.root / f"{name}.py").write_text(ran)
    clone.toml(f'{PLAIN}backend = "evil"\n')
    before = everything(clone.outside)
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    command = (sys.executable, "-m", "tpgen", "build")
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "no backend 'evil' [unknown-backend]" in done.stderr
    assert everything(clone.outside) == before


# --- races


def test_a_directory_that_becomes_a_link_meanwhile(clone: Clone) -> None:
    """Between any two files that are written."""
    before = everything(clone.outside)

    def swapping() -> list[tuple[str, bytes]]:
        include = clone.root / "include"

        def files():  # type: ignore[no-untyped-def]
            yield "include/a.h", b"a"
            include.rename(clone.root / "moved")
            include.symlink_to("../outside")
            yield "include/victim.h", b"b"

        return files()  # type: ignore[no-any-return]

    with Inside(str(clone.root)) as home:
        write_files(home, swapping())
    assert everything(clone.outside) == before
    assert sorted(os.listdir(clone.root / "moved")) == ["a.h", "victim.h"]


def test_a_race_for_a_directory(clone: Clone) -> None:
    """Somebody swaps a directory for a link as fast as he can."""
    include, away = clone.root / "include", clone.root / "away"
    before = everything(clone.outside)
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            for act in (lambda: include.rename(away), lambda: include.symlink_to("../outside"), include.unlink):
                with contextlib.suppress(OSError):
                    act()
            with contextlib.suppress(OSError):
                away.rename(include)

    swapper = threading.Thread(target=swap)
    swapper.start()
    refused = 0
    try:
        for number in range(400):
            try:
                with Inside(str(clone.root)) as home:
                    write_files(home, [("include/victim.h", b"%d" % number)])
                    home.remove("include/victim.h")
            except TpgenError:
                refused += 1
            shutil.rmtree(away, ignore_errors=True)
    finally:
        stop.set()
        swapper.join()
    assert everything(clone.outside) == before
    assert refused > 0, "else there was no race"
