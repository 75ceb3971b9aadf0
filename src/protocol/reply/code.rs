//! The codes of errors.
//!
//! Promises: a name, once released, does not change: callers compare it. Leaves out: which error
//! has which code, which is in `service::refusal`, and the exit statuses, which are in
//! `client::status`.

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// The kinds of errors.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Code { $($(#[$doc])* $variant,)* }

        impl Code {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The name on the wire.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

codes! {
    /// The message is not a request.
    Malformed = "malformed",
    /// The message or a field exceeds a size limit.
    TooLarge = "too_large",
    /// No token, or one that is not valid now.
    Unauthorized = "unauthorized",
    /// The token is valid, but its scope does not include this operation.
    Forbidden = "forbidden",
    /// No such command.
    UnknownCommand = "unknown_command",
    /// A parameter breaks its rule.
    BadParameter = "bad_parameter",
    /// An expression has no value.
    BadExpression = "bad_expression",
    /// The caller exceeds its request rate.
    RateLimited = "rate_limited",
    /// No more commands can wait.
    Busy = "busy",
    /// The command was ended at its time limit.
    TimedOut = "timed_out",
    /// The command was cancelled.
    Cancelled = "cancelled",
    /// There is no such command to cancel.
    NotFound = "not_found",
    /// The command asks for a confirmation.
    Unconfirmed = "unconfirmed",
    /// The program could not be started.
    NotStarted = "not_started",
    /// The daemon is shutting down.
    ShuttingDown = "shutting_down",
    /// An internal error of the daemon.
    Internal = "internal",
}
