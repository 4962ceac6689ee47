//! safetensors files that are as the format asks for.

use std::io::Write;

use model_file::{Kind, Structure, glance, inspect};

use crate::build::safetensors::{file, whole};

#[test]
fn a_whole_file_is_whole_and_its_head_is_told() {
    let report = inspect(&whole(), "vae/ae.safetensors").unwrap();
    assert_eq!(report.kind, Kind::Safetensors);
    assert_eq!(report.structure, Structure::Whole);
    assert_eq!((report.pickle, report.wrong_format), (None, None));
    let header = report.header.unwrap();
    assert_eq!((header.tensors, header.parameters, header.data_bytes), (2, 11, 17));
    assert_eq!(header.dtypes.into_iter().collect::<Vec<_>>(), [("BF16".into(), 12), ("F8_E4M3".into(), 5)]);
    assert_eq!(header.metadata.into_iter().collect::<Vec<_>>(), [("format".into(), "pt".into())]);
    assert!(!header.metadata_cut);
}

#[test]
fn a_file_on_disk_reads_like_its_bytes() {
    let mut on_disk = tempfile::tempfile().unwrap();
    on_disk.write_all(&whole()).unwrap();
    assert_eq!(inspect(&on_disk, "a.safetensors").unwrap(), inspect(&whole(), "a.safetensors").unwrap());
    assert_eq!(glance(&on_disk, "a.safetensors").unwrap().whole, Some(true));
}

#[test]
fn files_at_the_edges_of_the_format_are_whole() {
    let headers = [
        ("{}", 0),
        ("{}      ", 0),
        (r#"{"scalar":{"dtype":"I64","shape":[],"data_offsets":[0,8]}}"#, 8),
        (
            r#"{"none":{"dtype":"F32","shape":[0,5],"data_offsets":[0,0]},"one":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#,
            1,
        ),
        (r#"{"packed":{"dtype":"F4","shape":[6],"data_offsets":[0,3]}}"#, 3),
        (r#"{"packed":{"dtype":"F6_E2M3","shape":[4],"data_offsets":[0,3]}}"#, 3),
        (
            r#"{"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]},"a":{"dtype":"BOOL","shape":[1],"data_offsets":[0,1],"later":[{}]}}"#,
            3,
        ),
    ];
    for (header, data) in headers {
        assert_eq!(glance(&file(header, data), "a.safetensors").unwrap().whole, Some(true), "{header}");
    }
}

/// What safetensors 0.8.0 loads: it takes the last of two tensors with one name, `null` for no metadata, and white space.
#[test]
fn oddities_that_the_library_loads_are_whole() {
    let one = r#"{"dtype":"U8","shape":[2],"data_offsets":[0,2]}"#;
    let other = r#"{"dtype":"F32","shape":[9],"data_offsets":[7,9]}"#;
    for header in [
        format!(r#"{{"__metadata__":null,"a":{one}}}"#),
        format!(r#"{{"a":{one},"a":{one}}}"#),
        format!(r#"{{"a":{other},"a":{one}}}"#),
        format!(r#"   {{"a":{one}}}"#),
        format!("\n\t{{\"a\":{one}}}\n"),
    ] {
        let report = inspect(&file(&header, 2), "a.safetensors").unwrap();
        assert_eq!((report.kind, report.structure), (Kind::Safetensors, Structure::Whole), "{header}");
        assert_eq!((report.pickle, report.header.unwrap().data_bytes), (None, 2), "{header}");
    }
    let last_is_wrong = format!(r#"{{"a":{one},"a":{other}}}"#);
    assert_eq!(glance(&file(&last_is_wrong, 2), "a.safetensors").unwrap().whole, Some(false));
}

#[test]
fn an_element_type_of_the_future_is_not_judged() {
    let bytes = file(r#"{"a":{"dtype":"F2","shape":[8],"data_offsets":[0,2]}}"#, 2);
    assert_eq!(glance(&bytes, "a.safetensors").unwrap().whole, None);
}

#[test]
fn long_remarks_are_left_out_and_that_is_told() {
    let remark = "x".repeat(20_000);
    let bytes = file(&format!(r#"{{"__metadata__":{{"log":"{remark}","format":"pt"}}}}"#), 0);
    let header = inspect(&bytes, "a.safetensors").unwrap().header.unwrap();
    assert_eq!(header.metadata.into_keys().collect::<Vec<_>>(), ["format"]);
    assert!(header.metadata_cut);
}
