//! What becomes a path below the models folder and what does not.

use std::path::{Component, Path};

use proptest::prelude::*;
use registry::ConfinedPath;

use crate::hostile_paths::{HOSTILE, built};

#[test]
fn hostile_names_are_refused_each_with_its_reason() {
    let names = HOSTILE.iter().map(|(name, refusal)| ((*name).to_owned(), *refusal)).chain(built());
    let mut count = 0;
    for (name, expected) in names {
        match ConfinedPath::parse(&name) {
            Ok(_) => panic!("{name:?} was accepted"),
            Err(refused) => assert_eq!(refused.refusal(), expected, "{name:?}: {refused}"),
        }
        count += 1;
    }
    assert!(count >= 150, "the corpus has {count} names");
}

#[test]
fn odd_but_honest_names_are_accepted_and_kept_as_they_are() {
    let longest_name = "a".repeat(255);
    let longest_path = format!("{0}/{0}/{0}/{0}", "a".repeat(255));
    let names = [
        "model.safetensors",
        "checkpoints/model.safetensors",
        "text_encoders/PixArt-XL-2-1024-MS/text_encoder/model-00001-of-00002.safetensors",
        "loras/My LoRA (v1.0) [final].safetensors",
        "loras/50% mix.safetensors",
        "loras/100%.safetensors",
        "loras/a%20b.safetensors",
        "loras/caf\u{e9} & cr\u{e8}me + sugar@home!.safetensors",
        "loras/cafe\u{301}.safetensors",
        "loras/模型 v2.safetensors",
        "loras/アニメのスタイル.safetensors",
        "loras/стиль.ckpt",
        "loras/❤\u{fe0f}.safetensors",
        "embeddings/.hidden.pt",
        "..model.safetensors",
        "a..b/c...d",
        "checkpoints/ leading space.safetensors",
        "console.txt",
        "com10.safetensors",
        "auxiliary/null.safetensors",
        "partial.safetensors",
        "a.part.safetensors",
        "part",
        "a~b/~c",
        "what?*<>|\"'`$HOME;#.bin",
        "-rf",
        longest_name.as_str(),
        longest_path.as_str(),
    ];
    for name in names {
        match ConfinedPath::parse(name) {
            Ok(path) => assert_eq!(path.as_str(), name),
            Err(refused) => panic!("{refused}"),
        }
    }
}

#[test]
fn a_refusal_names_the_reason_and_what_is_accepted_and_shows_nothing_raw() {
    let refused = ConfinedPath::parse("a\u{1b}[31m/../b").unwrap_err().to_string();
    assert_eq!(
        refused,
        "the path \"a\\u{1b}[31m/../b\" is refused: it has a control character; accepted is a relative path below the \
         models folder, such as checkpoints/model.safetensors"
    );
    assert!(ConfinedPath::parse(&"a".repeat(100_000)).unwrap_err().to_string().len() < 300);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_accepted_stays_below_the_root_now_and_after_decoding(
        text in prop_oneof![
            "\\PC{0,40}",
            r"(\.|/|%2e|%2f|%5c|%25|\\|a|b|:|~| |\.part|con|%c0|%ae|\x00|․|／){0,12}",
        ]
    ) {
        if let Ok(path) = ConfinedPath::parse(&text) {
            let mut spelled = path.as_str().to_owned();
            for _ in 0..4 {
                let joined = Path::new("/models").join(&spelled);
                prop_assert!(joined.starts_with("/models"));
                let mut components = Path::new(&spelled).components();
                prop_assert!(components.all(|component| matches!(component, Component::Normal(_))));
                spelled = percent_encoding::percent_decode_str(&spelled).decode_utf8_lossy().into_owned();
            }
        }
    }

    #[test]
    fn any_text_is_judged_without_a_panic(text in any::<String>()) {
        let _ = ConfinedPath::parse(&text);
    }
}
