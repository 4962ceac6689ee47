//! Says what [`model_file::inspect`] finds in each file that is named, a line a file: the verdict, a tab, the reason or imports, a tab, the
//! path. For `cargo xtask pickle-differential`, and for people who want to know why a file is not clean.

use std::fs::File;

use model_file::{Verdict, inspect};

fn main() {
    for path in std::env::args().skip(1) {
        let report = File::open(&path)
            .map_err(|error| error.to_string())
            .and_then(|file| inspect(&file, &path).map_err(|error| error.to_string()));
        let (verdict, why) = match report.map(|report| report.pickle) {
            Err(error) => ("error", error),
            Ok(None) => ("none", String::new()),
            Ok(Some(Verdict::Clean)) => ("clean", String::new()),
            Ok(Some(Verdict::Unsafe { imports })) => ("unsafe", imports.into_iter().collect::<Vec<_>>().join(", ")),
            Ok(Some(Verdict::Unknown { reason, imports })) => {
                ("unknown", [vec![reason], imports.into_iter().collect()].concat().join(", "))
            }
        };
        println!("{verdict}\t{why}\t{path}");
    }
}
