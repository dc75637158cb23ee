"""A newcomer's path on a bare Debian, with a stopwatch: the commands as they stand in the README and in its pages."""

from __future__ import annotations

import re

import pytest
from support.bare import CHECKOUT, VERSION, BareMachine

pytestmark = pytest.mark.bare_machines

# As a newcomer's shell after the README's first command.
ACTIVE = ". .venv/bin/activate\n"
MOUNTED = "mountpoint -q /sys/kernel/tracing || mount -t tracefs tracefs /sys/kernel/tracing\n"
# The program runs until it has told of a process.
RUN = """
build/execs >out 2>err &
for attempt in $(seq 100); do grep -q attached err && break; sleep 0.1; done
/bin/true
for attempt in $(seq 100); do grep -q 'exec .* /bin/true' out && break; sleep 0.1; done
kill -INT $!
wait $!
cat out
"""


def commands(page: str) -> list[str]:
    """Every command that a page shows."""
    return re.findall(r"^\$ (.*)$", (CHECKOUT / page).read_text(), re.MULTILINE)


def only(found: list[str]) -> str:
    (one,) = found
    return one


@pytest.fixture(scope="module")
def installed(machine: BareMachine) -> BareMachine:
    """The machine after the first of the README's two commands."""
    first = only([command for command in commands("README.md") if "pip install" in command])
    header = machine.timed("install and first header", first)
    assert "raw_sched_switch_prev(const void *ctx)" in header
    return machine


def test_another_header(installed: BareMachine) -> None:
    header = installed.timed("another header", f"{ACTIVE}tpgen sched_process_exec --classic")
    assert "tp_sched_process_exec_pid(" in header


def test_first_running_program(installed: BareMachine) -> None:
    packages = only(re.findall(r"`(apt-get install [^`]*)`", (CHECKOUT / "docs/first-program.md").read_text()))
    installed.timed("compilers", packages.replace("install", "install -qq -y --no-install-recommends"))
    out = installed.timed("first running program", f"{ACTIVE}{MOUNTED}cd examples/libbpf && make >&2\n{RUN}")
    assert re.search(r"^exec \d+ /bin/true$", out, re.MULTILINE)


def test_first_build_step(installed: BareMachine) -> None:
    out = installed.timed("first build step", f"{ACTIVE}cd examples/make\nmake\nmake")
    assert out.count("tpgen build") == 1
    assert "make: Nothing to be done for 'all'." in out


def test_first_plugin(installed: BareMachine) -> None:
    shown = "\n".join(commands("examples/backend-plugin/README.md"))
    out = installed.timed("first plugin", f"{ACTIVE}cd examples/backend-plugin\n{shown}\nhead -1 tracepoints.md")
    assert re.search(r"^markdown: .*\n  from tpgen-markdown ", out, re.MULTILINE)
    assert out.splitlines()[-1].startswith("#")


# How each gets there, and where docs/install.md says that its environments are.
INSTALLERS = {
    "pipx": ("true", "$(pipx environment --value PIPX_LOCAL_VENVS)/tpgen"),
    "uv tool": ("pipx install uv", "$(uv tool dir)/tpgen"),
}


@pytest.mark.parametrize("installer", INSTALLERS)
def test_installers_of_the_page(installer: str, installed: BareMachine) -> None:
    shown = commands("docs/install.md")
    start = shown.index(f"{installer} install .")
    install, ask, remove = shown[start : start + 3]
    path = "export PATH=$PATH:/root/.local/bin\n"
    come, environment = INSTALLERS[installer]
    assert f"`{environment}`" in (CHECKOUT / "docs/install.md").read_text().replace("\n", " ")
    installed.succeed(f"apt-get -qq install -y --no-install-recommends pipx >/dev/null\n{come}")
    installed.timed(installer, f"{path}{install}")
    assert installed.succeed(f"{path}{ask}").out == f"tpgen {VERSION}\n"
    assert "raw_sched_switch_prev" in installed.succeed(f"{path}tpgen sched_switch --raw").out
    for file in ("bash-completion/completions/tpgen", "man/man1/tpgen.1"):
        installed.succeed(f'{path}test -s "{environment}/share/{file}"')
    installed.succeed(f"{path}{remove}\n! command -v tpgen")


def test_environment_of_the_page(installed: BareMachine) -> None:
    first = commands("docs/install.md")[:3]
    assert first[2] == ".venv/bin/tpgen --version"
    done = installed.succeed("mv .venv before\n" + "\n".join(first) + "\nrm -r .venv; mv before .venv")
    assert done.out.endswith(f"tpgen {VERSION}\n")


def test_stopwatch(installed: BareMachine, report: list[str]) -> None:
    report.append(installed.stopwatch())
    assert installed.took["another header"] < 5


def test_second_command(installed: BareMachine, report: list[str]) -> None:
    """All tests: what they need is installed, and they pass."""
    second = only([command for command in commands("README.md") if command == "tests/run"])
    out = installed.timed("tests/run", second)
    (summary,) = re.findall(r"^=+ (.* passed.*) =+$", out, re.MULTILINE)
    assert "failed" not in summary
    report.append(f"{installed.suite}: tests/run: {summary}")
