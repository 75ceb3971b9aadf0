//! Every bound of the system in one place: value, unit, reason.
//!
//! Promises: no queue, table, buffer or loop elsewhere grows past a name of this file, and the
//! relations between the bounds are checked when the crate is compiled.
//! Leaves out: what the owner of a host may choose. Those defaults are in `service::settings`,
//! and their ranges are here where another bound depends on them.

// ---- the wire -------------------------------------------------------------------------------

/// Bytes of one message, all frames together. The largest honest request is 128 KiB of `stdin`,
/// which JSON may spell with two bytes for one.
pub const MESSAGE_BYTES_MAX: usize = 256 * 1024;
/// Frames of one message: the peer's own routing id, six hops of proxies at the most, the body.
pub const MESSAGE_FRAMES_MAX: usize = 8;
/// Frames of one message that are read and dropped before the rest is left to later turns: an
/// endless message must not hold the loop.
pub const DROPPED_FRAMES_PER_TURN_MAX: usize = 1024;
/// Depth of nested arrays and objects in any JSON that is read. A request needs 2, the commands
/// file 4, a token's claims rarely 3.
pub const JSON_DEPTH_MAX: usize = 16;
/// Bytes of a request's `id` when it is a string: room for a UUID with a prefix.
pub const ID_BYTES_MAX: usize = 64;
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
/// Lines of the list of revoked tokens.
pub const REVOKED_TOKENS_MAX: usize = 100_000;
/// Seconds since 1970 of the last second of the year 9999, the last that RFC 3339 can write.
pub const UNIX_SECONDS_MAX: u64 = 253_402_300_799;
/// Seconds by which the clocks of issuer and daemon may differ, at most.
pub const LEEWAY_SECONDS_MAX: u64 = 300;

// ---- callers --------------------------------------------------------------------------------

/// Subjects with a debt in the limiter: 16 Ki entries of some 100 bytes.
pub const SUBJECTS_MAX: usize = 16 * 1024;
/// Addresses with a debt in the table of failures.
pub const ADDRESSES_MAX: usize = 4096;
/// Log lines a minute that the failures of one address may cause.
pub const FAILURE_LINES_PER_MINUTE: u32 = 10;
/// Log lines a minute that the failures of all addresses together may cause.
pub const FAILURE_LINES_PER_MINUTE_ALL: u32 = 120;

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

/// Bytes of the commands file.
pub const COMMANDS_FILE_BYTES_MAX: usize = 1024 * 1024;
/// Commands that may be declared.
pub const COMMANDS_MAX: usize = 1024;
/// Commands that may run at the same time: three descriptors and two buffers each.
pub const CONCURRENT_COMMANDS_MAX: usize = 256;
/// Commands that may wait.
pub const QUEUED_COMMANDS_MAX: usize = 4096;
/// Bytes that are kept of one stream of one command, at most.
pub const OUTPUT_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Bytes read from one pipe in one turn: what a pipe holds.
pub const PIPE_BYTES_PER_TURN: usize = 64 * 1024;
/// Bytes drained from one pipe after its command has ended: the largest that Linux lets an
/// ordinary process make a pipe, so all that the command left there.
pub const DRAIN_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of the launcher's report of a failure.
pub const LAUNCH_REPORT_BYTES_MAX: usize = 1024;
/// Seconds that a command may run, at most: a day.
pub const COMMAND_SECONDS_MAX: u64 = 86_400;
/// Seconds between SIGTERM and SIGKILL, at most.
pub const GRACE_SECONDS_MAX: u64 = 300;

// ---- the loop -------------------------------------------------------------------------------

/// Messages taken from the socket in one turn, so that children and deadlines get theirs.
pub const MESSAGES_PER_TURN: usize = 64;
/// Messages that libzmq holds for one peer in each direction.
pub const PEER_MESSAGES_MAX: i32 = 100;
/// Endpoints that one daemon listens on.
pub const ENDPOINTS_MAX: usize = 8;
/// Bytes of one line in the log.
pub const LOG_LINE_BYTES_MAX: usize = 16 * 1024;
/// Bytes of a file with keys, a token or revocations.
pub const SECRET_FILE_BYTES_MAX: usize = 64 * 1024;

const _: () = {
    assert!(STDIN_BYTES_MAX + TOKEN_BYTES_MAX + PARAMETER_BYTES_MAX < MESSAGE_BYTES_MAX);
    assert!(EXPRESSION_BYTES_MAX + TOKEN_BYTES_MAX < MESSAGE_BYTES_MAX);
    assert!(PIPE_BYTES_PER_TURN <= DRAIN_BYTES_MAX);
    assert!(ECHO_BYTES_MAX < EXPRESSION_BYTES_MAX);
    assert!(KEY_BYTES_MIN <= KEY_BYTES_MAX && KEYS_MAX * KEY_BYTES_MAX < SECRET_FILE_BYTES_MAX);
    assert!(TOKEN_BYTES_MAX < SECRET_FILE_BYTES_MAX);
};
