//! The parts of a run: what is measured, and its baseline.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use zcmd::client::settings::Settings;
use zcmd::client::status::Failure;

use crate::Plan;
use crate::idle;
use crate::place::Place;
use crate::server::{LOOK, Server, failed};
use crate::table::Row;
use crate::wire::{Target, alternate};

/// Starts of each program in one round.
const STARTS: usize = 25;
/// Commands that run beside maths.
const RUNNING: usize = 64;
/// Rounds of the part with idle connections, whose memory hardly varies.
const IDLE_ROUNDS: usize = 3;

/// A part that can be selected.
pub(crate) struct Part {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) measure: fn(&Place, &Plan) -> Result<Vec<Row>, Failure>,
}

/// The title of the wire.
pub(crate) const WIRE: &str = "wire: maths, beside a bare ROUTER that echoes";

/// All parts.
pub(crate) const PARTS: [Part; 6] = [
    Part { name: "wire", title: WIRE, measure: wire },
    Part {
        name: "programs",
        title: "programs: start to exit, beside a plain fork and exec of true",
        measure: programs,
    },
    Part { name: "fresh", title: "fresh: a daemon that has just started", measure: fresh },
    Part {
        name: "busy",
        title: "busy: maths beside 64 running commands, beside maths without",
        measure: busy,
    },
    Part { name: "idle", title: "idle: connections, beside those of the echo", measure: idle },
    Part { name: "curve", title: "curve: the wire with CURVE, beside it without", measure: curve },
];

/// The wire of a daemon that already runs.
pub(crate) fn wire_of(settings: &Settings, plan: &Plan) -> Result<Vec<Row>, Failure> {
    let daemon = Target::open(&settings.servers, &settings.token, None, plan)?;
    let echo = Server::echo(daemon.server(), &daemon.reply)?;
    let bare = Target::open(&echo.servers, &settings.token, None, plan)?;
    alternate(plan, [&bare, &daemon], || Ok(()))
}

fn wire(place: &Place, plan: &Plan) -> Result<Vec<Row>, Failure> {
    let [echo, daemon] = both(place, plan)?;
    let targets = [target(place, &echo, plan)?, target(place, &daemon, plan)?];
    let mut memory = Row::new("memory after the load", "KiB");
    let mut rows = alternate(plan, targets.each_ref(), || {
        memory.pair(echo.resident_kib()?, daemon.resident_kib()?);
        Ok(())
    })?;
    rows.push(memory);
    Ok(rows)
}

fn programs(place: &Place, plan: &Plan) -> Result<Vec<Row>, Failure> {
    let daemon = place.daemon()?;
    let wire = target(place, &daemon, plan)?;
    let request =
        format!(r#"{{"command_type":"os","command_name":"true","token":"{}"}}"#, place.token);
    let mut rows =
        ["true over the wire", "zcmd compute", "zcmd --version"].map(|name| Row::new(name, "ms"));
    for _ in 0..plan.rounds {
        let mut times = [(); 4].map(|()| Vec::new());
        for _ in 0..STARTS {
            plan.check()?;
            let [plain, over, compute, version] = &mut times;
            plain.push(run(Command::new("/bin/true").stdin(Stdio::null()))?);
            let begin = Instant::now();
            let reply = wire.ask(request.as_bytes())?;
            over.push(begin.elapsed());
            if !reply.windows(13).any(|window| window == b"\"exit_code\":0") {
                return Err(Failure::refused(String::from_utf8_lossy(&reply)));
            }
            compute.push(run(&mut place.zcmd(&daemon, &["compute", "2*(3+4)"]))?);
            version.push(run(&mut place.zcmd(&daemon, &["--version"]))?);
        }
        let [plain, others @ ..] = times.map(median_ms);
        for (row, value) in rows.iter_mut().zip(others) {
            row.pair(plain, value);
        }
    }
    Ok(rows.into())
}

fn fresh(place: &Place, plan: &Plan) -> Result<Vec<Row>, Failure> {
    let mut start = Row::new("start until it listens", "ms");
    let mut memory = Row::new("memory", "KiB");
    for _ in 0..plan.rounds {
        let daemon = place.daemon()?;
        start.single(daemon.start.as_secs_f64() * 1e3);
        memory.single(daemon.resident_kib()?);
    }
    Ok(vec![start, memory])
}

fn busy(place: &Place, plan: &Plan) -> Result<Vec<Row>, Failure> {
    let [quiet, busy] = [place.daemon()?, place.daemon()?];
    let targets = [target(place, &quiet, plan)?, target(place, &busy, plan)?];
    let starter = target(place, &busy, plan)?;
    let request = |kind: &str| format!(r#"{{{kind},"token":"{}"}}"#, place.token);
    let sleep = request(r#""command_type":"os","command_name":"sleep""#);
    for _ in 0..RUNNING {
        starter.send(sleep.as_bytes())?;
    }
    let asker = target(place, &busy, plan)?;
    let status = request(r#""command_type":"status""#);
    let running = || {
        let reply = serde_json::from_slice(&asker.ask(status.as_bytes())?);
        let reply: serde_json::Value = reply.map_err(failed("status"))?;
        Ok(reply.pointer("/result/commands/running").and_then(serde_json::Value::as_u64))
    };
    while running()? != Some(RUNNING as u64) {
        plan.check()?;
        std::thread::sleep(LOOK);
    }
    let rows = alternate(plan, targets.each_ref(), || Ok(()))?;
    match running()? == Some(RUNNING as u64) {
        true => Ok(rows),
        false => Err(Failure::refused("the commands beside the maths have ended")),
    }
}

fn idle(place: &Place, plan: &Plan) -> Result<Vec<Row>, Failure> {
    let mut rows = idle::rows();
    for _ in 0..plan.rounds.min(IDLE_ROUNDS) {
        let servers = both(place, plan)?;
        let mut values = Vec::new();
        for server in &servers {
            values.push(idle::measure(server, &target(place, server, plan)?, plan)?);
        }
        if let [echo, daemon] = values.as_slice() {
            for (row, (echo, daemon)) in rows.iter_mut().zip(echo.iter().zip(daemon)) {
                row.pair(*echo, *daemon);
            }
        }
    }
    Ok(rows.into())
}

fn curve(place: &Place, plan: &Plan) -> Result<Vec<Row>, Failure> {
    let servers = [place.daemon()?, place.curve_daemon()?];
    let [plain, curve] = &servers;
    let targets = [target(place, plain, plan)?, target(place, curve, plan)?];
    let mut ping = Row::new("zcmd ping, start to exit", "ms");
    let mut rows = alternate(plan, targets.each_ref(), || {
        let mut times = [Vec::new(), Vec::new()];
        for _ in 0..STARTS {
            plan.check()?;
            for (times, server) in times.iter_mut().zip(&servers) {
                times.push(run(&mut place.zcmd(server, &["ping"]))?);
            }
        }
        let [plain, curve] = times.map(median_ms);
        ping.pair(plain, curve);
        Ok(())
    })?;
    rows.push(ping);
    Ok(rows)
}

/// An echo server, and a daemon that gives the same reply.
fn both(place: &Place, plan: &Plan) -> Result<[Server; 2], Failure> {
    let daemon = place.daemon()?;
    let reply = target(place, &daemon, plan)?.reply;
    Ok([Server::echo("tcp", &reply)?, daemon])
}

fn target<'a>(place: &Place, server: &Server, plan: &'a Plan) -> Result<Target<'a>, Failure> {
    Target::open(&server.servers, &place.token, Some(server.pid()), plan)
}

/// The time of a program from start to exit.
fn run(command: &mut Command) -> Result<Duration, Failure> {
    let name = command.get_program().display().to_string();
    let begin = Instant::now();
    let status = command.status().map_err(failed(&name))?;
    let took = begin.elapsed();
    match status.success() {
        true => Ok(took),
        false => Err(Failure::refused(format!("{name}: {status}"))),
    }
}

fn median_ms(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times.get(times.len() / 2).map_or(0.0, |time| time.as_secs_f64() * 1e3)
}
