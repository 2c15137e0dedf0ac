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

//! The service manager, and this process's part in Binder.

use std::ffi::CStr;

use crate::{FromIBinder, SpIBinder, StatusCode, Strong};

type Result<T> = std::result::Result<T, StatusCode>;

pub fn add_service(identifier: &str, binder: SpIBinder) -> Result<()> {
    unimplemented!()
}

pub fn register_lazy_service(identifier: &str, binder: SpIBinder) -> Result<()> {
    unimplemented!()
}

#[deprecated = "polls for five seconds"]
pub fn get_service(name: &str) -> Option<SpIBinder> {
    unimplemented!()
}

#[deprecated = "polls for five seconds"]
pub fn get_interface<T: FromIBinder + ?Sized>(name: &str) -> Result<Strong<T>> {
    unimplemented!()
}

pub fn check_service(name: &str) -> Option<SpIBinder> {
    unimplemented!()
}

pub fn check_interface<T: FromIBinder + ?Sized>(name: &str) -> Result<Strong<T>> {
    unimplemented!()
}

pub fn wait_for_service(name: &str) -> Option<SpIBinder> {
    unimplemented!()
}

pub fn wait_for_interface<T: FromIBinder + ?Sized>(name: &str) -> Result<Strong<T>> {
    unimplemented!()
}

pub fn is_declared(interface: &str) -> Result<bool> {
    unimplemented!()
}

pub fn is_handling_transaction() -> bool {
    unimplemented!()
}

#[must_use]
pub struct LazyServiceGuard(());

impl LazyServiceGuard {
    pub fn new() -> Self {
        unimplemented!()
    }
}

impl Drop for LazyServiceGuard {
    fn drop(&mut self) {}
}

pub struct ProcessState;

impl ProcessState {
    pub fn start_thread_pool() {
        unimplemented!()
    }

    pub fn set_thread_pool_max_thread_count(num_threads: u32) {
        unimplemented!()
    }

    pub fn join_thread_pool() {
        unimplemented!()
    }
}

pub struct ThreadState;

impl ThreadState {
    pub fn get_calling_uid() -> u32 {
        unimplemented!()
    }

    pub fn get_calling_pid() -> i32 {
        unimplemented!()
    }

    pub fn is_handling_transaction() -> bool {
        unimplemented!()
    }

    pub fn with_calling_sid<T, F>(check_permission: F) -> T
    where
        for<'a> F: FnOnce(Option<&'a CStr>) -> T,
    {
        unimplemented!()
    }
}
