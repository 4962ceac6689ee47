-- The order of the queue and the end of the history. Times are milliseconds since 1970 UTC.

-- Positions count within a priority, from 1. They are dealt out anew, in the order in which the downloads stood: one that is
-- as large as an integer can be leaves no place behind it, and every new download would fail.
UPDATE downloads SET position = 0 WHERE state NOT IN ('queued', 'downloading', 'verifying', 'paused');
UPDATE downloads SET position = ranked.place
FROM (
    SELECT id, row_number() OVER (PARTITION BY priority ORDER BY position, created_at, id) AS place
    FROM downloads WHERE state IN ('queued', 'downloading', 'verifying', 'paused')
) AS ranked
WHERE downloads.id = ranked.id;

-- The queue is read in its order, and its last place is found, without looking at the history.
CREATE INDEX downloads_of_the_queue ON downloads (priority, position, id)
    WHERE state IN ('queued', 'downloading', 'verifying', 'paused');
-- The history is read and pruned by its end.
DROP INDEX downloads_by_end;
CREATE INDEX downloads_by_end ON downloads (ended_at, id) WHERE ended_at IS NOT NULL;
CREATE INDEX downloads_by_state ON downloads (state);
-- Which downloads touch a path.
CREATE INDEX download_files_by_path ON download_files (path);

-- Where a file can be fetched from again, once the download that brought it is no longer in the history.
CREATE TABLE file_sources (
    path          TEXT    NOT NULL PRIMARY KEY,   -- below the models folder
    sources       TEXT    NOT NULL                -- JSON array of URLs, mirrors of one content
) STRICT;

-- Addresses are kept without their query, which may hold a secret; what is forgotten here is asked again.
DELETE FROM source_facts WHERE instr(url, '?') > 0;
CREATE INDEX source_facts_by_age ON source_facts (recorded_at);
