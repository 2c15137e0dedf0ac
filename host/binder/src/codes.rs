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

//! Status and exception codes. They are modules of constants here: values and patterns, as in
//! libbinder_rs, but no types, so a signature cannot name them.

/// `StatusCode::DEAD_OBJECT` and the like.
#[allow(non_snake_case)]
pub mod StatusCode {
    use rsbinder::StatusCode as S;
    pub const OK: S = S::Ok;
    pub const UNKNOWN_ERROR: S = S::Unknown;
    pub const NO_MEMORY: S = S::NoMemory;
    pub const INVALID_OPERATION: S = S::InvalidOperation;
    pub const BAD_VALUE: S = S::BadValue;
    pub const BAD_TYPE: S = S::BadType;
    pub const NAME_NOT_FOUND: S = S::NameNotFound;
    pub const PERMISSION_DENIED: S = S::PermissionDenied;
    pub const NO_INIT: S = S::NoInit;
    pub const ALREADY_EXISTS: S = S::AlreadyExists;
    pub const DEAD_OBJECT: S = S::DeadObject;
    pub const FAILED_TRANSACTION: S = S::FailedTransaction;
    pub const BAD_INDEX: S = S::BadIndex;
    pub const NOT_ENOUGH_DATA: S = S::NotEnoughData;
    pub const WOULD_BLOCK: S = S::WouldBlock;
    pub const TIMED_OUT: S = S::TimedOut;
    pub const UNKNOWN_TRANSACTION: S = S::UnknownTransaction;
    pub const FDS_NOT_ALLOWED: S = S::FdsNotAllowed;
    pub const UNEXPECTED_NULL: S = S::UnexpectedNull;
}

/// `ExceptionCode::SECURITY` and the like.
#[allow(non_snake_case)]
pub mod ExceptionCode {
    use rsbinder::ExceptionCode as E;
    pub const NONE: E = E::None;
    pub const SECURITY: E = E::Security;
    pub const BAD_PARCELABLE: E = E::BadParcelable;
    pub const ILLEGAL_ARGUMENT: E = E::IllegalArgument;
    pub const NULL_POINTER: E = E::NullPointer;
    pub const ILLEGAL_STATE: E = E::IllegalState;
    pub const NETWORK_MAIN_THREAD: E = E::NetworkMainThread;
    pub const UNSUPPORTED_OPERATION: E = E::UnsupportedOperation;
    pub const SERVICE_SPECIFIC: E = E::ServiceSpecific;
    pub const TRANSACTION_FAILED: E = E::TransactionFailed;
}
