//! A registry server for catalogue documents.
