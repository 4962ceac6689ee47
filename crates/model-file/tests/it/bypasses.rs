//! Files made to look harmless to a scanner while a loader runs what they carry: never `Clean`.

use std::collections::BTreeSet;

use model_file::{Verdict, WrongFormat, inspect};

use crate::build::pickle::{call, frame, import, numpy_array, old_torch, state_dict, stream, text};
use crate::build::zip::{self, Member, end_record, member, members_and_directory, torch_members};
use crate::build::{gguf, safetensors};

fn verdict(bytes: &Vec<u8>, name: &str) -> Verdict {
    inspect(bytes, name).unwrap().pickle.unwrap_or(Verdict::Clean)
}

fn assert_unsafe(bytes: &Vec<u8>, name: &str, import: &str) {
    let imports = BTreeSet::from([import.to_owned()]);
    assert_eq!(verdict(bytes, name), Verdict::Unsafe { imports });
}

fn assert_unknown(bytes: &Vec<u8>, why: &str) {
    let found = verdict(bytes, "a.pt");
    assert!(matches!(found, Verdict::Unknown { .. }), "{why}: {found:?}");
}

/// Callables that lists of forbidden names forgot, each in a published report.
const FORGOTTEN: [(&str, &str); 28] = [
    ("pip", "main"),
    ("pip._internal.cli.main", "main"),
    ("asyncio.unix_events", "_UnixSubprocessTransport._start"),
    ("ctypes", "CDLL"),
    ("cProfile", "run"),
    ("timeit", "timeit"),
    ("pydoc", "pipepager"),
    ("code", "InteractiveInterpreter"),
    ("functools", "partial"),
    ("operator", "attrgetter"),
    ("operator", "methodcaller"),
    ("importlib", "import_module"),
    ("pkgutil", "resolve_name"),
    ("marshal", "loads"),
    ("pickle", "loads"),
    ("runpy", "run_path"),
    ("numpy.testing._private.utils", "runstring"),
    ("numpy", "core._internal.sys.modules"),
    ("torch", "hub.load"),
    ("torch", "load"),
    ("torch.hub", "load"),
    ("torch.storage", "_load_from_bytes"),
    ("torch.utils.collect_env", "run"),
    ("torch.jit.unsupported_tensor_ops", "execWrapper"),
    ("builtins", "getattr"),
    ("builtins", "dict.get"),
    ("collections", "OrderedDict.fromkeys"),
    ("mailcap", "findmatch"),
];

#[test]
fn callables_that_other_scanners_forgot_are_unsafe_in_every_container() {
    for (module, name) in FORGOTTEN {
        let import = format!("{module}.{name}");
        let pickle = call(module, name);
        assert_unsafe(&pickle, "a.bin", &import);
        assert_unsafe(&old_torch(&pickle), "a.ckpt", &import);
        assert_unsafe(&zip::file(&torch_members(&pickle)), "a.pt", &import);
    }
}

#[test]
fn names_that_come_from_the_stack_or_the_memo_are_seen() {
    let direct = stream(4, &[&text("os"), &text("system"), b"\x93", &text("id"), b"\x85R"]);
    // The texts are put away, covered by harmless ones, and taken out again.
    let memo: [&[u8]; 8] =
        [&text("os"), b"\x940", &text("system"), b"\x940", &text("weight"), b"0", b"h\x00h\x01\x93", b")R"];
    let duplicated = stream(4, &[&text("os"), b"2\x93"]);
    let numbered =
        stream(2, &[&text("os"), b"q\x05", &text("system"), b"r\x07\x00\x00\x00", b"00h\x05j\x07\x00\x00\x00\x93"]);
    let lines = stream(2, &[b"Vsystem\np3\n0Vos\n", b"g3\n2g3\n00\x93"]);
    for (bytes, import) in [
        (direct, "os.system"),
        (stream(4, &memo), "os.system"),
        (duplicated, "os.os"),
        (numbered, "os.system"),
        (lines, "os.system"),
    ] {
        assert_unsafe(&bytes, "a.pkl", import);
    }
}

#[test]
fn old_ways_to_call_are_seen() {
    assert_unsafe(&stream(2, &[b"(", &text("id"), b"ios\nsystem\n"]), "a.pt", "os.system");
    assert_unsafe(&stream(2, &[b"(cos\nsystem\n", &text("id"), b"o"]), "a.pt", "os.system");
    assert_unsafe(&stream(4, &[&import("os", "system"), &text("id"), b"\x85}\x92"]), "a.pt", "os.system");
    let without_protocol = b"cos\nsystem\n(S'id'\ntR.".to_vec();
    for name in ["a.pt", "a.bin", "a.ckpt", "a.safetensors"] {
        assert_unsafe(&without_protocol, name, "os.system");
    }
}

#[test]
fn what_cannot_be_followed_is_unknown() {
    let ordered = import("collections", "OrderedDict");
    assert_unknown(&stream(2, &[b"\x82\x01"]), "the extension registry");
    assert_unknown(&stream(2, &[b"Pname\n"]), "a persistent id as text");
    assert_unknown(&stream(5, &[b"\x97"]), "a buffer from outside");
    assert_unknown(&stream(4, &[b"V\\u006fs\n", &text("system"), b"\x93"]), "an escaped name");
    assert_unknown(&stream(4, &[b"S'os'\n", &text("system"), b"\x93"]), "a quoted name");
    assert_unknown(&stream(4, &[&ordered, b")R", &text("x"), b"\x93"]), "a computed module");
    assert_unknown(&stream(2, &[&ordered, b")R)R"]), "a call of a result");
    assert_unknown(&stream(2, &[&ordered, b"N}", &text("a"), &text("os"), b"s\x86b"]), "a change of an imported class");
    assert_unknown(&stream(4, &[&text("os"), b"\x94q\x00"]), "a memo numbered in two ways");
    assert_unknown(&stream(2, &[b"\xff"]), "no opcode");
    assert_unknown(&stream(2, &[b"0"]), "an empty stack");
    assert_unknown(&b"\x80\x02.".to_vec(), "nothing to return");
}

#[test]
fn a_stream_that_breaks_after_its_payload_is_still_unsafe() {
    let mut broken = call("os", "system");
    broken.truncate(broken.len() - 1);
    broken.extend(b"\xff\xff");
    assert_unsafe(&broken, "a.pt", "os.system");
    assert_unsafe(&zip::file(&torch_members(&broken)), "a.pt", "os.system");
}

#[test]
fn payloads_beside_the_data_pkl_are_found() {
    let payload = call("os", "system");
    for name in ["archive/config.p", "archive/data/1", "extra/deep/down/data.pkl", "archive/.hidden"] {
        let mut members = torch_members(&state_dict());
        members.push(member(name, &payload));
        assert_unsafe(&zip::file(&members), "a.pt", "os.system");
    }
}

#[test]
fn tricks_with_the_zip_itself_never_end_clean() {
    let nested = zip::torch();
    let forge = |change: &dyn Fn(&mut Vec<Member>)| {
        let mut members = torch_members(&state_dict());
        change(&mut members);
        zip::file(&members)
    };
    assert_unknown(&forge(&|members| members[0].flags = 1), "a member said to be encrypted");
    assert_unknown(&forge(&|members| members[0].forged_local_name = Some("archive/eat.me!!!".into())), "two names");
    assert_unknown(&forge(&|members| members[0].forged_crc = Some(3)), "a wrong checksum");
    assert_unknown(&forge(&|members| members.push(members[0].clone())), "two members of one name");
    assert_unknown(&forge(&|members| members.push(member("archive/inner.zip", &nested))), "a zip in a zip");
    assert_unknown(&forge(&|members| members.push(member("archive/code/__torch__.py", b"def f(): ..."))), "a script");
    assert_unknown(&forge(&|members| members[0].data.extend(b"left over")), "bytes behind the pickle");
    for (flags, crc) in [(1, None), (0x40, None), (0, Some(9))] {
        let mut members = torch_members(&call("os", "system"));
        members[0].flags = flags;
        members[0].forged_crc = crc;
        assert_unsafe(&zip::file(&members), "a.pt", "os.system");
    }
}

#[test]
fn a_pickle_in_front_of_a_zip_is_not_clean() {
    let both = [old_torch(&state_dict()), zip::torch()].concat();
    assert_unknown(&both, "loaders differ in which end they read from");
}

#[test]
fn archives_that_are_not_looked_into_are_unknown() {
    let magics: [&[u8]; 5] =
        [b"7z\xbc\xaf\x27\x1c", b"Rar!\x1a\x07\x01\x00", b"\x1f\x8b\x08", b"BZh9", b"\x28\xb5\x2f\xfd"];
    for magic in magics {
        assert_unknown(&[magic, &[0; 600]].concat(), "an archive");
    }
}

#[test]
fn the_kind_is_told_by_the_bytes_and_not_by_the_name() {
    for (bytes, holds) in [
        (call("os", "system"), "a pickle"),
        (zip::file(&torch_members(&call("os", "system"))), "a torch archive (pickle)"),
    ] {
        let report = inspect(&bytes, "checkpoints/model.safetensors").unwrap();
        assert!(matches!(report.pickle, Some(Verdict::Unsafe { .. })));
        let said = report.wrong_format.as_ref().map(WrongFormat::to_string);
        assert_eq!(said, Some(format!("by its name this is a safetensors file, but it holds {holds}")));
    }
}

/// A harmless archive whose comment holds a second directory and end record; the hidden members lie in the bytes of a tensor.
#[test]
fn several_end_records_are_never_clean() {
    let hidden = zip::file(&torch_members(&call("os", "system")));
    let mut members = torch_members(&state_dict());
    members[2].data = hidden.clone();
    let (mut bytes, directory) = members_and_directory(&members);
    let start = bytes.len() as u32;
    bytes.extend(&directory);
    let mut record = end_record(members.len() as u16, directory.len() as u32, start);
    let mut inner = hidden[hidden.len() - 22..].to_vec();
    inner[20..].copy_from_slice(&7_u16.to_le_bytes());
    let comment = [hidden.as_slice(), &inner].concat();
    record[20..].copy_from_slice(&(comment.len() as u16).to_le_bytes());
    bytes.extend(record);
    bytes.extend(comment);
    assert_unknown(&bytes, "readers differ in which record they take");
    let beside_a_pickle = [old_torch(&state_dict()), b"PK\x05\x06".to_vec(), vec![7; 30]].concat();
    assert_unknown(&beside_a_pickle, "a broken end record behind a pickle");
    // The 64-bit record says one directory, the narrow one another.
    let mut wide = zip::wide_file(&torch_members(&state_dict()));
    let narrow = wide.len() - 22;
    wide[narrow + 16..narrow + 20].copy_from_slice(&3_u32.to_le_bytes());
    assert_unknown(&wide, "two end records that disagree");
}

#[test]
fn frames_that_readers_follow_differently_are_not_clean() {
    let payload = call("os", "system");
    // Old torch whose version is a frame that covers three harmless pickles: Python goes on behind the frame.
    let harmless = stream(2, &[b"N"]);
    let frame_inside = [b"\x80\x04".to_vec(), frame(3 + 3 * harmless.len() as u64), b"K\x01.".to_vec()].concat();
    let magic = old_torch(b"")[..15].to_vec();
    let bytes = [magic, frame_inside, harmless.repeat(3), payload.repeat(3)].concat();
    assert_ne!(verdict(&bytes, "a.pt"), Verdict::Clean, "a stop inside a frame");
    let inside = [b"\x80\x04".to_vec(), frame(3), b"N.N".to_vec()].concat();
    assert_unknown(&inside, "a stop inside a frame");
    assert_unknown(&stream(4, &[&frame(30), b"N"]), "a frame longer than the file");
    assert_unknown(&stream(4, &[&frame(12), &frame(1), b"NN\x86"]), "a frame in a frame");
    assert_unknown(&stream(4, &[&frame(1), b"K\x01"]), "a frame that ends inside an opcode");
}

#[test]
fn a_frame_that_is_as_long_as_its_contents_is_clean() {
    let body = [text("a").as_slice(), b"\x94."].concat();
    let bytes = [b"\x80\x04".to_vec(), frame(body.len() as u64), body].concat();
    assert_eq!(verdict(&bytes, "a.pkl"), Verdict::Clean);
}

/// torch.load asks for a tar first. The header of an old tar has no magic number.
#[test]
fn a_tar_without_a_magic_number_is_never_clean() {
    let pickles = old_torch(&state_dict());
    let mut block = pickles[..pickles.len().min(100)].to_vec();
    block.resize(512, 0);
    let tail = pickles.get(100..148).unwrap_or_default();
    block[100..100 + tail.len()].copy_from_slice(tail);
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    for field in [format!("{sum:06o}\0 "), format!("{sum:08o}"), format!("0o{sum:05o} ")] {
        block[148..156].copy_from_slice(&field.as_bytes()[..8]);
        assert_unknown(&block, &field);
    }
    // The same trick in front of a zip: its first member's name is the name of the tar's.
    let mut members = torch_members(&state_dict());
    let name = format!("archive/{}", "x".repeat(600));
    members.insert(0, Member { name: name.clone(), ..member("", b"") });
    let mut bytes = zip::file(&members);
    let fields = 148..156;
    let sum: u32 = bytes[..512]
        .iter()
        .enumerate()
        .map(|(at, byte)| if fields.contains(&at) { 32 } else { u32::from(*byte) })
        .sum();
    let directory = bytes.windows(4).rposition(|word| word == b"PK\x01\x02").unwrap();
    let field = format!("{sum:06o}x ").into_bytes();
    bytes[fields].copy_from_slice(&field);
    assert!(directory > 512);
    assert_unknown(&bytes, "a zip that is a tar");
}

/// Protocols 0 and 1 have no mark at the front, and these names say nothing of what loads them.
#[test]
fn payloads_under_names_that_promise_nothing_are_found() {
    let plain = b"cos\nsystem\n(S'id'\ntR.".to_vec();
    let like_gguf = [b"GGUF\x03\0\0\0\0".as_slice(), b"cos\nsystem\n(S'id'\ntR."].concat();
    let mut like_safetensors = b"T\x14\0\0\0\0\0\0{                cos\nsystem\n(S'id'\ntR.".to_vec();
    like_safetensors.resize(6000, b' ');
    let objects = "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }";
    let spelled = "{'descr': 'object', 'fortran_order': False, 'shape': (1,), }";
    for name in ["a.pt2", "a.th", "a.npy", "a.joblib", "a.dat", "a.model", "a"] {
        for bytes in [&plain, &like_gguf, &like_safetensors] {
            assert_unsafe(bytes, name, "os.system");
        }
        for head in [objects, spelled] {
            assert_unsafe(&numpy_array(head, &call("os", "system")), name, "os.system");
            let harmless = inspect(&numpy_array(head, &stream(2, &[b"N"])), name).unwrap().pickle;
            assert!(matches!(harmless, Some(Verdict::Unknown { .. })), "{harmless:?}");
        }
        let protocol_0 = inspect(&b"(dp0\nVa\np1\nI1\ns.".to_vec(), name).unwrap().pickle;
        assert!(matches!(protocol_0, Some(Verdict::Unknown { .. })), "{name}: {protocol_0:?}");
        for safe in [safetensors::whole(), gguf::whole()] {
            assert_eq!(inspect(&safe, name).unwrap().pickle, None, "{name}");
        }
    }
    let array = numpy_array(objects, &call("os", "system"));
    assert_unsafe(&zip::file(&[member("arr_0.npy", &array)]), "a.npz", "os.system");
}

#[test]
fn numbers_behind_old_torch_that_go_on_as_a_pickle_are_seen() {
    let five = old_torch(&state_dict());
    let five = &five[..five.len() - 24];
    assert_unsafe(&[five, &call("os", "system")].concat(), "a.pt", "os.system");
    assert_unknown(&[five, &stream(2, &[b"N"])].concat(), "a sixth pickle");
}

#[test]
fn members_that_say_different_things_of_themselves_are_not_clean() {
    let forge = |change: &dyn Fn(&mut Member)| {
        let mut members = torch_members(&state_dict());
        change(&mut members[0]);
        zip::file(&members)
    };
    assert_unknown(&forge(&|member| member.forged_local_flags = Some(2)), "other flags in the header");
    assert_unknown(&forge(&|member| member.forged_local_size = Some(3)), "another size in the header");
    assert_unknown(&forge(&|member| member.name = "archive/data.pkl\0x".into()), "a name that Python cuts short");
    let mut members = torch_members(&state_dict());
    members.push(member("archive/VERSION", b"3\n"));
    assert_unknown(&zip::file(&members), "names that differ in case alone");
    let prefixed = [b"PK\x03\x04 and more".to_vec(), zip::torch()].concat();
    assert_unknown(&prefixed, "bytes in front of the zip");
}

#[test]
fn a_protocol_in_the_middle_and_a_call_of_a_mere_name_are_unknown() {
    assert_unknown(&stream(2, &[b"N0\x80\x04N"]), "a protocol in the middle");
    let checkpoint = import("pytorch_lightning.callbacks.model_checkpoint", "ModelCheckpoint");
    assert_eq!(verdict(&stream(2, &[b"}(", &checkpoint, b"K\x01u"]), "a.ckpt"), Verdict::Clean);
    assert_unknown(&stream(2, &[&checkpoint, b")R"]), "a call of what is only a key");
}

/// Classes of packages that their user may trust or not: named, and neither clean nor an error.
#[test]
fn imports_on_no_list_are_unknown_and_named() {
    for (module, name) in [
        ("ultralytics.nn.tasks", "DetectionModel"),
        ("torch.nn.modules.conv", "Conv2d"),
        ("torch.nn.modules.container", "ParameterDict"),
        ("argparse", "Namespace"),
        ("pathlib", "PosixPath"),
        ("__main__", "Settings.Inner"),
    ] {
        let pickle = stream(4, &[&text(module), &text(name), b"\x93)R"]);
        let Verdict::Unknown { imports, .. } = verdict(&pickle, "a.pt") else { panic!("{module}.{name} is unknown") };
        assert_eq!(imports.into_iter().collect::<Vec<_>>(), [format!("{module}.{name}")]);
    }
}
