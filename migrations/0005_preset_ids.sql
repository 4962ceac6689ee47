-- Ids of presets are kept in one form, upper case with '_': registries spell one preset LTX_VIDEO_T2V and ltx-video-t2v. Of two
-- rows that become equal the newer stays.

UPDATE downloads SET state = 'cancelled', pause_reason = NULL, ended_at = created_at
    WHERE preset_id IS NOT NULL AND state IN ('queued', 'downloading', 'verifying', 'paused') AND EXISTS (
        SELECT 1 FROM downloads AS newer
        WHERE newer.state IN ('queued', 'downloading', 'verifying', 'paused')
          AND upper(replace(newer.preset_id, '-', '_')) = upper(replace(downloads.preset_id, '-', '_'))
          AND (newer.created_at, newer.id) > (downloads.created_at, downloads.id));
UPDATE downloads SET preset_id = upper(replace(preset_id, '-', '_')) WHERE preset_id IS NOT NULL;

DELETE FROM installs WHERE EXISTS (
    SELECT 1 FROM installs AS newer
    WHERE upper(replace(newer.preset_id, '-', '_')) = upper(replace(installs.preset_id, '-', '_'))
      AND (newer.installed_at, newer.preset_id) > (installs.installed_at, installs.preset_id));
UPDATE installs SET preset_id = upper(replace(preset_id, '-', '_'));

DELETE FROM replaced_files WHERE EXISTS (
    SELECT 1 FROM replaced_files AS newer
    WHERE newer.path = replaced_files.path
      AND upper(replace(newer.preset_id, '-', '_')) = upper(replace(replaced_files.preset_id, '-', '_'))
      AND (newer.at, newer.preset_id) > (replaced_files.at, replaced_files.preset_id));
UPDATE replaced_files SET preset_id = upper(replace(preset_id, '-', '_')), replaced_by = upper(replace(replaced_by, '-', '_'));

-- Presets that somebody asked for and that were not uninstalled since, whether or not all of their files are here.
CREATE TABLE preset_requests (
    preset_id     TEXT    NOT NULL PRIMARY KEY,
    requested_at  INTEGER NOT NULL
) STRICT;
INSERT INTO preset_requests (preset_id, requested_at)
    SELECT preset_id, max(at) FROM (
        SELECT preset_id, installed_at AS at FROM installs
        UNION ALL
        SELECT preset_id, created_at FROM downloads
        WHERE preset_id IS NOT NULL AND state IN ('queued', 'downloading', 'verifying', 'paused', 'failed'))
    GROUP BY preset_id;
