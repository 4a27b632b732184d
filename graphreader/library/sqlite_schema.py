"""The tables of a library file, as an ordered list of migrations: a file's ``user_version`` counts those applied.

Inside, rows are joined by integer rowids; ``public_id`` is what the records carry. ``start`` and ``stop`` are the
records' ``start`` and ``end``. Text that equals its span of the document is not stored again: see ``sqlite_text``.
"""

from __future__ import annotations

#: Written into the file's header, so that another program's database is never taken for a library. ASCII "GrRd".
APPLICATION_ID = 0x47725264

_FIRST = """
CREATE TABLE documents (
    id INTEGER PRIMARY KEY,
    public_id TEXT NOT NULL UNIQUE,
    title TEXT NOT NULL,
    media_type TEXT NOT NULL,
    character_count INTEGER NOT NULL,
    page_count INTEGER NOT NULL,
    settings_key TEXT NOT NULL,
    indexed_at TEXT NOT NULL,
    fact_count INTEGER NOT NULL DEFAULT 0,
    layout BLOB NOT NULL                -- zlib of JSON: pages, headings, furniture
) STRICT;
CREATE INDEX documents_by_settings_key ON documents (settings_key);

CREATE TABLE sources (
    id INTEGER PRIMARY KEY,             -- the highest of a document is the source it was put with last
    path TEXT NOT NULL UNIQUE,
    document INTEGER NOT NULL REFERENCES documents (id) ON DELETE CASCADE
) STRICT;
CREATE INDEX sources_by_document ON sources (document);

CREATE TABLE text_blocks (
    document INTEGER NOT NULL REFERENCES documents (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    text BLOB NOT NULL,                 -- zlib of UTF-8
    UNIQUE (document, number)
) STRICT;

CREATE TABLE chunks (
    id INTEGER PRIMARY KEY,
    public_id TEXT NOT NULL UNIQUE,
    document INTEGER NOT NULL REFERENCES documents (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    start INTEGER NOT NULL,
    stop INTEGER NOT NULL,
    token_count INTEGER NOT NULL,
    headings TEXT,                      -- JSON list; NULL for none
    has_model_facts INTEGER NOT NULL,
    UNIQUE (document, number)
) STRICT;

CREATE TABLE passages (
    id INTEGER PRIMARY KEY,             -- those of one document follow each other, in the order of the text
    id_hash INTEGER NOT NULL,           -- see sqlite_ids
    public_id TEXT,
    id_suffix TEXT,
    document INTEGER NOT NULL REFERENCES documents (id) ON DELETE CASCADE,
    chunk INTEGER NOT NULL REFERENCES chunks (id) ON DELETE CASCADE,
    start INTEGER NOT NULL,
    stop INTEGER NOT NULL,
    term_count INTEGER NOT NULL,        -- in full_text
    form INTEGER NOT NULL,
    text TEXT
) STRICT;
CREATE INDEX passages_by_id ON passages (id_hash);
CREATE INDEX passages_by_document ON passages (document);
CREATE INDEX passages_by_chunk ON passages (chunk);

CREATE TABLE key_elements (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    fact_count INTEGER NOT NULL,        -- in the whole library, kept up to date
    passage_count INTEGER NOT NULL
) STRICT;

CREATE TABLE key_spellings (
    key INTEGER NOT NULL REFERENCES key_elements (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,            -- 0, 1, 2, ... within the key element: small numbers cost no space in a row
    text TEXT,                          -- NULL: the name itself
    count INTEGER NOT NULL,             -- facts that hold this spelling
    PRIMARY KEY (key, number)
) STRICT, WITHOUT ROWID;

-- The facts of one passage, packed: see sqlite_fact_blobs. A row for each fact would cost ten times the space.
CREATE TABLE fact_groups (
    id INTEGER PRIMARY KEY,             -- the passage's row; of a chunk without passages the chunk's, made negative
    keys BLOB NOT NULL,                 -- uint32, the rows of the key elements its facts hold, each once, in order
    phrases BLOB,                       -- facts found by rules; NULL for none
    model BLOB                          -- facts that a model wrote
) STRICT;

CREATE TABLE key_groups (
    key INTEGER NOT NULL REFERENCES key_elements (id),
    fact_group INTEGER NOT NULL,
    facts INTEGER NOT NULL,             -- of the group, with this key element
    PRIMARY KEY (key, fact_group)
) STRICT, WITHOUT ROWID;

-- One row a passage, of terms made beforehand, the repetitions of a term as terms of their own: so frequencies need no
-- positions, which would double the size.
CREATE VIRTUAL TABLE full_text USING fts5 (terms, content='', contentless_delete=1, detail=none, tokenize='ascii');

CREATE TABLE vector_models (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    dimensions INTEGER NOT NULL
) STRICT;

-- Never changed, only replaced by rows with new ids: whoever has read a block need not read it again.
CREATE TABLE vector_blocks (
    id INTEGER PRIMARY KEY,             -- never given again: see counters
    model INTEGER NOT NULL REFERENCES vector_models (id),
    count INTEGER NOT NULL,
    first INTEGER NOT NULL,             -- the lowest and the highest of the passages' rows
    last INTEGER NOT NULL,
    passages BLOB NOT NULL,             -- uint32, their rows, ascending
    scales BLOB NOT NULL,               -- float32
    codes BLOB NOT NULL                 -- int8, a vector after the other; times the vector's scale
) STRICT;
CREATE INDEX vector_blocks_by_model ON vector_blocks (model, count, first, last);

CREATE TABLE counters (
    id INTEGER PRIMARY KEY CHECK (id = 0),
    epoch INTEGER NOT NULL,             -- what readers keep of passages and key elements stays good as long as this
    vector_blocks INTEGER NOT NULL      -- ids of blocks given so far
) STRICT;
INSERT INTO counters (id, epoch, vector_blocks) VALUES (0, 0, 0);

CREATE TABLE extractions (
    key TEXT PRIMARY KEY,
    document_public_id TEXT NOT NULL,   -- no reference: a reply may be kept before its document is complete
    reply BLOB NOT NULL                 -- zlib of UTF-8
) STRICT;
CREATE INDEX extractions_by_document ON extractions (document_public_id);

CREATE TABLE failures (
    chunk INTEGER PRIMARY KEY REFERENCES chunks (id) ON DELETE CASCADE,
    error TEXT NOT NULL
) STRICT;

CREATE TABLE answers (
    id INTEGER PRIMARY KEY,
    answer BLOB NOT NULL                -- zlib of JSON
) STRICT;

CREATE TABLE answer_documents (
    answer INTEGER NOT NULL REFERENCES answers (id) ON DELETE CASCADE,
    document INTEGER NOT NULL REFERENCES documents (id),
    PRIMARY KEY (answer, document)
) STRICT, WITHOUT ROWID;
CREATE INDEX answer_documents_by_document ON answer_documents (document);

CREATE TABLE run_records (
    run TEXT NOT NULL,
    namespace TEXT NOT NULL,
    key TEXT NOT NULL,
    value BLOB NOT NULL,
    UNIQUE (run, namespace, key)
) STRICT;
"""

#: Formats up to this one were never released; files in them are refused, to be indexed again.
ABANDONED_VERSIONS = 1

#: Only ever appended to.
MIGRATIONS: tuple[str, ...] = ("", _FIRST)
