"""The project's site: its documents as pages, made by zensical, and the atlas of the shipped kernels beside them.

Documents link to each other and into the repository as they do there: whatever they link to is in the site.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import dedent

ROOT = Path(__file__).parents[1]

# The pages with a title of their own, before the documents and behind them.
_FIRST = {"README.md": "tpgen", "docs/README.md": "Where to find what"}
_LAST = {"CHANGELOG.md": "Changes", "CONTRIBUTING.md": "Contributing", "SECURITY.md": "Security"}
# The target of a link that is no address and no place in the page itself.
_LINK = re.compile(r"(\]\()([^)#:\s]+)((?:#[^)\s]*)?\))")
_FENCE = re.compile(r"^( *)(`{3,}|~{3,}).*?^\1\2", re.MULTILINE | re.DOTALL)
_ATLAS = "atlas"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="DIR", help="the directory of the site")
    parser.add_argument("--base-url", metavar="URL", help="the address that the site will have")
    parser.add_argument("--no-atlas", action="store_true", help="only the documents")
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        write_documents(Path(folder), options.output.resolve(), options.base_url)
    if not options.no_atlas:
        address = ["--base-url", f"{options.base_url.rstrip('/')}/{_ATLAS}/"] if options.base_url else []
        shipped = ["--kernel", str(ROOT / "kernel_headers/catalog/debian.tpgen")]
        command = [sys.executable, "-m", "tpgen", "atlas", "-o", str(options.output / _ATLAS), *shipped, *address]
        subprocess.run(command, check=True)


def write_documents(folder: Path, output: Path, base_url: str | None) -> None:
    """Write the pages of the documents below `output`; `folder` is for what zensical reads."""
    stage(folder / "documents")
    (folder / "zensical.toml").write_text(configuration(base_url), encoding="utf-8")
    subprocess.run([sys.executable, "-m", "zensical", "build", "--clean"], check=True, cwd=folder)
    for path in (folder / "documents").rglob("*"):
        place = folder / "site" / path.relative_to(folder / "documents")
        if path.is_file() and path.suffix != ".md" and not place.exists():  # zensical leaves templates/ out
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)
    output.mkdir(parents=True, exist_ok=True)
    shutil.copytree(folder / "site", output, dirs_exist_ok=True)


def pages() -> dict[str, str]:
    """The pages as the navigation has them, with their titles; a document has its own, and stands where
    docs/README.md lists it."""
    listed = re.findall(r"\]\(([\w/-]+\.md)", (ROOT / "docs/README.md").read_text(encoding="utf-8"))
    there = sorted(str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md"))
    documents = [f"docs/{name}" for name in dict.fromkeys([*listed, *there])]
    return {**_FIRST, **{name: "" for name in documents if name not in _FIRST}, **_LAST}


def configuration(base_url: str | None) -> str:
    """The configuration of zensical: no fonts or scripts of other hosts, and links that work from disk."""
    entries = [
        f'{{ "{title}" = "{name_of(page)}" }}' if title else f'"{name_of(page)}"' for page, title in pages().items()
    ]
    address = f"site_url = {base_url!r}\n" if base_url else ""
    return dedent("""\
        [project]
        site_name = "tpgen"
        site_description = "Finds out what Linux tracepoints hand to BPF programs and generates accessors for it"
        docs_dir = "documents"
        site_dir = "site"
        use_directory_urls = false
        {address}nav = [{entries}, {{ "Atlas" = "{atlas}/index.html" }}]
        [project.theme]
        font = false
        features = ["navigation.top", "content.code.copy", "search.highlight"]
        [[project.theme.palette]]
        media = "(prefers-color-scheme: light)"
        scheme = "default"
        [[project.theme.palette]]
        media = "(prefers-color-scheme: dark)"
        scheme = "slate"
    """).format(address=address, entries=", ".join(entries), atlas=_ATLAS)  # fmt: skip


def name_of(page: str) -> str:
    """The name of a page in the site: a README is what a directory shows."""
    return re.sub(r"(^|/)README\.md$", r"\1index.md", page)


def stage(folder: Path) -> None:
    """Put the pages, and all that they link to, below `folder`."""
    waiting = [*pages()]
    seen = set(waiting)
    while waiting:
        path = waiting.pop()
        target = folder / name_of(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / path).is_dir():
            text, linked = listing(path)
            (folder / path).mkdir(parents=True, exist_ok=True)
            (folder / path / "index.md").write_text(text, encoding="utf-8")
        elif path.endswith(".md"):
            text, linked = relinked(path)
            target.write_text(text, encoding="utf-8")
        else:
            shutil.copyfile(ROOT / path, target)
            linked = []
        waiting += (each for each in dict.fromkeys(linked) if each not in seen)
        seen.update(linked)


def listing(path: str) -> tuple[str, list[str]]:
    """A page that lists the files of a directory, or shows its README with them; and these files."""
    known = subprocess.run(["git", "ls-files", path], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    files = [name for name in known.splitlines() if not name.endswith("/README.md")]
    rows = "".join(f"- [{name.removeprefix(path + '/')}]({os.path.relpath(name, path)})\n" for name in files)
    head, linked = f"# {path}\n", []
    if (ROOT / path / "README.md").exists():
        head, linked = relinked(f"{path}/README.md")
    return f"{head}\n## Files\n\n{rows}", [*linked, *files]


def relinked(page: str) -> tuple[str, list[str]]:
    """A page with links to pages of the site, and the paths that it links to."""
    text = (ROOT / page).read_text(encoding="utf-8")
    linked: list[str] = []

    def link(found: re.Match[str]) -> str:
        path = os.path.normpath(os.path.join(os.path.dirname(page), found[2]))
        if path.startswith("..") or not (ROOT / path).exists():
            return found[0]
        linked.append(path)
        target = f"{path}/index.md" if (ROOT / path).is_dir() else name_of(path)
        return f"{found[1]}{os.path.relpath(target, os.path.dirname(page) or '.')}{found[3]}"

    return "".join(part if is_code else _LINK.sub(link, part) for part, is_code in parts(text)), linked


def parts(text: str) -> Iterator[tuple[str, bool]]:
    """The parts of a page, and whether each is a block of code."""
    at = 0
    for fence in _FENCE.finditer(text):
        yield text[at : fence.start()], False
        yield fence.group(), True
        at = fence.end()
    yield text[at:], False


if __name__ == "__main__":
    main()
