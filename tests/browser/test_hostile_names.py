"""Names that somebody chose to do harm, wherever a page may print one: they are text, and nothing else.

No catalog with such names is read: what a kernel hands out was checked. Here the kernels are told, so that the pages
alone are tried, and the policy against scripts within pages is off.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support import browser
from support.browser import Visit
from support.told_kernel import INT, ToldKernel, event, number, pointer

from browser.conftest import Visitor
from tpgen.atlas.site import Atlas, prepare, site
from tpgen.basics.frozen import replace
from tpgen.diagnostics import Position
from tpgen.kernel.events import KernelEvents
from tpgen.kernel.symbols.facts import EventSymbols, Symbol, Symbols
from tpgen.model import Alternative, Event, Typedef

pytestmark = pytest.mark.browser

NAMES = {
    "an element": "<script>hostile()</script>",
    "an image": "<img src=x onerror=hostile()>",
    "the end of an attribute": '"><img src=x onerror=hostile()>',
    "another attribute": '" onfocus="hostile()" autofocus="',
    "with the other quote": "' onfocus='hostile()' autofocus='",
    "the end of the title": "</title></pre></code></table><script>hostile()</script>",
    "an address": "javascript:hostile()",
    "the end of a string of the index": "`);hostile();(`",
    "code within a string of the index": "${hostile()}",
    "a backslash": "\\`);hostile();//",
    "a line": "a\nb#event x",
    "a column": "a\tb",
    "a member of every object": "__proto__",
    "a way up": "../../../index",
    "a template's": "{{ 7 * 7 }}{% raw %}",
    "an entity": "&lt;script&gt;",
    "an override of the direction": "a\u202eb",
    "ten thousand letters": "a" * 10_000,
}
# What a page of these must not have in it, beside what it has by itself.
_FOREIGN = """() => [...document.querySelectorAll("*")].flatMap((node) => [
  ...(["IMG", "IFRAME", "OBJECT", "EMBED", "STYLE", "BASE", "svg"].includes(node.tagName) ? [node.outerHTML] : []),
  ...(node.tagName === "SCRIPT" && (!node.src || node.textContent) ? [node.outerHTML] : []),
  ...[...node.attributes].filter((attribute) => attribute.name.startsWith("on") || attribute.name === "style")
    .map((attribute) => attribute.name),
  ...(/^\\s*(?:javascript|data|vbscript):/i.test(node.getAttribute("href") ?? "") ? [node.outerHTML] : []),
])"""


def hostile_event(name: str) -> Event:
    found = event(
        name, {name: pointer(name), "plain": Typedef(name, INT)}, [number(name, 8), number("plain", 12)], name, name,
        header=f"include/{name}.h",
    )  # fmt: skip
    return replace(
        found, class_name=name, alternatives=(Alternative(Position(f"{name}.h", 1, 1), name),), print_fmt=name
    )


def kernels() -> dict[str, KernelEvents]:
    """Two kernels that differ in everything, with an event of each name."""
    named = Symbols(
        (Symbol(1, None, "text"), *(Symbol(number, None, name) for number, name in enumerate(NAMES.values())))
    )
    symbols = {name: EventSymbols(fields=(("plain", named),), left_out=((name, name),)) for name in NAMES.values()}
    events = [hostile_event(name) for name in NAMES.values()]
    changed = [replace(each, args=(each.args or ())[1:], record=None) for each in events[:-1]]
    return {
        "one": ToldKernel(events, NAMES["an element"], symbols=symbols),
        NAMES["the end of an attribute"]: ToldKernel(changed, NAMES["an image"], symbols=symbols),
    }


@pytest.fixture(scope="module")
def hostile_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    for file in site(prepare(Atlas(kernels()))):
        path = folder / file.path
        assert path.resolve().is_relative_to(folder)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.data)
    return folder


@pytest.fixture(scope="module")
def hostile_address(hostile_site: Path) -> Iterator[str]:
    with browser.served(hostile_site) as home:
        yield home


def visit_of(visitor: Visitor, home: str) -> Visit:
    visit = visitor(home=home, bypass_csp=True)
    visit.page.add_init_script("window.hostile = () => { document.documentElement.dataset.hostile = 'ran'; };")
    return visit


def test_no_page_has_anything_of_theirs_but_text(visitor: Visitor, hostile_site: Path, hostile_address: str) -> None:
    visit = visit_of(visitor, hostile_address)
    pages = sorted(path.relative_to(hostile_site).as_posix() for path in hostile_site.rglob("*.html"))
    assert {path.partition("/")[0] for path in pages} >= {
        "arguments", "changes", "events", "fields", "index.html", "kernels", "modules", "names", "search.html",
        "systems", "syscalls", "types",
    }  # fmt: skip
    found = {path: faults for path in pages if (faults := foreign(visit, path))}
    assert found == {}


def foreign(visit: Visit, path: str) -> list[str]:
    page = visit.go(path.replace("%", "%25").replace("?", "%3f").replace("#", "%23"))
    found: list[str] = page.evaluate(_FOREIGN)
    if page.evaluate("document.documentElement.dataset.hostile") is not None:
        found.append("it ran")
    if page.evaluate("document.documentElement.scrollWidth") > 1280:
        found.append("it is too wide")
    return found


@pytest.mark.parametrize("name", ["an element", "the end of an attribute", "a member of every object", "an entity"])
def test_the_search_shows_them_as_text(name: str, visitor: Visitor, hostile_address: str) -> None:
    visit = visit_of(visitor, hostile_address)
    page = visit.go("index.html")
    page.get_by_role("combobox").press_sequentially(NAMES[name][:12].replace("(", " "))
    page.get_by_role("option").first.wait_for()
    assert any(NAMES[name] in text for text in page.get_by_role("option").all_inner_texts())
    visit.go(f"search.html?q={NAMES['an image']}")
    page.get_by_role("heading", name="Events").wait_for()
    assert page.evaluate(_FOREIGN) == []
    assert page.evaluate("document.documentElement.dataset.hostile") is None


def test_the_policy_allows_the_pages_own_scripts_alone(visitor: Visitor, address: str) -> None:
    visit = visitor()
    page = visit.go("index.html")
    refused = page.evaluate("""() => new Promise((done) => {
      document.addEventListener("securitypolicyviolation", (event) => done(event.effectiveDirective));
      const script = document.createElement("script");
      script.setAttribute("src", "http://192.0.2.1/x.js");
      document.head.append(script);
    }).catch((error) => String(error))""")
    assert "TrustedScriptURL" in refused
    visit.faults.clear()
