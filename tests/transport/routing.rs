//! Routing ids: peers that take those of others.

use std::fs;

use serde_json::json;

use super::peers::gets_nothing;
use crate::house::raw::{Good, Raw, descriptors};
use crate::house::{House, code, folder, receive, sh, until};

#[test]
fn old_wound_squatting_of_the_next_routing_ids() {
    let house = House::new(json!({}));
    let good = Good::new(&house);
    // Where libzmq begins to count, for the first and the second ROUTER of a process.
    let mut squatters = Vec::new();
    for first in [0x6b8b_4567_u32, 0xe43c_9869] {
        for next in 0..64 {
            let id = [&[0][..], &(first + next).to_be_bytes()].concat();
            squatters.push(Raw::ready(&house, &id));
        }
    }
    for _ in 0..64 {
        Good::new(&house);
        good.is_answered();
    }
    // What they ask for a name of is passed over; each is a peer like any other.
    for squatter in &mut squatters {
        squatter.send(false, &house.body(json!({"command_type": "ping"}))).unwrap();
    }
    until("their answers", || {
        let status = house.ask(json!({"command_type": "status"}))["result"].clone();
        let pings = status["totals"]["requests"]["ping"]["ok"].as_u64();
        (pings == Some(1 + 1 + 64 * 2 + 128)).then_some(())
    });
}

#[test]
fn old_wound_two_peers_with_one_routing_id() {
    let house = House::new(json!({}));
    let twin = || {
        let socket = house.context.socket(zmq::DEALER).unwrap();
        socket.set_identity(b"twin").unwrap();
        socket.set_linger(0).unwrap();
        socket.set_rcvtimeo(30_000).unwrap();
        socket.connect(&house.tcp).unwrap();
        socket
    };
    let twins = [twin(), twin()];
    for round in 0..20 {
        for (number, twin) in twins.iter().enumerate() {
            house.send(twin, json!({"command_type": "ping", "id": 100 * number + round}));
        }
        for (number, twin) in twins.iter().enumerate() {
            assert_eq!(receive(twin)["id"], 100 * number + round);
        }
    }
}

#[test]
fn old_wound_a_peer_that_takes_the_routing_id_of_one_that_left() {
    let go = folder().join("go");
    let script = format!("until [ -e {} ]; do sleep 0.05; done; echo hush", go.display());
    let house = House::new(json!({"slow": sh(&script)}));
    let good = Good::new(&house);
    let mut victim = Raw::ready(&house, b"victim");
    let slow = json!({"command_type": "os", "command_name": "slow"});
    victim.send(false, &house.body(slow)).unwrap();
    until("its start", || (!house.logged("command_accepted").is_empty()).then_some(()));
    let before = descriptors(&house);
    drop(victim);
    until("its leave", || (descriptors(&house) < before).then_some(()));
    let thief = house.context.socket(zmq::DEALER).unwrap();
    thief.set_identity(b"victim").unwrap();
    thief.set_rcvtimeo(30_000).unwrap();
    thief.connect(&house.tcp).unwrap();
    house.send(&thief, json!({"command_type": "ping", "token": ""}));
    assert_eq!(code(&receive(&thief)), "unauthorized");
    fs::write(&go, "").unwrap();
    until("the end", || (!house.logged("command_ended").is_empty()).then_some(()));
    assert!(gets_nothing(&thief, &good));
    let status = house.ask(json!({"command_type": "status"}));
    assert_eq!(status["result"]["totals"]["replies_lost"], 1);
    fs::remove_dir_all(go.parent().unwrap()).unwrap();
}
