"""A page's commands run as its reader would run them: one after the other, in a directory of their own."""

from __future__ import annotations

import difflib
import os
import pty
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from support.pages import Block, Command, Level, Watched, as_shown, page_blocks, stands_in
from support.projects import CHECKOUT

_SECONDS = 120  # for a command that takes less than ten: the machine may be busy
_SECONDS_APART = 3600
_TOLD = 4000  # so many characters of an output are told
_INHERITED = ("PYTHONPATH", "VIRTUAL_ENV", "MAKEFLAGS", "MAKELEVEL", "NO_COLOR", "CLICOLOR_FORCE", "COLUMNS", "ENV")
# What a command leaves to the next one: where it ended, and what it exported.
_KEPT = 'trap \'s=$?; pwd >"$SESSION/cwd"; export -p >"$SESSION/exported"; exit $s\' EXIT'


class Session:
    """The commands of a page, of which those up to a level are run."""

    def __init__(self, page: str, folder: Path, level: Level) -> None:
        self.page = page
        self._level = level
        self._folder = folder
        self._copied = False
        self._printed: str | None = None
        self._groups: list[int] = []
        for name in ("bin", "home", "session", "page"):
            (folder / name).mkdir()
        self._write_programs()
        self._environment = self._new_environment()
        self._set_directory(folder / "page")
        if page.startswith("examples/"):
            self._set_directory(self._copy() / Path(page).parent)

    def run(self, blocks: list[Block] | None = None) -> int:
        """Run the blocks, those of the page by default, and return how many commands ran. It ends at the first that
        does otherwise than the page says."""
        count = 0
        try:
            for block in page_blocks(self.page) if blocks is None else blocks:
                count += self._block(block)
        finally:
            self._end()
        return count

    def _block(self, block: Block) -> int:
        if "in" in block.words:
            self._set_directory(self._copy() / block.words["in"])
        if "CHECKOUT" in block.text + block.meanwhile:
            self._copy()
        if not block.has_commands:
            self._text(block)
            return 0
        if block.level > self._level:
            self._printed = None
            return 0
        commands = block.commands
        for command, status in zip(commands, block.exits, strict=True):
            until = block.words.get("until") if command is commands[-1] else None
            self._command(block, command, status, until)
        return len(commands)

    def _text(self, block: Block) -> None:
        if name := block.words.get("file"):
            path = self._directory() / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
        if name := block.words.get("part-of"):
            missing = stands_in(block.text, (CHECKOUT / name).read_text(encoding="utf-8"))
            assert missing is None, f"{block.page}:{block.line}: {name} has no such line there: {missing}"
        if "output" in block.words and self._printed is not None:
            _compare(block, block.line, "\n".join(block.lines).strip("\n"), self._printed)

    def _command(self, block: Block, command: Command, status: int, until: str | None) -> None:
        script = self._folder / "session" / "command"
        script.write_text(
            f'. "$SESSION/exported"\ncd "$(cat "$SESSION/cwd")"\n{_KEPT}\n{command.text}\n', encoding="utf-8"
        )
        if until is None:
            seconds = _SECONDS if block.level < Level.APART else _SECONDS_APART
            code, self._printed = self._finished(script, seconds)
        else:
            code, self._printed = self._interrupted(block, command, script, float(until))
            code = 0 if code in (-signal.SIGINT, 128 + signal.SIGINT) else code
        where = f"{block.page}:{command.line}: `{command.text}`"
        assert code == status, f"{where}: exit status {code}, not {status}:\n{self._printed[-_TOLD:]}"
        if command.shown and until is None:
            _compare(block, command.line, command.shown, self._printed)

    def _finished(self, script: Path, seconds: float) -> tuple[int, str]:
        """The exit status and the output of a command. What it leaves running may keep the output open."""
        output = self._folder / "session" / "output"
        with output.open("wb") as file:
            process = self._start(script, file.fileno())
            try:
                code = process.wait(seconds)
            except subprocess.TimeoutExpired:
                self._end()
                raise AssertionError(f"{script.read_text()}: not done after {seconds} s") from None
        return code, output.read_text(encoding="utf-8", errors="replace")

    def _interrupted(self, block: Block, command: Command, script: Path, seconds: float) -> tuple[int, str]:
        """The exit status and the output of a command that is interrupted when it has printed what is shown."""
        watched = Watched(command.shown, "varies" in block.words)
        with _terminal() as (master, slave):
            process = self._start(script, slave)
            os.close(slave)
            printed = ""
            end = time.monotonic() + seconds
            while not (seen := watched.has_seen_all(new := _read(master))) and process.poll() is None:
                printed = (printed + new)[-_TOLD:]
                if time.monotonic() > end:
                    break
                if block.meanwhile:
                    self._meanwhile(block)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGINT)
            end = time.monotonic() + _SECONDS
            while process.poll() is None and time.monotonic() < end:  # it cannot end before its output is read
                printed = (printed + _read(master))[-_TOLD:]
        assert seen, f"{block.page}:{command.line}: does not print what is shown:\n{printed}"
        assert process.returncode is not None, f"{block.page}:{command.line}: does not end at Ctrl-C"
        return process.returncode, printed

    def _meanwhile(self, block: Block) -> None:
        done = subprocess.run(
            ("bash", "-e", "-c", block.meanwhile), cwd=self._directory(), env=self._environment, check=False,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=_SECONDS,
        )  # fmt: skip
        assert done.returncode == 0, f"{block.page}:{block.line}: meanwhile: {done.stdout}"

    def _start(self, script: Path, output: int) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            # A shell without job control starts what is behind `&` so that it ignores Ctrl-C; this would inherit that.
            ("env", "--default-signal=INT", "bash", str(script)), env=self._environment,
            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        self._groups.append(process.pid)
        return process

    def _end(self) -> None:
        """End whatever a command left running."""
        while self._groups:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._groups.pop(), signal.SIGKILL)

    def _directory(self) -> Path:
        return Path((self._folder / "session" / "cwd").read_text().rstrip("\n"))

    def _set_directory(self, path: Path) -> None:
        (self._folder / "session" / "cwd").write_text(f"{path}\n")

    def _copy(self) -> Path:
        """A copy of the files of the checkout that are the project's."""
        copy = self._folder / "checkout"
        if not self._copied:
            self._copied = True
            listed = ("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
            names = subprocess.run(listed, cwd=CHECKOUT, check=True, capture_output=True, text=True).stdout
            for name in filter(None, names.split("\0")):
                if (CHECKOUT / name).is_file():
                    (copy / name).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy2(CHECKOUT / name, copy / name)
        return copy

    def _write_programs(self) -> None:
        """What a reader has on his path: this tpgen, a Python that finds it, and sudo."""
        scripts = Path(sys.executable).parent
        programs = {
            "tpgen": f'exec {shlex.quote(str(scripts / "tpgen"))} "$@"',
            "python": f'exec {shlex.quote(sys.executable)} "$@"',
            "python3": f'exec {shlex.quote(sys.executable)} "$@"',
        }
        if os.geteuid() == 0:
            programs["sudo"] = 'exec "$@"'
        for name, command in programs.items():
            path = self._folder / "bin" / name
            path.write_text(f"#!/bin/sh\n{command}\n")
            path.chmod(0o755)

    def _new_environment(self) -> dict[str, str]:
        left_out = re.compile("|".join((*_INHERITED, "XDG_.*", "LC_.*", "TPGEN_(?!TEST_CACHE).*", "PYTEST_.*")))
        kept = {name: value for name, value in os.environ.items() if not left_out.fullmatch(name)}
        scripts = str(Path(sys.executable).parent)
        path = [str(self._folder / "bin"), *(part for part in os.environ["PATH"].split(os.pathsep) if part != scripts)]
        (self._folder / "session" / "exported").touch()
        return kept | {
            "PATH": os.pathsep.join(path),
            "HOME": str(self._folder / "home"),
            "LANG": "C.UTF-8",
            "TERM": "dumb",
            "CHECKOUT": str(self._folder / "checkout"),
            "SESSION": str(self._folder / "session"),
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PIP_REQUIRE_VIRTUALENV": "1",
        }


def _compare(block: Block, line: int, shown: str, printed: str) -> None:
    if as_shown(shown, printed, "varies" in block.words):
        return
    lines = difflib.unified_diff(shown.splitlines(), printed.strip("\n").splitlines(), "shown", "printed", lineterm="")
    raise AssertionError("\n".join((f"{block.page}:{line}: prints something else", *lines))[:_TOLD])


@contextmanager
def _terminal() -> Iterator[tuple[int, int]]:
    """A terminal, so that programs print each line when it is there. Whoever starts a process closes the second."""
    master, slave = pty.openpty()
    os.set_blocking(master, False)
    try:
        yield master, slave
    finally:
        os.close(master)


def _read(master: int) -> str:
    """What was printed, after a moment; bytes that are no character of UTF-8 are replaced."""
    time.sleep(0.1)
    try:
        return os.read(master, 1 << 20).decode("utf-8", "replace")
    except OSError:  # nothing, or nobody there any more
        return ""
