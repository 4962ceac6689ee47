-- Who may come in, and what they did. Secrets stand here as hashes only; times are milliseconds since 1970 UTC.

CREATE TABLE access_keys (
    id            TEXT    NOT NULL PRIMARY KEY,
    name          TEXT    NOT NULL,
    role          TEXT    NOT NULL CHECK (role IN ('read', 'operate', 'admin')),
    hash          BLOB    NOT NULL UNIQUE CHECK (length(hash) = 32), -- SHA-256 of the key as it is sent
    hint          TEXT    NOT NULL,               -- how it begins, so that a person can tell keys apart
    created_at    INTEGER NOT NULL,
    expires_at    INTEGER,                        -- NULL: never
    last_used_at  INTEGER                         -- NULL: never; exact to the minute
) STRICT;

-- At most two: the one of the setting is in force where it exists, else the one that was stored.
CREATE TABLE passwords (
    origin        TEXT    NOT NULL PRIMARY KEY CHECK (origin IN ('setting', 'stored')),
    hash          TEXT    NOT NULL,               -- argon2id, in PHC form
    set_at        INTEGER NOT NULL
) STRICT;

CREATE TABLE sessions (
    id            TEXT    NOT NULL PRIMARY KEY,
    hash          BLOB    NOT NULL UNIQUE CHECK (length(hash) = 32), -- SHA-256 of the cookie's value
    address       TEXT    NOT NULL,               -- where the login came from
    created_at    INTEGER NOT NULL,
    last_used_at  INTEGER NOT NULL                -- exact to the minute
) STRICT;

-- What was done to this machine and by whom. Names are copies: a revoked key stays known here.
CREATE TABLE audit (
    id            INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    at            INTEGER NOT NULL,
    actor         TEXT    NOT NULL,               -- 'key', 'session', 'shell', 'loopback', 'nobody'
    actor_id      TEXT    NOT NULL,
    actor_name    TEXT    NOT NULL,
    address       TEXT    NOT NULL,
    operation     TEXT    NOT NULL,
    target        TEXT    NOT NULL,               -- what it was done to, as the request named it
    outcome       TEXT    NOT NULL
) STRICT;
