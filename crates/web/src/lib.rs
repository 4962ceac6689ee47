//! The page: static files, embedded; it knows only the public API.
