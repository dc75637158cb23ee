"""Names that somebody chose to do harm, in every place of a kernel that a page tells of."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import PurePosixPath

import pytest
from support.sites import Page, dangling
from support.told_kernel import INT, ToldKernel, event

from tpgen.atlas.paths import file_name, path_of
from tpgen.atlas.site import Atlas, prepare, site
from tpgen.basics.frozen import replace
from tpgen.diagnostics import Position
from tpgen.kernel.symbols.facts import EventSymbols, Symbol, Symbols
from tpgen.model import Alternative, Field, Kind, Pointer, Struct, Typedef

EVIL = {
    "script": "</script><script>alert(1)</script>",
    "attribute": '" onmouseover="alert(1)" x="',
    "quote": "' onfocus='alert(1)",
    "entity": "&lt;b&gt;&amp;",
    "comment": "--><img src=x onerror=alert(1)><!--",
    "template": "{{ 7 * 7 }}{% raw %}",
    "path": "../../../etc/passwd",
    "absolute": "//example.com/x",
    "address": "javascript:alert(1)",
    "nul": "a\0b",
    "lines": "a\r\nb\u2028c",
    "direction": "a\u202eb",
    "device": "con",
    "index": "index",
    "dots": "..",
    "dot": ".hidden",
    "long": "a" * 5000,
    "long upper": "A" * 5000,
    "case": "Name",
    "CASE": "NAME",
    "escaped": "=name",
}


@cache
def files() -> dict[str, bytes]:
    """The site of two kernels with these words as names of events, systems, modules, arguments, types, values."""
    found = []
    symbols = {}
    for number, name in enumerate(EVIL.values()):
        fields = [Field(name, Typedef(name, INT), 8, 4, True), Field("plain", INT, 12, 4, True)]
        made = event(name, {name: Pointer(Struct("struct", name))}, fields, name, name, f"include/{name}.h")
        places = Alternative(Position(name, 1, 1), name), Alternative(Position(name, 2, 1), None)
        found.append(replace(made, class_name=name, alternatives=places))
        found.append(replace(event(f"sys_enter_{number}", {}, fields, "syscalls"), kind=Kind.SYSCALL, attach_name=None))
        symbols[name] = EventSymbols(
            ((0, Symbols((Symbol(1, name, name),), f"enum {name}")),),
            ((name, Symbols((Symbol(2, name, name),))),), ((name, name),),
        )  # fmt: skip
    fewer = [each for each in found if each.name != EVIL["script"]]
    opened = {
        EVIL["script"]: ToldKernel(fewer, f"5.10.0-{EVIL['attribute']}", symbols=symbols),
        EVIL["entity"]: ToldKernel(found, f"6.1.0-{EVIL['script']}", symbols=symbols),
    }
    return {file.path: file.data for file in site(prepare(Atlas(opened, "https://example.org/")))}


@cache
def pages() -> dict[str, Page]:
    return {path: Page(data.decode()) for path, data in files().items() if path.endswith(".html")}


def test_links_lead_somewhere() -> None:
    assert dangling(files()) == set()


def test_no_tag_or_attribute_is_of_a_name() -> None:
    known = set(
        """a abbr aside b body br button caption code col colgroup dd del details div dl dt em figcaption figure
        footer form h1 h2 h3 h4 h5 head header hr html i input ins kbd label li link main mark meta nav noscript
        ol p path pre script section small span strong summary svg table tbody td template th thead time title tr
        ul var""".split()
    )
    for path, page in pages().items():
        for tag, attributes in page.tags:
            assert tag in known, path
            assert not any(name.startswith("on") or name == "style" for name in attributes), (path, tag, attributes)
            if tag == "script":
                assert re.fullmatch(r"(?:\.\./)*(?:assets|search)/[a-z.]+\.js", attributes["src"] or ""), path


def test_no_link_leads_to_another_place() -> None:
    for path, page in pages().items():
        for link in page.links:
            assert re.fullmatch(r"[A-Za-z0-9_.=@/#-]+|[./]*search\.html\?q=[a-z_+]+", link), (path, link)
            assert ":" not in link


def test_paths_are_those_of_any_file_system() -> None:
    assert len({path.lower() for path in files()}) == len(files())
    for path in files():
        assert re.fullmatch(r"[A-Za-z0-9_.=@/-]+", path), path
        for part in PurePosixPath(path).parts:
            assert len(part) <= 255
            assert part[0] != "."
            assert part.partition(".")[0] not in {"con", "nul", "aux", "prn"}


def test_every_name_is_told() -> None:
    """As text; what cannot be printed, and what no encoding has, may be escaped."""
    for word, name in EVIL.items():
        if name.isprintable():
            path = path_of("event", name, name)
            assert name in "".join(pages()[path].words), word


def test_json_has_the_names() -> None:
    for name in EVIL.values():
        text = files()[path_of("event", name, name).replace(".html", ".json")].decode()
        assert text.replace("\n", "").isprintable()
        assert json.loads(text)["history"]["name"] == name


def test_the_sitemap_is_xml() -> None:
    import xml.etree.ElementTree as ET

    root = ET.fromstring(files()["sitemap.xml"].decode())
    assert len(root) == len(pages())


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("sched_switch", "sched_switch"),
        ("Name", "=name"),
        ("=name", "=03dname"),
        ("a b", "a=020b"),
        ("con", "=063on"),
        ("com1.x", "=063om1.x"),
        ("index", "=069ndex"),
        ("..", "=02e."),
        (".hidden", "=02ehidden"),
        ("-x", "=02dx"),
        ("é", "=0c3=0a9"),
        ("", "=0"),
    ],
)
def test_names_of_files(name: str, written: str) -> None:
    assert file_name(name) == written


def test_long_names_stay_apart() -> None:
    names = {"a" * 500, "a" * 501, "A" * 500, "A" * 250, "a" * 119 + "=", "é" * 100, "é" * 101}
    written = {file_name(name) for name in names}
    assert len(written) == len(names)
    assert all(len(name) <= 120 for name in written)
