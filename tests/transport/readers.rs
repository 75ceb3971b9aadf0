//! Peers that do not take their replies.

use serde_json::json;

use crate::house::raw::{Good, Raw};
use crate::house::{House, sh, until};

#[test]
fn old_wound_a_reader_that_does_not_read() {
    let house = House::with(
        json!({"large": {"run": ["/usr/bin/head", "-c", "65536", "/dev/zero"]}}),
        &[("MAX_QUEUED_COMMANDS", "4096")],
    );
    let good = Good::new(&house);
    let before = house.proc_status("VmHWM");
    let mut lazy = Raw::ready(&house, b"lazy");
    let body = house.body(json!({"command_type": "os", "command_name": "large"}));
    for number in 0..1500 {
        lazy.send(false, &body).unwrap();
        if number % 10 == 0 {
            good.is_answered();
        }
    }
    let status = || house.ask(json!({"command_type": "status"}))["result"].clone();
    until("their end", || {
        good.is_answered();
        (house.logged("command_ended").len() >= 1500 || status()["totals"]["replies_lost"] != 0)
            .then_some(())
    });
    until("all to be over", || {
        let commands = &status()["commands"];
        (commands["running"] == 0 && commands["waiting"] == 0).then_some(())
    });
    let grown = house.proc_status("VmHWM") - before;
    assert!(grown < 80_000, "{grown} KiB more than before");
}

#[test]
fn old_wound_a_reply_to_a_peer_that_has_vanished() {
    let house = House::new(json!({"slow": sh("exec sleep 0.3")}));
    let good = Good::new(&house);
    for number in 1..=4 {
        let mut raw = Raw::ready(&house, b"");
        let body = json!({"command_type": "os", "command_name": "slow"});
        raw.send(false, &house.body(body)).unwrap();
        until("its start", || (house.logged("command_accepted").len() == number).then_some(()));
    }
    until("their end", || {
        good.is_answered();
        (house.logged("command_ended").len() == 4).then_some(())
    });
    until("the loss to be counted", || {
        let status = house.ask(json!({"command_type": "status"}));
        (status["result"]["totals"]["replies_lost"] == 4).then_some(())
    });
}
