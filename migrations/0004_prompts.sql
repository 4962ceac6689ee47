-- What was asked of ComfyUI. The unfinished rows are the queue, by priority and then position; the ended ones are the history.
CREATE TABLE prompts (
    number        INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, -- the order of submission, unique for ever
    id            TEXT    NOT NULL UNIQUE,        -- ours to choose: ComfyUI's own id of the prompt too
    origin        TEXT    NOT NULL CHECK (origin IN ('dashboard', 'comfyui')), -- 'comfyui': another client handed it in, and it ended
    state         TEXT    NOT NULL CHECK (state IN ('queued', 'running', 'completed', 'failed', 'interrupted')),
    handover      TEXT    NOT NULL CHECK (handover IN ('waiting', 'sent', 'accepted')), -- 'sent': an answer is not known yet
    attempts      INTEGER NOT NULL DEFAULT 0,     -- how often it was handed to ComfyUI
    unwanted      INTEGER NOT NULL DEFAULT 0,     -- 1: somebody ended it, and ComfyUI has yet to be told
    priority      INTEGER NOT NULL CHECK (priority >= 0), -- a higher one runs earlier
    position      INTEGER NOT NULL,               -- order within a priority, lowest first
    kind          TEXT    NOT NULL,               -- what it makes: 'image_generation', …
    workflow_id   TEXT,
    client_id     TEXT,                           -- as its submitter calls itself
    graph         TEXT    NOT NULL,               -- JSON, as ComfyUI takes it
    extra_data    TEXT,                           -- JSON object that goes beside it
    node_errors   TEXT,                           -- JSON: what ComfyUI said of outputs that it left out
    outputs       TEXT    NOT NULL DEFAULT '{}',  -- JSON: by node, what it returned
    failure       TEXT,                           -- JSON: why it failed
    created_at    INTEGER NOT NULL,
    started_at    INTEGER,
    ended_at      INTEGER
) STRICT;
CREATE INDEX prompts_of_the_queue ON prompts (priority DESC, position) WHERE state IN ('queued', 'running');
CREATE INDEX prompts_by_end ON prompts (ended_at) WHERE ended_at IS NOT NULL;

-- One row: whether anything new may start, and what this database calls itself at ComfyUI's socket, for as long as it lives.
CREATE TABLE prompt_queue (
    id            INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    paused        INTEGER NOT NULL,
    client_id     TEXT    NOT NULL
) STRICT;
INSERT INTO prompt_queue (id, paused, client_id) VALUES (1, 0, 'comfyui-dashboard-' || lower(hex(randomblob(8))));
