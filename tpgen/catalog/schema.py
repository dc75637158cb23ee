"""The tables of a catalog file, and the row of a kernel.

Whatever repeats stands once, whichever kernel has it: types, prototypes, records, classes, and events with all that is
known of them. What one header states of the events of one module is a group, and a kernel is made of groups: one that
differs little from another adds little. A row only refers to rows that were written before it, so a type cannot
contain itself.
"""

from __future__ import annotations

from tpgen.basics.frozen import frozen
from tpgen.target import Target

#: What file(1) and we know a catalog by: "tpgn" as PRAGMA application_id.
APPLICATION_ID = 0x7470676E
#: PRAGMA user_version. A change of any table makes it one more.
FORMAT = 4

# --- what the tables may hold; `read` refuses anything else

#: What the column `flags` of an event can name: what is true or false of it.
FLAGS = ("sleepable", "ambiguous")
#: A type counts as one, and so does each that it is made of, every time. The longest of a real kernel comes to 20.
MOST_PARTS = 200


@frozen
class KernelInfo:
    """A row of the table `kernel`.

    `name` is what `--kernel` calls it. `release` is its uname -r, `distribution` a word such as debian, `build_id` the
    GNU build id of vmlinux in hex; each is None where unknown. `sources` are what it was made of: any of `btf`,
    `headers`, `tracefs`, `verifier`.
    """

    name: str
    target: Target
    release: str | None = None
    distribution: str | None = None
    build_id: str | None = None
    sources: tuple[str, ...] = ()


_TABLES = """\
CREATE TABLE kernel (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  release TEXT,
  distribution TEXT,
  arch TEXT NOT NULL,
  pointer_size INTEGER NOT NULL,
  big_endian INTEGER NOT NULL,
  long_long_align INTEGER NOT NULL,
  build_id TEXT,
  sources TEXT NOT NULL,
  events INTEGER NOT NULL
);
CREATE TABLE module (
  kernel INTEGER NOT NULL REFERENCES kernel,
  name TEXT NOT NULL,
  build_id BLOB NOT NULL,
  PRIMARY KEY (kernel, name)
) WITHOUT ROWID;
CREATE TABLE note (
  kernel INTEGER NOT NULL REFERENCES kernel,
  position INTEGER NOT NULL,
  code TEXT NOT NULL,
  message TEXT NOT NULL,
  hint TEXT,
  PRIMARY KEY (kernel, position)
) WITHOUT ROWID;
CREATE TABLE type (
  id INTEGER PRIMARY KEY,
  kind TEXT NOT NULL,
  name TEXT,
  target INTEGER REFERENCES type,
  size_bytes INTEGER,
  align_bytes INTEGER,
  signed INTEGER,
  length INTEGER,
  length_text TEXT,
  spelling TEXT NOT NULL
);
CREATE TABLE type_param (
  type INTEGER NOT NULL REFERENCES type,
  position INTEGER NOT NULL,
  param INTEGER REFERENCES type,
  PRIMARY KEY (type, position)
) WITHOUT ROWID;
CREATE TABLE prototype (
  id INTEGER PRIMARY KEY,
  arguments INTEGER NOT NULL
);
CREATE TABLE argument (
  prototype INTEGER NOT NULL REFERENCES prototype,
  slot INTEGER NOT NULL,
  name TEXT,
  type INTEGER NOT NULL REFERENCES type,
  nullness TEXT,
  PRIMARY KEY (prototype, slot)
) WITHOUT ROWID;
CREATE TABLE record (
  id INTEGER PRIMARY KEY,
  header_bytes INTEGER NOT NULL,
  size_bytes INTEGER,
  fields INTEGER NOT NULL
);
CREATE TABLE field (
  record INTEGER NOT NULL REFERENCES record,
  position INTEGER NOT NULL,
  name TEXT NOT NULL,
  type INTEGER REFERENCES type,
  offset_bytes INTEGER,
  size_bytes INTEGER,
  signed INTEGER,
  dynamic TEXT,
  PRIMARY KEY (record, position)
) WITHOUT ROWID;
CREATE TABLE class (
  id INTEGER PRIMARY KEY,
  name TEXT,
  candidates TEXT,
  record INTEGER REFERENCES record
);
CREATE TABLE provenance (
  id INTEGER PRIMARY KEY,
  class TEXT,
  arguments TEXT,
  names TEXT,
  record TEXT
);
CREATE TABLE header (
  id INTEGER PRIMARY KEY,
  path TEXT NOT NULL
);
CREATE TABLE print_fmt (
  id INTEGER PRIMARY KEY,
  text TEXT NOT NULL
);
CREATE TABLE registers (
  id INTEGER PRIMARY KEY,
  native_value INTEGER NOT NULL
);
CREATE TABLE register (
  registers INTEGER NOT NULL REFERENCES registers,
  role TEXT NOT NULL,
  position INTEGER NOT NULL,
  name TEXT NOT NULL,
  offset_bytes INTEGER NOT NULL,
  size_bytes INTEGER NOT NULL,
  of_task INTEGER NOT NULL,
  mask INTEGER,
  PRIMARY KEY (registers, role, position)
) WITHOUT ROWID;
CREATE TABLE syscall (
  id INTEGER PRIMARY KEY,
  tracepoint TEXT NOT NULL,
  number INTEGER,
  registers INTEGER REFERENCES registers
);
CREATE TABLE checked (
  id INTEGER NOT NULL,
  position INTEGER NOT NULL,
  subject TEXT NOT NULL,
  reason TEXT,
  PRIMARY KEY (id, position)
) WITHOUT ROWID;
CREATE TABLE finding (
  checked INTEGER NOT NULL,
  position INTEGER NOT NULL,
  sequence INTEGER NOT NULL,
  severity TEXT NOT NULL,
  code TEXT NOT NULL,
  message TEXT NOT NULL,
  hint TEXT,
  path TEXT,
  line INTEGER,
  col INTEGER,
  PRIMARY KEY (checked, position, sequence)
) WITHOUT ROWID;
CREATE TABLE alternative (
  id INTEGER NOT NULL,
  position INTEGER NOT NULL,
  header INTEGER NOT NULL REFERENCES header,
  line INTEGER,
  col INTEGER,
  condition TEXT,
  PRIMARY KEY (id, position)
) WITHOUT ROWID;
CREATE TABLE symbols (
  id INTEGER PRIMARY KEY,
  enum TEXT,
  is_flags INTEGER NOT NULL,
  mask TEXT,
  symbols INTEGER NOT NULL
);
CREATE TABLE symbol (
  symbols INTEGER NOT NULL REFERENCES symbols,
  position INTEGER NOT NULL,
  value TEXT NOT NULL,
  name TEXT,
  text TEXT,
  PRIMARY KEY (symbols, position)
) WITHOUT ROWID;
CREATE TABLE named (
  id INTEGER NOT NULL,
  position INTEGER NOT NULL,
  slot INTEGER,
  field TEXT,
  symbols INTEGER REFERENCES symbols,
  left_out TEXT,
  PRIMARY KEY (id, position)
) WITHOUT ROWID;
CREATE TABLE event (
  id INTEGER PRIMARY KEY,
  system TEXT,
  name TEXT NOT NULL,
  module TEXT,
  kind TEXT NOT NULL,
  attach_name TEXT,
  class INTEGER NOT NULL REFERENCES class,
  prototype INTEGER REFERENCES prototype,
  header INTEGER REFERENCES header,
  col INTEGER,
  alternatives INTEGER,
  provenance INTEGER NOT NULL REFERENCES provenance,
  print_fmt INTEGER REFERENCES print_fmt,
  checked INTEGER,
  flags TEXT NOT NULL,
  syscall INTEGER REFERENCES syscall,
  named INTEGER
);
CREATE INDEX event_name ON event (name);
CREATE TABLE group_event (
  event_group INTEGER NOT NULL,
  event INTEGER NOT NULL REFERENCES event,
  line INTEGER,
  PRIMARY KEY (event_group, event)
) WITHOUT ROWID;
CREATE INDEX event_groups ON group_event (event);
CREATE TABLE kernel_group (
  kernel INTEGER NOT NULL REFERENCES kernel,
  event_group INTEGER NOT NULL,
  PRIMARY KEY (kernel, event_group)
) WITHOUT ROWID;
CREATE VIEW events AS
SELECT k.name AS kernel, e.system, e.name AS event, e.module, e.kind, c.name AS class, p.arguments,
  r.size_bytes AS record_bytes, h.path AS header, g.line
FROM kernel k JOIN kernel_group kg ON kg.kernel = k.id JOIN group_event g ON g.event_group = kg.event_group
JOIN event e ON e.id = g.event JOIN class c ON c.id = e.class
LEFT JOIN prototype p ON p.id = e.prototype LEFT JOIN record r ON r.id = c.record
LEFT JOIN header h ON h.id = e.header;
CREATE VIEW arguments AS
SELECT k.name AS kernel, e.system, e.name AS event, e.module, a.slot, a.name, t.spelling AS type, a.nullness
FROM kernel k JOIN kernel_group kg ON kg.kernel = k.id JOIN group_event g ON g.event_group = kg.event_group
JOIN event e ON e.id = g.event JOIN argument a ON a.prototype = e.prototype JOIN type t ON t.id = a.type;
CREATE VIEW fields AS
SELECT k.name AS kernel, e.system, e.name AS event, e.module, f.position, f.name, t.spelling AS type,
  f.offset_bytes, f.size_bytes, f.signed, f.dynamic
FROM kernel k JOIN kernel_group kg ON kg.kernel = k.id JOIN group_event g ON g.event_group = kg.event_group
JOIN event e ON e.id = g.event JOIN class c ON c.id = e.class JOIN field f ON f.record = c.record
LEFT JOIN type t ON t.id = f.type;
CREATE VIEW names AS
SELECT k.name AS kernel, e.system, e.name AS event, e.module, n.slot, n.field, s.value, s.name, s.text
FROM kernel k JOIN kernel_group kg ON kg.kernel = k.id JOIN group_event g ON g.event_group = kg.event_group
JOIN event e ON e.id = g.event JOIN named n ON n.id = e.named JOIN symbol s ON s.symbols = n.symbols;
CREATE VIEW images AS
SELECT name AS kernel, NULL AS module, build_id FROM kernel WHERE build_id IS NOT NULL
UNION ALL SELECT k.name, m.name, lower(hex(m.build_id)) FROM kernel k JOIN module m ON m.kernel = k.id;
"""

#: What makes the tables, a statement each, just as sqlite_master keeps them.
STATEMENTS = tuple(_TABLES.rstrip().removesuffix(";").split(";\n"))
