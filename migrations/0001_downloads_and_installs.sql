-- What arrives and what is here. Times are milliseconds since 1970 UTC, sizes are bytes, hashes are lower-case hex.

-- One row for each download, for ever: the unfinished ones are the queue, the ended ones are the history.
CREATE TABLE downloads (
    id            TEXT    NOT NULL PRIMARY KEY,
    preset_id     TEXT,                           -- NULL: a link that somebody pasted
    state         TEXT    NOT NULL CHECK (state IN
                      ('queued', 'downloading', 'verifying', 'paused', 'completed', 'failed', 'cancelled')),
    pause_reason  TEXT    CHECK (pause_reason IN ('requested', 'insufficient_storage')),
    priority      INTEGER NOT NULL,               -- -1 low, 0 normal, 1 high
    position      INTEGER NOT NULL,               -- order within a priority, lowest first
    rate_limit    INTEGER,                        -- bytes a second; NULL: only the global one
    definition    TEXT,                           -- JSON of the preset that is being installed
    warnings      TEXT    NOT NULL DEFAULT '[]',  -- JSON array of sentences
    error_code    TEXT,
    error_message TEXT,
    error_file    TEXT,
    error_cause   TEXT,
    created_at    INTEGER NOT NULL,
    started_at    INTEGER,
    ended_at      INTEGER
) STRICT;

-- A preset has one unfinished download at most, whoever asks for it and however often.
CREATE UNIQUE INDEX one_unfinished_download_a_preset ON downloads (preset_id)
    WHERE preset_id IS NOT NULL AND state IN ('queued', 'downloading', 'verifying', 'paused');
CREATE INDEX downloads_by_end ON downloads (ended_at);
CREATE INDEX downloads_by_preset ON downloads (preset_id, created_at);

CREATE TABLE download_files (
    download_id   TEXT    NOT NULL REFERENCES downloads (id) ON DELETE CASCADE,
    ordinal       INTEGER NOT NULL,
    path          TEXT    NOT NULL,               -- below the models folder
    sources       TEXT    NOT NULL,               -- JSON array of URLs, mirrors of one content
    sha256        TEXT,                           -- what it must be, where known beforehand
    size_bytes    INTEGER,                        -- exact, from a server or an earlier download
    stated_bytes  INTEGER,                        -- what the registry estimates
    existing      TEXT    NOT NULL CHECK (existing IN ('keep', 'share', 'verify', 'replace')),
    pinned        INTEGER NOT NULL,               -- 1: sha256 and size_bytes are demanded, not only expected
    staged        INTEGER NOT NULL,               -- 1: waits beside the models until all files of the download are whole
    state         TEXT    NOT NULL CHECK (state IN ('pending', 'completed', 'failed')),
    error         TEXT,
    PRIMARY KEY (download_id, ordinal)
) STRICT, WITHOUT ROWID;

-- The story of a download, a line for each turn that it took.
CREATE TABLE download_events (
    download_id   TEXT    NOT NULL REFERENCES downloads (id) ON DELETE CASCADE,
    at            INTEGER NOT NULL,
    kind          TEXT    NOT NULL,
    message       TEXT    NOT NULL
) STRICT;
CREATE INDEX download_events_in_order ON download_events (download_id, at);

-- Which presets somebody installed here, with the definition that was in force, so that one the registry drops stays known.
CREATE TABLE installs (
    preset_id     TEXT    NOT NULL PRIMARY KEY,
    version       TEXT    NOT NULL,
    definition    TEXT    NOT NULL,
    installed_at  INTEGER NOT NULL
) STRICT;

-- Files of an installed preset that a forced install of another one replaced.
CREATE TABLE replaced_files (
    preset_id     TEXT    NOT NULL,
    path          TEXT    NOT NULL,
    replaced_by   TEXT    NOT NULL,
    at            INTEGER NOT NULL,
    PRIMARY KEY (preset_id, path)
) STRICT, WITHOUT ROWID;

-- What is known of a file's content. It holds only while size, mtime and inode are those of the file on disk.
CREATE TABLE files (
    path          TEXT    NOT NULL PRIMARY KEY,
    size_bytes    INTEGER NOT NULL,
    mtime_ns      INTEGER NOT NULL,
    inode         INTEGER NOT NULL,
    sha256        TEXT    NOT NULL,
    source        TEXT,                           -- URL without query, where it came from
    verified      INTEGER NOT NULL,               -- 1: its hash was known beforehand and matched
    blocks        BLOB,                           -- CRC-32 of each block, for repair
    block_bytes   INTEGER,
    recorded_at   INTEGER NOT NULL
) STRICT;

-- What servers said of a URL: exact sizes and hashes, asked once.
CREATE TABLE source_facts (
    url           TEXT    NOT NULL PRIMARY KEY,
    size_bytes    INTEGER,
    sha256        TEXT,
    recorded_at   INTEGER NOT NULL
) STRICT;
