-- What a reader said of a file holds for that version of the reader alone; integrity and safety are shown in lists. A file that could
-- not be read has no row: that is no property of the file.
ALTER TABLE validations ADD COLUMN reader INTEGER NOT NULL DEFAULT 0; -- the version of the reader; 0: before there were versions
ALTER TABLE validations ADD COLUMN whole  INTEGER;                    -- 1: the structure accounts for every byte, 0: it does not
ALTER TABLE validations ADD COLUMN safety TEXT;                       -- clean, unknown, unsafe; NULL: no pickle
DELETE FROM validations WHERE sha256 = '';
