-- Where the output folder of a ComfyUI is on this machine, as it last said: outputs are shown while it is down, after a restart too.
CREATE TABLE comfyui_folders (
    url    TEXT NOT NULL PRIMARY KEY, -- without credentials
    output TEXT NOT NULL
) STRICT;
