//! The diagnostic codes of policy and connections. `cutover explain` knows each.

use cutover_engine::{Failure, FailureCase};

/// A diagnostic code, `CUT32xx`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Code(&'static str);

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        impl Code {
            $($(#[$doc])* pub const $name: Self = Self($text);)*

            /// Every code of these rooms, in order.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];
        }
    };
}

codes! {
    /// A request's path is not in a form that has one meaning only.
    PATH = "CUT3201";
    /// A method that no connection takes.
    METHOD = "CUT3202";
    /// No route of the plugin's manifest fits the request.
    NO_ROUTE = "CUT3203";
    /// A read of an `http` connection that is neither GET, HEAD nor LIST, and that the operator did not name.
    UNNAMED_READ = "CUT3204";
    /// A request of a class that this hook may not send.
    WRONG_HOOK = "CUT3205";
    /// A write of an object outside the change's subject.
    OUTSIDE_SUBJECT = "CUT3206";
    /// A write of an object that this change's capture did not read.
    NOT_CAPTURED = "CUT3207";
    /// A header that belongs to the host, or that is malformed.
    HEADER = "CUT3208";
    /// A hook call sent too many requests or bytes.
    BUDGET = "CUT3209";
    /// The connection's kind has no such request.
    NOT_OF_KIND = "CUT3210";
    /// A route of the manifest, or a read named by the operator, is malformed or does not fit the connection.
    BAD_ROUTE = "CUT3211";
    /// A credential cannot be read from its source.
    CREDENTIAL = "CUT3220";
    /// A connection's declaration is wrong.
    DECLARATION = "CUT3221";
    /// The file that lists a set's members is wrong.
    MEMBERS = "CUT3222";
    /// An address that is never dialled: link-local, metadata, multicast, unspecified.
    ADDRESS = "CUT3230";
    /// A server that cannot be reached.
    UNREACHABLE = "CUT3231";
    /// TLS could not be set up: the server's certificate or protocol was not accepted.
    TLS = "CUT3232";
    /// The server ended the TLS session with an alert: it refused this client.
    TLS_REFUSED = "CUT3233";
    /// Plain http to something that is not loopback.
    PLAIN_HTTP = "CUT3234";
    /// A request that cannot be written as the connection's kind needs it.
    REQUEST = "CUT3235";
    /// Something in a folder that is no regular file or folder, such as a symbolic link.
    NOT_A_FILE = "CUT3240";
    /// A file over the size limit.
    FILE_SIZE = "CUT3241";
    /// A file that cannot be decrypted or encrypted with the connection's keys.
    FILE_KEY = "CUT3242";
    /// A file or folder that cannot be read or written.
    FILE_SYSTEM = "CUT3243";
    /// The backend asked to wait longer than one hook call may.
    RATE = "CUT3250";
    /// A path of Vault or OpenBao whose mount is not there, or which the token may not see.
    MOUNT = "CUT3260";
    /// Vault or OpenBao is in a state in which it does not work: sealed, not initialised, cut off.
    SERVER_STATE = "CUT3261";
    /// A login at Vault or OpenBao was refused.
    LOGIN = "CUT3262";
    /// A redirect to an authority outside the operator's grant.
    REDIRECT = "CUT3263";
}

impl Code {
    /// The code's text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.0
    }

    /// A failure with this code.
    #[must_use]
    pub fn failure(self, case: FailureCase, text: impl Into<String>) -> Failure {
        Failure { case, code: Some(self.0.to_owned()), text: text.into() }
    }

    /// The host's refusal of something the plugin has no right to.
    #[must_use]
    pub fn refused(self, text: impl Into<String>) -> Failure {
        self.failure(FailureCase::Refused, text)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_code_is_used_twice() {
        let codes: BTreeSet<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(codes.len(), Code::ALL.len());
        assert!(codes.iter().all(|code| code.len() == 7 && code.starts_with("CUT32")));
    }
}
