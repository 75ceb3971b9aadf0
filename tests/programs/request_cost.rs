//! Handles one request repeatedly, for `scripts/request-cost`, which counts instructions and
//! allocations.
//!
//! Usage: request_cost COUNT. Prints nothing; the exit status says whether all requests were
//! answered.

#![allow(clippy::expect_used, clippy::panic)]

use std::time::Duration;

use zcmd::port::{Event, Moment, Peer};
use zcmd::protocol::request::{Ask, Id, Request};
use zcmd::protocol::token::{Claims, Keys};
use zcmd::service::Service;
use zcmd::service::access::authority::{Authority, Revoked};
use zcmd::service::commands::Commands;
use zcmd::service::policy::Policy;
use zcmd::service::settings::Settings;

const KEY: &str = "0123456789abcdefghijklmnopqrstuvwxyz";

fn main() {
    let count = std::env::args().nth(1).and_then(|text| text.parse().ok()).expect("a count");
    let lookup = |name: &str| match name {
        "JWT_SECRET_KEY" => Some(KEY.into()),
        "MAX_REQUESTS_PER_MINUTE" => Some("0".into()),
        _ => None,
    };
    let settings = Settings::read(&lookup).expect("settings");
    let keys = Keys::parse(KEY).expect("a key");
    let claims = Claims {
        subject: "alice".to_owned(),
        scope: Some("compute os:* status".to_owned()),
        expires: 2_000_000_000.0,
        issued: Some(1_900_000_000.0),
        id: Some("0123456789abcdef".to_owned()),
        ..Claims::default()
    };
    let token = keys.sign(&claims);
    let revoked = Revoked::default();
    let authority = Authority {
        rules: settings.tokens.clone(),
        keys,
        revoked,
        clients: None,
        roles: Default::default(),
    };
    let policy = Policy { authority, commands: Commands::default() };
    let mut service = Service::new(settings, policy);
    let ask = Ask::Compute { expression: "2*(3+4)".to_owned(), variables: Vec::new() };
    let body = Request { id: Some(Id::Number(7)), token, ask }.encode();
    let address = "127.0.0.1".parse().ok();
    let peer = Peer { envelope: vec![b"\0abcd".to_vec(), Vec::new()], address, key: None };
    let (uptime, unix) = (Duration::from_secs(1), Duration::from_secs(1_900_000_100));
    let (now, mut out) = (Moment { uptime, unix }, Vec::new());
    for _ in 0_u32..count {
        let event = Event::Message { peer: peer.clone(), body: body.clone() };
        service.handle(&now, event, &mut out);
        service.tick(&now, &mut out);
        let reply = service.next_reply(&mut out).expect("a request without its answer");
        assert_eq!(reply.body, br#"{"id":7,"status":"ok","result":14}"#);
        assert!(service.next_reply(&mut out).is_none() && out.is_empty());
    }
}
