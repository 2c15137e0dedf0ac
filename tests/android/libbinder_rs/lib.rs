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

//! The shape of libbinder_rs (Android 15), for type checks: its names, traits and signatures, as far
//! as aidl's output, the service, its client and its tests use them. Nothing here works: every body
//! is `unimplemented!()`, and what is made of it is never run.
//!
//! Where the real library is stricter than host/binder this one is too: codes are types, a listener
//! must be `Sync`, an interface's methods need no import. What a parcel can hold is aidl's affair, and
//! everything can be written to one here.
#![allow(missing_docs, unused_variables, clippy::all)]

mod aidl;
mod codes;
mod object;
mod parcel;
mod service;
mod status;

pub use codes::{ExceptionCode, StatusCode};
pub use object::{
    BinderFeatures, DeathRecipient, FromIBinder, IBinder, Interface, SpIBinder, Strong, Weak,
    WpIBinder,
};
pub use parcel::{ParcelFileDescriptor, Parcelable};
pub use service::*;
pub use status::{IntoBinderResult, Status};

pub type Result<T> = std::result::Result<T, Status>;
pub type BoxFuture<'a, T> = std::pin::Pin<Box<dyn std::future::Future<Output = T> + Send + 'a>>;

/// What runs an asynchronous client's calls.
pub trait BinderAsyncPool {
    fn spawn<'a, F1, F2, Fut, A, B, E>(
        spawn_me: F1,
        after_spawn: F2,
    ) -> BoxFuture<'a, std::result::Result<B, E>>
    where
        F1: FnOnce() -> A,
        F2: FnOnce(A) -> Fut,
        Fut: std::future::Future<Output = std::result::Result<B, E>>,
        F1: Send + 'static,
        F2: Send + 'a,
        Fut: Send + 'a,
        A: Send + 'static,
        B: Send + 'a,
        E: From<StatusCode>;
}

pub mod binder_impl {
    pub use crate::object::{
        Binder, IBinderInternal, Proxy, Remotable, ToAsyncInterface, ToSyncInterface,
    };
    pub use crate::parcel::{BorrowedParcel, Parcel, ParcelableMetadata};

    pub type TransactionCode = u32;
    pub type TransactionFlags = u32;
    pub const FIRST_CALL_TRANSACTION: TransactionCode = 1;
    pub const FLAG_ONEWAY: TransactionFlags = 1;
    pub const FLAG_PRIVATE_LOCAL: TransactionFlags = 0;

    #[derive(Default)]
    pub enum Stability {
        #[default]
        Local,
        Vintf,
    }

    pub trait BinderAsyncRuntime {
        fn block_on<F: std::future::Future>(&self, future: F) -> F::Output;
    }
}
