"""tpgen.toml: every mistake is told with its place, in one line each, and nothing is written."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.cli import line, refusal, tpgen
from support.small_kernel import write_btf

KERNEL = '[kernel.board]\nbtf = "vmlinux"\n'
G = "[[generate]]\n"

# What is in the file, what is said after `tpgen.toml:`.
WRONG = {
    "syntax": ("[[generate]\n", "1:11: expected ']]' at the end of an array declaration [toml-syntax]"),
    "value": (G + "events = [1\n", "2: unclosed array [toml-syntax]"),
    "nothing": ("", "there is no [[generate]] [toml-value]"),
    "no array": ("[generate]\nevents = 'e'\n", "1:2: there is no [[generate]] [toml-value]"),
    "unknown table": (G + "events = 'e'\n[kernle]\n", "3:2: unknown key kernle [toml-key]; did you mean kernel?"),
    "table of kernels": (
        G + "events = 'e'\n[kernels]\n", "3:2: kernels must be an array of strings that are not empty [toml-value]"
    ),
    "no kernels": ("kernels = []\n" + G + "events = 'e'\n", "1:1: kernels is empty [toml-value]; name one"),
    "kernel and kernels": (
        G + "events = 'e'\nkernel = 'a'\nkernels = ['b']\n",
        "4:1: kernel and kernels exclude each other [toml-value]",
    ),
    "unknown key": (
        G + "# event = 'e'\n\n  event = 'e'\nevents = 'e'\n",
        "4:3: unknown key event of [[generate]] [toml-key]; did you mean events?",
    ),
    "unknown key of the second": (
        G + "events = ['e']\n" + G + "events = ['e']\n\"evnets\" = 1\n",
        "5:1: unknown key evnets of [[generate]] [toml-key]; did you mean events?",
    ),
    "unlike any key": (
        G + "events = 'e'\nzzz = 1\n",
        "3:1: unknown key zzz of [[generate]] [toml-key]; there is events, kernel, kernels, module, backend, values, "
        "forms, options, directory, file",
    ),
    "unknown key of a kernel": (
        "[kernel.a]\nbtf = 'x'\n[kernel.b]\nbft = 'x'\n" + G + "events = 'e'\n",
        "4:1: unknown key bft of kernel b [toml-key]; did you mean btf?",
    ),
    "kernel without sources": (
        "[kernel.a]\n" + G + "events = 'e'\n",
        "1: kernel a has no sources [toml-value]; give btf, tracefs, headers",
    ),
    "kernel that is none": (
        "kernel = 1\n" + G + "events = 'e'\n",
        "1:1: a kernel must be a table: [kernel.NAME] [toml-val",
    ),
    "no events": (G + "forms = ['raw']\n", "1: a [[generate]] needs events, or members [toml-value]"),
    "events": (G + "events = ['e', 1]\n", "2:1: events must be an array of strings that are not empty [toml-value]"),
    "empty event": (
        G + "events = ['e', '']\n",
        "2:1: events must be an array of strings that are not empty [toml-value]",
    ),
    "backend": (G + "events = 'e'\nbackend = 1\n", "3:1: backend must be a string that is not empty [toml-value]"),
    "values": (G + "events = 'e'\nvalues = 'yes'\n", "3:1: values must be true or false [toml-value]"),
    "values in Go": (
        G + "events = 'e'\nbackend = 'go'\nvalues = true\n",
        "4:1: values are for BPF programs, not for go [toml-value]; leave out backend",
    ),
    "form": (
        G + "events = 'e'\nforms = [\n  'raw',\n  'clasic',\n]\n",
        "5:3: no form 'clasic' [toml-value]; did you mean classic?",
    ),
    "absolute": (
        G + "events = 'e'\ndirectory = '/tmp/x'\n",
        "3:1: directory must not be an absolute path [toml-value]; it is relative to where `tpgen build -o` says, by "
        "default to this file",
    ),
    "both": (G + "events = 'e'\ndirectory = 'a'\nfile = 'b'\n", "4:1: file and directory exclude each other [toml-"),
    "options": (
        G + "events = 'e'\noptions = { a = 1.5 }\n",
        "3:1: options is a table of true, false, numbers and strings [toml-value]",
    ),
    # What shows only when it is done.
    "unknown backend": (G + "events = 'e'\nbackend = 'cobol'\n", "3:11: no backend 'cobol' [unknown-backend]; there "),
    "unknown option": (
        G + "events = 'e'\noptions = { flat = true }\n",
        "3:1: backend bpf has no option flat [bad-option]; it has ",
    ),
    "unknown kernel": (G + "events = 'e'\nkernel = 'nokernel'\n", "3:10: "),
    "misspelt name of a table": (
        "[kernel.board]\nbtf = 'vmlinux'\n" + G + "events = 'e'\nkernel = 'baord'\n",
        "5:10: no kernel 'baord' [unknown-kernel]; did you mean board?",
    ),
    "unknown kernel of several": (
        G + "events = 'e'\nkernels = [\n  '6.12',\n  'nokernel',\n]\n", "5:3: no kernel 'nokernel' [unknown-kernel]; "
    ),
    "glob without a kernel": (
        "kernels = '*-zzz'\n" + G + "events = 'e'\n",
        "1:11: no kernel is called '*-zzz' [unknown-kernel]; live is the running one",
    ),
    "backend for one kernel": (
        G + "events = 'sched_switch'\nkernels = ['6.1', '6.12']\nbackend = 'go'\n",
        "3:12: backend go makes files for one kernel [usage]; ",
    ),
    "unknown event": (
        KERNEL + G + "kernel = 'board'\nevents = [\n  'sched_switch', # first\n  'sched_wakup',\n]\n",
        "7:3: no event 'sched_wakup' in vmlinux [unknown-event]; did you mean sched_wakeup?",
    ),
    "bad pattern": (
        KERNEL + G + "kernel = 'board'\nevents = ['sched_switch', 'sched:']\n",
        "5:27: no event name in 'sched:' [bad-pattern]; write EVENT, SYSTEM:EVENT or 'SYSTEM:*'",
    ),
    "no names": (
        KERNEL + G + "kernel = 'board'\nevents = ['sched_wakeup']\nvalues = true\n",
        "6:1: no source has names for values of sched:sched_wakeup [no-names]",
    ),
    "same name": (
        KERNEL + G + "kernel = 'board'\nevents = 'sched_switch'\n" + G + "kernel = 'board'\nevents = 'sched_*'\n",
        "8:1: raw_sched_switch.h is also made by the [[generate]] of line 3 [same-name]",
    ),
    "one file of many": (
        KERNEL + G + "kernel = 'board'\nevents = 'sched_*'\nfile = 'x.h'\n",
        "6:8: 4 files are made, and they cannot all be x.h [toml-value]; give a directory",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("text", "message"), WRONG.values(), ids=WRONG)
def test_mistake(text: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_btf(tmp_path / "vmlinux")
    (tmp_path / "tpgen.toml").write_text(text)
    done = tpgen("build")
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    place = "tpgen.toml: " if message.startswith("there") else "tpgen.toml:"
    assert done.err.startswith(line(f"{place}{message}").rstrip("\n"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tpgen.toml", "vmlinux"]


def test_all_mistakes_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tpgen.toml").write_text(G + "evnets = 1\nforms = 'x'\n")
    assert tpgen("build").err.splitlines() == [
        "tpgen.toml:2:1: error: unknown key evnets of [[generate]] [toml-key]; did you mean events?",
        "tpgen.toml:1: error: a [[generate]] needs events, or members [toml-value]",
        "tpgen.toml:3:9: error: no form 'x' [toml-value]; there is raw, classic",
    ]


def test_no_such_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    hint = "docs/build.md explains the file"
    assert tpgen("build") == refusal(f"tpgen.toml: cannot read: No such file or directory [unreadable]; {hint}")
    (tmp_path / "x.toml").write_bytes(b"\xff")
    assert tpgen("build", "x.toml") == refusal("x.toml: not UTF-8 [toml-syntax]")
