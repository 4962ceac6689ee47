//! A fake ComfyUI as a program of its own: `fake-comfy [PORT]`.
//!
//! Its first line of output is its address. It takes orders as lines on its standard input: `down`, `hang`, `nonsense`,
//! `behave`, `restart`, `garbage`, `drop-sockets`, `hold`, `steps N`, `go-on`, `fail-next TEXT`, `step-ms N`. It ends with its input.

use std::io::BufRead;
use std::time::Duration;

use test_support::fake_comfy::FakeComfy;

fn main() {
    let port = std::env::args().nth(1).and_then(|port| port.parse().ok()).unwrap_or(0);
    let fake = FakeComfy::start_on(port);
    println!("{}", fake.url());
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        let (order, rest) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
        match order {
            "down" => fake.go_down(),
            "hang" => fake.hang(),
            "nonsense" => fake.talk_nonsense(),
            "behave" => fake.behave(),
            "restart" => fake.restart(),
            "garbage" => fake.send_garbage(),
            "drop-sockets" => fake.drop_sockets(),
            "hold" => fake.hold(),
            "steps" => fake.steps(rest.parse().unwrap_or(1)),
            "go-on" => fake.go_on(),
            "fail-next" => fake.fail_next(rest),
            "step-ms" => fake.set_step(Duration::from_millis(rest.parse().unwrap_or(2))),
            "" => {}
            unknown => eprintln!("no such order: {unknown}"),
        }
    }
}
