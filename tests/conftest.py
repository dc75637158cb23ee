"""Fixtures and markers of all tests. Importing it needs no compiler, no libbpf and no kernel."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

# `from support import …` in every way that pytest can be started.
sys.path.insert(0, str(Path(__file__).parent))

from support import live
from support.bare import missing_bare_machines, missing_containers
from support.browser import missing_browser
from support.compilers import COMPILERS, Compiler
from support.debian import cache_dir
from support.languages import missing_languages
from support.neighbours import missing_neighbours
from support.packages import missing_package_tools
from support.projects import missing_build_systems
from support.shells import missing_shells
from support.systemtap import missing_systemtap
from support.vm import missing_machines

# By marker: why this machine lacks what it stands for, None where it does not.
_NEEDS: dict[str, Callable[[], str | None]] = {
    "live": live.no_live_kernel,
    "compilers": live.missing_compilers,
    "kernel_btf": live.no_btf,
    "build_systems": missing_build_systems,
    "package_tools": missing_package_tools,
    "systemtap": missing_systemtap,
    "neighbours": missing_neighbours,
    "machines": missing_machines,
    "languages": missing_languages,
    "shells": missing_shells,
    "browser": missing_browser,
    "bare_machines": missing_bare_machines,
    "containers": missing_containers,
}


# By folder, relative to this one, what only a run gets that names it: they take minutes and most of them gigabytes.
_ONLY_WHEN_NAMED = (
    "bare",
    "browser",
    "corpus/doctor",
    "corpus/trees",
    "docs",
    "fleet",
    "loaders",
    "neighbours",
    "rust",
    "systemtap",
    "vm",
)
_COUNTED = pytest.StashKey[list[str]]()
# Of pytest-xdist's processes, one runs all tests of the running kernel, one after the other: they share the kernel's
# tracefs, which some mount, change and unmount, and what tells that the kernel is the one that the cache knows.
_RUNNING_KERNEL = pytest.mark.xdist_group("running kernel")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leaves out what the run does not name."""
    here = Path(__file__).parent
    if collection_path not in (here / folder for folder in _ONLY_WHEN_NAMED):
        return None
    named = (Path(argument.partition("::")[0]).resolve() for argument in config.args)
    return None if any(path.is_relative_to(collection_path) for path in named) else True


def pytest_configure(config: pytest.Config) -> None:
    """Registers the markers that stand for something this machine must have."""
    config.addinivalue_line("markers", "xdist_group: see pytest-xdist, without which the tests run as well")
    config.addinivalue_line("markers", "own_tracefs: mounts what it needs where no other test sees it")
    config.addinivalue_line("markers", "live: needs root, a running kernel with BTF, tracefs and BPF")
    config.addinivalue_line("markers", "compilers: needs clang, ziglang and llvm-objdump")
    config.addinivalue_line("markers", "kernel_btf: needs the BTF of the running kernel")
    config.addinivalue_line("markers", "build_systems: needs make, cmake, ninja, meson and clang")
    config.addinivalue_line("markers", "package_tools: needs dpkg-deb and rpmbuild")
    config.addinivalue_line("markers", "shells: needs bash, zsh, fish, man and groff")
    config.addinivalue_line("markers", "systemtap: needs SystemTap and linux-headers of 6.1 for amd64")
    config.addinivalue_line("markers", "neighbours: needs Debian's perf and bcc, and kernel headers for bcc")
    config.addinivalue_line("markers", "machines: needs qemu's programs for the architectures of tests/support/vm.py")
    config.addinivalue_line("markers", "browser: needs Debian's chromium, Playwright and axe")
    config.addinivalue_line("markers", "bare_machines: needs root and debootstrap")
    config.addinivalue_line("markers", "containers: needs root, debootstrap, podman and runc")
    config.addinivalue_line("markers", "languages: needs go, Debian's rustc with its sources, clang and bpftrace")


@pytest.hookimpl(tryfirst=True)  # pytest-xdist looks at the marks in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keeps in one process what shares the running kernel."""
    for item in items:
        marked = any(item.get_closest_marker(marker) for marker in ("live", "kernel_btf"))
        shared = marked and not item.get_closest_marker("own_tracefs")
        if shared or "tracefs" in getattr(item, "fixturenames", ()):
            item.add_marker(_RUNNING_KERNEL)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skips what this machine cannot run, with the reason."""
    for marker, why_not in _NEEDS.items():
        if item.get_closest_marker(marker) and (reason := why_not()):
            pytest.skip(reason)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turns a skip into a failure where the machine is required to run everything, whoever skipped."""
    report = yield
    expected_failure = hasattr(report, "wasxfail")
    marked = any(item.get_closest_marker(marker) for marker in _NEEDS)
    if report.skipped and marked and not expected_failure and live.live_is_required():
        report.outcome = "failed"
        report.longrepr = f"{live.REQUIRE_LIVE} is set, but: {call.excinfo.value if call.excinfo else 'skipped'}"
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hands what was counted to the process that prints it, where that is another."""
    output: dict[str, object] | None = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["counted"] = session.config.stash.get(_COUNTED, [])


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Takes what a process of pytest-xdist counted; one that was killed hands nothing over."""
    node.config.stash.setdefault(_COUNTED, []).extend(getattr(node, "workeroutput", {}).get("counted", []))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Prints what the tests counted."""
    if lines := config.stash.get(_COUNTED, []):
        terminalreporter.section("what was counted")
        for line in lines:
            terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def report(request: pytest.FixtureRequest) -> list[str]:
    """Lines for the end of the run, whatever becomes of the tests."""
    return request.config.stash.setdefault(_COUNTED, [])


@pytest.fixture(scope="session", autouse=True)
def no_home_of_the_user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Caches and catalogs of the tests' own, so that nothing of this user's is read or written."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TPGEN_TEST_CACHE", str(cache_dir()))  # what was downloaded stays where it is
        patch.setenv("XDG_CACHE_HOME", str(home / "cache"))
        patch.setenv("XDG_DATA_HOME", str(home / "data"))
        yield


@pytest.fixture(scope="session")
def tracefs() -> Iterator[Path]:
    """Where tracefs is; mounted for the tests and unmounted again where it was not."""
    with live.mounted_tracefs() as path:
        yield path


@pytest.fixture
def trace_instance(tracefs: Path) -> Iterator[live.TraceInstance]:
    """A private tracefs instance, removed afterwards."""
    with live.TraceInstance(tracefs) as instance:
        yield instance


@pytest.fixture(scope="session")
def vmlinux_include(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the running kernel's vmlinux.h, as bpftool writes it."""
    folder = tmp_path_factory.mktemp("vmlinux")
    command = ("bpftool", "btf", "dump", "file", str(live.VMLINUX_BTF), "format", "c")
    (folder / "vmlinux.h").write_bytes(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    return folder


@pytest.fixture(scope="session")
def libbpf_include(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with libbpf's headers and no others, for a compiler that does not look into /usr/include."""
    folder = tmp_path_factory.mktemp("libbpf")
    (folder / "bpf").symlink_to("/usr/include/bpf")
    return folder


@pytest.fixture(scope="session", params=COMPILERS, ids=[compiler.name for compiler in COMPILERS])
def compiler(request: pytest.FixtureRequest) -> Compiler:
    """Each of the compilers in turn."""
    found: Compiler = request.param
    return found


@pytest.fixture
def no_shipped_catalog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installation of which no catalog knows what BTF alone leaves open."""
    monkeypatch.setattr("tpgen.catalog.known_classes.shipped_catalogs", lambda: str(tmp_path / "none"))
