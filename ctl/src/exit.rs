// Copyright (C) 2026 The Android Open Source Project
//
// Licensed under the Apache License, Version 2.0 (the "License");
// you may not use this file except in compliance with the License.
// You may obtain a copy of the License at
//
//     http://www.apache.org/licenses/LICENSE-2.0
//
// Unless required by applicable law or agreed to in writing, software
// distributed under the License is distributed on an "AS IS" BASIS,
// WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
// See the License for the specific language governing permissions and
// limitations under the License.

//! How guestnetctl ends: the exit codes, one for each class of failure, and how an answer of
//! guestnetd falls into a class. Pure: nothing is printed here.

use android_system_guestnet::aidl::android::system::guestnet::IGuestNet::{
    ERROR_ADDRESS_IN_USE, ERROR_ADDRESS_OUTSIDE_SUBNET, ERROR_BAD_FILE, ERROR_FORWARDING,
    ERROR_GUEST_GONE, ERROR_KERNEL, ERROR_NO_SUCH_GUEST, ERROR_NO_SUCH_PROCESS,
    ERROR_PROCESS_EXITED, ERROR_UNAVAILABLE, ERROR_VERIFY,
};
use binder::{ExceptionCode, Status, StatusCode};
use guestnet_platform::PlatformError;

/// Exit codes, as `--help` and README.md list them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Ok = 0,
    /// None of the classes below.
    Other = 1,
    /// The command line is wrong; clap uses the same number.
    Usage = 2,
    /// The configuration or the target is wrong.
    BadInput = 3,
    /// It collides with what is there, or what it names is not there.
    Conflict = 4,
    /// The system could not do it.
    System = 5,
    /// The caller is not allowed.
    NotAllowed = 6,
    /// guestnetd cannot be reached.
    Unreachable = 7,
    /// This guestnetd does not do that yet.
    Unsupported = 8,
    /// guestnetd's file is wrong.
    BadFile = 9,
    /// Attached, but there is no uplink.
    NoUplink = 10,
    /// There is internet, but names are not resolved.
    NoNames = 11,
    /// Others' rules may keep guests from the internet: it depends on what they cannot be asked.
    Unsure = 12,
}

impl Exit {
    /// The class's name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Exit::Ok => "ok",
            Exit::Other => "other",
            Exit::Usage => "usage",
            Exit::BadInput => "bad_input",
            Exit::Conflict => "conflict",
            Exit::System => "system",
            Exit::NotAllowed => "not_allowed",
            Exit::Unreachable => "unreachable",
            Exit::Unsupported => "unsupported",
            Exit::BadFile => "bad_file",
            Exit::NoUplink => "no_uplink",
            Exit::NoNames => "no_names",
            Exit::Unsure => "unsure",
        }
    }

    /// The class of one of IGuestNet's ERROR_ codes.
    fn of_error(code: i32) -> Self {
        match code {
            ERROR_BAD_FILE => Exit::BadFile,
            100..=299 => Exit::BadInput,
            300..=399 => Exit::Conflict,
            400..=499 => Exit::System,
            _ => Exit::Other,
        }
    }

    /// The class of a failed call.
    fn of_status(status: &Status) -> Self {
        match status.exception_code() {
            ExceptionCode::SERVICE_SPECIFIC => Self::of_error(status.service_specific_error()),
            ExceptionCode::SECURITY => Exit::NotAllowed,
            ExceptionCode::UNSUPPORTED_OPERATION => Exit::Unsupported,
            ExceptionCode::ILLEGAL_ARGUMENT
            | ExceptionCode::BAD_PARCELABLE
            | ExceptionCode::NULL_POINTER => Exit::BadInput,
            ExceptionCode::TRANSACTION_FAILED => match status.transaction_error() {
                StatusCode::PERMISSION_DENIED => Exit::NotAllowed,
                StatusCode::DEAD_OBJECT => Exit::Unreachable,
                // A method that an older guestnetd has not.
                StatusCode::UNKNOWN_TRANSACTION => Exit::Unsupported,
                _ => Exit::Other,
            },
            _ => Exit::Other,
        }
    }
}

/// Why a command ends without having done its work.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// Its class.
    pub exit: Exit,
    /// The ERROR_ code, when guestnetd sent one.
    pub code: Option<i32>,
    /// The cause, and where there is one, the remedy.
    pub message: String,
}

impl Failure {
    /// A failure that guestnetd has no number for.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, code: None, message: message.into() }
    }

    /// What to do next, in guestnetctl's commands, where guestnetd's own words do not say: it knows none of
    /// its clients.
    pub fn next_step(&self) -> Option<&'static str> {
        Some(match (self.code, self.exit) {
            (Some(ERROR_NO_SUCH_GUEST), _) => "guestnetctl list shows those that are",
            (Some(ERROR_ADDRESS_IN_USE), _) => "leave --address out for the next free one",
            (Some(ERROR_ADDRESS_OUTSIDE_SUBNET), _) => {
                "--gateway and --prefix choose another subnet"
            }
            (Some(ERROR_NO_SUCH_PROCESS | ERROR_PROCESS_EXITED), _) => {
                "ask for the guest's pid again: it has ended, or has restarted"
            }
            (Some(ERROR_GUEST_GONE), _) => "attach it again when it runs again",
            (Some(ERROR_KERNEL | ERROR_FORWARDING | ERROR_VERIFY), _) => {
                "guestnetd's log has each step, with RUST_LOG=debug"
            }
            (Some(ERROR_UNAVAILABLE), _) => "try again when guestnetd has started again",
            (_, Exit::Unsupported) => "guestnetctl info lists what this guestnetd does not do",
            _ => return None,
        })
    }

    /// The cause and the next step, in one line.
    pub fn advice(&self) -> String {
        match self.next_step() {
            Some(step) => format!("{}; {step}", self.message),
            None => self.message.clone(),
        }
    }

    /// Whether guestnetd answered with this ERROR_ code.
    pub fn is(&self, code: i32) -> bool {
        self.code == Some(code)
    }
}

impl From<PlatformError> for Failure {
    fn from(error: PlatformError) -> Self {
        let exit = match error {
            PlatformError::BadEndpoint { .. } | PlatformError::NotOnAndroid { .. } => Exit::Usage,
            PlatformError::NotPermitted { .. } | PlatformError::NotAllowed { .. } => {
                Exit::NotAllowed
            }
            _ => Exit::Unreachable,
        };
        Self::new(exit, error.to_string())
    }
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        let exit = Exit::of_status(&status);
        let code = (status.exception_code() == ExceptionCode::SERVICE_SPECIFIC)
            .then(|| status.service_specific_error());
        let said = guestnet_platform::status_message(&status);
        let message = match status.exception_code() {
            ExceptionCode::TRANSACTION_FAILED if exit == Exit::Unreachable => {
                "guestnetd closed the connection during the call, or has ended; see its log"
                    .to_owned()
            }
            ExceptionCode::TRANSACTION_FAILED => format!("the call to guestnetd failed: {said}"),
            _ => said,
        };
        Self { exit, code, message }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use binder::IntoBinderResult;

    fn answer(code: i32, message: &str) -> Failure {
        let status = Err::<(), _>(()).or_service_specific_exception_with(code, |()| message);
        status.unwrap_err().into()
    }

    #[test]
    fn error_codes_fall_into_classes() {
        for (code, exit) in [
            (99, Exit::Other),
            (100, Exit::BadInput),
            (207, Exit::BadInput),
            (ERROR_BAD_FILE, Exit::BadFile),
            (299, Exit::BadInput),
            (300, Exit::Conflict),
            (304, Exit::Conflict),
            (399, Exit::Conflict),
            (400, Exit::System),
            (407, Exit::System),
            (499, Exit::System),
            (500, Exit::Other),
        ] {
            let failure = answer(code, "the cause; the remedy");
            let message = "the cause; the remedy".to_owned();
            assert_eq!(failure, Failure { exit, code: Some(code), message });
        }
        assert!(answer(300, "").is(300));
        assert!(!answer(300, "").is(304));
    }

    #[test]
    fn exceptions_fall_into_classes() {
        for (exception, exit) in [
            (ExceptionCode::SECURITY, Exit::NotAllowed),
            (ExceptionCode::UNSUPPORTED_OPERATION, Exit::Unsupported),
            (ExceptionCode::ILLEGAL_ARGUMENT, Exit::BadInput),
            (ExceptionCode::BAD_PARCELABLE, Exit::BadInput),
            (ExceptionCode::ILLEGAL_STATE, Exit::Other),
        ] {
            let status = Err::<(), _>(()).or_binder_exception_with(exception, |()| "words");
            let failure: Failure = status.unwrap_err().into();
            assert_eq!(failure, Failure::new(exit, "words"));
        }
    }

    /// What guestnetd says ends with the cause alone only where the step is known here.
    #[test]
    fn a_next_step_follows_where_guestnetd_names_none() {
        let gone = answer(ERROR_NO_SUCH_GUEST, "no guest named demo is attached");
        let step = "guestnetctl list shows those that are";
        assert_eq!(gone.next_step(), Some(step));
        assert_eq!(gone.advice(), format!("no guest named demo is attached; {step}"));
        let taken = answer(300, "a guest named demo is attached; detach it first");
        assert_eq!(taken.advice(), taken.message);
        let later = Failure::new(Exit::Unsupported, "GuestKind.TAP");
        assert!(later.advice().starts_with("GuestKind.TAP; guestnetctl info"), "{later:?}");
    }

    #[test]
    fn a_lost_service_is_unreachable() {
        let gone: Failure = Status::from(StatusCode::DEAD_OBJECT).into();
        assert_eq!(
            gone,
            Failure::new(
                Exit::Unreachable,
                "guestnetd closed the connection during the call, or has ended; see its log"
            )
        );
        let denied: Failure = Status::from(StatusCode::PERMISSION_DENIED).into();
        assert_eq!(denied.exit, Exit::NotAllowed);
        let older: Failure = Status::from(StatusCode::UNKNOWN_TRANSACTION).into();
        assert_eq!(older.exit, Exit::Unsupported);
    }

    #[test]
    fn a_service_that_cannot_be_reached_has_three_classes() {
        let path = || "/run/guestnet/guestnet.sock".into();
        for (error, exit) in [
            (PlatformError::NotRunning { path: path() }, Exit::Unreachable),
            (PlatformError::Refused { path: path() }, Exit::Unreachable),
            (PlatformError::NotPermitted { path: path() }, Exit::NotAllowed),
            (PlatformError::NotAllowed { words: "uid 7 may not".to_owned() }, Exit::NotAllowed),
            ("tcp://x".parse::<guestnet_platform::Endpoint>().unwrap_err(), Exit::Usage),
        ] {
            let message = error.to_string();
            assert_eq!(Failure::from(error), Failure::new(exit, message));
        }
    }

    #[test]
    fn the_numbers_are_the_documented_ones() {
        let all = [
            (Exit::Ok, 0, "ok"),
            (Exit::Other, 1, "other"),
            (Exit::Usage, 2, "usage"),
            (Exit::BadInput, 3, "bad_input"),
            (Exit::Conflict, 4, "conflict"),
            (Exit::System, 5, "system"),
            (Exit::NotAllowed, 6, "not_allowed"),
            (Exit::Unreachable, 7, "unreachable"),
            (Exit::Unsupported, 8, "unsupported"),
            (Exit::BadFile, 9, "bad_file"),
            (Exit::NoUplink, 10, "no_uplink"),
        ];
        for (exit, number, name) in all {
            assert_eq!((exit as u8, exit.name()), (number, name));
            assert!(crate::cli::EXIT_CODES.contains(&format!("\n  {number:<2}  ")), "{number}");
        }
    }
}
