//! How files arrive: ranges, journals, hashes and retries, from a URL to a whole and verified file.
