"""What headers have in common is in each of them, or beside them: the same text, whoever asks for it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.cli import Done, tpgen
from support.small_kernel import write_btf

from tpgen.api import open_kernel

PARTS = {"tpgen_prelude_1.h", "tpgen_portable_1.h", "tpgen_registers_1.h"}
HEAD = "/* SPDX-License-Identifier: 0BSD */\n/* clang-format off */\n/* Made by tpgen, the same for every kernel. */\n"
SEVERAL = ("--kernel", "6.1", "--kernel", "6.12")


def texts(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def whole(name: str, files: dict[str, str]) -> str:
    """The text of a file with those in it that it includes, without what these say of themselves."""

    def included(found: re.Match[str]) -> str:
        assert files[found[1]].startswith(HEAD)
        return files[found[1]].removeprefix(HEAD)

    return re.sub(r'^#include "(\w+\.h)"\n', included, files[name], flags=re.MULTILINE)


def without_blank_lines(text: str) -> str:
    return re.sub(r"\n+", "\n", text)


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (("sched_switch", "kfree_skb", "--kernel", "6.12"), ["prelude"]),
        (("sched_switch", "sys_enter_openat", "--kernel", "6.12"), ["prelude", "registers"]),
        (("sched_switch", "kfree_skb", *SEVERAL), ["portable", "prelude"]),
        (("mm_*", "--values", "--kernel", "5.10", "--kernel", "7.2"), ["portable", "prelude"]),
        (("--member", "task_struct:__state|state", "--member", "task_struct:pid"), ["portable", "prelude"]),
    ],
    ids=["one kernel", "a system call", "several kernels", "values", "members"],
)
def test_shared_is_inline_with_the_text_elsewhere(words: tuple[str, ...], parts: list[str], tmp_path: Path) -> None:
    for form in ("auto", "shared", "inline"):
        assert tpgen(*words, "--prelude", form, "-o", tmp_path / form).code == 0
    assert tpgen(*words, "-o", tmp_path / "default").code == 0
    shared, inline = texts(tmp_path / "shared"), texts(tmp_path / "inline")
    assert texts(tmp_path / "auto") == texts(tmp_path / "default") == shared
    assert shared.keys() - inline.keys() == {f"tpgen_{part}_1.h" for part in parts}
    assert all("#include" not in text for text in inline.values())
    for name, text in inline.items():
        assert without_blank_lines(whole(name, shared)) == without_blank_lines(text)


def test_the_parts_are_the_same_for_whatever_kernel_and_event(tmp_path: Path) -> None:
    """So that runs into one directory do not disturb each other."""
    found: dict[str, set[str]] = {}
    requests = (
        ("sched_switch", "--kernel", "6.1"), ("sys_enter_read", "--kernel", "6.12", "--arch", "arm64"),
        ("kfree_skb", *SEVERAL), ("mm_page_alloc", "--values", "--kernel", "5.10", "--kernel", "7.2"),
        ("--member", "task_struct:pid"),
    )  # fmt: skip
    for number, words in enumerate(requests):
        assert tpgen(*words, "--prelude", "shared", "-o", tmp_path / str(number)).code == 0
        for name, text in texts(tmp_path / str(number)).items():
            if name in PARTS:
                found.setdefault(name, set()).add(text)
    assert found.keys() == PARTS
    assert all(len(each) == 1 for each in found.values())


@pytest.fixture
def btf(tmp_path: Path) -> Path:
    return write_btf(tmp_path / "vmlinux")


def test_one_header_has_it_inside(btf: Path, tmp_path: Path) -> None:
    told = tpgen("sched_switch", "--raw", "--btf", btf)
    assert tpgen("sched_switch", "--raw", "--btf", btf, "-o", f"{tmp_path}/d/") == Done(0, "", "")
    assert texts(tmp_path / "d") == {"raw_sched_switch.h": told.out}
    assert "#include" not in told.out
    assert "#include" not in tpgen("sched_switch", "--btf", btf).out


@pytest.mark.parametrize("output", [(), ("-o", "x.h")], ids=["stdout", "file"])
@pytest.mark.parametrize(
    "words",
    [("sched_switch",), ("sched_switch", "--raw"), ("--member", "task_struct:pid")],
    ids=lambda words: words[-1],
)
def test_what_is_beside_needs_a_directory(
    words: tuple[str, ...], output: tuple[str, ...], btf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    sources = () if words[0] == "--member" else ("--btf", "vmlinux")
    done = tpgen(*words, "--prelude", "shared", *output, *sources)
    assert (done.code, done.out) == (2, "")
    assert "tpgen_prelude_1.h is a file that the others include [usage]; give -o DIR\n" in done.err
    assert not (tmp_path / "x.h").exists()


def test_api(btf: Path) -> None:
    """A program puts files where it likes, so that each is whole unless it says otherwise."""
    kernel = open_kernel(btf=[btf])
    files = kernel.generate("sched_switch", "sched_wakeup")
    assert [file.is_included for file in files] == [False] * 4
    assert all("#include" not in str(file.content) for file in files)
    *headers, prelude = kernel.generate("sched_switch", "sched_wakeup", options={"prelude": "shared"})
    assert (prelude.name, prelude.is_included) == ("tpgen_prelude_1.h", True)
    assert all('#include "tpgen_prelude_1.h"\n' in str(header.content) for header in headers)


# --- in a build

KERNEL = '[kernel.board]\nbtf = "vmlinux"\n'
SWITCH = '[[generate]]\nevents = "sched_switch"\nkernel = "board"\n'
WAKEUP = '[[generate]]\nevents = "sched_wakeup"\nkernel = "board"\n'


@pytest.fixture
def project(btf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tpgen.cache.fingerprint.installation", lambda: "tpgen")
    return tmp_path


def test_tables_share_what_their_headers_include(project: Path) -> None:
    (project / "tpgen.toml").write_text(KERNEL + SWITCH + WAKEUP)
    assert tpgen("build", "--depfile", "d") == Done(0, "", "")
    headers = [f"{form}_sched_{name}.h" for form in ("raw", "tp") for name in ("switch", "wakeup")]
    assert sorted(path.name for path in project.glob("*.h")) == [*headers, "tpgen_prelude_1.h"]
    assert "tpgen_prelude_1.h" in (project / "d").read_text().split(":")[0]
    assert tpgen("build", "--check") == Done(0, "", "")
    (project / "tpgen_prelude_1.h").unlink()
    assert tpgen("build", "--check").code == 1
    assert tpgen("build") == Done(0, "", "")
    (project / "tpgen.toml").write_text(KERNEL + SWITCH + 'options = { prelude = "inline" }\n')
    assert tpgen("build") == Done(0, "", "")
    assert sorted(path.name for path in project.glob("*.h")) == ["raw_sched_switch.h", "tp_sched_switch.h"]


def test_builds_of_one_directory_share_it_too(project: Path) -> None:
    """What one of them no longer includes stays as long as another does."""
    for name, table in (("one", SWITCH), ("two", WAKEUP)):
        (project / f"{name}.toml").write_text(KERNEL + table)
        assert tpgen("build", f"{name}.toml") == Done(0, "", "")
    inline = 'options = { prelude = "inline" }\n'
    (project / "one.toml").write_text(KERNEL + SWITCH + inline)
    assert tpgen("build", "one.toml") == Done(0, "", "")
    assert (project / "tpgen_prelude_1.h").exists()
    assert [tpgen("build", f"{name}.toml", "--check").code for name in ("one", "two")] == [0, 0]
    (project / "two.toml").write_text(KERNEL + WAKEUP + inline)
    assert tpgen("build", "two.toml") == Done(0, "", "")
    assert not (project / "tpgen_prelude_1.h").exists()


def test_not_in_the_one_file_of_a_table(project: Path) -> None:
    (project / "tpgen.toml").write_text(KERNEL + SWITCH + 'file = "x.h"\n')
    assert tpgen("build") == Done(0, "", "")
    assert "#include" not in (project / "x.h").read_text()
    (project / "tpgen.toml").write_text(KERNEL + SWITCH + 'file = "x.h"\noptions = { prelude = "shared" }\n')
    done = tpgen("build")
    assert done.code == 2
    assert "tpgen.toml:6:8: error: tpgen_prelude_1.h is a file that others include" in done.err
