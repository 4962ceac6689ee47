//! Workflows within files that ComfyUI made.

use std::io::{self, Read};

use comfy_client::embedded::{Embedded, EmbeddedError, read};
use serde_json::Value;

use crate::data;

fn media(name: &str) -> Vec<u8> {
    std::fs::read(data::folder("media").join(name)).unwrap()
}

fn parsed(text: Option<&String>) -> Value {
    text.map_or(Value::Null, |text| serde_json::from_str(text).unwrap())
}

#[test]
fn every_kind_of_file_gives_its_workflow_back() {
    for name in ["tagged.png", "tagged.webp", "animated.webp", "tagged.jpg", "tagged.mp4", "tagged.flac"] {
        let Embedded { workflow, prompt } = read(&*media(name)).unwrap_or_else(|refused| panic!("{name}: {refused}"));
        assert_eq!(parsed(prompt.as_ref())["1"]["class_type"], "EmptyImage", "{name}");
        if name != "animated.webp" {
            assert_eq!(parsed(workflow.as_ref())["nodes"][0]["type"], "EmptyImage", "{name}");
        }
    }
    for name in ["compressed.png", "ztxt.png"] {
        let found = read(&*media(name)).unwrap();
        assert_eq!(parsed(found.workflow.as_ref())["nodes"][0]["type"], "EmptyImage", "{name}");
    }
}

#[test]
fn file_without_a_workflow_says_so_and_another_kind_is_refused() {
    assert!(read(&*media("bare.png")).unwrap().is_empty());
    for other in [&b"GIF89a"[..], b"", b"{}", b"RIFF\0\0\0\0WAVE"] {
        assert!(matches!(read(other), Err(EmbeddedError::UnknownFormat)));
    }
}

/// Pixels and samples behind the head of a file, without end.
struct Endless;

impl Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        buffer.fill(0);
        Ok(buffer.len())
    }
}

#[test]
fn lengths_that_are_claimed_are_not_believed() {
    let png = [&b"\x89PNG\r\n\x1a\n"[..], &u32::MAX.to_be_bytes(), b"tEXtworkflow\0"].concat();
    assert!(matches!(read(png.chain(Endless)), Err(EmbeddedError::Read(_))));
    let movie = [&b"\0\0\0\x10ftypisom\0\0\0\0"[..], &u32::MAX.to_be_bytes(), b"moov"].concat();
    assert!(matches!(read(movie.chain(Endless)), Err(EmbeddedError::Read(_))));
    for name in ["tagged.png", "tagged.webp", "tagged.jpg", "tagged.mp4", "tagged.flac", "compressed.png"] {
        let whole = media(name);
        for length in 12..whole.len() {
            // Whether it is read or refused: it ends, and tells nothing that is not there.
            if let Ok(Embedded { workflow: Some(text), .. }) = read(&whole[..length]) {
                assert!(serde_json::from_str::<Value>(&text).is_ok(), "{name} cut at {length}");
            }
        }
    }
}

#[test]
fn metadata_behind_the_samples_is_found() {
    let whole = media("tagged.mp4");
    let at = whole.windows(4).position(|window| window == b"mdat").unwrap();
    assert!(at < whole.windows(4).position(|window| window == b"moov").unwrap(), "the recording has it so");
}
