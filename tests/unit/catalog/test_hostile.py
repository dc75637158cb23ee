"""Catalog files that come from anywhere: damaged, foreign or made to harm, they are refused in one line."""

from __future__ import annotations

import os
import random
import re
import sqlite3
from pathlib import Path

import pytest
from support.catalogs import changed, small_catalog
from support.cli import Done, refusal, tpgen


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    return small_catalog(tmp_path)


def everything(path: Path) -> Done:
    """What a run says that reads all of a catalog: the first that fails, else the last."""
    for words in (("show", "*"), ("check",), ("*", "-o", str(path.parent / "out"))):
        done = tpgen(*words, "--kernel", path)
        if done.code:
            return done
    return done


def refused(done: Done, code: str) -> bool:
    """Whether a run ended with that code and nothing but one line."""
    one_line = ": error: " in done.err and done.err.endswith("\n") and done.err.count("\n") == 1
    return (done.code, done.out, one_line) == (2, "", True) and f"[{code}]" in done.err


def test_a_good_one_is_not_refused(catalog: Path) -> None:
    assert everything(catalog).code == 0


FOREIGN = {
    "empty": b"",
    "text": b"hello\n",
    "almost": b"SQLite format 3\0" + bytes(84),
    "BTF": b"\x9f\xeb\x01\x00",
}


@pytest.mark.parametrize("content", FOREIGN.values(), ids=FOREIGN)
def test_foreign_files(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.tpgen"
    path.write_bytes(content)
    assert refused(everything(path), "catalog-foreign")


def test_what_is_no_file(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo.tpgen"
    os.mkfifo(fifo)
    assert refused(everything(fifo), "catalog-foreign")
    assert refused(everything(tmp_path / "none.tpgen"), "unreadable")
    directory = tmp_path / "directory.tpgen"
    directory.mkdir()
    assert refused(everything(directory), "unreadable")


def test_another_programs_database(tmp_path: Path) -> None:
    path = changed(tmp_path / "x.tpgen", "CREATE TABLE kernel (id INTEGER)")
    assert everything(path) == refusal(
        f"{path}: an SQLite file, but not a catalog [catalog-foreign]; `tpgen catalog export` makes one"
    )


@pytest.mark.parametrize(
    ("version", "made"), [(1, "an older"), (3, "an older"), (5, "a newer"), ((1 << 24) + 1, "a newer")]
)
def test_another_format(version: int, made: str, catalog: Path) -> None:
    changed(catalog, f"PRAGMA user_version = {version}")
    message = (
        f"made by {made} tpgen: format {version}, this one reads 4 [catalog-format]; make it again with this tpgen"
    )
    assert everything(catalog) == refusal(f"{catalog}: {message}")


@pytest.mark.parametrize("left", [100, 512, 4096, -4096, -1])
def test_cut_short(left: int, catalog: Path) -> None:
    whole = catalog.read_bytes()
    catalog.write_bytes(whole[:left])
    assert refused(everything(catalog), "catalog-malformed")


def test_longer_than_it_says(catalog: Path) -> None:
    with open(catalog, "ab") as file:
        file.write(bytes(4096))
    assert refused(everything(catalog), "catalog-malformed")


def test_it_says_to_be_a_terabyte(catalog: Path) -> None:
    """The header's count of pages, and as many bytes that no disk holds."""
    with open(catalog, "r+b") as file:
        file.seek(28)
        file.write((1 << 28).to_bytes(4, "big"))
        file.truncate(1 << 40)
    assert refused(everything(catalog), "catalog-malformed")


TABLES = {
    "a table more": "CREATE TABLE more (x)",
    "a trigger": "CREATE TRIGGER t AFTER INSERT ON kernel BEGIN DELETE FROM event; END",
    "a view replaced": (
        "DROP VIEW arguments",
        "CREATE VIEW arguments AS SELECT load_extension('/tmp/x.so')",
    ),
    "a table that is a view": (
        "DROP TABLE note",
        "CREATE VIEW note AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) "
        "SELECT x AS kernel, x AS position, '' AS code, '' AS message, '' AS hint FROM n",
    ),
    "a table gone": "DROP TABLE finding",
    "a column more": "ALTER TABLE event ADD COLUMN x",
    "an index more": "CREATE INDEX i ON event (abs(id))",
    "a virtual table": "CREATE VIRTUAL TABLE v USING fts5(x)",
}


@pytest.mark.parametrize("statements", TABLES.values(), ids=TABLES)
def test_other_tables(statements: str | tuple[str, ...], catalog: Path) -> None:
    try:
        changed(catalog, *([statements] if isinstance(statements, str) else statements))
    except sqlite3.OperationalError as error:
        pytest.skip(f"this SQLite: {error}")
    told = f"{catalog}: damaged or changed catalog: its tables are not those that tpgen makes [catalog-malformed]"
    assert everything(catalog) == refusal(told)


CODE = "x; } int evil(void) { return 0; } //"
SWITCH = "(SELECT id FROM event WHERE name = 'sched_switch')"
ARGS = "(SELECT prototype FROM event WHERE name = 'sched_switch')"
RECORD = "(SELECT record FROM class WHERE name = 'sched_switch')"
UINT = "(SELECT id FROM type WHERE name = 'unsigned int')"
VALUES = {
    "event name that is code": f"UPDATE event SET name = '{CODE}' WHERE id = {SWITCH}",
    "event name with a NUL": f"UPDATE event SET name = 'a' || char(0) || 'b' WHERE id = {SWITCH}",
    "event name with a newline": f"UPDATE event SET name = 'a' || char(10) WHERE id = {SWITCH}",
    "empty event name": f"UPDATE event SET name = '' WHERE id = {SWITCH}",
    "event name that is a path": f"UPDATE event SET name = '../../x' WHERE id = {SWITCH}",
    "event name that is bytes": f"UPDATE event SET name = x'ff00' WHERE id = {SWITCH}",
    "event name that is no UTF-8": f"UPDATE event SET name = CAST(x'ff41' AS TEXT) WHERE id = {SWITCH}",
    "attach name that is code": f"UPDATE event SET attach_name = '{CODE}' WHERE id = {SWITCH}",
    "system that ends a comment": f"UPDATE event SET system = '*/ int evil; /*' WHERE id = {SWITCH}",
    "module with a newline": f"UPDATE event SET module = 'a' || char(10) || 'b' WHERE id = {SWITCH}",
    "kind that is none": f"UPDATE event SET kind = 'worm' WHERE id = {SWITCH}",
    "kind that is a number": f"UPDATE event SET kind = 7 WHERE id = {SWITCH}",
    "flag that is none": f"UPDATE event SET flags = '__class__' WHERE id = {SWITCH}",
    "class that is not there": f"UPDATE event SET class = 4711 WHERE id = {SWITCH}",
    "prototype that is text": f"UPDATE event SET prototype = 'x' WHERE id = {SWITCH}",
    "path of two lines": ("INSERT INTO header VALUES (1, 'a' || char(10))", "UPDATE event SET header = 1"),
    "definition that is not there": "UPDATE event SET alternatives = 7",
    "definition in no header": (
        "INSERT INTO alternative VALUES (7, 0, 4711, 1, 1, NULL)",
        "UPDATE event SET alternatives = 7",
    ),
    "condition of two lines": (
        "INSERT INTO header VALUES (1, 'a.h')",
        "INSERT INTO alternative VALUES (7, 0, 1, 1, 1, 'A' || char(10) || 'B')",
        "UPDATE event SET alternatives = 7",
    ),
    "line before the first": (
        "INSERT INTO header VALUES (1, 'a.h')",
        "UPDATE event SET header = 1",
        "UPDATE group_event SET line = -1",
    ),
    "two events of one key": (
        "INSERT INTO event SELECT id + 1000, system, name, module, kind, attach_name, class, prototype, header, col, "
        "alternatives, provenance, print_fmt, checked, flags, syscall, named FROM event",
        "INSERT INTO group_event SELECT event_group, event + 1000, line FROM group_event",
        "UPDATE kernel SET events = 2 * events",
    ),
    "more events than there are": "UPDATE kernel SET events = 7",
    "a number of events that is none": "UPDATE kernel SET events = 'x'",
    "event gone": f"DELETE FROM event WHERE id = {SWITCH}",
    "group gone": "DELETE FROM group_event WHERE event_group = 1",
    "release that ends a comment": "UPDATE kernel SET release = '6.1 */ int evil; /*'",
    "release with a newline": "UPDATE kernel SET release = '6.1' || char(10)",
    "architecture that is code": f"UPDATE kernel SET arch = '{CODE}'",
    "pointers of 3 bytes": "UPDATE kernel SET pointer_size = 3",
    "byte order that is none": "UPDATE kernel SET big_endian = 2",
    "class name that is code": f"UPDATE class SET name = '{CODE}' WHERE name = 'sched_switch'",
    "candidate that is code": "UPDATE class SET name = NULL, candidates = 'a; b'",
    "candidates that are bytes": "UPDATE class SET name = NULL, candidates = x'00ff'",
    "argument name that is code": f"UPDATE argument SET name = '{CODE}' WHERE prototype = {ARGS} AND slot = 0",
    "argument name with a space": f"UPDATE argument SET name = 'a b' WHERE prototype = {ARGS} AND slot = 0",
    "argument without a slot": f"UPDATE argument SET slot = 9 WHERE prototype = {ARGS} AND slot = 3",
    "argument before the first": f"UPDATE argument SET slot = -1 WHERE prototype = {ARGS} AND slot = 0",
    "argument gone": f"DELETE FROM argument WHERE prototype = {ARGS} AND slot = 3",
    "nullness that is none": f"UPDATE argument SET nullness = 'maybe' WHERE prototype = {ARGS}",
    "type that is not there": f"UPDATE argument SET type = 99999 WHERE prototype = {ARGS}",
    "type that is no number": f"UPDATE argument SET type = 'int' WHERE prototype = {ARGS}",
    "argument that fits no slot": (
        "INSERT INTO type VALUES (5000, 'struct', 'big', NULL, 64, 8, NULL, NULL, NULL, '')",
        f"UPDATE argument SET type = 5000 WHERE prototype = {ARGS} AND slot = 0",
    ),
    "argument of type void": (
        "INSERT INTO type VALUES (5000, 'void', NULL, NULL, NULL, NULL, NULL, NULL, NULL, '')",
        f"UPDATE argument SET type = 5000 WHERE prototype = {ARGS} AND slot = 0",
    ),
    "type name that is code": f"UPDATE type SET name = '{CODE}' WHERE name = 'task_struct'",
    "argument name that is a word of C": f"UPDATE argument SET name = 'while' WHERE prototype = {ARGS} AND slot = 0",
    "field name with a homoglyph": f"UPDATE field SET name = 'р' || 'id' WHERE record = {RECORD} AND position = 0",
    "struct of two words": "UPDATE type SET name = 'a b' WHERE name = 'task_struct'",
    "struct that is a word of C": "UPDATE type SET name = 'return' WHERE name = 'task_struct'",
    "struct that is an attribute": "UPDATE type SET name = '__attribute__' WHERE name = 'task_struct'",
    "integer that is a struct": f"UPDATE type SET name = 'struct foo' WHERE id = {UINT}",
    "integer that is a typedef": f"UPDATE type SET name = 'typedef int' WHERE id = {UINT}",
    "integer that is void": f"UPDATE type SET name = 'void' WHERE id = {UINT}",
    "integer of two blanks": f"UPDATE type SET name = 'unsigned  int' WHERE id = {UINT}",
    "type name that is an attribute": "UPDATE type SET name = 'int __attribute__((mode(DI)))' WHERE name = 'int'",
    "type kind that is none": "UPDATE type SET kind = 'lambda' WHERE kind = 'ptr'",
    "integer of 3 bytes": f"UPDATE type SET size_bytes = 3 WHERE id = {UINT}",
    "integer of minus 4 bytes": f"UPDATE type SET size_bytes = -4 WHERE id = {UINT}",
    "integer without a sign": f"UPDATE type SET signed = NULL WHERE id = {UINT}",
    "pointer to itself": "UPDATE type SET target = id WHERE kind = 'ptr'",
    "pointer to a later type": "UPDATE type SET target = (SELECT max(id) FROM type) WHERE kind = 'ptr'",
    "pointer to nothing": "UPDATE type SET target = NULL WHERE kind = 'ptr'",
    "array length that is code": "UPDATE type SET length_text = '1]; */ int evil; /*' WHERE kind = 'array'",
    "array of 2**60": "UPDATE type SET length = 1 << 60 WHERE kind = 'array'",
    "field name that is code": f"UPDATE field SET name = '{CODE}' WHERE record = {RECORD} AND position = 0",
    "field before the record": f"UPDATE field SET offset_bytes = -8 WHERE record = {RECORD} AND position = 0",
    "field over another": f"UPDATE field SET offset_bytes = 25 WHERE record = {RECORD} AND position = 2",
    "field behind the record": f"UPDATE field SET offset_bytes = 400 WHERE record = {RECORD} AND position = 6",
    "field at 2**62": f"UPDATE field SET offset_bytes = 1 << 62 WHERE record = {RECORD} AND position = 0",
    "field wider than its type": f"UPDATE field SET size_bytes = 8 WHERE record = {RECORD} AND position = 6",
    "field that is dynamic in a way": f"UPDATE field SET dynamic = 'eval' WHERE record = {RECORD} AND position = 0",
    "field of a real number": f"UPDATE field SET offset_bytes = 8.5 WHERE record = {RECORD} AND position = 0",
    "field gone": f"DELETE FROM field WHERE record = {RECORD} AND position = 3",
    "a record of a gigabyte": f"UPDATE record SET size_bytes = 1 << 30 WHERE id = {RECORD}",
    "origin that is none": "UPDATE provenance SET names = 'hearsay'",
    "subject that is none": "UPDATE checked SET subject = 'x'",
    "syscall's registers gone": (
        "INSERT INTO syscall VALUES (5000, 'sys_enter', 3, 5000)",
        "UPDATE event SET syscall = 5000 WHERE name = 'sys_enter_close'",
    ),
    "syscall's register that is code": (
        "INSERT INTO registers VALUES (5000, 0)",
        f"INSERT INTO register VALUES (5000, 'number', 0, '{CODE}', 0, 8, 0, NULL)",
        "INSERT INTO syscall VALUES (5000, 'sys_enter', 3, 5000)",
        "UPDATE event SET syscall = 5000 WHERE name = 'sys_enter_close'",
    ),
    "syscall's number in two registers": (
        "INSERT INTO registers VALUES (5000, 0)",
        "INSERT INTO register VALUES (5000, 'number', 0, 'orig_ax', 0, 8, 0, NULL)",
        "INSERT INTO register VALUES (5000, 'number', 1, 'ax', 8, 8, 0, NULL)",
        "INSERT INTO syscall VALUES (5000, 'sys_enter', 3, 5000)",
        "UPDATE event SET syscall = 5000 WHERE name = 'sys_enter_close'",
    ),
    "a text of two megabytes": f"UPDATE event SET name = hex(zeroblob(1 << 20)) WHERE id = {SWITCH}",
    # Types that are small in the file and endless in C.
    "a pointer a hundred thousand stars deep": (
        "INSERT INTO type VALUES (100000, 'void', NULL, NULL, NULL, NULL, NULL, NULL, NULL, '')",
        "WITH RECURSIVE n(x) AS (SELECT 100001 UNION ALL SELECT x + 1 FROM n WHERE x < 200000) "
        "INSERT INTO type SELECT x, 'ptr', NULL, x - 1, NULL, NULL, NULL, NULL, NULL, '' FROM n",
        f"UPDATE argument SET type = 200000 WHERE prototype = {ARGS} AND slot = 0",
    ),
    "an array of void": (
        "INSERT INTO type VALUES (100000, 'void', NULL, NULL, NULL, NULL, NULL, NULL, NULL, '')",
        "INSERT INTO type VALUES (100001, 'array', NULL, 100000, NULL, NULL, NULL, 3, NULL, '')",
        f"UPDATE argument SET type = 100001 WHERE prototype = {ARGS} AND slot = 0",
    ),
    "a function that takes void and void": (
        "INSERT INTO type VALUES (100000, 'void', NULL, NULL, NULL, NULL, NULL, NULL, NULL, '')",
        "INSERT INTO type VALUES (100001, 'func_proto', NULL, 100000, NULL, NULL, NULL, NULL, NULL, '')",
        "INSERT INTO type_param VALUES (100001, 0, 100000), (100001, 1, 100000)",
        f"UPDATE argument SET type = 100001 WHERE prototype = {ARGS} AND slot = 0",
    ),
    "a function that doubles forty times": (
        "INSERT INTO type VALUES (100000, 'void', NULL, NULL, NULL, NULL, NULL, NULL, NULL, '')",
        "WITH RECURSIVE n(x) AS (SELECT 100001 UNION ALL SELECT x + 1 FROM n WHERE x < 100040) "
        "INSERT INTO type SELECT x, 'func_proto', NULL, 100000, NULL, NULL, NULL, NULL, NULL, '' FROM n",
        "INSERT INTO type_param SELECT id, 0, id - 1 FROM type WHERE id > 100001",
        "INSERT INTO type_param SELECT id, 1, id - 1 FROM type WHERE id > 100001",
        "INSERT INTO type VALUES (200000, 'ptr', NULL, 100040, NULL, NULL, NULL, NULL, NULL, '')",
        f"UPDATE argument SET type = 200000 WHERE prototype = {ARGS} AND slot = 0",
    ),
}


@pytest.mark.parametrize("statements", VALUES.values(), ids=VALUES)
def test_values_that_tpgen_does_not_write(statements: str | tuple[str, ...], catalog: Path) -> None:
    changed(catalog, *([statements] if isinstance(statements, str) else statements))
    assert refused(everything(catalog), "catalog-malformed")
    assert not (catalog.parent / "out").exists()
    merged = tpgen("catalog", "merge", catalog.parent / "merged.tpgen", catalog)
    assert refused(merged, "catalog-malformed")
    assert merged.err.startswith(f"{catalog}: ")
    assert not (catalog.parent / "merged.tpgen").exists()


def test_any_text_is_shown_but_escaped(catalog: Path) -> None:
    """What only people read may be anything, and stays in its line."""
    changed(catalog, "INSERT INTO note VALUES (1, 0, 'note-code', 'a' || char(27, 10) || 'b', NULL)")
    done = tpgen("show", "sched_switch", "--kernel", catalog)
    assert (done.code, done.err) == (0, "tpgen: note: a\\x1b\\nb [note-code]\n")


def test_a_tree_of_pages_without_end(catalog: Path) -> None:
    """Interior pages whose children are themselves: SQLite would walk them for ever."""
    connection = sqlite3.connect(catalog)
    connection.execute("PRAGMA page_size")
    (root,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'event'").fetchone()
    connection.close()
    page = bytearray(4096)
    cells = 300
    page[0:12] = (
        b"\x05" + bytes(2) + cells.to_bytes(2, "big") + (2000).to_bytes(2, "big") + b"\0" + root.to_bytes(4, "big")
    )
    for cell in range(cells):  # each is its child and a key, in seven bytes
        at = 2000 + 7 * cell
        page[12 + 2 * cell : 14 + 2 * cell] = at.to_bytes(2, "big")
        page[at : at + 7] = root.to_bytes(4, "big") + b"\x81\x80\x01"
    with open(catalog, "r+b") as file:
        file.seek((root - 1) * 4096)
        file.write(page)
    assert refused(everything(catalog), "catalog-malformed")


def test_an_index_that_does_not_agree_with_its_table(catalog: Path) -> None:
    """The name of the kernel stands in the table and in its index; one of the two is damaged."""
    connection = sqlite3.connect(catalog)
    connection.execute("UPDATE kernel SET name = 'a-kernel-of-its-own'")
    connection.commit()
    connection.close()
    whole = catalog.read_bytes()
    places = [found.start() for found in re.finditer(b"a-kernel-of-its-own", whole)]
    assert len(places) == 2
    for place in places:
        catalog.write_bytes(whole[:place] + b"b" + whole[place + 1 :])
        done = everything(catalog)
        assert refused(done, "catalog-malformed")
        assert "0 kernels have the name" in done.err


def test_flipped_bits(tmp_path: Path) -> None:
    """Whatever a damaged file says: a result of what C allows, or one line. 200 files, the same ones every time.

    Eleven of twelve bytes of a small catalog are zeros that nothing reads; the bits are flipped in the others.
    """
    path = small_catalog(tmp_path)
    whole, dice = path.read_bytes(), random.Random(20240229)
    written = [at for at, byte in enumerate(whole) if byte]
    codes = []
    for _ in range(200):
        damaged = bytearray(whole)
        for _ in range(dice.choice((1, 1, 1, 4, 64))):
            damaged[dice.choice(written)] ^= 1 << dice.randrange(8)
        path.write_bytes(damaged)
        done = everything(path)
        codes.append(done.code)
        assert done.code in (0, 1, 2), done
        if done.code == 2:
            assert re.fullmatch(r"[^\n]*: error: [^\n]*\n", done.err), done
    assert {0, 2} <= set(codes)
