-- One column says where a prompt stands; before, it was three (state, handover, unwanted) whose combinations could contradict
-- each other: a prompt that waited and was unwanted was never sent and never ended.
ALTER TABLE prompts ADD COLUMN stage TEXT NOT NULL DEFAULT 'waiting'
    CHECK (stage IN ('waiting', 'sent', 'queued', 'running', 'ending', 'completed', 'failed', 'interrupted'));
UPDATE prompts SET stage = CASE
    WHEN state IN ('completed', 'failed', 'interrupted') THEN state
    WHEN unwanted <> 0 AND handover = 'waiting' THEN 'interrupted'
    WHEN unwanted <> 0 THEN 'ending'
    WHEN state = 'running' THEN 'running'
    WHEN handover = 'accepted' THEN 'queued'
    ELSE handover
END;
UPDATE prompts SET ended_at = CAST(strftime('%s', 'now') AS INTEGER) * 1000 WHERE stage = 'interrupted' AND ended_at IS NULL;
-- What goes beside a graph may hold keys of paid services; nobody reads it once the prompt has ended.
UPDATE prompts SET extra_data = NULL WHERE stage IN ('completed', 'failed', 'interrupted');
DROP INDEX prompts_of_the_queue;
ALTER TABLE prompts DROP COLUMN state;
ALTER TABLE prompts DROP COLUMN handover;
ALTER TABLE prompts DROP COLUMN unwanted;
ALTER TABLE prompts RENAME COLUMN stage TO state;
-- JSON: the output nodes that run; all, where there is none.
ALTER TABLE prompts ADD COLUMN targets TEXT;
CREATE INDEX prompts_of_the_queue ON prompts (priority DESC, position) WHERE ended_at IS NULL;
