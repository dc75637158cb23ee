"""Debian packages of any suite, through an apt root of their own that leaves the system's alone.

Where this machine's apt gets Debian from, the private root gets it from too; only the suite differs.
"""

from __future__ import annotations

import contextlib
import hashlib
import lzma
import os
import re
import shutil
import subprocess
import tomllib
import urllib.parse
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import Any

#: Debian's suites by the kernel that they carry.
SUITES = {"5.10": "bullseye", "6.1": "bookworm", "6.12": "trixie", "7.2": "sid"}
#: The architecture of a kernel's flavour, where the flavour is not called like it.
ARCHITECTURES = {"rt-amd64": "amd64", "cloud-amd64": "amd64", "686-pae": "i386", "powerpc64le": "ppc64el"}
# Kernels of a released suite are updated there.
_UPDATED = ("bullseye", "bookworm", "trixie")


def cache_dir() -> Path:
    """Where downloads and unpacked trees stay between runs: outside of the repository."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(os.environ.get("TPGEN_TEST_CACHE") or os.path.join(base, "tpgen-tests"))


# Relations of packages that are no dependencies.
_WEAK = ("recommends", "suggests", "conflicts", "breaks", "replaces", "enhances")
_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


def _archives() -> dict[str, str]:
    """The URIs of this machine's own Debian archives, by Release label (`Debian`, `Debian-Security`)."""
    command = ["apt-get", "indextargets", "--format", "$(ORIGIN)|$(LABEL)|$(REPO_URI)", "Created-By: Packages"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    lines = (line.split("|") for line in listed.splitlines())
    return {label: uri for origin, label, uri in lines if origin == "Debian"}


class NotServed(Exception):
    """The archive lists a package that it does not have: of some architectures the files come days later."""


class AptRoot:
    """A private apt root for one suite and architecture. Everything that it writes lies below `directory`."""

    def __init__(self, suite: str, directory: Path, arch: str = "amd64") -> None:
        self.directory = directory / f"apt-{suite}-{arch}"
        self._arch = arch
        for part in ("state/lists/partial", "cache/archives/partial", "etc"):
            (self.directory / part).mkdir(parents=True, exist_ok=True)
        sources = self.directory / "etc" / "sources.list"
        text = "".join(f"{line}\n" for line in self._sources(suite))
        if (
            not sources.exists()
            or sources.read_text() != text
            or not any((self.directory / "state/lists").glob("*_Packages*"))
        ):
            sources.write_text(text)
            self._apt("update")

    def _sources(self, suite: str) -> list[str]:
        archives = _archives()
        lines = [f"deb [signed-by={_KEYRING}] {archives['Debian']} {suite} main"]
        # Of other architectures the updates come later than the lists that name them; every point release has a kernel.
        if suite in _UPDATED and self._arch == "amd64" and "Debian-Security" in archives:
            lines.append(f"deb [signed-by={_KEYRING}] {archives['Debian-Security']} {suite}-security main")
        return lines

    def _apt(self, *arguments: str, cwd: Path | None = None, tool: str = "apt-get") -> str:
        options = {
            "Dir::State": self.directory / "state",
            "Dir::State::status": "/dev/null",
            "Dir::Cache": self.directory / "cache",
            "Dir::Etc::sourcelist": self.directory / "etc" / "sources.list",
            "Dir::Etc::sourceparts": "/dev/null",
            "Dir::Etc::preferencesparts": "/dev/null",
            "APT::Architecture": self._arch,
            "APT::Architectures": self._arch,
            "Acquire::Languages": "none",
            # A suite that is no longer updated has a Release file past its date.
            "Acquire::Check-Valid-Until": "false",
            "APT::Sandbox::User": "root",
        }
        command = [tool, "-qq", *(f"-o{name}={value}" for name, value in options.items()), *arguments]
        run = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
        if run.returncode:
            kind = NotServed if "404  Not Found" in run.stderr else RuntimeError
            raise kind(f"{' '.join(arguments)}: {run.stderr.strip()}")
        return run.stdout

    def names(self, pattern: str) -> list[str]:
        """The packages whose name matches a regular expression."""
        shown = self._apt("search", "--names-only", pattern, tool="apt-cache")
        return sorted(line.split(" ")[0] for line in shown.splitlines())

    def depends(self, package: str) -> list[str]:
        """What a package depends on."""
        shown = self._apt("depends", "--important", package, tool="apt-cache")
        return [line.split(": ")[1].strip() for line in shown.splitlines() if "Depends: " in line]

    def version(self, package: str) -> str:
        """The version of a package that this suite would install."""
        shown = self._apt("show", "--no-all-versions", package, tool="apt-cache")
        return next(line.split(": ")[1] for line in shown.splitlines() if line.startswith("Version: "))

    def versions(self, package: str) -> list[str]:
        """Every version of a package that the archives list, newest first."""
        shown = self._apt("madison", package, tool="apt-cache")
        return [line.split("|")[1].strip() for line in shown.splitlines() if line]

    def download(self, package: str, version: str | None = None) -> Path:
        """The package file, downloaded unless it is there already; of the newest version unless one is given."""
        version = version or self.version(package)
        name = f"{package}_{version.replace(':', '%3a')}_*.deb"
        if not list(self.directory.glob(name)):
            self._apt("download", f"{package}={version}", cwd=self.directory)
        return next(self.directory.glob(name))

    def download_with_dependencies(self, package: str) -> list[Path]:
        """The files of a package and of everything that it depends on."""
        options = ("--recurse", *(f"--no-{what}" for what in _WEAK))
        listed = self._apt("depends", *options, package, tool="apt-cache").splitlines()
        names = sorted({line for line in listed if line and line[0].isalnum()})
        self._apt("download", *names, cwd=self.directory)
        return [found for name in names for found in self.directory.glob(f"{name}_*.deb")]

    def download_to_install(self, *packages: str) -> list[Path]:
        """The files of what apt would install where nothing is, for these packages to be there."""
        install = ("install", "--no-install-recommends", *packages)
        lines = self._apt(*install, "--print-uris").splitlines()
        self._apt(*install, "--yes", "--download-only")
        return [self.directory / "cache/archives" / line.split(" ")[1] for line in lines]


class Image(ABC):
    """A kernel as Debian built it: its image and modules, unpacked."""

    @cached_property
    @abstractmethod
    def image(self) -> Path:
        """The unpacked image: boot/vmlinuz-*, boot/config-* and, below lib/ or usr/lib/, the modules."""

    @cached_property
    def config(self) -> Path:
        """The .config that the image was built with."""
        return next(self.image.glob("boot/config-*"))

    @cached_property
    def traced_modules(self) -> tuple[Path, ...]:
        """Every module that has a tracepoint, sorted by name.

        Finding them takes unpacking thousands, so what was found is kept beside them.
        """
        image = self.image
        known = image / "traced-modules"
        if not known.exists():
            # The section with the tracepoints that raw_tp programs can be attached to.
            found = [path for path in self.modules if b"__bpf_raw_tp_map" in plain_module(path)]
            partial = known.with_suffix(".partial")
            partial.write_text("".join(f"{path.relative_to(image)}\n" for path in found))
            partial.rename(known)
        return tuple(image / name for name in known.read_text().splitlines())

    @cached_property
    def modules(self) -> tuple[Path, ...]:
        """Every module, sorted by name."""
        image = self.image
        return (*sorted(image.glob("lib/modules/**/*.ko*")), *sorted(image.glob("usr/lib/modules/**/*.ko*")))

    @property
    def vmlinuz(self) -> Path:
        """The kernel, as a boot loader takes it; on ppc64el that is an ELF file."""
        return next(self.image.glob("boot/vmlinu[xz]-*"))

    @property
    def btf(self) -> tuple[Path, ...]:
        """What holds the image's BTF: vmlinuz, then every module that has a tracepoint.

        5.10's modules have no BTF, i386's kernel has none at all.
        """
        config = self.config.read_text()
        if "CONFIG_DEBUG_INFO_BTF=y\n" not in config:
            return ()
        return self.vmlinuz, *(self.traced_modules if "CONFIG_DEBUG_INFO_BTF_MODULES=y\n" in config else ())


class Tree(Image):
    """Debian's kernel source of one version, as far as tpgen reads it, and the images built from it in one flavour."""

    def __init__(self, kernel: str, directory: Path | None = None, flavour: str = "amd64") -> None:
        self.kernel = kernel
        self.arch = arch = ARCHITECTURES.get(flavour, flavour)
        self._flavour = flavour
        self._cache = directory or cache_dir()
        self._apt = AptRoot(SUITES[kernel], self._cache, arch)
        self.version = self._apt.version(f"linux-source-{kernel}")

    @property
    def headers(self) -> Path:
        """The source tree: every header, the Makefiles, and the C file that holds the verifier's table of nulls."""
        return self._source(self.version)

    @property
    def headers_of_image(self) -> Path:
        """The source tree of the image, which may be older than the newest; the newest where the archive has no other.

        Updates of a stable kernel change records too.
        """
        built_from = "-".join(self.image.name.rsplit("-", 2)[1:])
        listed = self._apt.versions(f"linux-source-{self.kernel}")
        return self._source(built_from if built_from in listed else self.version)

    def _source(self, version: str) -> Path:
        tree = self._cache / f"linux-source-{version}"
        if not tree.exists():
            package = self._cache / f"linux-source-{self.kernel}-{version}"
            archive = self._apt.download(f"linux-source-{self.kernel}", version)
            _extract([["dpkg-deb", "-x", str(archive), "."]], package)
            archive = next(package.glob("usr/src/linux-source-*.tar.xz"))
            wanted = ["--wildcards", "*.h", "*/Makefile", "*/kernel/bpf/btf.c"]
            _extract([["tar", "-xf", str(archive), "--strip-components=1", *wanted]], tree)
            shutil.rmtree(package)
        return tree

    @cached_property
    def image(self) -> Path:
        packages = self._images()
        for package in packages:
            with contextlib.suppress(NotServed):
                return self._image(package)
        raise NotServed(", ".join(packages))

    def _images(self) -> list[str]:
        """The packages with an image of this kernel, newest first."""
        meta = f"linux-image-{self._flavour}"
        newest = next(name for name in self._apt.depends(meta) if name.startswith("linux-image-"))
        # As POSIX has regular expressions: apt's.
        pattern = re.sub(r"\d+", "[0-9]+", re.sub(r"([.+])", r"\\\1", newest))
        return sorted(self._apt.names(f"^{pattern}$"), key=_numbers, reverse=True)

    def _image(self, package: str) -> Path:
        release = package.removeprefix("linux-image-")
        parts = [f"linux-{part}-{release}" for part in ("base", "binary", "modules")]
        # That of 7.2 holds nothing and depends on its parts.
        split = [part for part in parts if part in self._apt.depends(package)]
        image = self._unpacked(*split) if split else self._unpacked(package)
        _link_boot(image)
        return image

    def _unpacked(self, *packages: str) -> Path:
        """The contents of packages of one version, in a directory named after the last."""
        tree = self._cache / f"{packages[-1]}-{self._apt.version(packages[-1])}"
        if not tree.exists():
            _extract([["dpkg-deb", "-x", str(self._apt.download(package)), "."] for package in packages], tree)
        return tree


def _numbers(name: str) -> tuple[int, ...]:
    """The numbers in a name, by which a newer version comes behind an older one."""
    return tuple(map(int, re.findall(r"\d+", name)))


@cache
def _recipe() -> dict[str, Any]:
    """What the shipped catalog is made of."""
    return tomllib.loads((Path(__file__).parents[2] / "kernel_headers/catalog/recipe.toml").read_text())


def shipped_names() -> list[str]:
    """The kernels of the shipped catalog."""
    return [kernel["name"] for kernel in _recipe()["kernel"]]


class Shipped(Image):
    """A kernel of the shipped catalog, from the very packages that its recipe names."""

    def __init__(self, name: str, directory: Path | None = None) -> None:
        self._cache = directory or cache_dir()
        (kernel,) = (kernel for kernel in _recipe()["kernel"] if kernel["name"] == name)
        self._archives: dict[str, str] = _recipe()["archives"]
        self._packages: list[dict[str, str]] = kernel["packages"]

    @cached_property
    def packages(self) -> list[Path]:
        """The package files."""
        return [self._downloaded(package) for package in self._packages]

    @cached_property
    def image(self) -> Path:
        tree = self._cache / f"shipped-{self.packages[-1].stem}"
        if not tree.exists():
            _extract([["dpkg-deb", "-x", str(package), "."] for package in self.packages], tree)
        _link_boot(tree)
        return tree

    def _downloaded(self, package: dict[str, str]) -> Path:
        """The package file, from where `make.py` keeps it too."""
        path = self._cache / "packages" / package["path"].rpartition("/")[2]
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_suffix(".partial")
            url = self._archives[package["archive"]] + urllib.parse.quote(package["path"])
            urllib.request.urlretrieve(url, partial)
            partial.rename(path)
        with open(path, "rb") as file:
            assert hashlib.file_digest(file, "sha256").hexdigest() == package["sha256"], path
        return path


def _link_boot(image: Path) -> None:
    """Make what some packages have beside the modules be found in boot/ as well."""
    for plain in image.glob("usr/lib/modules/*/"):
        for name in ("vmlinuz", "config"):
            boot = image / "boot" / f"{name}-{plain.name}"
            if (plain / name).exists() and not boot.exists():
                boot.parent.mkdir(exist_ok=True)
                boot.symlink_to(os.path.relpath(plain / name, boot.parent))


def plain_module(module: Path) -> bytes:
    """The module as it is loaded."""
    raw = module.read_bytes()
    return lzma.decompress(raw) if module.suffix == ".xz" else raw


def _extract(commands: Sequence[Sequence[str]], directory: Path) -> None:
    """Run `commands` in a new `directory` that only appears when all went well."""
    partial = directory.with_name(f"{directory.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for command in commands:
        subprocess.run(command, cwd=partial, check=True)
    partial.rename(directory)
