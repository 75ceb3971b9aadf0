//! Every bound of the system in one place: value, unit, reason.
//!
//! Promises: each queue, table, buffer and loop elsewhere is bounded by a constant of this file,
//! and the relations between the bounds are checked at compile time.
//! Leaves out: what the owner of a host configures. Those defaults are in `service::settings`;
//! their ranges are here where another bound depends on them.

// ---- the wire -------------------------------------------------------------------------------

/// Bytes of one message, all frames together. The largest honest request is 128 KiB of `stdin`,
/// which JSON may spell with two bytes for one.
pub const MESSAGE_BYTES_MAX: usize = 256 * 1024;
/// Bytes of all frames of one message, with 64 for the descriptor of each, beyond which libzmq
/// drops the connection. A message that is slightly too large still gets an error reply.
pub const FRAME_BYTES_MAX: i64 = 272 * 1024;
/// Milliseconds from the first byte of a message to its last: 256 KiB at 32 KiB/s, the slowest link
/// that is supported.
pub const MESSAGE_MS_MAX: i32 = 8000;
/// Frames of one message: the peer's routing id, at most six hops of proxies, and the body.
pub const MESSAGE_FRAMES_MAX: usize = 8;
/// Bytes of one frame before the body: the longest routing id (RFC 23/ZMTP).
pub const ENVELOPE_FRAME_BYTES_MAX: usize = 255;
/// KiB of received messages that libzmq holds for the daemon, for all peers together, beside one
/// message and 8 KiB for each peer. One peer holds at most half of what is left.
pub const INCOMING_KIB_MAX: i32 = 6 * 1024;
/// Default number of concurrent connections: at 25 KiB each, with the queues of all of them, they
/// take less than 64 MiB.
pub const CONNECTIONS_DEFAULT: usize = 1024;
/// Greatest number of connections that a setting allows: the most descriptors that Linux gives a
/// process.
pub const CONNECTIONS_MAX: usize = 1024 * 1024;
/// Descriptors of the daemon itself: log, signals, sockets of libzmq, endpoints, files that are
/// read.
pub const OWN_DESCRIPTORS: usize = 48;
/// Descriptors of one running command.
pub const COMMAND_DESCRIPTORS: usize = 5;
/// Frames of one oversized message that are dropped in one turn; the rest follows in later turns,
/// so that an endless message does not hold the loop.
pub const DROPPED_FRAMES_PER_TURN_MAX: usize = 1024;
/// Depth of nested arrays and objects in any JSON that is read. A request needs 3, the commands
/// file 4, a token's claims rarely 3.
pub const JSON_DEPTH_MAX: usize = 16;
/// Bytes of a request's `id` when it is a string: room for a UUID with a prefix.
pub const ID_BYTES_MAX: usize = 64;
/// Elements of an array, or members of an object: as many as the largest commands file has. The
/// rest of a longer one is not read.
pub const JSON_ELEMENTS_MAX: usize = COMMANDS_MAX;
/// Bytes of a `command_name`, and of a parameter's name.
pub const NAME_BYTES_MAX: usize = 64;
/// Parameters in one request, repeated ones included.
pub const PARAMETERS_MAX: usize = 64;
/// Bytes of one parameter. Linux takes 128 KiB for one argument; names and addresses are shorter
/// than this.
pub const PARAMETER_BYTES_MAX: usize = 4096;
/// Bytes of `stdin` in one request.
pub const STDIN_BYTES_MAX: usize = 128 * 1024;
/// Bytes of a peer's text that an error message quotes, before escaping.
pub const ECHO_BYTES_MAX: usize = 32;

// ---- tokens ---------------------------------------------------------------------------------

/// Bytes of a token (RFC 7519 sets no limit; HTTP servers take headers of 8 KiB).
pub const TOKEN_BYTES_MAX: usize = 8192;
/// Bytes of `sub`.
pub const SUBJECT_BYTES_MAX: usize = 255;
/// Bytes of an HMAC key, at least: the size of the hash (RFC 7518, 3.2).
pub const KEY_BYTES_MIN: usize = 32;
/// Bytes of an HMAC key, at most.
pub const KEY_BYTES_MAX: usize = 1024;
/// Keys that are valid at the same time: enough to rotate, few enough to try each.
pub const KEYS_MAX: usize = 4;
/// Bytes of the list of revoked tokens: 100,000 lines of 80 bytes.
pub const REVOKED_FILE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Lines of the list of revoked tokens.
pub const REVOKED_TOKENS_MAX: usize = 100_000;
/// Seconds since 1970 of the last second of the year 9999, the last that RFC 3339 can write.
pub const UNIX_SECONDS_MAX: u64 = 253_402_300_799;
/// Time since 1970 before which the clock counts as not set: 2025-06-26, the release of Rust 1.88,
/// which this program needs. The clock of a host without a battery starts in 1970, when no token
/// has expired.
pub const CLOCK_MIN: std::time::Duration = std::time::Duration::from_secs(1_750_896_000);
/// Seconds by which the clocks of issuer and daemon may differ, at most.
pub const LEEWAY_SECONDS_MAX: u64 = 300;

/// Roles: some for each kind of work, and not one for each person.
pub const ROLES_MAX: usize = 256;
/// Bytes of the file with the roles: 1 KiB for each role.
pub const ROLES_FILE_BYTES_MAX: usize = 256 * 1024;
/// Greatest lifetime of a token in minutes, unless the owner asks for a longer one: a year.
pub const TOKEN_MINUTES_MAX: u64 = 525_600;

/// Verified tokens that are cached.
pub const OPENED_TOKENS_MAX: usize = 256;
/// Bytes of a token that is cached; the whole cache, with the claims, takes at most 1 MiB.
pub const OPENED_TOKEN_BYTES_MAX: usize = 1024;

// ---- callers --------------------------------------------------------------------------------

/// Subjects whose bucket in the rate limiter is not full: 16 Ki entries of about 100 bytes.
pub const SUBJECTS_MAX: usize = 16 * 1024;
/// Requests that are answered at an interval (`watch`): a few screens of the owners of a host.
pub const WATCHERS_MAX: usize = 8;
/// The same of one subject, so that there is room for another.
pub const WATCHERS_PER_SUBJECT_MAX: usize = 4;
/// Milliseconds from one reply of a `watch` to the next, at least: faster than people read.
pub const WATCH_MS_MIN: u64 = 1000;
/// The same, at most: a day.
pub const WATCH_MS_MAX: u64 = 86_400_000;
/// Jobs of one answer to `jobs`: with the longest names that a token holds, 7 KiB each, they are
/// within `SHORT_REPLY_BYTES_MAX`.
pub const JOBS_LISTED_MAX: usize = 512;
/// Addresses whose budget of log lines is not full.
pub const ADDRESSES_MAX: usize = 4096;
/// Log lines a minute that the failures of one address may cause.
pub const FAILURE_LINES_PER_MINUTE: u32 = 10;
/// Log lines a minute that the failures of all addresses together may cause.
pub const FAILURE_LINES_PER_MINUTE_ALL: u32 = 120;

/// CURVE keys of clients that are admitted.
pub const CLIENTS_MAX: usize = 10_000;
/// Bytes of the list of these keys: 10,000 lines of 200 bytes.
pub const CLIENTS_FILE_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Log lines a minute about failed handshakes of one address.
pub const HANDSHAKE_LINES_PER_MINUTE: u32 = 1;
/// Handshakes a minute of one remote address: a client in a loop makes 50 a second, and each takes
/// a millisecond of the daemon.
pub const HANDSHAKES_PER_MINUTE: u32 = 6000;
/// Burst of handshakes of one remote address.
pub const HANDSHAKE_BURST: u32 = 1000;
/// Handshakes a minute of this host, over loopback and `ipc` together: as many as the host can
/// make, so that a script in a loop is not limited, and a runaway one leaves time for others.
pub const LOCAL_HANDSHAKES_PER_MINUTE: u32 = 60_000;
/// Burst of handshakes of this host.
pub const LOCAL_HANDSHAKE_BURST: u32 = 10_000;

// ---- maths ----------------------------------------------------------------------------------

/// Bytes of an expression.
pub const EXPRESSION_BYTES_MAX: usize = 4096;
/// Nested parentheses and calls in an expression: 64 levels fit a stack of 64 KiB.
pub const EXPRESSION_DEPTH_MAX: usize = 64;
/// Work of one expression beyond reading its bytes, in units of about a nanosecond of a server's
/// core: 480 function calls, more than an ordinary expression of 4 KiB has.
pub const EXPRESSION_WORK_MAX: u32 = 48_000;
/// Variables of a request.
pub const VARIABLES_MAX: usize = 16;

// ---- commands -------------------------------------------------------------------------------

/// Entries of a directory of commands files: one for each program that brings its own.
pub const COMMANDS_FILES_MAX: usize = 256;
/// Bytes of the commands file, or of all files of a directory together.
pub const COMMANDS_FILE_BYTES_MAX: usize = 1024 * 1024;
/// Errors of the commands files that are reported together: as many as a person reads.
pub const COMMANDS_FAULTS_MAX: usize = 100;
/// Commands in the commands file, or in all files of a directory together.
pub const COMMANDS_MAX: usize = 1024;
/// Bytes of a name in a directory (NAME_MAX of Linux).
pub const ENTRY_BYTES_MAX: usize = 255;
/// Bytes of a pattern: people cannot read longer ones.
pub const PATTERN_BYTES_MAX: usize = 256;
/// Bytes of a compiled pattern: with the longest value, a match takes some milliseconds.
pub const PATTERN_SIZE_MAX: usize = 32 * 1024;
/// Commands that run at the same time: five descriptors and two buffers each.
pub const CONCURRENT_COMMANDS_MAX: usize = 256;
/// Commands that wait in the queue.
pub const QUEUED_COMMANDS_MAX: usize = 4096;
/// Bytes of one output stream of a command that are kept, at most.
pub const OUTPUT_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Bytes read from one pipe in one turn: the default size of a pipe.
pub const PIPE_BYTES_PER_TURN: usize = 64 * 1024;
/// The same for a command whose output is streamed: `PEER_MESSAGES_MAX` such pieces may wait for a
/// peer that does not read.
pub const STREAM_BYTES_PER_TURN: usize = 8 * 1024;
/// Bytes read from one pipe after its command has ended: the greatest pipe size that Linux allows
/// an unprivileged process, so all that the command left there.
pub const DRAIN_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of waiting replies of one peer, beyond which no piece of a stream is queued for it.
pub const OUTBOX_BYTES_PER_PEER_MAX: usize = 2 * 1024 * 1024;
/// Bytes of waiting replies of one peer whose last request had no valid token: a few errors.
pub const OUTBOX_BYTES_PER_STRANGER_MAX: usize = 4096;
/// Bytes of waiting replies of all such peers together.
pub const OUTBOX_BYTES_OF_STRANGERS_MAX: usize = 256 * 1024;
/// Waiting replies that are tried again in one turn: a long line delays requests only so much.
pub const RETRIES_PER_TURN: usize = 64;
/// Bytes of waiting replies of all peers together, beside three replies of the greatest size.
/// libzmq holds as much again.
pub const OUTBOX_BYTES_MIN: usize = 2 * 1024 * 1024;
/// Bytes of memory of a waiting reply beside its body: its entry in the queue, and the allocations
/// of its parts.
pub const OUTBOX_REPLY_COST: usize = 512;
/// Bytes of memory of a frame in libzmq beside its content, as in `budget.hpp`.
pub const FRAME_COST: usize = 128;
/// Bytes of JSON up to which output is sent as text even if base64 is shorter: base64 would save
/// little.
pub const ESCAPED_BYTES_MAX: usize = 4096;
/// Processes of one command that are signalled in one pass.
pub const TREE_PROCESSES_MAX: usize = 4096;
/// Time after which an unreadable environment is read again. `exec` takes less, even for a large
/// program on a slow disk.
pub const LOOK_AGAIN: std::time::Duration = std::time::Duration::from_millis(50);
/// Passes over the list of orphans in one scan: two if an orphan ended during the first; more if
/// orphans fork faster than they are scanned.
pub const LISTS_PER_LOOK: usize = 4;
/// Scans of all processes for those that an earlier run of the daemon left: the next scan finds
/// what they start while they are killed.
pub const SWEEPS_MAX: usize = 8;
/// Parameters of a command that are passed in variables: 64 KiB of values at most, so that the mark
/// of the command is found.
pub const PASSED_VARIABLES_MAX: usize = 16;
/// Bytes of a process's environment that are searched for its mark. A mark beyond them is not
/// found.
pub const ENVIRONMENT_BYTES_MAX: usize = 128 * 1024;
/// Bytes of the launcher's report of a failure.
pub const LAUNCH_REPORT_BYTES_MAX: usize = 1024;
/// Bytes of /etc/passwd and /etc/group.
pub const ACCOUNTS_FILE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Seconds that a command may run, at most: a day.
pub const COMMAND_SECONDS_MAX: u64 = 86_400;
/// Seconds between SIGTERM and SIGKILL, at most.
pub const GRACE_SECONDS_MAX: u64 = 300;

// ---- the loop -------------------------------------------------------------------------------

/// Descriptors of commands that are served in one turn: at most 4 MiB of output.
pub const READY_PER_TURN: usize = 64;
/// Consecutive turns with a panic in the handling of timers after which the daemon ends: a panic
/// that a state causes, not a request, repeats in each turn.
pub const PANICS_MAX: usize = 16;
/// Commands that are started in one turn: a start takes about 0.7 ms of the loop, and requests for
/// maths wait for at most four of them.
pub const STARTS_PER_TURN: usize = 4;
/// Least time between two signs of life for the supervisor: a shorter one would keep the loop busy.
pub const WATCHDOG_INTERVAL_MIN: std::time::Duration = std::time::Duration::from_millis(50);
/// Characters of a status for the supervisor: systemd takes datagrams of 4,096 bytes.
pub const STATUS_CHARACTERS_MAX: usize = 1000;
/// Messages received in one turn. With 64, the daemon and a client with 64 requests in flight would
/// wait for each other in turns; with fewer, replies leave while the next requests arrive.
pub const MESSAGES_PER_TURN: usize = 16;
/// Milliseconds of a handshake. A server that accepts a connection and is silent for longer is no
/// daemon.
pub const HANDSHAKE_MS_MAX: i32 = 3000;
/// TCP keepalive: seconds of silence before the first probe, seconds between probes, and probes
/// without an answer before the connection is closed.
pub const KEEPALIVE: [i32; 3] = [15, 10, 3];
/// Milliseconds for libzmq to send queued replies when the daemon ends.
pub const LINGER_MS: i32 = 1000;
/// Bytes of messages received in one turn: four messages of the greatest size.
pub const MESSAGE_BYTES_PER_TURN: usize = 4 * MESSAGE_BYTES_MAX;
/// Consecutive turns that only receive messages, before children and signals are checked again:
/// some 500 messages, or 3 ms.
pub const TURNS_WITHOUT_WAIT: usize = 32;
/// Turns in which the ending daemon still receives requests that were sent before.
pub const LAST_TURNS: usize = 64;
/// Silence after which the ending daemon assumes that no request is in transit: a client's process
/// that a busy machine has not scheduled runs again within it.
pub const LAST_QUIET: std::time::Duration = std::time::Duration::from_millis(100);
/// Time in which the ending daemon waits for peers to take their replies.
pub const LAST_REPLIES: std::time::Duration = std::time::Duration::from_secs(1);
/// Time after SIGKILL in which the ending daemon waits for processes. What is left then is blocked
/// in the kernel, by a device.
pub const AFTER_KILL: std::time::Duration = std::time::Duration::from_secs(5);
/// Least limit on a command's address space, in bytes: with less, no program starts.
pub const MEMORY_BYTES_MIN: u64 = 1024 * 1024;
/// High-water mark of libzmq: messages held for one peer in each direction. A peer acknowledges in
/// steps of half of that, so a client has at most half in flight.
pub const PEER_MESSAGES_MAX: i32 = 256;
/// Endpoints that one daemon listens on.
pub const ENDPOINTS_MAX: usize = 8;
/// Bytes of one line in the log: five fields of the greatest length, of which JSON escapes each
/// byte with up to six.
pub const LOG_LINE_BYTES_MAX: usize = 64 * 1024;
/// Bytes of one field in the log; a longer one is cut and marked as cut.
pub const LOG_FIELD_BYTES_MAX: usize = 2 * 1024;
/// Bytes of log lines that wait while a disk is full or a reader is stuck.
pub const LOG_WAITING_BYTES_MAX: usize = 128 * 1024;
/// Symbolic links in the path of a file that the daemon trusts: as many as Linux follows.
pub const LINKS_MAX: usize = 40;
/// Bytes of a file with keys, a token or revocations.
pub const SECRET_FILE_BYTES_MAX: usize = 64 * 1024;

// ---- the client -----------------------------------------------------------------------------

/// Bytes of a client's configuration file: hundreds of hosts.
pub const CONFIG_FILE_BYTES_MAX: usize = 64 * 1024;
/// Servers that one client tries.
pub const SERVERS_MAX: usize = 8;
/// Default timeout of a client, in seconds, for the whole run.
pub const TIMEOUT_SECONDS: u64 = 60;
/// Greatest timeout of a client, in seconds: the longest command, and as long in the queue.
pub const TIMEOUT_SECONDS_MAX: u64 = 2 * COMMAND_SECONDS_MAX;
/// Seconds to connect to one server before the next is tried: TCP repeats a lost SYN after 1, 3 and
/// 7 seconds.
pub const CONNECT_SECONDS: u64 = 10;
/// TCP keepalive of the client, as `KEEPALIVE`: shorter, since a script waits.
pub const CLIENT_KEEPALIVE: [i32; 3] = [5, 5, 3];
/// Milliseconds for an ending client to send what is queued: a `cancel`.
pub const CLIENT_LINGER_MS: i32 = 500;
/// Seconds that a person has to confirm a command; after them, the answer is no.
pub const CONFIRM_SECONDS: u64 = 600;
/// Seconds from a `cancel` to the last reply: the grace of 2 seconds, and the round trip.
pub const CANCEL_SECONDS: u64 = 5;
/// Bytes of any other reply: a list of all commands of the largest commands file takes less than
/// twice the bytes of the file.
pub const SHORT_REPLY_BYTES_MAX: usize = 4 * COMMANDS_FILE_BYTES_MAX;
/// Bytes of the reply to an expression: a number, or an error that quotes part of the expression.
pub const VALUE_REPLY_BYTES_MAX: usize = MESSAGE_BYTES_MAX;
/// Bytes of replies that libzmq holds for a client, if each has the size that is expected of it.
/// One reply is received whatever its size.
pub const RECEIVED_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Bytes of one reply: two streams of the greatest size in base64, and the rest.
pub const REPLY_BYTES_MAX: usize = 8 * OUTPUT_BYTES_MAX / 3 + MESSAGE_BYTES_MAX;
/// Bytes of a file that one request gets: what a daemon keeps of a command's output by default.
pub const PIECE_BYTES_MAX: u64 = 1024 * 1024;
/// Bytes of a file that one request sums up, where a copy that is there already is compared: some
/// seconds of a slow host.
pub const SUMMED_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Bytes of one write to standard output: a pipe that is ready takes as much without blocking.
pub const WRITE_BYTES_MAX: usize = 4096;
/// Bytes of one line of standard input: an expression, or a row of numbers.
pub const LINE_BYTES_MAX: usize = EXPRESSION_BYTES_MAX;
/// Bytes of one read from standard input.
pub const READ_BYTES_MAX: usize = 64 * 1024;
/// Requests of a batch in flight: enough to hide a round trip. A peer acknowledges in steps of half
/// of `PEER_MESSAGES_MAX`; with at most the other half in flight, no reply waits for room.
pub const BATCH_REQUESTS_MAX: usize = PEER_MESSAGES_MAX as usize / 2;
/// Consecutive refusals with `retry_after_ms` that a batch accepts: one for each request in flight,
/// then one for each retry. A correct daemon names a sufficient time, so the next request passes.
pub const RETRIES_MAX: usize = 8 * BATCH_REQUESTS_MAX;
/// Greatest signal number on Linux.
pub const SIGNALS_MAX: u8 = 64;
/// Hosts of one `zcmd each`: with what is kept of each, 64 MiB.
pub const EACH_HOSTS_MAX: usize = 256;
/// Hosts that are asked at the same time, at most, and unless it is told otherwise: with ten
/// descriptors each, they fit into the 1,024 that Linux gives.
pub const EACH_AT_ONCE_MAX: usize = 64;
/// Bytes of output that are kept of one host.
pub const EACH_OUTPUT_BYTES_MAX: usize = 256 * 1024;
/// Characters of the message about one host, a few lines of a terminal; a longer one is cut.
pub const EACH_MESSAGE_CHARACTERS_MAX: usize = 400;
/// Bytes of a file with names of hosts: as many as may be asked, with long names.
pub const HOSTS_FILE_BYTES_MAX: usize = 64 * 1024;
/// Tries after the first one that `--retry` allows: a thousand seconds, at one second each.
pub const TRIES_MAX: u32 = 1000;
/// Seconds to the next try where no daemon says how long to wait: a daemon starts in less.
pub const RETRY_SECONDS: u64 = 1;
/// Milliseconds between two updates of the progress line.
pub const PROGRESS_MS: u64 = 200;
/// Characters of one line on standard error: a few screens; a longer one is cut.
pub const SHOWN_CHARACTERS_MAX: usize = 8 * 1024;
/// Lines that the menu remembers of each kind: more than a person recalls with the arrow keys.
pub const HISTORY_LINES_MAX: usize = 100;
/// Characters of a question of the menu before the answer: a longer rule has a line of its own.
pub const PROMPT_CHARACTERS_MAX: usize = 60;
/// Characters of an expression that are shown on each side of an error.
pub const CARET_CHARACTERS_MAX: usize = 60;

const _: () = {
    assert!((MESSAGE_BYTES_MAX + 64 * MESSAGE_FRAMES_MAX) < FRAME_BYTES_MAX as usize);
    assert!(JOBS_LISTED_MAX * 7 * 1024 < SHORT_REPLY_BYTES_MAX);
    assert!(BATCH_REQUESTS_MAX < PEER_MESSAGES_MAX as usize);
    assert!(RECEIVED_BYTES_MAX / VALUE_REPLY_BYTES_MAX >= PEER_MESSAGES_MAX as usize);
    assert!(LINE_BYTES_MAX <= READ_BYTES_MAX);
    assert!(4 * PIECE_BYTES_MAX / 3 < SHORT_REPLY_BYTES_MAX as u64);
    assert!(10 * EACH_AT_ONCE_MAX < 1024);
    assert!(STDIN_BYTES_MAX + TOKEN_BYTES_MAX + PARAMETER_BYTES_MAX < MESSAGE_BYTES_MAX);
    assert!(EXPRESSION_BYTES_MAX + TOKEN_BYTES_MAX < MESSAGE_BYTES_MAX);
    assert!(STREAM_BYTES_PER_TURN <= PIPE_BYTES_PER_TURN);
    assert!(PIPE_BYTES_PER_TURN <= DRAIN_BYTES_MAX);
    assert!(ECHO_BYTES_MAX < EXPRESSION_BYTES_MAX);
    assert!(KEY_BYTES_MIN <= KEY_BYTES_MAX && KEYS_MAX * KEY_BYTES_MAX < SECRET_FILE_BYTES_MAX);
    assert!(TOKEN_BYTES_MAX < SECRET_FILE_BYTES_MAX);
    assert!(5 * 6 * LOG_FIELD_BYTES_MAX < LOG_LINE_BYTES_MAX);
    assert!(LOG_LINE_BYTES_MAX < LOG_WAITING_BYTES_MAX);
};
