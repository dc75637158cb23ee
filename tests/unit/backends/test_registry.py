"""The door of the backends: what comes through it, what is turned away, and the example plugin, installed and run."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.btf_builder import BtfBuilder, elf
from support.cli import Done, refusal, tpgen
from support.small_kernel import Line, small_btf, write_btf, write_tracefs

import tpgen as package
from tpgen.backends import registry
from tpgen.backends.base import GeneratedFile

CHECKOUT = Path(__file__).parents[3]
EXAMPLE = CHECKOUT / "examples" / "backend-plugin"


def test_built_in_backends_are_our_entry_points() -> None:
    """What a run finds without reading entry points is what the distribution registers."""
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["tpgen.backends"] == registry.BUILT_IN


@pytest.mark.parametrize("name", registry.BUILT_IN)
def test_built_in_backend_has_what_is_asked_of_a_plugin(name: str) -> None:
    """Ours are not examined at each start; here they are."""
    assert registry._problem(registry.find(name).backend) is None


def test_built_in_backend_does_without_entry_points(tmp_path: Path) -> None:
    btf = write_btf(tmp_path / "vmlinux")
    code = (
        "import sys; from tpgen.cli import main; code = main(sys.argv[1:])\n"
        "assert 'importlib.metadata' not in sys.modules; sys.exit(code)"
    )
    command = (sys.executable, "-c", code, "sched_switch", "--raw", "--btf", str(btf))
    assert subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode == 0


# --- plugins made for the test

HEAD = """\
from tpgen.backends.base import Form, GeneratedFile, Option
class Plugin:
    api = 1
    description = "names of events"
    forms = (Form.RAW, Form.CLASSIC)
    options = ()
    several_kernels = False
    def render(self, job):
        return [GeneratedFile("names", "".join(f"{r.event.name} {r.form}\\n" for r in job.kernel.requests))]
"""


class Environment:
    """Packages with plugins, beside what is installed."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder = folder
        monkeypatch.syspath_prepend(folder)
        self._monkeypatch = monkeypatch

    def install(self, name: str, more: str = "", head: str = HEAD, package: str | None = None) -> None:
        """A package with the backend `name`: `head`, then the lines `more` of the class."""
        package = package or f"tpgen-{name}"
        module = package.replace("-", "_")
        self._monkeypatch.delitem(sys.modules, module, raising=False)
        (self._folder / f"{module}.py").write_text(head + more)
        info = self._folder / f"{module}-1.5.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.5\n")
        (info / "entry_points.txt").write_text(f"[tpgen.backends]\n{name} = {module}:Plugin\n")
        registry.plugins.cache_clear()


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Environment:
    folder = tmp_path / "site"
    folder.mkdir()
    return Environment(folder, monkeypatch)


@pytest.fixture(autouse=True)
def _forget_plugins() -> Iterator[None]:
    registry.plugins.cache_clear()
    yield
    registry.plugins.cache_clear()


@pytest.fixture(scope="module")
def btf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_btf(tmp_path_factory.mktemp("kernel") / "vmlinux")


def test_plugin(environment: Environment, btf: Path) -> None:
    environment.install("names")
    done = tpgen("sched_switch", "pelt_se_tp", "-b", "names", "--btf", btf)
    assert (done.code, done.out) == (0, "sched_switch raw\nsched_switch classic\npelt_se_tp raw\n")
    assert tpgen("sched_switch", "--raw", "-b", "names", "--btf", btf) == Done(0, "sched_switch raw\n", "")


def test_list(environment: Environment) -> None:
    environment.install("names", '    options = (Option("upper", "in capitals"), Option("size", "in bytes", 8))\n')
    done = tpgen("backends")
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    at = lines.index("names: names of events")
    assert lines[at + 1] == "  from tpgen-names 1.5; forms: raw, classic"
    assert [line.split() for line in lines[at + 2 : at + 4]] == [
        ["--upper", "in", "capitals"], ["--size", "8", "in", "bytes"],
    ]  # fmt: skip
    (ours,) = (item for item in json.loads(tpgen("backends", "--json").out) if item["name"] == "bpf")
    assert (ours["package"], ours["package_version"], ours["forms"]) == (
        "tpgen",
        package.__version__,
        ["raw", "classic"],
    )


class TestOptions:
    OPTIONS = """\
    options = (
        Option("upper", "in capitals, all of 100% of it"), Option("end", "last", True), Option("indent", "spaces", 2),
        Option("style", "which", "plain", ("plain", "odd")), Option("prefix", "first", ""),
    )
    def render(self, job):
        return [GeneratedFile("options", repr(sorted(job.options.items())))]
"""

    @pytest.fixture(autouse=True)
    def installed(self, environment: Environment) -> None:
        environment.install("opts", self.OPTIONS)

    def given(self, btf: Path, *arguments: str) -> str:
        done = tpgen("sched_switch", *arguments, "--btf", btf)
        assert (done.code, done.err) == (0, "")
        return done.out

    def test_defaults(self, btf: Path) -> None:
        expected = "[('end', True), ('indent', 2), ('prefix', ''), ('style', 'plain'), ('upper', False)]"
        assert self.given(btf, "-b", "opts") == expected

    def test_given_before_and_behind_the_backend(self, btf: Path) -> None:
        expected = "[('end', False), ('indent', 4), ('prefix', 'x'), ('style', 'odd'), ('upper', True)]"
        words = ("--no-end", "--style=odd", "--backend", "opts", "--upper", "--indent", "4", "--prefix", "x")
        assert self.given(btf, *words) == expected

    def test_of_another_backend(self, btf: Path) -> None:
        done = tpgen("sched_switch", "--upper", "--btf", btf)
        assert done == refusal("unrecognized arguments: --upper [usage]; `tpgen --help` explains")

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (("--style", "new"), "no 'new' for --style [usage]; there is plain, odd"),
            (("--indent", "x"), "argument --indent: invalid int value: 'x' [usage]"),
        ],
    )
    def test_wrong_value(self, words: tuple[str, ...], message: str, btf: Path) -> None:
        done = tpgen("sched_switch", "-b", "opts", *words, "--btf", btf)
        assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
        assert message in done.err

    def test_help(self) -> None:
        done = tpgen("sched_switch", "-b", "opts", "--help")
        assert (done.code, done.err) == (0, "")
        assert "all of 100% of it" in done.out


# What is wrong, the rest of the class, what is said after `backend bad of tpgen-bad 1.5: `.
BROKEN = {
    "import error": ("import no_such_module\n", "cannot be loaded: ModuleNotFoundError: No module named 'no_such_mod"),
    "exit": ("raise SystemExit(3)\n", "cannot be loaded: SystemExit: 3 (tpgen_bad"),
    "syntax": ("(\n", "cannot be loaded: SyntaxError: '(' was never closed"),
    "no class": ("del Plugin\n", "cannot be loaded: AttributeError: module 'tpgen_bad' has no attribute 'Plugin'"),
    "arguments": ("    def __init__(self, x): pass\n", "cannot be loaded: TypeError: Plugin.__init__() missing 1 req"),
    "members": ("    del forms, render\n", "it has no forms"),
    "render": ("    del render\n", "it has no render()"),
    "api": ("    api = 2\n", "it is written for version 2 of the interface, and this is version 1"),
    "description": ("    description = 'a\\nb'\n", "its description is not one line"),
    "forms": ("    forms = ('lkm',)\n", "its forms are not a tuple of raw and classic"),
    "unhashable forms": ("    forms = ([],)\n", "its forms are not a tuple of raw and classic"),
    "options": ("    options = ('flat',)\n", "its options are not a tuple of Option"),
    "name of an option": ("    options = (Option('Flat out', ''),)\n", "'Flat out' cannot be the name of an option"),
    "value of an option": ("    options = (Option('a', '', None),)\n", "the default of its option a is not a bool"),
    "choices": ("    options = (Option('a', '', 'x', ('y',)),)\n", "the default of its option a is not one of"),
    "property": (
        "    @property\n    def description(self): raise OSError('none')\n",
        "cannot be examined: OSError: none (tpgen_bad.py:",
    ),
    "property that exits": (
        "    @property\n    def forms(self): raise SystemExit(0)\n", "cannot be examined: SystemExit: 0 (tpgen_bad",
    ),
    "no Exception": ("class Own(BaseException): pass\nraise Own('odd')\n", "cannot be loaded: Own: odd (tpgen_bad"),
    "exception without text": (
        "class Own(Exception):\n    def __str__(self): raise self\nraise Own\n", "cannot be loaded: Own: ? (tpgen_bad",
    ),
    "help": ("    options = (Option('a', 7),)\n", "the help of its option a is not one line"),
    "help of lines": ("    options = (Option('a', 'x\\033[2J'),)\n", "the help of its option a is not one line"),
    "type of a name": ("    options = (Option(None, ''),)\n", "None cannot be the name of an option"),
    "type of choices": ("    options = (Option('a', '', 'x', [1]),)\n", "the choices of its option a are not a tuple"),
    "two options": ("    options = (Option('a', ''), Option('a', ''))\n", "it has two options a"),
}  # fmt: skip


@pytest.mark.parametrize(("more", "message"), BROKEN.values(), ids=BROKEN)
def test_broken(more: str, message: str, environment: Environment, btf: Path) -> None:
    """One line names the plugin, and the others are listed and work."""
    environment.install("bad", more)
    environment.install("names")
    done = tpgen("backends")
    assert done.code == 1
    assert done.err.startswith(f"tpgen: error: backend bad of tpgen-bad 1.5: {message}")
    assert done.err.endswith(" [backend-broken]; the fault is in tpgen-bad\n")
    assert done.err.count("\n") == 1
    assert "bpf: " in done.out
    assert "names: " in done.out
    assert tpgen("sched_switch", "-b", "bad", "--btf", btf) == Done(2, "", done.err)
    assert tpgen("sched_switch", "-b", "names", "--btf", btf).code == 0


def test_option_of_tpgen_itself(environment: Environment, btf: Path) -> None:
    environment.install("bad", "    options = (Option('kernel', ''),)\n")
    done = tpgen("sched_switch", "-b", "bad", "--btf", btf)
    assert done == refusal(
        "backend bad of tpgen-bad 1.5: tpgen itself has an option --kernel [backend-broken]; the fault is in tpgen-bad"
    )


def test_name_of_a_built_in_backend(environment: Environment, btf: Path) -> None:
    environment.install("bpf", package="other-bpf")
    done = tpgen("backends")
    assert done.code == 1
    assert done.err == (
        "tpgen: error: backend bpf of other-bpf 1.5: the name is that of a built-in backend [backend-broken]; "
        "the fault is in other-bpf\n"
    )
    assert "struct raw_sched_switch" in tpgen("sched_switch", "--raw", "-b", "bpf", "--btf", btf).out


def test_name_twice(environment: Environment, btf: Path) -> None:
    environment.install("names", package="one")
    environment.install("names", package="two")
    done = tpgen("sched_switch", "-b", "names", "--btf", btf)
    assert done == refusal("one 1.5 and two 1.5 both have a backend names [backend-twice]; uninstall one of them")
    listed = tpgen("backends")
    assert (listed.code, listed.err) == (1, done.err)
    assert "names: " not in listed.out


def test_unknown_backend(environment: Environment, btf: Path) -> None:
    environment.install("names")
    done = tpgen("sched_switch", "-b", "cobol", "--btf", btf)
    known = ", ".join(sorted({*registry.BUILT_IN, "names"}))
    assert done == refusal(f"no backend 'cobol' [unknown-backend]; there is {known}")


def rendering(*files: object) -> str:
    return f"    def render(self, job):\n        return {[*files]!r}\n"


# What is made, what is said after `backend bad of tpgen-bad 1.5: `.
MADE = {
    "nothing": ("    def render(self, job): pass\n", "failed: TypeError: 'NoneType' object is not iterable"),
    "raises": ("    def render(self, job): return 1 / 0\n", "failed: ZeroDivisionError: division by zero (tpgen_bad"),
    "two lines": ("    def render(self, job): raise ValueError('a\\nb')\n", r"failed: ValueError: a\nb (tpgen_bad"),
    "later": ("    def render(self, job): yield 1 / 0\n", "failed: ZeroDivisionError: division by zero (tpgen_bad"),
    "text": (rendering("int x;"), "it made str, not a GeneratedFile"),
    "content": (rendering(GeneratedFile("a", 1)), "the content of a is int, not str"),  # type: ignore[arg-type]
    "above": (rendering(GeneratedFile("../../x", "")), "it made a file with the name '../../x'"),
    "above inside": (rendering(GeneratedFile("a/../../x", "")), "it made a file with the name 'a/../../x'"),
    "absolute": (rendering(GeneratedFile("/etc/x", "")), "it made a file with the name '/etc/x'"),
    "no name": (rendering(GeneratedFile("", "")), "it made a file with the name ''"),
    "directory": (rendering(GeneratedFile("a/", "")), "it made a file with the name 'a/'"),
    "NUL": (rendering(GeneratedFile("a\0b", "")), r"it made a file with the name 'a\x00b'"),
    "surrogate": (rendering(GeneratedFile("a", "\ud800")), "the text of a is not Unicode"),
}  # fmt: skip


@pytest.mark.parametrize(("more", "message"), MADE.values(), ids=MADE)
def test_what_cannot_be_written(more: str, message: str, environment: Environment, btf: Path, tmp_path: Path) -> None:
    environment.install("bad", more)
    done = tpgen("sched_switch", "-b", "bad", "--btf", btf, "-o", f"{tmp_path}/out/")
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert done.err.startswith(f"tpgen: error: backend bad of tpgen-bad 1.5: {message}")
    assert not (tmp_path / "out").exists()


def test_same_name_twice(environment: Environment, btf: Path) -> None:
    environment.install("bad", rendering(GeneratedFile("a", ""), GeneratedFile("a", "")))
    assert tpgen("sched_switch", "-b", "bad", "--btf", btf) == refusal(
        "backend bad of tpgen-bad 1.5 makes two files with the name a [same-name]; "
        "its file names must be different for each event: please report it to its author"
    )


BY_NAME = """\
    def render(self, job):
        return [GeneratedFile(r.event.name + r.form, "") for r in job.kernel.requests]
"""


def test_two_events_of_one_name(environment: Environment, tmp_path: Path) -> None:
    """Of two modules, or of two systems: whoever takes the name alone is told which, and how to get one of them."""
    environment.install("bad", BY_NAME)
    b = small_btf()
    vmlinux, module = write_btf(tmp_path / "vmlinux", b), tmp_path / "punt.ko"
    split = BtfBuilder(base=b)
    split.event("sched_switch", [("p", split.ptr(0))])
    module.write_bytes(elf({".BTF": split.blob()}))
    kernel = ("--btf", vmlinux, "--btf", module, "--arch", "x86_64")
    says = "tpgen: error: backend bad of tpgen-bad 1.5 makes two files with the name"
    done = tpgen("sched_switch", "--raw", "-b", "bad", *kernel, "-o", f"{tmp_path}/out/")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"{says} sched_switchraw [same-name]; ")
    assert done.err.endswith("sched_switch of punt have the same name: choose one with --module\n")
    assert not (tmp_path / "out").exists()
    for picked in ("punt", "vmlinux"):
        done = tpgen(
            "sched_switch", "--raw", "-b", "bad", *kernel, "-o", f"{tmp_path}/of-{picked}/", "--module", picked
        )
        assert (done.code, done.err) == (0, "")
    formats = {f"{system}/mark": (Line("int pid", 8, 4, 1),) for system in ("zoo", "park")}
    kernel = ("--tracefs", write_tracefs(tmp_path / "tracefs", formats), "--arch", "x86_64")
    done = tpgen("mark", "--classic", "-b", "bad", *kernel, "-o", f"{tmp_path}/out/")
    alike = "park:mark of vmlinux and zoo:mark of vmlinux have the same name: give only one of them"
    assert done == refusal(f"{says.removeprefix('tpgen: error: ')} markclassic [same-name]; {alike}")
    assert tpgen("zoo:mark", "--classic", "-b", "bad", *kernel, "-o", f"{tmp_path}/zoo/").code == 0


def test_failure_after_many_files(environment: Environment, btf: Path, tmp_path: Path) -> None:
    """Files go to disk as they are made, but to their places only when all are."""
    (tmp_path / "0").write_text("old")
    made = "yield from (GeneratedFile(str(n), str(1 / (8 - n))) for n in range(9))"
    environment.install("bad", f"    def render(self, job): {made}\n")
    for out in (tmp_path, tmp_path / "new"):
        done = tpgen("sched_*", "-b", "bad", "--btf", btf, "-o", out)
        assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
        assert done.err.startswith("tpgen: error: backend bad of tpgen-bad 1.5: failed: ZeroDivisionError: division")
        assert [path.name for path in tmp_path.iterdir() if path.name not in ("site", "0")] == []
        assert (tmp_path / "0").read_text() == "old"


NOISY = """\
import os
print("at import")
""" + HEAD.replace("    description = ", "    print('of the class')\n    description = ")


def test_what_a_plugin_prints_is_no_product(environment: Environment, btf: Path) -> None:
    environment.install(
        "loud",
        "    def __init__(self): print('made')\n"
        "    def render(self, job):\n        print('asked'); yield GeneratedFile('a', 'one\\n'); print('again')\n",
        head=NOISY,
    )
    done = tpgen("sched_switch", "--raw", "-b", "loud", "--btf", btf)
    assert done == Done(0, "one\n", "at import\nof the class\nmade\nasked\nagain\n")
    assert json.loads(tpgen("backends", "--json").out)


@pytest.mark.parametrize("output", ["", "-o"])
def test_what_its_processes_print(output: str, environment: Environment, btf: Path, tmp_path: Path) -> None:
    """It is no product, nor is what it writes to descriptor 1 or to Python's own stdout; the products stay in order."""
    environment.install(
        "loud",
        "    def render(self, job):\n"
        "        for name in 'ab':\n"
        "            os.write(1, b'written ')\n"
        "            os.system('printf of-a-child')\n"
        "            print(' kept', file=sys.__stdout__)\n"
        "            yield GeneratedFile(name, name + '\\n')\n",
        head="import os, sys\n" + HEAD,
    )
    command = (sys.executable, "-m", "tpgen", "sched_switch", "--raw", "-b", "loud", "--btf", str(btf))
    command += (output, f"{tmp_path}/out/") if output else ()
    env = {**os.environ, "PYTHONPATH": os.pathsep.join((str(tmp_path / "site"), str(CHECKOUT)))}
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    assert (done.returncode, done.stderr) == (0, "written of-a-child kept\n" * 2)
    files = {path.name: path.read_text() for path in tmp_path.glob("out/*")}
    assert (done.stdout, files) == (("", {"a": "a\n", "b": "b\n"}) if output else ("a\n\nb\n", {}))


def test_its_processes_where_streams_are_closed(environment: Environment, btf: Path, tmp_path: Path) -> None:
    environment.install(
        "loud",
        "    def render(self, job): os.system('echo x'); yield GeneratedFile('a', 'a\\n')\n",
        head="import os\n" + HEAD,
    )
    command = f"{sys.executable} -m tpgen sched_switch --raw -b loud --btf {btf} -o {tmp_path}/out/ >&- 2>&-"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join((str(tmp_path / "site"), str(CHECKOUT)))}
    assert subprocess.run(command, shell=True, env=env, check=False).returncode == 0
    assert (tmp_path / "out" / "a").read_text() == "a\n"


def test_ctrl_c_is_nobodys_fault(environment: Environment, btf: Path) -> None:
    environment.install("slow", "    def render(self, job): raise KeyboardInterrupt\n")
    assert tpgen("sched_switch", "-b", "slow", "--btf", btf) == Done(130, "", "")


def test_no_exception_of_a_plugin_gets_out(environment: Environment, btf: Path) -> None:
    environment.install("bad", "    def render(self, job): yield GeneratedFile('a', ''); raise BaseException('odd')\n")
    done = tpgen("sched_switch", "-b", "bad", "--btf", btf)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert done.err.startswith("tpgen: error: backend bad of tpgen-bad 1.5: failed: BaseException: odd (tpgen_bad")


def test_refusal_of_the_input(environment: Environment, btf: Path) -> None:
    """What a backend says of the input is not its fault."""
    environment.install(
        "odd",
        "    def render(self, job):\n        from tpgen.diagnostics import fail\n        raise fail('odd', 'no')\n",
    )
    assert tpgen("sched_switch", "-b", "odd", "--btf", btf) == refusal("no [odd]")


def test_form_that_the_backend_lacks(environment: Environment, btf: Path) -> None:
    environment.install("raw-names", "    forms = (Form.RAW,)\n")
    assert tpgen("sched_switch", "-b", "raw-names", "--btf", btf).out == "sched_switch raw\n"
    done = tpgen("sched_switch", "-b", "raw-names", "--classic", "--btf", btf)
    assert done == refusal("backend raw-names has no classic form [usage]; it has raw")


class TestWhereItGoes:
    """Bytes, one file of several events, and several files of one."""

    def test_bytes_to_a_file(self, environment: Environment, btf: Path, tmp_path: Path) -> None:
        environment.install("object", rendering(GeneratedFile("a.o", b"\x7fELF\xff\0")))
        done = tpgen("sched_*", "-b", "object", "--btf", btf, "-o", tmp_path / "b.o")
        assert (done.code, done.out) == (0, "")
        assert (tmp_path / "b.o").read_bytes() == b"\x7fELF\xff\0"

    def test_bytes_to_stdout(self, environment: Environment, btf: Path, tmp_path: Path) -> None:
        environment.install("object", rendering(GeneratedFile("a.o", b"\x7fELF\xff\0")))
        command = (sys.executable, "-m", "tpgen", "sched_switch", "-b", "object", "--btf", str(btf))
        env = {**os.environ, "PYTHONPATH": os.pathsep.join((str(tmp_path / "site"), str(CHECKOUT)))}
        done = subprocess.run(command, capture_output=True, env=env, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, b"\x7fELF\xff\0", b"")

    def test_several_files_of_bytes_are_not_joined(self, environment: Environment, btf: Path, tmp_path: Path) -> None:
        environment.install("object", rendering(GeneratedFile("a.o", b"\xff"), GeneratedFile("d/b.o", b"\0")))
        done = tpgen("sched_switch", "-b", "object", "--btf", btf)
        assert done == refusal("stdout takes one file, not 2 [usage]; give -o DIR for the 2 files")
        assert tpgen("sched_switch", "-b", "object", "--btf", btf, "-o", tmp_path / "out").code == 0
        assert (tmp_path / "out" / "d" / "b.o").read_bytes() == b"\0"


# --- the example


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which the example is installed, by pip and from its own sources."""
    target = tmp_path_factory.mktemp("target")
    isolation = ["--no-build-isolation"] if importlib.util.find_spec("hatchling") else []
    command = (sys.executable, "-m", "pip", "install", "-q", "--no-deps", *isolation, "--target", target, EXAMPLE)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return {**os.environ, "PYTHONPATH": os.pathsep.join((str(target), str(CHECKOUT)))}


def run(environment: dict[str, str], *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = (sys.executable, "-m", "tpgen", *arguments)
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def test_example_is_listed(example: dict[str, str]) -> None:
    done = run(example, "backends")
    assert (done.returncode, done.stderr) == (0, "")
    assert "\n  from tpgen-markdown 1.0; forms: raw, classic\n" in done.stdout


def test_example_renders(example: dict[str, str], btf: Path, tmp_path: Path) -> None:
    done = run(example, "sched_wakeup", "pelt_se_tp", "-b", "markdown", "--level", "2", "--btf", btf)
    assert done.returncode == 0
    note = "no classic form of sched:pelt_se_tp: it is a bare tracepoint, which has no record [no-such-form]"
    assert done.stderr == f"tpgen: note: {note}\n"
    assert (
        done.stdout
        == """\
## sched:sched_wakeup

| slot | raw argument |
| ---: | --- |
| 0 | `struct task_struct *p` |

| offset | field |
| ---: | --- |
| 8 | `pid_t pid` |
| 16 | `unsigned long pfn` |

## sched:pelt_se_tp

| slot | raw argument |
| ---: | --- |
| 0 | `struct sched_entity *se` |
"""
    )


def test_example_type_checks() -> None:
    """The interface is typed; a plugin's author can rely on it."""
    if importlib.util.find_spec("mypy") is None:
        pytest.skip("mypy is not installed")
    code = (
        "from tpgen.backends.base import Backend\nfrom tpgen_markdown import MarkdownBackend\n"
        "backend: Backend = MarkdownBackend()\n"
    )
    command = (sys.executable, "-m", "mypy", "--strict", "--config-file=", "--follow-imports=silent", "-c", code)
    env = {**os.environ, "MYPYPATH": f"{EXAMPLE}:{CHECKOUT}"}
    done = subprocess.run(command, capture_output=True, text=True, env=env, cwd=EXAMPLE, check=False)
    assert done.returncode == 0, done.stdout
