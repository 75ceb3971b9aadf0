//! What a command costs over the wire, beside a plain fork and exec of the same, in one run:
//!
//!     scripts/spawn-cost [ROUNDS]
//!
//! A daemon of its own is asked for `/bin/true`, in turn with starting `/bin/true` from here. Both
//! medians, and their difference, are printed.

use std::error::Error;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use zcmd::protocol::token::{Claims, Keys};

const KEY: &str = "0123456789abcdefghijklmnopqrstuvwxyz";
const COMMANDS: &str = r#"{"true": {"run": ["/bin/true"]}}"#;

fn main() -> Result<(), Box<dyn Error>> {
    let rounds: usize = std::env::args().nth(1).map_or(Ok(500), |text| text.parse())?;
    let folder = std::env::temp_dir().join(format!("zcmd-spawn-cost-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join("commands.json"), COMMANDS)?;
    let endpoint = format!("ipc://{}/socket", folder.display());
    let programs = std::env::current_exe()?;
    let programs = programs.ancestors().nth(2).ok_or("where am I?")?;
    let mut daemon = Command::new(programs.join("zcmdd"))
        .env_clear()
        .env("JWT_SECRET_KEY", KEY)
        .env("COMMANDS_FILE", folder.join("commands.json"))
        .env("SERVER_ADDRESS", &endpoint)
        .env("MAX_REQUESTS_PER_MINUTE", "0")
        .env("LOG_LEVEL", "error")
        .stdin(Stdio::null())
        .spawn()?;
    let measured = measure(&endpoint, rounds);
    daemon.kill()?;
    daemon.wait()?;
    std::fs::remove_dir_all(&folder)?;
    let [plain, wire] = measured?.map(median);
    println!("plain fork and exec of /bin/true  {:>8.3} ms", plain.as_secs_f64() * 1e3);
    println!("the same over the wire            {:>8.3} ms", wire.as_secs_f64() * 1e3);
    println!(
        "on top (medians of {rounds} rounds)     {:>8.3} ms",
        (wire.saturating_sub(plain)).as_secs_f64() * 1e3
    );
    Ok(())
}

/// Times of the plain start and of the one over the wire, in turn.
fn measure(endpoint: &str, rounds: usize) -> Result<[Vec<Duration>; 2], Box<dyn Error>> {
    let claims = Claims {
        subject: "spawn-cost".to_owned(),
        scope: Some("os:*".to_owned()),
        expires: 253_402_300_799.0,
        ..Claims::default()
    };
    let token = Keys::parse(KEY)?.sign(&claims);
    let request = format!(r#"{{"command_type":"os","command_name":"true","token":"{token}"}}"#);
    let socket = zmq::Context::new().socket(zmq::DEALER)?;
    socket.set_linger(0)?;
    socket.set_rcvtimeo(10_000)?;
    socket.connect(endpoint)?;
    let mut times = [Vec::new(), Vec::new()];
    for round in 0..rounds + 10 {
        let begin = Instant::now();
        Command::new("/bin/true").stdin(Stdio::null()).status()?;
        let between = Instant::now();
        socket.send(&request, 0)?;
        let reply = socket.recv_bytes(0)?;
        let end = Instant::now();
        if !reply.windows(13).any(|window| window == b"\"exit_code\":0") {
            return Err(String::from_utf8_lossy(&reply).into());
        }
        // The first rounds fill caches.
        if round >= 10 {
            times[0].push(between - begin);
            times[1].push(end - between);
        }
    }
    Ok(times)
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
