//! One output as a stream: read from the folder itself where it is here, else through ComfyUI. Both honour ranges and
//! validators alike.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
};

use bytes::Bytes;
use comfy_client::FileStream;
use futures_util::stream;
use jiff::{Timestamp, fmt::rfc2822::DateTimePrinter};

use crate::{Error, model_dir::ModelDir, tasks::blocking};
use registry::ConfinedPath;

/// Bytes that are read at once.
const PIECE: usize = 256 * 1024;

/// What a reader has already, and which part it wants: the values of the headers of these names.
#[derive(Debug, Clone, Copy, Default)]
pub struct ViewConditions<'a> {
    /// `Range`.
    pub range: Option<&'a str>,
    /// `If-None-Match`.
    pub if_none_match: Option<&'a str>,
    /// `If-Range`.
    pub if_range: Option<&'a str>,
}

/// A file of the folder; `None` where there is none.
pub(super) async fn open(
    folder: ModelDir,
    path: ConfinedPath,
    conditions: ViewConditions<'_>,
) -> Result<Option<FileStream>, Error> {
    let content_type = content_type(path.file_name()).map(str::to_owned);
    let opened = blocking(move || {
        let stamp = folder.stamp(&path)?;
        Some((folder.open_file(&path).ok()?, stamp))
    });
    let Some((file, stamp)) = opened.await? else { return Ok(None) };
    let etag = format!("\"{:x}-{:x}\"", stamp.size, stamp.mtime_ns);
    let written = Timestamp::from_nanosecond(i128::from(stamp.mtime_ns)).ok();
    let last_modified = written.and_then(|at| DateTimePrinter::new().timestamp_to_rfc9110_string(&at).ok());
    let is_known = |tags: &str| tags.split(',').any(|tag| matches!(tag.trim(), "*") || tag.trim() == etag);
    let mut found = FileStream {
        status: 200,
        content_type,
        content_length: Some(0),
        content_range: None,
        etag: Some(etag.clone()),
        last_modified: last_modified.clone(),
        body: Box::pin(stream::empty()),
    };
    if conditions.if_none_match.is_some_and(is_known) {
        found.status = 304;
        return Ok(Some(found));
    }
    let is_same = |tag: &str| tag == etag || last_modified.as_deref() == Some(tag);
    let range = conditions.range.filter(|_| conditions.if_range.is_none_or(is_same));
    let (first, length) = match range.and_then(|range| part_of(range, stamp.size)) {
        None => (0, stamp.size),
        Some(None) => {
            (found.status, found.content_range) = (416, Some(format!("bytes */{}", stamp.size)));
            return Ok(Some(found));
        }
        Some(Some((first, last))) => {
            (found.status, found.content_range) = (206, Some(format!("bytes {first}-{last}/{}", stamp.size)));
            (first, last - first + 1)
        }
    };
    found.content_length = Some(length);
    found.body = Box::pin(pieces(file, first, length));
    Ok(Some(found))
}

/// One range of `bytes=…`. `None`: none that is understood, so the whole; `Some(None)`: one that is not there.
fn part_of(range: &str, size: u64) -> Option<Option<(u64, u64)>> {
    let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    let (first, last) = (first.trim(), last.trim());
    if first.is_empty() {
        let count: u64 = last.parse().ok()?;
        return Some((count > 0 && size > 0).then(|| (size.saturating_sub(count), size - 1)));
    }
    let first: u64 = first.parse().ok()?;
    let last = if last.is_empty() { u64::MAX } else { last.parse().ok()? };
    if last < first {
        return None;
    }
    Some((first < size).then(|| (first, last.min(size - 1))))
}

fn pieces(file: File, first: u64, length: u64) -> impl futures_util::Stream<Item = std::io::Result<Bytes>> + Send {
    let start = (file, first, length);
    stream::try_unfold(start, |(mut file, at, left)| async move {
        if left == 0 {
            return Ok(None);
        }
        let read = move || -> std::io::Result<(File, Vec<u8>)> {
            let want = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
            let mut piece = vec![0; want];
            file.seek(SeekFrom::Start(at))?;
            file.read_exact(&mut piece)?;
            Ok((file, piece))
        };
        let (file, piece) = blocking(read).await.map_err(std::io::Error::other)??;
        let count = piece.len() as u64;
        Ok(Some((Bytes::from(piece), (file, at + count, left - count))))
    })
}

/// The media type of what ComfyUI's nodes save.
fn content_type(name: &str) -> Option<&'static str> {
    let ending = name.rsplit_once('.')?.1.to_ascii_lowercase();
    Some(match ending.as_str() {
        "png" | "apng" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "gif" => "image/gif",
        "avif" => "image/avif",
        "svg" => "image/svg+xml",
        "mp4" | "m4v" => "video/mp4",
        "webm" => "video/webm",
        "mov" => "video/quicktime",
        "mkv" => "video/x-matroska",
        "mp3" => "audio/mpeg",
        "flac" => "audio/flac",
        "wav" => "audio/wav",
        "ogg" | "opus" => "audio/ogg",
        "m4a" => "audio/mp4",
        "glb" => "model/gltf-binary",
        "json" => "application/json",
        "txt" => "text/plain",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_http_means_them() {
        assert_eq!(part_of("bytes=0-3", 10), Some(Some((0, 3))));
        assert_eq!(part_of("bytes=5-", 10), Some(Some((5, 9))));
        assert_eq!(part_of("bytes=-4", 10), Some(Some((6, 9))));
        assert_eq!(part_of("bytes=-40", 10), Some(Some((0, 9))));
        assert_eq!(part_of("bytes=8-99", 10), Some(Some((8, 9))));
        assert_eq!(part_of("bytes=10-", 10), Some(None));
        assert_eq!(part_of("bytes=-0", 10), Some(None));
        assert_eq!(part_of("bytes=0-1,3-4", 10), None);
        assert_eq!(part_of("bytes=4-2", 10), None);
        assert_eq!(part_of("lines=1-2", 10), None);
    }
}
