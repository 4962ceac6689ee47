//! Ordeal: a line of 400 Mbit/s that loses packets, resets connections, is gone for a while, or lets half of them fall silent
//! for good. Each is real: the kernel does it, in a network namespace of its own, which ends with the script.

use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Result, bail};

use super::subject::Subject;
use super::{Options, Outcome, Tally};

const MIB: u64 = 192;

/// Arguments: folder, file server and its arguments, then the faults and the engine's program. The faults are a script that
/// finds what comes from the server in `from_server`. Fails if the file is not whole after two minutes; says how many packets
/// had a fault.
const SCRIPT: &str = r#"
set -u
folder=$1; server=$2; bytes=$3; faults=$4; fetch=$5
ip link set lo mtu 1500 gso_max_segs 1 up && tc qdisc add dev lo root tbf rate 400mbit burst 256kb latency 40ms || exit 90
rm -rf "$folder"; mkdir -p "$folder/output"; cd "$folder"
"$server" 1 "$bytes" 1000000000 > said &
trap "kill $!" EXIT
until [ "$(wc -l < said)" -ge 2 ]; do sleep 0.02; done
sed -n 2p said > list
read -r url name hash < list
port=${url#http://*:}
from_server="INPUT -i lo -p tcp --sport ${port%%/*}"
eval "$faults" &
sleep 0.1
timeout 120 "$fetch" output list > /dev/null || exit 92
[ "$(ls -A output)" = "$name" ] && echo "$hash  output/$name" | sha256sum --quiet -c || exit 93
iptables -nvxL INPUT | awk '/DROP|REJECT/ { hit += $1 } END { print hit + 0 }'
"#;

const NOTHING: &str = "true";
const LOST: &str = "-m statistic --mode random --probability";

/// What happens, and the commands that make it happen.
fn faults() -> Vec<(String, String)> {
    let lost = |percent: u32| {
        (format!("{percent} of 100 packets lost"), format!("iptables -A $from_server {LOST} 0.{percent:02} -j DROP"))
    };
    let gone = |seconds: u32| {
        let faults = format!("sleep 1; iptables -A $from_server -j DROP; sleep {seconds}; iptables -I INPUT -j ACCEPT");
        (format!("gone for {seconds} s"), faults)
    };
    let reset = format!("iptables -A $from_server {LOST} 0.0005 -j REJECT --reject-with tcp-reset");
    let silent =
        "iptables -A OUTPUT -o lo -p tcp --syn -m statistic --mode nth --every 2 --packet 0 -j CONNMARK --set-mark 1
        sleep 1; iptables -A $from_server -m connmark --mark 1 -j DROP";
    vec![
        ("nothing wrong".to_owned(), NOTHING.to_owned()),
        lost(1),
        lost(5),
        lost(15),
        ("a reset for one of 2,000 packets".to_owned(), reset),
        gone(5),
        gone(40),
        ("every second connection silent after a second".to_owned(), silent.to_owned()),
    ]
}

pub(super) fn run(subject: &Subject<'_>, _: &Options) -> Result<Outcome> {
    if let Some(reason) = missing() {
        return Ok(Outcome::Skipped(reason));
    }
    let mut tally = Tally::default();
    let mut told = Vec::new();
    for (name, faults) in faults() {
        let start = Instant::now();
        let result = fetch(subject, &faults).and_then(|hit| {
            told.push(format!("{name} {:.1} s ({hit} packets)", start.elapsed().as_secs_f64()));
            if hit == 0 && faults != NOTHING { bail!("nothing happened") } else { Ok(()) }
        });
        tally.count(&name, result);
    }
    tally.note = format!("{MIB} MiB each: {}", told.join(", "));
    Ok(Outcome::Done(tally))
}

/// Fetches the file over a line with these faults. Says how many packets they met.
fn fetch(subject: &Subject<'_>, faults: &str) -> Result<u64> {
    let output = Command::new("unshare")
        .args(["-rn", "sh", "-c", SCRIPT, "sh"])
        .args([&subject.scratch("network"), &subject.file_server])
        .args([&(MIB << 20).to_string(), faults])
        .arg(&subject.fetch)
        .stdin(Stdio::null())
        .output()?;
    if !output.status.success() {
        bail!("{}; {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().parse()?)
}

fn missing() -> Option<String> {
    let probe = format!(
        "iptables -A INPUT {LOST} 0.5 -j DROP && tc qdisc add dev lo root tbf rate 1mbit burst 2kb latency 1ms"
    );
    let probe = Command::new("unshare").args(["-rn", "sh", "-c", &probe]).stderr(Stdio::null()).status();
    match probe {
        Ok(status) if status.success() => None,
        Ok(_) => Some("this machine gives unshare no network of its own, or has no iptables or tc".to_owned()),
        Err(_) => Some("unshare is not installed".to_owned()),
    }
}
