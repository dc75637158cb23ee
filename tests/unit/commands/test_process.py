"""The process: its streams, whatever the caller made of them, what nobody expected, and Ctrl-C."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import subprocess
import sys
from collections.abc import Callable
from email.message import Message
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
from support.cli import Done, refusal
from support.small_kernel import write_btf

from tpgen.cli import main
from tpgen.diagnostics import fail

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def btf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_btf(tmp_path_factory.mktemp("btf") / "vmlinux")


class TestStreams:
    def test_help_for_a_reader_who_left(self) -> None:
        read, write = os.pipe()
        os.close(read)
        command = (sys.executable, "-m", "tpgen", "list", "--help")
        done = subprocess.run(command, cwd=ROOT, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
        os.close(write)
        assert (done.returncode, done.stderr) == (0, "")

    # stderr that is closed, full, or a pipe that nobody reads.
    @pytest.mark.parametrize("stderr", ["2>&-", "2>/dev/full", "2> >(:)"], ids=["closed", "full", "broken"])
    @pytest.mark.parametrize("arguments", ["cached", "note", "error", "check"])
    def test_stderr_decides_nothing(self, arguments: str, stderr: str, btf: Path, tmp_path: Path) -> None:
        """Neither the exit status nor stdout, in which nothing else lands; the second time from the cache."""
        words = {
            "cached": "sched_switch --raw", "error": "nonsense --kernel 6.12",
            "note": f"pelt_se_tp sched_switch -o {tmp_path}/out --classic --btf {btf}",
            "check": "",
        }[arguments]  # fmt: skip
        environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path)}
        command = f"{sys.executable} -m tpgen {words}"
        expected = subprocess.run(command, cwd=ROOT, env=environment, shell=True, capture_output=True, check=False)
        for _ in range(2):
            done = subprocess.run(
                f"sleep 0; {command} {stderr}", cwd=ROOT, env=environment, shell=True, executable="/bin/bash",
                stdout=subprocess.PIPE, check=False,
            )  # fmt: skip
            assert (done.returncode, done.stdout) == (expected.returncode, expected.stdout)

    def test_files_do_not_get_the_numbers_of_closed_streams(self, btf: Path, tmp_path: Path) -> None:
        """A note is not written into the header, which is the first file that is opened."""
        command = (
            f"{sys.executable} -m tpgen pelt_se_tp sched_switch --classic --btf {btf} -o {tmp_path}/out <&- >&- 2>&-"
        )
        done = subprocess.run(command, cwd=ROOT, shell=True, check=False)
        assert done.returncode == 0
        assert [path.name for path in (tmp_path / "out").iterdir()] == ["tp_sched_switch.h"]
        assert "tpgen: " not in (tmp_path / "out" / "tp_sched_switch.h").read_text()


# --- what nobody expected


class TestLastLine:
    @pytest.fixture
    def failing(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], None]:
        def fail_with(error: BaseException) -> None:
            def raising(*_: object) -> None:
                raise error

            monkeypatch.setattr("tpgen.opening.open_kernel", raising)

        return fail_with

    @staticmethod
    def run() -> Done:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main(["sched_switch", "--btf", "x"])
        return Done(code, out.getvalue(), err.getvalue())

    @pytest.mark.parametrize(
        "error", [AssertionError(), KeyError("a\nb"), RecursionError("deep"), RuntimeError("x" * 99)]
    )
    def test_is_one_line(self, error: Exception, failing: Callable[[BaseException], None]) -> None:
        failing(error)
        done = self.run()
        assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
        assert done.err.startswith(f"tpgen: error: {type(error).__name__}: ")
        assert " (test_process.py:" in done.err
        assert "[internal]; a fault of tpgen: please report it" in done.err
        assert len(done.err) < 400

    @pytest.mark.parametrize(
        ("urls", "where"),
        [
            (["Homepage, https://a.example", "Issues, https://a.example/issues"], "at https://a.example/issues"),
            (["Homepage, https://a.example"], "as SECURITY.md of its sources says"),
            ([], "as SECURITY.md of its sources says"),
        ],
    )
    def test_where_to_report(
        self, urls: list[str], where: str, failing: Callable[[BaseException], None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The address is that of the package that is installed."""
        package = Message()
        for url in urls:
            package["Project-URL"] = url
        monkeypatch.setattr("importlib.metadata.metadata", lambda _: package)
        failing(KeyError("odd"))
        assert f"please report it {where}, with the command" in self.run().err

    def test_where_to_report_of_what_is_not_installed(
        self, failing: Callable[[BaseException], None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("importlib.metadata.distribution", lambda _: (_ for _ in ()).throw(PackageNotFoundError()))
        failing(KeyError("odd"))
        assert "please report it as SECURITY.md of its sources says" in self.run().err

    def test_traceback_for_who_wants_it(
        self, failing: Callable[[BaseException], None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("TPGEN_DEBUG", "1")
        failing(KeyError("odd"))
        done = self.run()
        assert done.err.startswith("Traceback (most recent call last):\n")
        assert done.err.splitlines()[-1].startswith("tpgen: error: KeyError: 'odd' (test_process.py:")
        failing(fail("odd", "what a user did"))
        assert self.run() == refusal("what a user did [odd]")

    @pytest.mark.parametrize("wrapped", ["cause", "context"])
    def test_interrupted_where_python_wraps_exceptions(
        self, wrapped: str, failing: Callable[[BaseException], None]
    ) -> None:
        """As in `__set_name__` of a class that is being made."""
        error = RuntimeError("Error calling __set_name__")
        setattr(error, f"__{wrapped}__", KeyboardInterrupt())
        failing(error)
        assert self.run() == Done(130, "", "")

    def test_memory(self, failing: Callable[[BaseException], None]) -> None:
        failing(MemoryError())
        assert self.run() == refusal("not enough memory [memory]; give fewer events or files at once")

    def test_a_file_of_which_nobody_thought(self, failing: Callable[[BaseException], None]) -> None:
        """It is named, and not taken for stdout."""
        failing(OSError(errno.ELOOP, os.strerror(errno.ELOOP), "a/loop"))
        assert self.run() == refusal("a/loop: cannot read: Too many levels of symbolic links [unreadable]")


class TestInterrupted:
    """Ctrl-C at any moment: exit status 130, and not a word."""

    # The call at which the signal arrives, by the name of an audit event, which there are from the first import to the
    # last.
    SCRIPT = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever it is for the tests
at, seen = int(sys.argv.pop(1)), [0]
def hook(event, args):
    seen[0] += 1
    if seen[0] == at:
        os.kill(os.getpid(), signal.SIGINT)
import tpgen.__main__
sys.addaudithook(hook)
code = tpgen.__main__.run()
if at == 0:
    print(seen[0])
sys.exit(code)
"""

    def started(self, at: int, *arguments: str) -> tuple[int, str, str]:
        command = (sys.executable, "-c", self.SCRIPT, str(at), *arguments)
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout, done.stderr

    def test_at_any_moment(self, btf: Path, tmp_path: Path) -> None:
        arguments = ("sched_switch", "--btf", str(btf), "-o", str(tmp_path / "x.h"), "--no-cache")
        code, moments, errors = self.started(0, *arguments)
        assert (code, errors) == (0, "")
        whole = (tmp_path / "x.h").read_bytes()
        (tmp_path / "x.h").unlink()
        for at in range(1, int(moments), max(1, int(moments) // 20)):
            code, output, errors = self.started(at, *arguments)
            assert (code, output, errors) == (130, "", "")
            assert [path.name for path in tmp_path.iterdir()] in ([], ["x.h"])
            if (tmp_path / "x.h").exists():
                assert (tmp_path / "x.h").read_bytes() == whole

    def test_twice(self, tmp_path: Path) -> None:
        """Who is impatient does not keep it from cleaning up."""
        script = (
            "import os, signal, sys\n"
            "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # whatever it is for the tests
            "import tpgen.output as output, tpgen.__main__ as program\n"
            "write, unlink = os.write, os.unlink\n"
            "def interrupted(*_): os.kill(os.getpid(), signal.SIGINT)\n"
            "def slow(path, dir_fd=None): interrupted(); unlink(path, dir_fd=dir_fd)\n"
            "output.os.write, output.os.unlink = interrupted, slow\n"
            "sys.exit(program.run())\n"
        )
        command = (sys.executable, "-c", script, "sched_switch", "--kernel", "6.12", "-o", str(tmp_path / "x.h"))
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (130, "")
        assert list(tmp_path.iterdir()) == []

    def test_ignored_by_who_started_it(self, btf: Path) -> None:
        """In the background of a script it is not the terminal's keys that end a run."""
        arguments = ("sched_switch", "--raw", "--btf", str(btf))
        script = self.SCRIPT.replace("import tpgen", "signal.signal(signal.SIGINT, signal.SIG_IGN)\nimport tpgen")
        command = (sys.executable, "-c", script, "1", *arguments)
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        assert "raw_sched_switch_" in done.stdout
