"""Options that are read without argparse: the same as argparse has, or left to it."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tpgen.commands.deliver import Screen
from tpgen.diagnostics import TpgenError
from tpgen.kernel.options import KERNEL_OPTIONS

WORDS = (
    "sched_switch", "sched:*", "", "-", "--", "a b", "- b", "-1", "-x", "--raw", "--raw=1", "--classic", "--rawx",
    "--ra", "-b", "bpf", "json", "-bjson", "--backend=json", "--backend=", "--backend", "-o", "-o=x", "--output=out/",
    "-ox", "-v", "-vq", "-q", "--quiet", "--values", "--member", "x|y", "--member=x|y", "--json", "--args", "--type",
    "struct sock *", "--type=int", "--prelude", "inline", "--prelude=shared", "-D", "-DX=1", "X", "-U", "--no-cache",
    "--no-cache=1", "--kernel", "6.12", "--kernel=live", "--btf=a", "--arch", "arm64", "--module=xe", "--",
    "--config", "--release=6.1",
    *(option.flag for option in KERNEL_OPTIONS),
)  # fmt: skip


def by_argparse(command: Any, words: list[str]) -> dict[str, Any] | None:
    """The options as argparse reads them; None where it refuses them."""
    try:
        return vars(command.parser().parse_args(words))
    except TpgenError:
        return None
    finally:
        Screen.begin()


@pytest.mark.parametrize("name", ["generate", "list", "show"])
@given(words=st.lists(st.sampled_from(WORDS), max_size=6))
@settings(deadline=None, max_examples=300)
def test_the_same_as_argparse(name: str, words: list[str]) -> None:
    command = import_module(f"tpgen.commands.{name}")
    try:
        plain = command.plain(words)
    except TpgenError:
        plain = None
        assert by_argparse(command, words) is None
    if plain is not None:
        expected = by_argparse(command, words)
        assert expected is not None
        for options in (vars(plain), expected):
            options["given"] = sorted(options.get("given", ()))
            options["renderer"] = options["renderer"].plugin if "renderer" in options else None
        assert vars(plain) == expected


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("generate", "sched_switch"),
        ("generate", "sched_switch sched:* --raw -o out/"),
        ("generate", "-b json --output=a.json --kernel 6.12 --kernel=live sched_switch"),
        ("generate", "--member x|y --btf a --btf=b --no-cache"),
        ("list", "--json sched:*"),
        ("show", "a b c --arch arm64 --module xe"),
    ],
)
def test_plain(name: str, line: str) -> None:
    assert import_module(f"tpgen.commands.{name}").plain(line.split()) is not None


@pytest.mark.parametrize(
    "line",
    [
        "a --raw b", "--help", "-h", "-q a", "-ofile a", "a -- b", "a --prelude inline", "-D X=1 a", "a --raw=1",
        "a --output", "a --output --raw", "a -b", "--output= a", "a --unknown", "--ra a",
    ],
)  # fmt: skip
def test_left_to_argparse(line: str) -> None:
    assert import_module("tpgen.commands.generate").plain(line.split()) is None


@pytest.mark.parametrize("words", ["sched_switch --raw --kernel 6.12 --no-cache", "list nothing:*"])
def test_a_run_does_without(words: str) -> None:
    script = f"import sys; from tpgen.cli import main; main({words.split()}); sys.exit('argparse' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True).returncode == 0
