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

//! How a service makes a failed [`Status`]: this trait and no other way, because the constructors
//! of the two libraries differ.

use std::fmt::Debug;

use rsbinder::ExceptionCode;

use crate::{Result, Status};

pub trait IntoBinderResult<T, E>: Sized {
    fn or_binder_exception_with<M: AsRef<str>, O: FnOnce(E) -> M>(
        self,
        exception: ExceptionCode,
        op: O,
    ) -> Result<T>;

    fn or_service_specific_exception_with<M: AsRef<str>, O: FnOnce(E) -> M>(
        self,
        error_code: i32,
        op: O,
    ) -> Result<T>;

    fn or_binder_exception(self, exception: ExceptionCode) -> Result<T>
    where
        E: Debug,
    {
        self.or_binder_exception_with(exception, |e| format!("{e:?}"))
    }

    fn or_service_specific_exception(self, error_code: i32) -> Result<T>
    where
        E: Debug,
    {
        self.or_service_specific_exception_with(error_code, |e| format!("{e:?}"))
    }
}

impl<T, E> IntoBinderResult<T, E> for core::result::Result<T, E> {
    fn or_binder_exception_with<M: AsRef<str>, O: FnOnce(E) -> M>(
        self,
        exception: ExceptionCode,
        op: O,
    ) -> Result<T> {
        self.map_err(|e| Status::from((exception, op(e).as_ref())))
    }

    fn or_service_specific_exception_with<M: AsRef<str>, O: FnOnce(E) -> M>(
        self,
        error_code: i32,
        op: O,
    ) -> Result<T> {
        self.map_err(|e| {
            Status::new_service_specific_error(error_code, Some(op(e).as_ref().to_owned()))
        })
    }
}
