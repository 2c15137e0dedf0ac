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

//! How a call failed. Unlike rsbinder's, a [`Status`] cannot be cloned.

use std::ffi::CStr;
use std::fmt::{self, Debug};

use crate::{ExceptionCode, Result, StatusCode};

pub struct Status(());

impl Status {
    pub fn ok() -> Self {
        unimplemented!()
    }

    pub fn new_service_specific_error(error: i32, message: Option<&CStr>) -> Self {
        unimplemented!()
    }

    pub fn new_exception(exception: ExceptionCode, message: Option<&CStr>) -> Self {
        unimplemented!()
    }

    pub fn is_ok(&self) -> bool {
        unimplemented!()
    }

    pub fn get_description(&self) -> String {
        unimplemented!()
    }

    pub fn exception_code(&self) -> ExceptionCode {
        unimplemented!()
    }

    pub fn transaction_error(&self) -> StatusCode {
        unimplemented!()
    }

    pub fn service_specific_error(&self) -> i32 {
        unimplemented!()
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        unimplemented!()
    }
}

impl Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        unimplemented!()
    }
}

impl std::error::Error for Status {}

impl PartialEq for Status {
    fn eq(&self, other: &Self) -> bool {
        unimplemented!()
    }
}

impl Eq for Status {}

impl From<StatusCode> for Status {
    fn from(code: StatusCode) -> Self {
        unimplemented!()
    }
}

impl From<ExceptionCode> for Status {
    fn from(code: ExceptionCode) -> Self {
        unimplemented!()
    }
}

impl From<Status> for std::result::Result<(), Status> {
    fn from(status: Status) -> Self {
        unimplemented!()
    }
}

/// Only for errors that are `Debug`; host/binder asks that of two of its methods.
pub trait IntoBinderResult<T, E> {
    fn or_binder_exception(self, exception: ExceptionCode) -> Result<T>;

    fn or_binder_exception_with<M: AsRef<str>, O: FnOnce(E) -> M>(
        self,
        exception: ExceptionCode,
        op: O,
    ) -> Result<T>;

    fn or_service_specific_exception(self, error_code: i32) -> Result<T>;

    fn or_service_specific_exception_with<M: AsRef<str>, O: FnOnce(E) -> M>(
        self,
        error_code: i32,
        op: O,
    ) -> Result<T>;
}

impl<T, E: Debug> IntoBinderResult<T, E> for std::result::Result<T, E> {
    fn or_binder_exception(self, exception: ExceptionCode) -> Result<T> {
        unimplemented!()
    }

    fn or_binder_exception_with<M: AsRef<str>, O: FnOnce(E) -> M>(
        self,
        exception: ExceptionCode,
        op: O,
    ) -> Result<T> {
        unimplemented!()
    }

    fn or_service_specific_exception(self, error_code: i32) -> Result<T> {
        unimplemented!()
    }

    fn or_service_specific_exception_with<M: AsRef<str>, O: FnOnce(E) -> M>(
        self,
        error_code: i32,
        op: O,
    ) -> Result<T> {
        unimplemented!()
    }
}
