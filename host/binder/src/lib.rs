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

//! libbinder_rs's names (Soong: `libbinder_rs`, crate `binder`) over rsbinder.
//!
//! Only what guestnetd and its clients use: a source that compiles here compiles there too. Inside
//! the Android tree this crate is not built. The items are documented where they come from,
//! libbinder_rs; here it is said only what is different.
#![allow(missing_docs)]

mod aidl;
mod codes;
mod death;
mod error;
mod state;

pub use aidl::BinderFeatures;
pub use codes::{ExceptionCode, StatusCode};
pub use death::{DeathRecipient, IBinder};
pub use error::IntoBinderResult;
pub use rsbinder::{
    is_handling_transaction, FromIBinder, Interface, ParcelFileDescriptor, Parcelable,
    ParcelableHolder, SIBinder as SpIBinder, Status, Strong, WIBinder as WpIBinder, Weak,
};
pub use state::ThreadState;

#[doc(hidden)]
pub use rsbinder as __rsbinder;

pub type Result<T> = core::result::Result<T, Status>;
