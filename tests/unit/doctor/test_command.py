"""`tpgen doctor` on the program of docs/doctor.md: what it takes, what it says, what it returns."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shlex
from pathlib import Path

import pytest
from support.cli import Done, refusal, tpgen
from support.compilers import COMPILERS, Compiler
from support.sarif import against_schema
from support.shipped import AMD64, AMD64_OPTIONS
from support.small_kernel import write_btf

from tpgen import api
from tpgen.doctor.examine import Question

pytestmark = pytest.mark.compilers

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "doctor.md").read_text()
#: What the page's glob means.
NAMES = [
    f"debian-{kernel}-amd64"
    for kernel in ("5.10", "6.1", "6.1-cloud", "6.1-rt", "6.12", "6.12-cloud", "6.12-rt", "7.2", "7.3")
]
ARM64 = [f"debian-{kernel}-arm64" for kernel in ("5.10", "6.1", "6.12", "7.2", "7.3")]


def blocks(language: str, page: str = PAGE) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the page's program, compiled there as from a Makefile: the object names its source so."""
    folder = tmp_path_factory.mktemp("tool")
    (folder / "tool.bpf.c").write_text(blocks("c")[0])
    with contextlib.chdir(folder):
        compiled(COMPILERS[0], "bpfel", "tool.bpf.o")
        compiled(COMPILERS[0], "bpfeb", "big.bpf.o")
    return folder


def compiled(compiler: Compiler, target: str, output: str) -> None:
    compiler.compile(Path("tool.bpf.c"), Path(output), target=target, options=("-Wno-unused-parameter",))


@pytest.fixture
def here(made: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(made)
    return made


# --- the page


def test_baseline_of_the_page_lets_all_count_that_is_new(here: Path) -> None:
    Path("old.json").write_text(tpgen("doctor", "tool.bpf.o", "--kernel", NAMES[0], "--json").out)
    done = tpgen("doctor", "tool.bpf.o", *AMD64_OPTIONS, "--baseline", "old.json")
    assert done.code == 1
    assert "on_switch" not in done.out
    assert done.out.startswith(
        "tool.bpf.o: 4 programs at tracepoints: 1 refused-load, 1 wrong, 2 fine; 3 findings in the "
    )


def test_example_of_the_api(here: Path) -> None:
    *_, code = blocks("python", (ROOT / "docs" / "api.md").read_text())
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(code, "api.md", "exec"), {"__name__": "example"})
    assert out.getvalue().splitlines() == [
        "debian-5.10-amd64 on_switch refused-attach no-argument",
        *(f"{name} on_execveat wrong other-field" for name in NAMES),
        "debian-5.10-amd64 on_start refused-load no-tracepoint",
        *(f"debian-6.1-{flavour}amd64 on_start refused-load no-tracepoint" for flavour in ("", "cloud-", "rt-")),
    ]


def test_workflow_and_hook_name_the_command() -> None:
    hooks = (ROOT / ".pre-commit-hooks.yaml").read_text()
    (workflow, hook) = blocks("yaml")
    assert "entry: tpgen doctor\n" in hooks
    assert re.search(r"- id: (\S+)", hook)[1] in hooks  # type: ignore[index]
    (line,) = (line.partition("run: ")[2] for line in workflow.splitlines() if "run: tpgen" in line)
    options = [word for word in shlex.split(line) if word.startswith("--")]
    assert options
    assert set(options) <= set(re.findall(r"--[a-z-]+", tpgen("doctor", "--help").out))


# --- JSON


KEYS = ["object", "program", "section", "kernel", "verdict", "findings", "version"]
FINDING_KEYS = [
    "code", "stage", "errno", "slot", "offset", "size", "expected", "actual", "file", "line", "message",
]  # fmt: skip


def found(*arguments: str) -> list[dict[str, object]]:
    done = tpgen("doctor", *arguments, "--json")
    assert done.err == ""
    items: list[dict[str, object]] = json.loads(done.out)
    return items


def test_json_has_an_item_for_each_program_and_kernel(here: Path) -> None:
    items = found("tool.bpf.o", *AMD64_OPTIONS)
    assert [(item["program"], item["kernel"]) for item in items] == [
        (program, kernel) for program in ("on_switch", "on_execveat", "on_start", "on_wakeup") for kernel in AMD64
    ]
    for item in items:
        assert list(item) == KEYS
        for finding in item["findings"]:  # type: ignore[attr-defined]
            assert list(finding) == FINDING_KEYS


def test_json_of_a_finding(here: Path) -> None:
    (item,) = found("tool.bpf.o", "--kernel", "5.10", "--program", "on_switch")
    (finding,) = item["findings"]  # type: ignore[misc]
    assert (item["object"], item["section"], item["verdict"]) == ("tool.bpf.o", "raw_tp/sched_switch", "refused-attach")
    assert [finding[key] for key in FINDING_KEYS[:8]] == [
        "no-argument", "attach", "EINVAL", 3, 24, finding["size"], finding["expected"], None,
    ]  # fmt: skip
    assert (finding["file"], finding["line"]) == (str(here / "tool.bpf.c"), 13)  # as the compiler has it


def test_actual_is_as_show_has_it(here: Path) -> None:
    (item,) = found("tool.bpf.o", "--kernel", "6.12", "--program", "on_execveat")
    (finding,) = item["findings"]  # type: ignore[misc]
    (event,) = json.loads(tpgen("show", "syscalls:sys_enter_execveat", "--kernel", "6.12", "--json").out)
    assert finding["actual"] in event["record"]["fields"]
    assert (finding["actual"]["name"], finding["offset"]) == ("fd", 16)
    assert finding["expected"]["name"] == "filename"


def test_an_object_inside_another_file(here: Path) -> None:
    inside = Path("tool.bpf.o").read_bytes()
    Path("program").write_bytes(b"#!" + bytes(998) + inside + bytes(500))
    done = tpgen("doctor", "program", "--kernel", "6.12")
    assert done.out.startswith("program@1000: 4 programs at tracepoints: 1 wrong, 3 fine\n")


# --- kernels


def test_kernels_without_options_are_those_of_its_byte_order(here: Path) -> None:
    little = {*NAMES, *ARM64, "debian-6.12-ppc64el", "debian-6.12-riscv64"}
    for file, names in (("tool.bpf.o", little), ("big.bpf.o", {"debian-6.12-s390x"})):
        assert {item["kernel"] for item in found(file)} - {"live"} == names


def test_each_object_meets_its_own(here: Path) -> None:
    done = tpgen("doctor", "tool.bpf.o", "big.bpf.o", "--kernel", "6.12-s390x", "--kernel", "6.12")
    assert [line.split() for line in done.out.splitlines()[-3:]] == [
        ["object", "debian-6.12-amd64", "debian-6.12-s390x"],
        ["tool.bpf.o", "1", "wrong", "-"],
        ["big.bpf.o", "-", "1", "wrong"],
    ]


def test_no_kernel_of_its_byte_order(here: Path) -> None:
    assert tpgen("doctor", "big.bpf.o", *AMD64_OPTIONS) == refusal(
        "big.bpf.o: this object is big-endian, but none of these kernels is [arch-mismatch]; "
        "`tpgen catalog list --json` shows the byte order of each"
    )


def test_arch_alone_is_of_all_that_came_with_tpgen(here: Path) -> None:
    assert {item["kernel"] for item in found("tool.bpf.o", "--arch", "arm64")} == set(ARM64)


def test_a_file_with_btf(here: Path, tmp_path: Path) -> None:
    btf = write_btf(tmp_path / "vmlinux")
    items = found("tool.bpf.o", "--btf", str(btf), "--program", "raw_tp/*")
    assert [(item["kernel"], item["verdict"]) for item in items] == [(str(btf), "fine")]


def test_the_types_of_another_kernel(here: Path, tmp_path: Path) -> None:
    btf = write_btf(tmp_path / "vmlinux")
    done = tpgen("doctor", "tool.bpf.o", "--kernel", "6.12", "--btf", btf)
    assert (done.code, done.out) == (2, "")
    assert "[btf-other-kernel]" in done.err
    done = tpgen("doctor", "tool.bpf.o", *AMD64_OPTIONS, "--btf", btf)
    assert "--btf has the types of one kernel, not of 4 [usage]; give one --kernel" in done.err


# --- options


@pytest.mark.parametrize(
    ("pattern", "programs"),
    [("on_s*", ["on_switch", "on_start"]), ("tp/sched/*", ["on_wakeup"]), ("raw_tp/sched_switch", ["on_switch"])],
)
def test_programs(here: Path, pattern: str, programs: list[str]) -> None:
    items = found("tool.bpf.o", "--kernel", "6.12", "--program", pattern)
    assert [item["program"] for item in items] == programs


LEVELS = {
    "depends": ("on_wakeup", 0), "wrong": ("on_wakeup", 0), "refused-attach": ("on_execveat", 0),
    "refused-load": ("on_switch", 0),
}  # fmt: skip


@pytest.mark.parametrize("level", LEVELS)
def test_exit_code(here: Path, level: str) -> None:
    program, code = LEVELS[level]
    assert tpgen("doctor", "tool.bpf.o", *AMD64_OPTIONS, "--exit-code", level, "--program", program).code == code
    assert tpgen("doctor", "tool.bpf.o", *AMD64_OPTIONS, "--exit-code", level).code == 1


def test_never(here: Path) -> None:
    assert tpgen("doctor", "tool.bpf.o", *AMD64_OPTIONS, "--exit-code", "never").code == 0
    assert tpgen("doctor", "none", "--exit-code", "never").code == 2


REFUSED = {
    "no program": (
        ["--program", "off_*"],
        "--program 'off_*' matches no program [usage]; there is on_execveat, on_start, on_switch, on_wakeup",
    ),
    "no variable": (["--set", "x=1"], "--set 'x': no object has such a variable [usage]"),
    "no value": (["--set", "x"], "--set without a value [usage]; give VAR=VALUE, such as targ_ms=1"),
    "no number": (["--set", "x=y"], "--set 'x=y': not a number [usage]; give VAR=VALUE, such as targ_ms=1"),
    "no baseline": (["--baseline", "none.json"], "none.json: cannot read: No such file or directory [unreadable]"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_refused(here: Path, case: str) -> None:
    arguments, message = REFUSED[case]
    assert tpgen("doctor", "tool.bpf.o", *arguments) == refusal(message)


def test_whatever_is_wrong_with_a_file_is_told_of_all(here: Path) -> None:
    Path("text").write_text("x")
    done = tpgen("doctor", "tool.bpf.o", "text", "none")
    assert (done.code, done.out) == (2, "")
    assert [line.split("[")[1].split("]")[0] for line in done.err.splitlines()] == ["object-none", "unreadable"]


def test_sarif_is_json(here: Path) -> None:
    done = tpgen("doctor", "tool.bpf.o", *AMD64_OPTIONS, "--annotate", "sarif")
    assert tpgen("doctor", "tool.bpf.o", *AMD64_OPTIONS, "--format", "sarif") == done  # as `tpgen check` has it
    log = json.loads(done.out)
    assert against_schema(log) == []
    (run,) = log["runs"]
    assert [result["ruleId"] for result in run["results"]] == ["no-argument", "other-field", "no-tracepoint"]


def test_hostile_names_are_escaped(here: Path) -> None:
    """Names of the same length, so that the file stays what it is: in sections, in BTF, and of the file itself."""
    data = Path("tool.bpf.o").read_bytes().replace(b"raw_tp/sched_switch", b"raw_tp/\x1b[31m\n::x,y%")
    name = "bad\n\x1b[1m::error::.o"
    Path(name).write_bytes(data.replace(b"tool.bpf.c", b"\x1b]0\n.bpf.c"))
    for options in ([], ["--json"], ["--annotate", "github"], ["--annotate", "sarif"]):
        done: Done = tpgen("doctor", name, *AMD64_OPTIONS, *options)
        assert done.code == 1
        assert all(character.isprintable() for character in done.out.replace("\n", ""))
        assert "\n::error::" not in done.out
    assert len(tpgen("doctor", name, *AMD64_OPTIONS, "--annotate", "github").out.splitlines()) == len(
        tpgen("doctor", "tool.bpf.o", *AMD64_OPTIONS, "--annotate", "github").out.splitlines()
    )


# --- from Python


def test_api(here: Path) -> None:
    kernels = api.open_kernels(*NAMES)
    judged = api.doctor("tool.bpf.o", kernels)
    assert api.doctor(Path("tool.bpf.o").read_bytes(), kernels) == tuple(
        api_named(judgement, "<bytes>") for judgement in judged
    )
    assert [(j.program, j.kernel) for j in judged] == [
        (program, kernel) for program in ("on_switch", "on_execveat", "on_start", "on_wakeup") for kernel in NAMES
    ]
    one = api.doctor(Path("tool.bpf.o"), [api.open_kernel("6.1")], programs=["on_start"])
    assert [(j.kernel, j.verdict, j.findings[0].errno) for j in one] == [
        ("debian-6.1-amd64", api.Verdict.REFUSED_LOAD, "ESRCH")
    ]


def api_named(judgement: api.Judgement, name: str) -> api.Judgement:
    from tpgen.basics.frozen import replace

    return replace(judgement, object=name)


def test_api_raises(here: Path) -> None:
    with pytest.raises(api.TpgenError, match="arch-mismatch"):
        api.doctor("big.bpf.o", [api.open_kernel("6.1")])
    with pytest.raises(api.TpgenError, match="no object has such a variable"):
        api.doctor("tool.bpf.o", [api.open_kernel("6.1")], variables={"x": 1})
    with pytest.raises(api.TpgenError, match="unreadable"):
        api.doctor(os.devnull, [api.open_kernel("6.1")])


def test_no_program_is_left_out_of_a_question() -> None:
    assert Question().programs == ()
