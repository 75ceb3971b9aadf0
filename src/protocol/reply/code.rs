//! The codes of errors.
//!
//! Promises: a name that is here stays: callers compare it. Leaves out: which error gets which
//! code, which `service::refusal` says, and the exit statuses, which `client::status` says.

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
    /// Not a request.
    Malformed = "malformed",
    /// Over a limit of size.
    TooLarge = "too_large",
    /// No token, or one that does not hold now.
    Unauthorized = "unauthorized",
    /// The token holds, and does not reach this operation.
    Forbidden = "forbidden",
    /// No such command.
    UnknownCommand = "unknown_command",
    /// A parameter breaks its rule.
    BadParameter = "bad_parameter",
    /// An expression without a value.
    BadExpression = "bad_expression",
    /// Too many requests of this caller.
    RateLimited = "rate_limited",
    /// Too many commands.
    Busy = "busy",
    /// Ended at its time limit.
    TimedOut = "timed_out",
    /// Ended on demand.
    Cancelled = "cancelled",
    /// Nothing to cancel.
    NotFound = "not_found",
    /// The program could not be started.
    NotStarted = "not_started",
    /// The daemon drains.
    ShuttingDown = "shutting_down",
    /// A fault of the daemon.
    Internal = "internal",
}
