"""`tpgen build`: what it writes, leaves alone, removes and refuses, and what it tells the tool that started it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.btf_builder import BtfBuilder
from support.cli import Done, line, refusal, tpgen
from support.json_schemas import validator
from support.small_kernel import small_btf, write_btf, write_tracefs

import tpgen as package
from tpgen.backends.registry import Plugin
from tpgen.building import run
from tpgen.building.request import BuildRequest
from tpgen.commands import build
from tpgen.diagnostics import Diagnostic
from tpgen.kernel.options import FLAG, KERNEL_OPTIONS, KernelOption
from tpgen.kernel.request import KernelRequest

CHECKOUT = Path(__file__).parents[3]
TOML = """\
[kernel.board]
btf = "vmlinux"

[[generate]]
events = ["sched_switch", "sched_wakeup"]
kernel = "board"
options = { prelude = "inline" }
directory = "include"
"""
HEADERS = ["raw_sched_switch.h", "raw_sched_wakeup.h", "tp_sched_switch.h", "tp_sched_wakeup.h"]
PLUGIN = """\
from tpgen.backends.base import Form, GeneratedFile, Option
class Third:
    api, description, forms, several_kernels = 1, "words", (Form.RAW,), False
    options = (Option("word", "which", ""),)
    def render(self, job):
        return [GeneratedFile('words', job.options["word"])]
"""
OLD = 1_000_000_000  # a time long ago, in seconds


def other_kernel() -> BtfBuilder:
    """A kernel in which sched_wakeup has an argument more, and sched_switch is as it was."""
    b = small_btf()
    wakeup = b.ptr(b.fwd("other"))
    b.event("sched_wakeup_new", [("p", wakeup), ("more", wakeup)])
    return b


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a kernel and a tpgen.toml, as the current directory."""
    write_btf(tmp_path / "vmlinux")
    (tmp_path / "tpgen.toml").write_text(TOML)
    monkeypatch.chdir(tmp_path)
    # Somebody may be editing the checkout while its tests run.
    monkeypatch.setattr("tpgen.cache.fingerprint.installation", lambda: "tpgen")
    return tmp_path


class Renders(BaseException):
    """A build that has something to do."""


def renders(*_: object) -> None:
    raise Renders


@contextlib.contextmanager
def nothing_to_do() -> Iterator[None]:
    """Within, a build that renders fails: it must see by the manifest alone that there is nothing to do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tpgen.building.run._render", renders)
        yield


def built(*arguments: str) -> None:
    assert tpgen("build", *arguments) == Done(0, "", "")


def headers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def times(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


def content_of(project: Path) -> dict[str, Any]:
    """The manifest without its signature."""
    content: dict[str, Any] = json.loads((project / ".tpgen.manifest").read_bytes().partition(b"\n")[2])
    return content


def settle(project: Path) -> None:
    """Makes everything old, so that a stamp alone decides; ctime cannot be set, and is waited for."""
    for path in project.rglob("*"):
        if path.is_file():
            os.utime(path, (OLD, OLD))
    time.sleep(2.1)


def told(*arguments: str) -> dict[str, Any]:
    done = tpgen("build", "--json", *arguments)
    assert (done.code, done.err) == (0, "")
    found: dict[str, Any] = json.loads(done.out)
    validator("build").validate(found)
    return found


class TestWhatBecameOfFiles:
    """What a build says of its files: nothing, but where it is asked."""

    def test_json(self, project: Path) -> None:
        files = sorted(f"include/{name}" for name in HEADERS)
        empty: list[str] = []
        first = told()
        assert sorted(first.pop("changed")) == files
        assert first == {"version": 1, "directory": ".", "removed": empty, "unchanged": empty}
        second = told()
        assert sorted(second.pop("unchanged")) == files
        assert second == {"version": 1, "directory": ".", "changed": empty, "removed": empty}
        (project / "tpgen.toml").write_text(TOML.replace(', "sched_wakeup"', ""))
        assert sorted(told()["removed"]) == ["include/raw_sched_wakeup.h", "include/tp_sched_wakeup.h"]

    def test_verbose(self, project: Path) -> None:
        first = tpgen("build", "-v")
        assert (first.code, first.out) == (0, "")
        assert sorted(first.err.splitlines()) == sorted(f"tpgen: wrote include/{name}" for name in HEADERS)
        assert set(tpgen("build", "-v").err.split("\n")) == {"", *(f"tpgen: left include/{name}" for name in HEADERS)}

    def test_check_has_no_json(self, project: Path) -> None:
        assert tpgen("build", "--check", "--json") == refusal("--check writes nothing [usage]; leave out --json")


class TestBuild:
    def test_files(self, project: Path) -> None:
        built()
        assert headers(project / "include") == HEADERS
        same = tpgen("sched_switch", "--raw", "--btf", "vmlinux").out
        assert (project / "include" / "raw_sched_switch.h").read_text() == same

    def test_another_directory_and_name(self, project: Path) -> None:
        (project / "sub").mkdir()
        (project / "tpgen.toml").rename(project / "sub" / "events.toml")
        (project / "vmlinux").rename(project / "sub" / "vmlinux")
        built("sub/events.toml", "-o", "out")
        assert headers(project / "out" / "include") == HEADERS
        assert headers(project / "sub") == ["events.toml", "vmlinux"]

    def test_kernel_of_the_command_line(self, project: Path) -> None:
        (project / "tpgen.toml").write_text('[[generate]]\nevents = "sched_switch"\nforms = "raw"\n')
        write_btf(project / "other", other_kernel())
        built("--btf", "vmlinux")
        with nothing_to_do():
            built("--btf", "vmlinux")
        assert (project / "raw_sched_switch.h").exists()
        with pytest.raises(Renders), nothing_to_do():
            built("--btf", "other")

    def test_module_of_the_command_line(self, project: Path) -> None:
        """It counts where tpgen.toml does not say one."""
        built("--module", "vmlinux")
        assert headers(project / "include") == HEADERS
        done = tpgen("build", "--module", "kvm")
        assert (done.code, done.err.count("no event 'sched_switch' of module kvm")) == (2, 1)
        (project / "tpgen.toml").write_text(TOML + 'module = "vmlinux"\n')
        built("--module", "kvm")

    def test_forms_options_and_files(self, project: Path) -> None:
        (project / "tpgen.toml").write_text("""
[kernel.board]
btf = ["vmlinux"]
tracefs = "tracefs"
[[generate]]
events = ["sched:sched_switch"]
kernel = "board"
forms = ["classic"]
file = "deep/er/switch.h"
""")
        write_tracefs(project / "tracefs")
        built()
        assert "struct tp_sched_switch" in (project / "deep" / "er" / "switch.h").read_text()

    @pytest.mark.kernel_btf
    def test_snapshot(self, project: Path) -> None:
        """A catalog file is found from where the toml lies, and is what the build depends on."""
        assert tpgen("catalog", "export", "live", "-o", "board.tpgen").code == 0
        (project / "sub").mkdir()
        (project / "sub" / "tpgen.toml").write_text(
            '[[generate]]\nevents = "sched_switch"\nforms = "raw"\nkernel = "../board.tpgen"\n'
        )
        built("sub/tpgen.toml", "--depfile", "d")
        assert (project / "sub" / "raw_sched_switch.h").read_text() == tpgen("sched_switch", "--raw").out
        assert f"{project}/board.tpgen:\n" in (project / "d").read_text()
        with nothing_to_do():
            built("sub/tpgen.toml")
        (project / "board.tpgen").write_bytes(b"")
        assert tpgen("build", "sub/tpgen.toml").code == 2

    def test_kernel_by_name(self, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """With a kernel that only the user's catalogs know, a change there decides."""
        monkeypatch.setenv("XDG_DATA_HOME", str(project / "data"))
        assert tpgen("catalog", "add", "board", "--btf", "vmlinux").code == 0
        (project / "tpgen.toml").write_text('[[generate]]\nevents = "sched_wakeup"\nkernel = "board"\n')
        built()
        assert (project / "raw_sched_wakeup.h").exists()
        with nothing_to_do():
            built()
        assert tpgen("catalog", "add", "other", "--btf", "vmlinux").code == 0
        with pytest.raises(Renders), nothing_to_do():
            built()


class TestNothingToDo:
    def test_at_once(self, project: Path) -> None:
        built()
        before = times(project / "include")
        with nothing_to_do():
            built()
            built()
        assert times(project / "include") == before

    def test_by_stamps_alone(self, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Once the files are old enough, none is read."""
        built()
        settle(project)
        with nothing_to_do():
            built()
            monkeypatch.setattr("tpgen.building.manifest.file_digest", None)
            built()

    def test_in_a_process_without_the_machinery(self, project: Path) -> None:
        code = (
            "import sys; from tpgen.cli import main; code = main(['build'])\n"
            "loaded = {'argparse', 'dataclasses', 'hashlib', 'tomllib', 'tpgen.model', 'typing'}\n"
            "print(*loaded & set(sys.modules)); sys.exit(code)"
        )
        env = {**os.environ, "PYTHONPATH": str(CHECKOUT)}

        def loaded() -> set[str]:
            done = subprocess.run((sys.executable, "-c", code), env=env, stdout=-1, text=True, check=True)
            return set(done.stdout.split())

        assert "tpgen.model" in loaded()
        settle(project)
        loaded()  # reads the files once more, and remembers stamps that can be relied on
        assert loaded() == set()

    def test_touched(self, project: Path) -> None:
        """Other times are not other content."""
        built()
        for name in ("tpgen.toml", "vmlinux", "include/raw_sched_switch.h"):
            os.utime(project / name)
        with nothing_to_do():
            built()

    def test_moved(self, project: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
        """A project that is moved as a whole is built again, and still owns its files."""
        built()
        moved = tmp_path_factory.mktemp("moved") / "here"
        shutil.move(project, moved)
        os.chdir(moved)
        (moved / "tpgen.toml").write_text(TOML.replace(', "sched_wakeup"', ""))
        built()
        assert headers(moved / "include") == ["raw_sched_switch.h", "tp_sched_switch.h"]
        project.mkdir()


class TestStale:
    """Everything that decides: the event list, the kernel, tpgen itself, the generated files."""

    def test_event_list(self, project: Path) -> None:
        built()
        before = times(project / "include")
        (project / "tpgen.toml").write_text(
            TOML.replace('"sched_wakeup"', '"page_ref_mod"').replace("kernel =", 'forms = ["raw"]\nkernel =')
        )
        built()
        assert headers(project / "include") == ["raw_page_ref_mod.h", "raw_sched_switch.h"]
        assert times(project / "include")["raw_sched_switch.h"] == before["raw_sched_switch.h"]

    def test_kernel(self, project: Path) -> None:
        """Of the same size and with the same times as before."""
        built()
        settle(project)
        built()
        blob = (project / "vmlinux").read_bytes()
        changed = blob.replace(b"\0prev_state\0", b"\0prev_stale\0")
        assert len(changed) == len(blob)
        assert changed != blob
        (project / "vmlinux").write_bytes(changed)
        os.utime(project / "vmlinux", (OLD, OLD))
        before = times(project / "include")
        built()
        assert "raw_sched_switch_prev_stale" in (project / "include" / "raw_sched_switch.h").read_text()
        after = times(project / "include")
        assert {name for name in before if before[name] != after[name]} == {"raw_sched_switch.h", "tp_sched_switch.h"}

    def test_kernel_written_in_the_same_moment(self, project: Path) -> None:
        """A file can change twice within a tick of its clock: a stamp that young is not relied on."""
        built()
        status = (project / "vmlinux").stat()
        blob = (project / "vmlinux").read_bytes().replace(b"\0prev_state\0", b"\0prev_stale\0")
        with open(project / "vmlinux", "r+b") as file:
            file.write(blob)
        os.utime(project / "vmlinux", ns=(status.st_atime_ns, status.st_mtime_ns))
        built()
        assert "raw_sched_switch_prev_stale" in (project / "include" / "raw_sched_switch.h").read_text()

    def test_copy_of_tracefs(self, project: Path) -> None:
        (project / "tpgen.toml").write_text(TOML.replace('btf = "vmlinux"', 'btf = "vmlinux"\ntracefs = "tracefs"'))
        write_tracefs(project / "tracefs")
        built()
        (project / "tracefs" / "events" / "sched" / "sched_switch" / "format").unlink()
        with pytest.raises(Renders), nothing_to_do():
            built()

    def test_tpgen_itself(self, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        built()
        monkeypatch.setattr("tpgen.cache.fingerprint.installation", lambda: "another tpgen")
        with pytest.raises(Renders), nothing_to_do():
            built()

    @pytest.mark.parametrize("as_package", [True, False])
    def test_plugin(self, as_package: bool, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A third party's backend that is edited makes something else."""
        site = project / "site"
        site.mkdir()
        name = f"third_party_{as_package}"
        module = site / name / "__init__.py" if as_package else site / f"{name}.py"
        module.parent.mkdir(exist_ok=True)
        module.write_text(PLUGIN)
        plugin = Plugin("third", f"{name}:Third", "third-party", "1")
        monkeypatch.syspath_prepend(site)
        monkeypatch.setattr("tpgen.backends.registry.plugins", lambda: (plugin,))
        (project / "tpgen.toml").write_text(TOML.replace("{ prelude", '{ word = "hello" }\nbackend = "third" #'))
        settle(project)  # of a directory, only the stamp is kept
        built()
        assert (project / "include" / "words").read_text() == "hello"
        with nothing_to_do():
            built()
        module.write_text(PLUGIN.replace("'words'", "'other'"))
        monkeypatch.delitem(sys.modules, name)
        built()
        assert headers(project / "include") == ["other"]

    @pytest.mark.parametrize("spoil", ["", "/* edited */\n"])
    def test_generated_file(self, spoil: str, project: Path) -> None:
        built()
        path = project / "include" / "raw_sched_switch.h"
        text = path.read_text()
        path.write_text(spoil)
        done = tpgen("build")
        note = "include/raw_sched_switch.h: edited since it was written: it is written anew [edited-file]"
        assert done == Done(0, "", line(note, "note"))
        assert path.read_text() == text

    def test_generated_file_is_gone(self, project: Path) -> None:
        built()
        (project / "include" / "raw_sched_switch.h").unlink()
        built()
        assert headers(project / "include") == HEADERS

    @pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b"[1", b'{"format": 2}', b'{"format": 1, "files": 1}'])
    def test_manifest_of_another_kind(self, content: bytes, project: Path) -> None:
        built()
        (project / ".tpgen.manifest").write_bytes(content)
        built()
        assert content_of(project)["complete"] is True

    TREE = """\
#define TRACE_SYSTEM mine
#include "more.h"
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 1, 0)
TRACE_EVENT(one, TP_PROTO(int a), TP_ARGS(a), TP_STRUCT__entry(__array(char, c, LENGTH)), , );
#else
TRACE_EVENT(one, TP_PROTO(long a), TP_ARGS(a), TP_STRUCT__entry(__array(char, c, LENGTH)), , );
#endif
"""

    # A file below the tree, its content at first (None: there is none), then; what is given as --headers.
    @pytest.mark.parametrize("headers", ["tree/drivers", "tree/drivers/mine.h"])
    @pytest.mark.parametrize(
        ("name", "before", "after"),
        [
            ("Makefile", "VERSION = 6\nPATCHLEVEL = 1\n", "VERSION = 5\nPATCHLEVEL = 10\n"),
            ("include/config/kernel.release", "6.1.0\n", "5.10.1\n"),
            ("drivers/more.h", "#define LENGTH 4\n", "#define LENGTH 8\n"),
            ("drivers/kernel/bpf/btf.c", None, "x"),
        ],
    )
    def test_files_around_headers(self, name: str, before: str | None, after: str, headers: str, project: Path) -> None:
        """Whatever was read, or looked for, is watched: not the headers alone."""
        for path, text in (("drivers/mine.h", self.TREE), ("drivers/more.h", "#define LENGTH 4\n"), (name, before)):
            (project / "tree" / path).parent.mkdir(parents=True, exist_ok=True)
            if text is not None:
                (project / "tree" / path).write_text(text)
        kernel = f'[kernel.t]\nheaders = "{headers}"\narch = "x86_64"\nrelease = "6.2"\n'
        if name in ("Makefile", "include/config/kernel.release"):
            kernel = kernel.replace('release = "6.2"\n', "")
        if headers.endswith(".h") and name.endswith("btf.c"):
            return
        (project / "tpgen.toml").write_text(f'{kernel}[[generate]]\nevents = "mine:one"\nkernel = "t"\nforms = "raw"\n')
        settle(project)
        built()
        with nothing_to_do():
            built()
        (project / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
        (project / "tree" / name).write_text(after)
        with pytest.raises(Renders), nothing_to_do():
            built()


class TestUnwritable:
    @pytest.mark.parametrize(
        ("words", "place"),
        [
            (("-o", "vmlinux/x"), "vmlinux/x"),
            (("--stamp", "vmlinux/no/where"), "vmlinux/no"),
            (("--depfile", "include"), "include"),
        ],
    )
    def test_place(self, words: tuple[str, ...], place: str, project: Path) -> None:
        done = tpgen("build", *words)
        assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
        assert done.err.startswith(f"{place}: error: cannot write: ")

    def test_directory_in_the_way(self, project: Path) -> None:
        (project / "include" / "raw_sched_switch.h").mkdir(parents=True)
        done = tpgen("build", "--adopt")
        assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
        assert not (project / "include" / "raw_sched_wakeup.h").exists()
        (project / "include" / "raw_sched_switch.h").rmdir()
        built()
        assert headers(project / "include") == HEADERS


def interrupted(*_: object) -> None:
    """As by Ctrl-C, which a process in the background of a script would not hear."""
    raise KeyboardInterrupt


class TestRemoved:
    def stop_wanting_wakeup(self, project: Path) -> None:
        (project / "tpgen.toml").write_text(TOML.replace(', "sched_wakeup"', ""))

    def test_no_longer_wanted(self, project: Path) -> None:
        built()
        self.stop_wanting_wakeup(project)
        (project / "include" / "own.h").write_text("mine")
        built()
        assert headers(project / "include") == ["own.h", "raw_sched_switch.h", "tp_sched_switch.h"]

    def test_directory(self, project: Path) -> None:
        built()
        (project / "tpgen.toml").write_text(TOML.replace('"include"', '"other/place"'))
        built()
        assert headers(project / "other" / "place") == HEADERS
        assert not (project / "include").exists()

    def test_edited(self, project: Path) -> None:
        """What a person wrote is not removed."""
        built()
        self.stop_wanting_wakeup(project)
        with open(project / "include" / "raw_sched_wakeup.h", "a") as file:
            file.write("/* mine */\n")
        message = "edited since it was written: it is no longer asked for, and was left where it is [edited-file]"
        assert tpgen("build") == Done(0, "", f"include/raw_sched_wakeup.h: note: {message}\n")
        assert headers(project / "include") == ["raw_sched_switch.h", "raw_sched_wakeup.h", "tp_sched_switch.h"]
        with nothing_to_do():
            built()

    def test_after_an_interruption(self, project: Path) -> None:
        """A build that is killed between two files leaves a manifest that knows them all."""
        built()
        before = {path.name: path.read_text() for path in (project / "include").iterdir()}
        (project / "tpgen.toml").write_text(TOML.replace('"sched_wakeup"', '"page_ref_mod"'))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("tpgen.output.Inside.remove", interrupted)
            assert tpgen("build").code == 130
        (project / "tpgen.toml").write_text(TOML)
        built()
        assert {path.name: path.read_text() for path in (project / "include").iterdir()} == before


class TestForeign:
    """A file that this build did not write is not overwritten."""

    def test_refused(self, project: Path) -> None:
        (project / "include").mkdir()
        for name in ("raw_sched_switch.h", "tp_sched_wakeup.h"):
            (project / "include" / name).write_text("mine")
        message = "this file exists, and this build did not write it [foreign-file]"
        assert tpgen("build") == refusal(
            f"include/raw_sched_switch.h: {message}; remove it, or overwrite it with --adopt",
            f"include/tp_sched_wakeup.h: {message}; remove it, or overwrite it with --adopt",
        )
        assert headers(project / "include") == ["raw_sched_switch.h", "tp_sched_wakeup.h"]
        built("--adopt")
        assert headers(project / "include") == HEADERS

    def test_that_is_right(self, project: Path) -> None:
        """A clone has the generated files of somebody else's commit, and no manifest."""
        built()
        (project / ".tpgen.manifest").unlink()
        before = times(project / "include")
        built()
        assert times(project / "include") == before

    def test_of_another_toml(self, project: Path) -> None:
        built("-o", "out")
        (project / "second").mkdir()
        (project / "second" / "tpgen.toml").write_text(TOML.replace('"vmlinux"', '"../vmlinux"'))
        done = tpgen("build", "second/tpgen.toml", "-o", "out")
        told = f"the files here belong to {project}/tpgen.toml [other-toml]; give another -o DIR"
        assert done == Done(2, "", f"out: error: {told}\n")
        assert headers(project / "out" / "include") == HEADERS


class TestCheck:
    def test_fresh(self, project: Path) -> None:
        built()
        with nothing_to_do():
            built("--check")

    def test_without_a_manifest(self, project: Path) -> None:
        """In continuous integration the files come from a commit."""
        built()
        (project / ".tpgen.manifest").unlink()
        built("--check")
        assert not (project / ".tpgen.manifest").exists()

    def test_stale(self, project: Path) -> None:
        """The diff is one that patch(1) applies."""
        built()
        (project / "tpgen.toml").write_text(
            TOML.replace('"sched_wakeup"', '"page_ref_mod"').replace("[kernel", "\n[kernel")
        )
        (project / "include" / "raw_sched_switch.h").write_text("edited")
        before = times(project / "include")
        done = tpgen("build", "--check")
        assert (done.code, done.err) == (1, "")
        assert times(project / "include") == before
        assert re.findall(r"^(?:---|\+\+\+) (.*)$", done.out, re.MULTILINE) == [
            "/dev/null", "b/include/raw_page_ref_mod.h",
            "a/include/raw_sched_switch.h", "b/include/raw_sched_switch.h",
            "a/include/raw_sched_wakeup.h", "/dev/null",
            "a/include/tp_sched_wakeup.h", "/dev/null",
        ]  # fmt: skip
        if shutil.which("patch") is None:
            pytest.skip("patch is not installed")
        subprocess.run(("patch", "-s", "-p1"), input=done.out, text=True, check=True)
        built("--check")

    def test_bytes(self, project: Path) -> None:
        built()
        (project / "include" / "raw_sched_switch.h").write_bytes(b"\xff")
        done = tpgen("build", "--check")
        message = "Binary files a/include/raw_sched_switch.h and b/include/raw_sched_switch.h differ\n"
        assert done == Done(1, message, "")

    def test_with_what_is_written(self, project: Path) -> None:
        done = tpgen("build", "--check", "--depfile", "d")
        assert done == refusal("--check writes nothing [usage]; leave out --stamp and --depfile")


class TestTold:
    """The stamp and the depfile."""

    def test_stamp(self, project: Path) -> None:
        built("--stamp", "stamp")
        lines = [line.split("  ") for line in (project / "stamp").read_text().splitlines()]
        assert [name for _, name in lines] == [f"include/{name}" for name in HEADERS]
        for digest, name in lines:
            assert hashlib.sha256((project / name).read_bytes()).hexdigest() == digest

    def test_stamp_changes_with_a_file_only(self, project: Path) -> None:
        built("--stamp", "stamp")
        os.utime(project / "stamp", (OLD, OLD))
        (project / "tpgen.toml").write_text("# a comment\n" + TOML)
        built("--stamp", "stamp")
        assert (project / "stamp").stat().st_mtime == OLD
        (project / "tpgen.toml").write_text(TOML.replace(', "sched_wakeup"', ""))
        built("--stamp", "stamp")
        assert (project / "stamp").stat().st_mtime > OLD

    def test_stamp_is_gone(self, project: Path) -> None:
        built("--stamp", "stamp", "--depfile", "d")
        for name in ("stamp", "d"):
            (project / name).unlink()
        with nothing_to_do():
            built("--stamp", "stamp", "--depfile", "d")
        assert (project / "stamp").exists()
        assert (project / "d").exists()

    def dependencies(self, project: Path) -> dict[str, set[str]]:
        """The depfile, as make reads it."""
        if shutil.which("make") is None:
            pytest.skip("make is not installed")
        command = ("make", "-rpqf", "d")
        database = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False).stdout
        files = database.partition("# Files\n")[2].splitlines()
        rules = (line.partition(": ") for line in files if line and line[0] not in "#\t" and ":" in line)
        return {target.rstrip(":"): set(needs.split()) for target, _, needs in rules}

    def test_depfile(self, project: Path) -> None:
        built("--stamp", "stamp", "--depfile", "d")
        rules = self.dependencies(project)
        needed = rules["stamp"]
        assert {f"{project}/tpgen.toml", f"{project}/vmlinux"} <= needed
        assert os.path.abspath(package.__file__) in needed
        assert set(map(str, (CHECKOUT / "templates" / "bpf").glob("*.j2"))) <= needed
        assert needed <= set(rules), "an input that goes away must not stop make"

    def test_depfile_without_a_stamp(self, project: Path) -> None:
        built("-o", "out", "--depfile", "d")
        rules = self.dependencies(project)
        assert {name for name in rules if name.startswith("out/")} == {f"out/include/{name}" for name in HEADERS}
        assert f"{project}/tpgen.toml" in rules["out/include/raw_sched_switch.h"]

    def test_depfile_names_a_copy_of_tracefs(self, project: Path) -> None:
        (project / "tpgen.toml").write_text(TOML.replace('btf = "vmlinux"', 'btf = "vmlinux"\ntracefs = "tracefs"'))
        write_tracefs(project / "tracefs")
        built("--stamp", "stamp", "--depfile", "d")
        assert f"{project}/tracefs/events/sched/sched_switch/format" in self.dependencies(project)["stamp"]

    def test_depfile_escapes(self, project: Path) -> None:
        (project / "a $b #c").write_bytes((project / "vmlinux").read_bytes())
        (project / "tpgen.toml").write_text(TOML.replace('"vmlinux"', '"a $b #c"'))
        built("--stamp", "stamp", "--depfile", "d")
        assert r"/a\ $$b\ \#c:" in (project / "d").read_text()
        if shutil.which("make") is None:
            pytest.skip("make is not installed")
        (project / "Makefile").write_text("stamp: ; touch stamp\n-include d\n")
        assert subprocess.run(("make", "-q"), check=False).returncode == 0
        os.utime(project / "a $b #c", (time.time() + 9, time.time() + 9))
        assert subprocess.run(("make", "-q"), check=False).returncode == 1


class TestWords:
    """A build with nothing to do reads its words without argparse, and must read them alike."""

    WORDS = (
        [], ["x.toml"], ["-o", "d"], ["--output=d", "x.toml"], ["--check"], ["--stamp", "s", "--depfile=d"],
        ["--btf", "b", "--btf=a", "--arch", "arm"], ["--kernel", "6.1", "--module=xe", "y.toml"], ["--tracefs=t"],
        ["-DA=1", "-D", "B", "-DA"], ["-UX", "--release", "6.1", "-U", "Y=1"],
        *([option.flag, "x"] for option in KERNEL_OPTIONS if option.kind != FLAG),
    )  # fmt: skip

    @pytest.mark.parametrize("words", WORDS, ids=" ".join)
    def test_same_as_argparse(self, words: list[str]) -> None:
        quick = BuildRequest.of(words)
        assert quick is not None
        assert vars(quick) == vars(build.build_request(build.parser().parse_args(words)))

    @pytest.mark.parametrize("option", KERNEL_OPTIONS, ids=lambda option: option.name)
    def test_each_option_of_a_kernel_decides(self, option: KernelOption) -> None:
        """Another value is another build, and so is none; a flag is for argparse, and decides nothing."""
        if option.kind == FLAG:
            assert BuildRequest.of([option.flag]) is None
            return
        values = ([], [option.flag, "a"], [option.flag, "b"])
        requests = [BuildRequest.of(["x.toml", *words]) for words in values]
        assert len({tuple(request.arguments) for request in requests if request}) == 3

    RIDDLES = (
        "--adopt", "-od", "-o=d", "-o", "-o --check", "--outp d", "a b", "--", "-- a", "--check --stamp s",
        "-xoutput d", "--no-cache", "-h", "--stamp=", "--arch a --arch b", "--cmake-dir", "--check=1",
        "-DX -UX", "-D", "-D=x", "--btf", "--btf -x",
    )  # fmt: skip

    @pytest.mark.parametrize("words", RIDDLES)
    def test_riddles_are_for_argparse(self, words: str) -> None:
        assert BuildRequest.of(words.split()) is None


def test_several_kernels(project: Path) -> None:
    """One file for all that are named: for every [[generate]], for one, or by the command line; then nothing to do."""
    generate = '[[generate]]\nevents = "{}"\nforms = "raw"\n'
    text = 'kernels = ["6.12", "debian-6.1-amd*"]\n[kernel.board]\nbtf = "vmlinux"\n'
    text += generate.format("sched_switch") + generate.format("sched_wakeup") + 'kernels = ["5.10", "board"]\n'
    (project / "tpgen.toml").write_text(text)
    assert tpgen("build").code == 0
    switch = tpgen("sched_switch", "--raw", "--kernel", "debian-6.1-amd64", "--kernel", "debian-6.12-amd64").out
    assert (project / "raw_sched_switch.h").read_text() == switch
    wakeup = (project / "raw_sched_wakeup.h").read_text()
    assert "debian-5.10-amd64" in wakeup or "5.10.0-" in wakeup
    assert BuildRequest("tpgen.toml").is_done(BuildRequest("tpgen.toml").load())
    (project / "tpgen.toml").write_text(generate.format("sched_switch"))
    assert tpgen("build", "--kernel", "6.12", "--kernel", "6.1").code == 0
    assert (project / "raw_sched_switch.h").read_text() == switch


def test_as_a_library(project: Path) -> None:
    """Without a command line: what is not said by tpgen.toml is a request for a kernel, in the caller's terms."""
    (project / "tpgen.toml").write_text('[[generate]]\nevents = "sched_switch"\nforms = "raw"\n')
    request, defaults = BuildRequest("tpgen.toml"), run.Defaults((KernelRequest(btf=("vmlinux",)),))
    notes: list[Diagnostic] = []
    assert run.check(request, defaults, notes.append).diff[:2] == ["--- /dev/null\n", "+++ b/raw_sched_switch.h\n"]
    run.build(request, defaults, adopt=False, report=notes.append)
    assert (project / "raw_sched_switch.h").read_text() == tpgen("sched_switch", "--raw", "--btf", "vmlinux").out
    assert run.check(request, defaults, notes.append) == ([], [])
    assert notes == []


def test_cmake_dir() -> None:
    done = tpgen("build", "--cmake-dir")
    assert (done.code, done.err) == (0, "")
    assert (Path(done.out.strip()) / "tpgen.cmake").is_file()


def test_two_builds_at_once(project: Path) -> None:
    """However many start at the same moment, all succeed and nothing is half there."""
    env = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    command = (sys.executable, "-m", "tpgen", "build", "--stamp", "stamp", "--depfile", "d")
    for other in ("sched_wakeup", "page_ref_mod", "sched_wakeup"):
        (project / "tpgen.toml").write_text(
            TOML.replace("sched_wakeup", other).replace("kernel =", "forms = 'raw'\nkernel =")
        )
        builds = [subprocess.Popen(command, env=env) for _ in range(4)]
        assert [build.wait() for build in builds] == [0, 0, 0, 0]
        assert headers(project / "include") == sorted(("raw_sched_switch.h", f"raw_{other}.h"))
    assert not list(project.rglob(".tpgen-*"))


@pytest.mark.kernel_btf
def test_running_kernel(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "tpgen.toml").write_text('[[generate]]\nevents = ["sched_switch"]\nforms = ["raw"]\nkernel = "live"\n')
    built("--stamp", "stamp", "--depfile", "d")
    assert "/sys/kernel/notes:\n" in (project / "d").read_text()
    with nothing_to_do():
        built()
    monkeypatch.setattr("tpgen.cache.kernel_identity.current", lambda: "another kernel")
    with pytest.raises(Renders), nothing_to_do():
        built()


def test_names_of_values(tmp_path: Path) -> None:
    """The same headers as those of the command line, for one kernel and for several."""
    for kernels in (("6.12",), ("6.1", "7.2")):
        folder = tmp_path / kernels[0]
        folder.mkdir()
        text = f'[[generate]]\nevents = "kfree_skb"\nvalues = true\nkernels = {list(kernels)}\nfile = "reasons.h"\n'
        (folder / "tpgen.toml").write_text(text)
        assert tpgen("build", folder / "tpgen.toml").code == 0
        named = [word for kernel in kernels for word in ("--kernel", kernel)]
        printed = tpgen("--values", "kfree_skb", *named).out
        assert "SKB_DROP_REASON_NO_SOCKET" in printed
        assert (folder / "reasons.h").read_text() == printed
        assert tpgen("build", folder / "tpgen.toml", "--check").code == 0
