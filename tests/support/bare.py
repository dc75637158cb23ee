"""Bare machines: a minimal Debian as debootstrap makes it, in a chroot, with a copy of the checkout."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from support.debian import cache_dir

CHECKOUT = Path(__file__).parents[2]
#: Where the copy of the checkout is in a bare machine.
HOME = "/root/tpgen"
#: What the checkout says it is.
VERSION = re.findall(r'^__version__ = "(.*)"$', (CHECKOUT / "tpgen/__init__.py").read_text(), re.MULTILINE)[0]
_TOOLS = ("debootstrap", "unshare", "chroot", "git")
# What a machine behind a proxy of its own tells the clients of registries.
_CERTIFICATES = ("PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS")
_PROXIES = ("http_proxy", "https_proxy", "no_proxy")

# $1 the pristine system, $2 the directory of this one's own, $3 what it is to run. No mount outlives the command, since
# they are in a namespace of its own.
_ENTER = """
set -e
root=$2/root
mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" "$root"
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"
# Debian's own way to say that nobody is there to be asked.
export DEBIAN_FRONTEND=noninteractive
exec chroot "$root" bash -c "$3"
"""


def missing_bare_machines() -> str | None:
    """Why no bare machine can be had here, None where one can."""
    if os.geteuid() != 0:
        return "needs root"
    missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
    return f"{', '.join(missing)} not installed" if missing else None


def missing_containers() -> str | None:
    """Why no container can be had here, None where one can."""
    missing = [tool for tool in ("podman", "runc") if shutil.which(tool) is None]
    return f"{', '.join(missing)} not installed" if missing else missing_bare_machines()


@dataclass(frozen=True)
class Done:
    """A command that ended: what it printed, and after how many seconds."""

    code: int
    out: str
    err: str
    seconds: float


@dataclass(frozen=True)
class BareMachine:
    """A Debian of its own below `directory`: what commands change there stays until the directory is removed."""

    suite: str
    directory: Path
    #: The seconds that each step took, as `timed` was told its name.
    took: dict[str, float] = field(default_factory=dict)

    def prepare(self) -> None:
        """Lay what only this machine has: names and certificates of the network, and a copy of the checkout."""
        for part in ("upper", "work", "root"):
            (self.directory / part).mkdir()
        for name in ("resolv.conf", "hosts"):
            if Path("/etc", name).exists():
                self._place(Path("/etc", name), f"etc/{name}")
        for name in _CERTIFICATES:
            if name in os.environ:
                self._place(Path(os.environ[name]), f"opt/certificates/{name}")
        # A mirror may be behind: Debian's unstable suite is signed for a week.
        late = self.directory / "upper/etc/apt/apt.conf.d/90late"
        late.parent.mkdir(parents=True)
        late.write_text('Acquire::Check-Valid-Until "false";\n')
        copy_checkout(self.directory / "upper" / HOME[1:])

    def _place(self, source: Path, name: str) -> None:
        target = self.directory / "upper" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)

    def run(self, script: str, timeout: float = 3600) -> Done:
        """Run a script of bash as root in the copy of the checkout, with nothing of this process's environment."""
        environment = {
            "HOME": "/root",
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            **{name: f"/opt/certificates/{name}" for name in _CERTIFICATES if name in os.environ},
            **{name: os.environ[name] for name in _PROXIES if name in os.environ},
        }
        pristine = pristine_debian(self.suite)
        command = ("unshare", "--mount", "sh", "-c", _ENTER, "sh")
        started = time.monotonic()
        done = subprocess.run(
            (*command, pristine, self.directory, f"cd {HOME}\n{script}"),
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr, time.monotonic() - started)

    def succeed(self, script: str, timeout: float = 3600) -> Done:
        """Run a script that has to succeed."""
        done = self.run(f"set -eo pipefail\n{script}", timeout)
        assert done.code == 0, f"{script}\nexit status {done.code}\n{done.out[-5000:]}\n{done.err[-5000:]}"
        return done

    def timed(self, step: str, script: str) -> str:
        """Run a step of a newcomer's path, keep how long it took, and return what it printed on stdout."""
        done = self.succeed(script)
        self.took[step] = done.seconds
        return done.out

    def stopwatch(self) -> str:
        """A line with all steps, for the report."""
        steps = ", ".join(f"{step} {seconds:.0f} s" for step, seconds in self.took.items())
        return f"{self.suite}: {steps} (load {os.getloadavg()[0]:.1f})"


def pristine_debian(suite: str) -> Path:
    """A directory with a minimal Debian that nothing writes to, made unless it is there."""
    place = cache_dir() / f"debian-{suite}"
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".debian-{suite}-", dir=place.parent))
        partial.chmod(0o755)
        command = ("debootstrap", "--variant=minbase", suite, str(partial))
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]
        partial.rename(place)
    return place


def copy_checkout(target: Path) -> None:
    """Clone the checkout, with what its tracked files contain now."""
    subprocess.run(("git", "clone", "--quiet", "--no-local", CHECKOUT, target), check=True)
    listed = subprocess.run(("git", "-C", CHECKOUT, "ls-files", "-z"), capture_output=True, text=True, check=True)
    for name in filter(None, listed.stdout.split("\0")):
        copy = target / name
        if (CHECKOUT / name).is_file():
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(CHECKOUT / name, copy)
        else:
            copy.unlink(missing_ok=True)


@contextmanager
def bare_machine(suite: str, directory: Path) -> Iterator[BareMachine]:
    """A machine of that suite below an empty directory, whose contents are removed at the end."""
    made = BareMachine(suite, directory)
    made.prepare()
    try:
        yield made
    finally:
        shutil.rmtree(directory)
