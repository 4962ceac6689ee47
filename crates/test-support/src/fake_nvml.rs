//! A stand-in for the NVIDIA management library.
