//! Files made to look harmless to a scanner while a loader runs what they carry: never `Clean`.

use std::collections::BTreeSet;

use model_file::{Verdict, WrongFormat, inspect};

use crate::build::pickle::{call, import, old_torch, state_dict, stream, text};
use crate::build::zip::{self, Member, member, torch_members};

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
    let lines = stream(2, &[b"Vos\np3\n0Vsystem\n", b"g3\n2g3\n00\x93"]);
    for (bytes, import) in [
        (direct, "os.system"),
        (stream(4, &memo), "os.system"),
        (duplicated, "os.os"),
        (numbered, "os.system"),
        (lines, "system.os"),
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
