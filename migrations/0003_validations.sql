-- What a look into a model file found. It holds while size, mtime and inode are those of the file on disk.
CREATE TABLE validations (
    path          TEXT    NOT NULL PRIMARY KEY,   -- below the models folder
    size_bytes    INTEGER NOT NULL,
    mtime_ns      INTEGER NOT NULL,
    inode         INTEGER NOT NULL,
    sha256        TEXT    NOT NULL,
    findings      TEXT    NOT NULL,               -- JSON array of {code, message}: what its own bytes say, hash aside
    checked_at    INTEGER NOT NULL
) STRICT;
