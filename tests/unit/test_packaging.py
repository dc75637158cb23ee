"""The distributions are complete, and the installed wheel works away from the checkout: `tox -e wheel`."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest
from support import shells
from support.shells import completed_by_bash, completed_by_fish, zsh_completes

from tpgen.commands.deliver import COMMANDS

CHECKOUT = Path(__file__).parents[2]


def run(*argv: str | Path, cwd: Path) -> str:
    """What the command prints, in an environment that leads neither to the checkout nor to this test's packages."""
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(argv, cwd=cwd, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, f"{argv}: exit status {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


def tracked() -> list[str]:
    """Every file of the checkout that is tracked and there."""
    names = run("git", "ls-files", "-z", cwd=CHECKOUT).split("\0")
    return [name for name in names if name and (CHECKOUT / name).is_file()]


# What makes files of the package, and is not needed where they are.
MAKERS = {"kernel_headers/catalog/make.py", "templates/prerender.py"} | {
    f"kernel_headers/catalog/{name}.toml" for name in ("perfetto", "recipe")
}


def package_files() -> set[str]:
    """Every file that the package needs at run time, by the name that it has in the wheel."""
    homes = {"tpgen": "tpgen", "kernel_headers": "tpgen/kernel_headers", "templates": "tpgen/templates"}
    names = (name.partition("/") for name in tracked() if name not in MAKERS)
    documents = {"tpgen/docs/diagnostics.md", "tpgen/docs/doctor.md"}
    return documents | {f"{homes[folder]}/{rest}" for folder, _, rest in names if folder in homes}


def built(home: Path, umask: int, epoch: int) -> Path:
    """A directory with an sdist of a copy of the checkout, whose files are as old as told, and a wheel of that sdist.

    The copy has files of its own beside the tracked ones, as whoever works in it does.
    """
    for name in tracked():
        copy = home / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes((CHECKOUT / name).read_bytes())
        copy.chmod(0o777 & ~umask if os.access(CHECKOUT / name, os.X_OK) else 0o666 & ~umask)
        os.utime(copy, (epoch, epoch))
    for name in (".venv/bin/python", "site/index.html", "tpgen/__pycache__/cli.pyc", "notes.txt", "trace.bpf.o"):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text("not for others")
    script = f'umask {umask:03o}; unset SOURCE_DATE_EPOCH; exec "$0" -m build --outdir out .'
    run("sh", "-c", script, sys.executable, cwd=home)
    return home / "out"


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory.mktemp("dist"), 0o022, 1_500_000_000)


@pytest.fixture(scope="module")
def wheel(distributions: Path) -> Path:
    (wheel,) = distributions.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def scripts(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of commands of a new virtual environment that the wheel is installed in."""
    home = tmp_path_factory.mktemp("venv")
    home.chmod(0o755)
    venv.create(home, with_pip=True)
    run(home / "bin" / "python", "-m", "pip", "install", "--quiet", wheel, cwd=home)
    return home / "bin"


# What else is in the wheel, below the name and the version.
BESIDE = re.compile(
    r"""\.dist-info/(METADATA | WHEEL | RECORD | entry_points\.txt)
    | \.dist-info/licenses/(LICENSE | LICENSES/(BSD-2-Clause | LGPL-2\.1-only)\.txt)
    | \.data/scripts/tpgen
    | \.data/data/share/bash-completion/completions/tpgen
    | \.data/data/share/(zsh/site-functions/_tpgen | fish/vendor_completions\.d/tpgen\.fish)
    | \.data/data/share/man/man1/tpgen(-[a-z]+)*\.1""",
    re.VERBOSE,
)


def test_wheel_holds_what_it_needs_and_no_more(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert len(names) == len(set(names))
    assert package_files() - set(names) == set()
    version = "-".join(wheel.name.split("-")[:2])
    beside = {name.removeprefix(version) for name in set(names) - package_files()}
    assert {name for name in beside if not BESIDE.fullmatch(name)} == set()


def test_sdist_holds_what_is_tracked_and_no_more(distributions: Path) -> None:
    (sdist,) = distributions.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = sorted(member.name.partition("/")[2] for member in archive if not member.isdir())
    assert names == sorted([*tracked(), "PKG-INFO"])


def test_an_index_would_take_them(distributions: Path, wheel: Path) -> None:
    """The description can be rendered, and what is wrong in many a wheel is not here."""
    checked = run(
        sys.executable, "-m", "twine", "--no-color", "check", "--strict", *distributions.iterdir(), cwd=distributions
    )
    assert checked.count("PASSED") == 2
    run(Path(sys.executable).with_name("check-wheel-contents"), wheel, cwd=distributions)


def test_wheel_names_its_licence(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    (metadata,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
    text = archive.read(metadata).decode()
    assert "\nLicense-Expression: LGPL-2.1-only OR BSD-2-Clause\n" in text
    assert re.findall(r"^License-File: (.*)$", text, re.MULTILINE) == [
        "LICENSE",
        "LICENSES/BSD-2-Clause.txt",
        "LICENSES/LGPL-2.1-only.txt",
    ]


def test_reproducible(distributions: Path, tmp_path: Path) -> None:
    """Whoever builds it gets the same bytes: in another directory, on another day, under another umask."""
    another = built(tmp_path / "another" / "place", 0o077, 1_700_000_000)
    first, second = ({path.name: path.read_bytes() for path in place.iterdir()} for place in (distributions, another))
    assert len(first) == 2
    assert first == second


def test_installed_command_needs_no_checkout(scripts: Path, tmp_path: Path) -> None:
    where = run(scripts / "python", "-c", "import tpgen; print(tpgen.__file__)", cwd=tmp_path)
    assert Path(where.strip()).is_relative_to(scripts.parent)


def test_installed_command_imports_no_more_than_the_package(scripts: Path, tmp_path: Path) -> None:
    """A script that pip writes may import re, which takes longer than to find output in the cache."""
    command = (scripts / "python", "-X", "importtime", scripts / "tpgen", "--version")
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "tpgen.cli" in imported
    assert "re" not in imported


@pytest.mark.kernel_btf
@pytest.mark.parametrize("command", [("tpgen",), ("python", "-m", "tpgen")], ids=" ".join)
def test_installed_command_generates(command: tuple[str, ...], scripts: Path, tmp_path: Path) -> None:
    program, *arguments = command
    header = run(scripts / program, *arguments, "sched_switch", "--raw", cwd=tmp_path)
    assert "struct raw_sched_switch" in header
    assert not list(tmp_path.iterdir())


# An empty /sys/kernel, and the new environment where everybody can get at it; of both only this command knows.
IN_A_CONTAINER = """
mount -t tmpfs tmpfs /sys/kernel && mount --bind "$1" /mnt && cd / &&
exec setpriv --reuid 65534 --regid 65534 --clear-groups --no-new-privs /mnt/bin/python -m tpgen sched_switch --raw
"""


@pytest.mark.live
def test_installed_command_needs_no_kernel_and_no_root(scripts: Path) -> None:
    """As in a container: nothing in /sys/kernel, no privileges, no home. It is the newest kernel that was shipped."""
    command = ("unshare", "--mount", "sh", "-c", IN_A_CONTAINER, "sh", str(scripts.parent))
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    newest = "debian-7.3-amd64" if os.uname().machine == "x86_64" else "debian-"
    assert done.stderr.startswith(
        f"tpgen: note: neither BTF nor tracefs of a running kernel can be read here: this is {newest}"
    )
    assert done.stderr.count("\n") == 1
    assert "raw_sched_switch_prev_state(const void *ctx)" in done.stdout  # since Linux 5.18


def test_the_shipped_catalog_is_small(wheel: Path) -> None:
    """At most 4 MB of the wheel."""
    (catalog,) = (info for info in zipfile.ZipFile(wheel).infolist() if info.filename.endswith("catalog/debian.tpgen"))
    assert catalog.compress_size <= 4_000_000


COMPLETED = {
    "tpgen sho": "show",
    "tpgen sched_swi": "sched_switch",
    "tpgen show sched_swi": "sched_switch",
    "tpgen sched_switch --ra": "--raw",
    "tpgen sched_switch sched_wakeup_n": "sched_wakeup_new",
    "tpgen show --kernel debian-5.10-am": "debian-5.10-amd64",
    "tpgen catalog exp": "export",
    "tpgen explain unknown-ev": "unknown-event",
}


@pytest.mark.shells
@pytest.mark.kernel_btf
@pytest.mark.parametrize("words", COMPLETED)
def test_shells_complete(words: str, scripts: Path, tmp_path: Path) -> None:
    share, whole = scripts.parent / "share", COMPLETED[words]
    assert completed_by_bash(share, words, scripts, tmp_path) == [whole]
    assert completed_by_fish(share, words, scripts, tmp_path) == [whole]
    zsh_completes(share, words, f"{words[: words.rindex(' ')]} {whole}", scripts, tmp_path)


@pytest.mark.shells
def test_each_command_has_a_manual_page(scripts: Path, tmp_path: Path) -> None:
    pages = {path.stem: path for path in (scripts.parent / "share/man/man1").iterdir()}
    assert {"tpgen", *(f"tpgen-{command}" for command in COMMANDS)} <= set(pages)
    for name, page in pages.items():
        checked = subprocess.run(("groff", "-man", "-ww", "-z", page), capture_output=True, text=True, check=True)
        assert checked.stderr == ""
        assert page.read_text().startswith('.\\" SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause\n')
        text = shells.run(("man", "--nh", "--nj", "-l", str(page)), scripts, tmp_path)
        assert f"{name} - " in text
        assert "EXIT STATUS" in text
    assert "--kernel K" in shells.run(("man", "-l", str(pages["tpgen"])), scripts, tmp_path)
    assert shells.run(("man", "-w", "tpgen"), scripts, tmp_path).strip() == str(pages["tpgen"])
