"""The options that name a kernel: everything that knows them knows those of the one table, under the same names."""

from __future__ import annotations

import argparse
import inspect
import re
from pathlib import Path

import pytest

from tpgen.api import open_kernel
from tpgen.commands import base
from tpgen.kernel import options
from tpgen.kernel.options import FLAG, KERNEL, KERNEL_OPTIONS, PATH, PICK, WORD, options_of
from tpgen.kernel.request import KernelRequest

ROOT = Path(__file__).parents[3]
README, DOCS = (ROOT / "README.md").read_text(), ROOT / "docs"


def names(*kinds: str) -> list[str]:
    return [option.name for option in options_of(*kinds)]


def test_rows() -> None:
    assert len({option.name for option in KERNEL_OPTIONS}) == len(KERNEL_OPTIONS)
    assert len({option.flag for option in KERNEL_OPTIONS}) == len(KERNEL_OPTIONS)
    roles = {options.TEXT, options.NAMED, options.FILE, options.FORMATS, options.HEADERS, options.UNCACHED}
    for option in KERNEL_OPTIONS:
        assert option.kind in (KERNEL, PATH, WORD, PICK, FLAG)
        assert option.cache in roles
        assert (option.metavar is None) == (option.kind == FLAG)
        assert option.cache not in (options.FILE, *options.TREES) or option.kind == PATH, "what is read is a path"


def test_the_request_has_a_field_for_each() -> None:
    assert sorted(KernelRequest._fields) == sorted(names(KERNEL, PATH, WORD, FLAG))


def test_the_command_line_has_each() -> None:
    parsed = vars(base.parser("x", "").parse_args([]))
    assert sorted(parsed) == sorted(option.name for option in KERNEL_OPTIONS)
    assert KernelRequest.of(parsed) == KernelRequest()


def test_values_reach_the_request() -> None:
    words = [option.flag if option.kind == FLAG else f"{option.flag}=a {option.name}" for option in KERNEL_OPTIONS]
    request = base.kernel_request(base.parser("x", "").parse_args([*words, "--btf=second"]))
    assert request.btf == ("a btf", "second")
    assert (request.kernel, request.headers, request.no_cache) == ("a kernel", "a headers", True)
    for option in options_of(KERNEL, PATH, WORD):
        assert request.values_of(option)[0] == f"a {option.name}"


def test_the_api_has_a_keyword_for_each() -> None:
    """A name is the first argument, and what a program says about the cache it says the other way round."""
    keywords = set(inspect.signature(open_kernel).parameters)
    assert keywords == {"name", "use_cache", *names(PATH, WORD)}


def test_the_documentation_has_each() -> None:
    """README.md lists what the sources are; it tells --kernel, --module and --no-cache in its text."""
    rows = re.findall(
        r"^\| `(-[^`]*)` \|", README.partition("| option | what it reads |")[2].partition("\n\n")[0], re.M
    )
    assert rows == [f"{option.flag} {option.metavar}" for option in options_of(PATH, WORD)]
    for option in options_of(KERNEL, PICK, FLAG):
        assert f"`{option.flag}" in README
    keys = re.search(r"^btf = .*# also: (.*), as the options of those names$", (DOCS / "build.md").read_text(), re.M)
    assert keys
    assert ["btf", *keys[1].split(", ")] == names(PATH, WORD)
    keywords = re.search(r"`open_kernel\((btf=.*)\)`", (DOCS / "api.md").read_text())
    assert keywords
    assert re.findall(r"(\w+)=", keywords[1]) == names(PATH, WORD)


def test_paths_from_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "6.12").touch()
    request = KernelRequest(kernel="6.12", btf=("a", "/b"), tracefs="t", headers="h/", config="../c", arch="arm")
    assert request.below(str(tmp_path)) == KernelRequest(
        f"{tmp_path}/6.12", (f"{tmp_path}/a", "/b"), f"{tmp_path}/t", f"{tmp_path}/h/", f"{tmp_path}/../c", arch="arm"
    )
    assert KernelRequest(kernel="6.1").below(str(tmp_path)) == KernelRequest(kernel="6.1"), "no file is called so"


@pytest.mark.parametrize("option", options_of(PATH), ids=lambda option: option.name)
def test_any_path_is_a_file(option: options.KernelOption) -> None:
    given = argparse.Namespace(**{option.name: ["x"] if option.repeatable else "x"})
    assert KernelRequest.of(vars(given)).has_files
    assert not KernelRequest(kernel="x", arch="x", no_cache=True).has_files
