-- The audit trail by class, each with a quota of its own: lines that anybody can cause do not push out those that matter.
ALTER TABLE audit ADD COLUMN class TEXT NOT NULL DEFAULT 'change'
    CHECK (class IN ('change', 'login', 'failure', 'refusal'));
UPDATE audit SET class = CASE
    WHEN outcome = 'done' THEN 'change'
    WHEN outcome = 'failed' THEN 'failure'
    WHEN operation = 'log_in' THEN 'login'
    ELSE 'refusal'
END;
CREATE INDEX audit_by_class ON audit (class, id);

-- When a key was first refused as expired. A clock that is set back later does not revive it.
ALTER TABLE access_keys ADD COLUMN refused_at INTEGER; -- NULL: never

-- This workspace to its browsers. The id is part of the session cookie's name, so that two dashboards at one host name keep their
-- sessions apart. The key signs the cookie that tells a browser that logged in before from a stranger; it opens nothing.
CREATE TABLE workspace (
    id            INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    cookie_id     TEXT    NOT NULL CHECK (length(cookie_id) = 8),
    browser_key   BLOB    NOT NULL CHECK (length(browser_key) = 32)
) STRICT;
INSERT INTO workspace (id, cookie_id, browser_key) VALUES (1, lower(hex(randomblob(4))), randomblob(32));

-- Networks that a login succeeded from: an IPv4 address or an IPv6 /64. Their logins do not queue behind strangers' guesses.
CREATE TABLE known_networks (
    network       TEXT    NOT NULL PRIMARY KEY,
    last_login_at INTEGER NOT NULL
) STRICT;
