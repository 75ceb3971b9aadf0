//! Every bound of the system in one place: value, unit, reason.
//!
//! Promises: no queue, table, buffer or loop elsewhere grows past a name of this file, and the
//! relations between the bounds are checked when the crate is compiled.
//! Leaves out: what the owner of a host may choose. Those defaults are in
//! `service::settings`, and their ranges are here where another bound depends on them.

// ---- the wire -------------------------------------------------------------------------------

/// Bytes of one message, all frames together. The largest honest request is 128 KiB of `stdin`,
/// which JSON may spell with two bytes for one.
pub const MESSAGE_BYTES_MAX: usize = 256 * 1024;
/// Bytes over which libzmq drops the connection, of all frames of a message together, each with 64
/// more for its descriptor: a message that is a little too large still gets an answer that says so.
pub const FRAME_BYTES_MAX: i64 = 272 * 1024;
/// Milliseconds from the first byte of a message that has not come whole to its last one: 256 KiB
/// over the slowest line that is of use, 32 KiB/s.
pub const MESSAGE_MS_MAX: i32 = 8000;
/// Frames of one message: the peer's own routing id, six hops of proxies at the most, the body.
pub const MESSAGE_FRAMES_MAX: usize = 8;
/// Bytes of one frame before the body: the longest routing id (RFC 23/ZMTP).
pub const ENVELOPE_FRAME_BYTES_MAX: usize = 255;
/// KiB that all peers together may have sent and the daemon not read yet, beside one message and
/// 8 KiB for each of them; in libzmq. A peer may hold half of what is left.
pub const INCOMING_KIB_MAX: i32 = 6 * 1024;
/// Connections at the same time, unless the owner says otherwise: with 25 KiB for each one, and
/// what may wait for and from all of them, less than 64 MiB.
pub const CONNECTIONS_DEFAULT: u64 = 1024;
/// Connections that an owner may allow: as many descriptors as Linux lets a process have at most.
pub const CONNECTIONS_MAX: u64 = 1024 * 1024;
/// Descriptors of the daemon itself: log, signals, sockets of libzmq, endpoints, and files read.
pub const OWN_DESCRIPTORS: usize = 48;
/// Descriptors of one running command.
pub const COMMAND_DESCRIPTORS: usize = 5;
/// Frames of one message that are read and dropped before the rest is left to later turns: an
/// endless message must not hold the loop.
pub const DROPPED_FRAMES_PER_TURN_MAX: usize = 1024;
/// Depth of nested arrays and objects in any JSON that is read. A request needs 3, the commands
/// file 4, a token's claims rarely 3.
pub const JSON_DEPTH_MAX: usize = 16;
/// Bytes of a request's `id` when it is a string: room for a UUID with a prefix.
pub const ID_BYTES_MAX: usize = 64;
/// Elements of an array, or members of an object: those of the largest commands file. What has
/// more is refused there, before the rest is read.
pub const JSON_ELEMENTS_MAX: usize = COMMANDS_MAX;
/// Bytes of a `command_name`, and of a parameter's name.
pub const NAME_BYTES_MAX: usize = 64;
/// Parameters in one request, repeated ones included.
pub const PARAMETERS_MAX: usize = 64;
/// Bytes of one parameter. Linux takes 128 KiB for one argument; no name or address is so long.
pub const PARAMETER_BYTES_MAX: usize = 4096;
/// Bytes of `stdin` in one request.
pub const STDIN_BYTES_MAX: usize = 128 * 1024;
/// Bytes of a peer's text that an error message repeats, before escaping.
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
/// Keys that hold at the same time: enough to rotate, few enough to try each.
pub const KEYS_MAX: usize = 4;
/// Bytes of the list of revoked tokens: a hundred thousand names of 80 bytes.
pub const REVOKED_FILE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Lines of the list of revoked tokens.
pub const REVOKED_TOKENS_MAX: usize = 100_000;
/// Seconds since 1970 of the last second of the year 9999, the last that RFC 3339 can write.
pub const UNIX_SECONDS_MAX: u64 = 253_402_300_799;
/// Time since 1970 before which no clock that is set can stand: 2025-06-26, the day of Rust 1.88,
/// which this program needs. A host without a battery begins in 1970, when no token has expired.
pub const CLOCK_MIN: std::time::Duration = std::time::Duration::from_secs(1_750_896_000);
/// Seconds by which the clocks of issuer and daemon may differ, at most.
pub const LEEWAY_SECONDS_MAX: u64 = 300;

/// Roles: some for each kind of work, and not one for each person.
pub const ROLES_MAX: usize = 256;
/// Bytes of the file with the roles: each with a thousand words is no role any more.
pub const ROLES_FILE_BYTES_MAX: usize = 256 * 1024;
/// Minutes that a token may hold without a word of its own that it is meant: a year.
pub const TOKEN_MINUTES_MAX: u64 = 525_600;

/// Tokens whose signature is remembered.
pub const OPENED_TOKENS_MAX: usize = 256;
/// Bytes of a token that is remembered: with the claims, all of them take at most 1 MiB.
pub const OPENED_TOKEN_BYTES_MAX: usize = 1024;

// ---- callers --------------------------------------------------------------------------------

/// Subjects with a debt in the limiter: 16 Ki entries of some 100 bytes.
pub const SUBJECTS_MAX: usize = 16 * 1024;
/// Addresses with a debt in the table of failures.
pub const ADDRESSES_MAX: usize = 4096;
/// Log lines a minute that the failures of one address may cause.
pub const FAILURE_LINES_PER_MINUTE: u32 = 10;
/// Log lines a minute that the failures of all addresses together may cause.
pub const FAILURE_LINES_PER_MINUTE_ALL: u32 = 120;

/// CURVE keys that are let in.
pub const CLIENTS_MAX: usize = 10_000;
/// Bytes of the list of those keys: as many lines of 200 bytes.
pub const CLIENTS_FILE_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Log lines a minute that handshakes of one address may cause which end outside the door.
pub const HANDSHAKE_LINES_PER_MINUTE: u32 = 1;
/// Handshakes a minute that one address of the network may complete: a client in a loop makes 50 a
/// second, and each costs the daemon a millisecond.
pub const HANDSHAKES_PER_MINUTE: u32 = 6000;
/// Handshakes that it may complete at once.
pub const HANDSHAKE_BURST: u32 = 1000;
/// Handshakes a minute of this host, over loopback and `ipc`: as many as it can make, so that a
/// script in a loop is not stopped, and one that runs wild leaves time for others.
pub const LOCAL_HANDSHAKES_PER_MINUTE: u32 = 60_000;
/// Handshakes of this host at once.
pub const LOCAL_HANDSHAKE_BURST: u32 = 10_000;

// ---- maths ----------------------------------------------------------------------------------

/// Bytes of an expression.
pub const EXPRESSION_BYTES_MAX: usize = 4096;
/// Nested parentheses and calls in an expression: 64 levels fit a stack of 64 KiB.
pub const EXPRESSION_DEPTH_MAX: usize = 64;
/// What one expression may cost beyond its bytes, in units of about a nanosecond of a server's
/// core: 480 calls of functions, which is more than an honest 4 KiB hold.
pub const EXPRESSION_WORK_MAX: u32 = 48_000;
/// Variables of a request.
pub const VARIABLES_MAX: usize = 16;

// ---- commands -------------------------------------------------------------------------------

/// Entries of a directory of commands files: one for each program that brings its own.
pub const COMMANDS_FILES_MAX: usize = 256;
/// Bytes of the commands file, or of all files of a directory together.
pub const COMMANDS_FILE_BYTES_MAX: usize = 1024 * 1024;
/// Errors of the commands files that are told at once: what a person reads.
pub const COMMANDS_FAULTS_MAX: usize = 100;
/// Commands that may be declared.
pub const COMMANDS_MAX: usize = 1024;
/// Bytes of a name in a directory (NAME_MAX of Linux).
pub const ENTRY_BYTES_MAX: usize = 255;
/// Bytes of a pattern: longer ones cannot be read by people.
pub const PATTERN_BYTES_MAX: usize = 256;
/// Bytes of a compiled pattern: with the longest value, it takes the loop some milliseconds.
pub const PATTERN_SIZE_MAX: usize = 32 * 1024;
/// Commands that may run at the same time: five descriptors and two buffers each.
pub const CONCURRENT_COMMANDS_MAX: usize = 256;
/// Commands that may wait.
pub const QUEUED_COMMANDS_MAX: usize = 4096;
/// Bytes that are kept of one stream of one command, at most.
pub const OUTPUT_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Bytes read from one pipe in one turn: what a pipe holds.
pub const PIPE_BYTES_PER_TURN: usize = 64 * 1024;
/// The same where the output is passed on as it comes: a peer that does not read may hold
/// `PEER_MESSAGES_MAX` such pieces.
pub const STREAM_BYTES_PER_TURN: usize = 8 * 1024;
/// Bytes drained from one pipe after its command has ended: the largest that Linux lets an
/// ordinary process make a pipe, so all that the command left there.
pub const DRAIN_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of what waits for one peer that does not read, beyond which no piece of a stream joins it.
pub const OUTBOX_BYTES_PER_PEER_MAX: usize = 2 * 1024 * 1024;
/// Bytes of replies that wait for a peer whose last request had no token that holds: some errors.
pub const OUTBOX_BYTES_PER_STRANGER_MAX: usize = 4096;
/// Bytes of replies that wait for all such peers together.
pub const OUTBOX_BYTES_OF_STRANGERS_MAX: usize = 256 * 1024;
/// Bytes of replies that wait for all peers together, beside three of the largest; and as much in
/// libzmq.
pub const OUTBOX_BYTES_MIN: usize = 2 * 1024 * 1024;
/// What a waiting reply costs beside its bytes: its place here, and the blocks of its parts.
pub const OUTBOX_REPLY_COST: usize = 512;
/// What a frame costs in libzmq beside its bytes, as its `budget.hpp` has it.
pub const FRAME_COST: usize = 128;
/// Bytes to which JSON may make a text grow that would be shorter in base64: a reader of JSON
/// alone is spared base64 where it saves nothing.
pub const ESCAPED_BYTES_MAX: usize = 4096;
/// Processes that one command may have started and that are signalled in one go.
pub const TREE_PROCESSES_MAX: usize = 4096;
/// Time after which an environment that could not be read is read again: `exec` takes less, also
/// of a large program from a slow disk.
pub const LOOK_AGAIN: std::time::Duration = std::time::Duration::from_millis(50);
/// Lists of orphans in one look: two, if one of them had ended; more, if they fork faster than they
/// are looked at.
pub const LISTS_PER_LOOK: usize = 4;
/// Looks at all processes for those that an earlier run of the daemon has left: what they start
/// while they are being killed is found by the next look.
pub const SWEEPS_MAX: usize = 8;
/// Bytes of a process's environment in which its mark is looked for. One whose mark is behind more
/// than that is taken for one without.
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

/// Descriptors of commands that are looked after in one turn: at most 4 MiB of output.
pub const READY_PER_TURN: usize = 64;
/// Panics in a row, of what is due in a turn, after which the daemon ends: one that is not caused
/// by a request, but by a state, comes back in each turn.
pub const PANICS_MAX: usize = 16;
/// Commands that are started in one turn: a start takes the loop some 0.7 ms, and requests for
/// maths wait for no more than four of them.
pub const STARTS_PER_TURN: usize = 4;
/// Messages taken from the socket in one turn, so that their replies leave while the next are on
/// their way: with 64 a client that has 64 in flight and the daemon would wait in turns.
pub const MESSAGES_PER_TURN: usize = 16;
/// Milliseconds that a handshake may take.
pub const HANDSHAKE_MS_MAX: i32 = 3000;
/// Seconds without a word after which a peer's host is asked for a sign of life, seconds between
/// two such questions, and how many may stay unanswered.
pub const KEEPALIVE: [i32; 3] = [15, 10, 3];
/// Milliseconds that replies have to leave when the daemon ends.
pub const LINGER_MS: i32 = 1000;
/// Bytes of messages taken from the socket in one turn: four of the largest.
pub const MESSAGE_BYTES_PER_TURN: usize = 4 * MESSAGE_BYTES_MAX;
/// Turns that are spent on messages alone before children and signals are looked for again: some
/// 500 messages, or 3 ms.
pub const TURNS_WITHOUT_WAIT: usize = 32;
/// Turns that are spent on messages which came before the daemon ended.
pub const FAREWELL_TURNS: usize = 64;
/// Silence after which no request is on its way any more, when the daemon ends: a peer's process
/// that a busy machine has put aside is back within it.
pub const FAREWELL_SILENCE: std::time::Duration = std::time::Duration::from_millis(100);
/// Time that is spent on peers who have not taken their replies when the daemon ends.
pub const FAREWELL: std::time::Duration = std::time::Duration::from_secs(1);
/// Time after SIGKILL in which everything has ended that can end, when the daemon ends: what is
/// left waits for a device.
pub const AFTER_KILL: std::time::Duration = std::time::Duration::from_secs(5);
/// Bytes of address space that a command may be held to, at least: less than that, and no program
/// starts.
pub const MEMORY_BYTES_MIN: u64 = 1024 * 1024;
/// Messages that libzmq holds for one peer in each direction. It learns what the peer has taken in
/// steps of half of that, so an honest window is at most half as wide.
pub const PEER_MESSAGES_MAX: i32 = 256;
/// Endpoints that one daemon listens on.
pub const ENDPOINTS_MAX: usize = 8;
/// Bytes of one line in the log: five fields of any length, of which JSON may make six bytes for
/// one.
pub const LOG_LINE_BYTES_MAX: usize = 64 * 1024;
/// Bytes of one field in the log; longer ones are cut, and say so.
pub const LOG_FIELD_BYTES_MAX: usize = 2 * 1024;
/// Bytes of lines that a full disk or a stuck reader has not taken yet.
pub const LOG_WAITING_BYTES_MAX: usize = 128 * 1024;
/// Symbolic links on the way to a file that the daemon trusts: as many as Linux follows.
pub const LINKS_MAX: usize = 40;
/// Bytes of a file with keys, a token or revocations.
pub const SECRET_FILE_BYTES_MAX: usize = 64 * 1024;

// ---- the client -----------------------------------------------------------------------------

/// Servers that one client tries.
pub const SERVERS_MAX: usize = 8;
/// Seconds that a client waits in all, unless it is told otherwise.
pub const TIMEOUT_SECONDS: u64 = 60;
/// Seconds that a client may be told to wait: the longest command, and as long in a queue.
pub const TIMEOUT_SECONDS_MAX: u64 = 2 * COMMAND_SECONDS_MAX;
/// Seconds for one server to take a connection before the next is tried: a lost SYN is repeated
/// after 1, 3 and 7 seconds.
pub const CONNECT_SECONDS: u64 = 10;
/// Milliseconds for the ZMTP handshake: a port that takes connections and says nothing is no
/// daemon.
pub const HANDSHAKE_MILLISECONDS: i32 = 3000;
/// Seconds without traffic after which TCP asks whether the daemon's host is still there, and
/// between two such questions.
pub const KEEPALIVE_SECONDS: i32 = 5;
/// Such questions without an answer after which it is not.
pub const KEEPALIVES_MAX: i32 = 3;
/// Milliseconds that a client which ends leaves to what it still has to send: a `cancel`.
pub const LINGER_MILLISECONDS: i32 = 500;
/// Seconds that a person has to confirm a command, before a forgotten terminal is taken for a no.
pub const CONFIRM_SECONDS: u64 = 600;
/// Seconds from a `cancel` to the last reply: the grace of 2 seconds, and some for the way.
pub const CANCEL_SECONDS: u64 = 5;
/// Bytes of any other reply: the list of all commands that fit a commands file, whose text is less
/// than twice as long in it.
pub const SHORT_REPLY_BYTES_MAX: usize = 4 * COMMANDS_FILE_BYTES_MAX;
/// Bytes of the reply to an expression: a number, or an error that repeats some of it.
pub const VALUE_REPLY_BYTES_MAX: usize = MESSAGE_BYTES_MAX;
/// Bytes of replies that libzmq holds for a client, as long as each has the size that it may have.
/// One reply is taken whatever its size.
pub const RECEIVED_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Bytes of one reply: two streams at their cap, in base64, and the rest.
pub const REPLY_BYTES_MAX: usize = 8 * OUTPUT_BYTES_MAX / 3 + MESSAGE_BYTES_MAX;
/// Bytes of one write to standard output: what a pipe that has room takes without blocking.
pub const WRITE_BYTES_MAX: usize = 4096;
/// Bytes of one line of standard input: an expression, or a row of numbers.
pub const LINE_BYTES_MAX: usize = EXPRESSION_BYTES_MAX;
/// Bytes of one read from standard input.
pub const READ_BYTES_MAX: usize = 64 * 1024;
/// Requests of a batch that are asked and not yet printed: enough to hide a round trip. libzmq
/// counts what a peer has taken in steps of half of what it holds for it; with no more than the
/// other half in flight, no reply ever has to wait for room.
pub const BATCH_REQUESTS_MAX: usize = PEER_MESSAGES_MAX as usize / 2;
/// Refusals with a time to wait that a batch takes in a row: one for each request in flight, and
/// then one for each try; an honest daemon says how long to wait, and lets the next one pass.
pub const RETRIES_MAX: usize = 8 * BATCH_REQUESTS_MAX;
/// Milliseconds between two looks of the progress line.
pub const PROGRESS_MILLISECONDS: u64 = 200;
/// Characters of one line on standard error, some screens full; a longer one is cut.
pub const SHOWN_CHARACTERS_MAX: usize = 8 * 1024;
/// Characters of an expression that are shown on each side of a fault.
pub const CARET_CHARACTERS_MAX: usize = 60;

const _: () = {
    assert!((MESSAGE_BYTES_MAX + 64 * MESSAGE_FRAMES_MAX) < FRAME_BYTES_MAX as usize);
    assert!(BATCH_REQUESTS_MAX < PEER_MESSAGES_MAX as usize);
    assert!(RECEIVED_BYTES_MAX / VALUE_REPLY_BYTES_MAX >= PEER_MESSAGES_MAX as usize);
    assert!(LINE_BYTES_MAX <= READ_BYTES_MAX);
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
