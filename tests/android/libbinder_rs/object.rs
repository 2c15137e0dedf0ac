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

//! Objects and references to them.

use std::any::Any;
use std::cmp::Ordering;
use std::ffi::CStr;
use std::fmt;
use std::io::Write;
use std::marker::PhantomData;
use std::ops::Deref;

use crate::binder_impl::{Stability, TransactionCode, TransactionFlags};
use crate::parcel::{BorrowedParcel, Parcel};
use crate::StatusCode;

type Result<T> = std::result::Result<T, StatusCode>;

/// Of a listener too: it is called on several threads.
pub trait Interface: Any + Send + Sync {
    fn as_binder(&self) -> SpIBinder {
        unimplemented!()
    }

    fn dump(&self, writer: &mut dyn Write, args: &[&CStr]) -> Result<()> {
        unimplemented!()
    }
}

pub trait FromIBinder: Interface {
    fn try_from(binder: SpIBinder) -> Result<Strong<Self>>;
}

pub trait ToAsyncInterface<P>: FromIBinder {
    type Target: FromIBinder + ?Sized;
}

pub trait ToSyncInterface: FromIBinder {
    type Target: FromIBinder + ?Sized;
}

pub trait IBinder {
    fn link_to_death(&mut self, recipient: &mut DeathRecipient) -> Result<()>;
    fn unlink_to_death(&mut self, recipient: &mut DeathRecipient) -> Result<()>;
    fn ping_binder(&mut self) -> Result<()>;
}

pub trait IBinderInternal: IBinder {
    fn set_requesting_sid(&mut self, enable: bool);
    fn prepare_transact(&self) -> Result<Parcel>;
    fn submit_transact(
        &self,
        code: TransactionCode,
        data: Parcel,
        flags: TransactionFlags,
    ) -> Result<Parcel>;
}

pub trait Remotable: Send + Sync + 'static {
    fn get_descriptor() -> &'static str;
    fn on_transact(
        &self,
        code: TransactionCode,
        data: &BorrowedParcel<'_>,
        reply: &mut BorrowedParcel<'_>,
    ) -> Result<()>;
    fn on_dump(&self, writer: &mut dyn Write, args: &[&CStr]) -> Result<()>;
}

pub trait Proxy: Sized + Interface {
    fn get_descriptor() -> &'static str;
    fn from_binder(binder: SpIBinder) -> Result<Self>;
}

/// A service's own object.
pub struct Binder<T: Remotable>(PhantomBox<T>);

struct PhantomBox<T>(PhantomData<fn() -> T>);

impl<T: Remotable> Binder<T> {
    pub fn new_with_stability(object: T, stability: Stability) -> Self {
        unimplemented!()
    }
}

impl<T: Remotable> Interface for Binder<T> {}

impl<T: Remotable> Deref for Binder<T> {
    type Target = T;

    fn deref(&self) -> &T {
        unimplemented!()
    }
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SpIBinder(());

impl SpIBinder {
    pub fn is_remote(&self) -> bool {
        unimplemented!()
    }

    pub fn into_interface<I: FromIBinder + ?Sized>(self) -> Result<Strong<I>> {
        unimplemented!()
    }

    pub fn downgrade(&mut self) -> WpIBinder {
        unimplemented!()
    }
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WpIBinder(());

impl WpIBinder {
    pub fn promote(&self) -> Option<SpIBinder> {
        unimplemented!()
    }
}

impl IBinder for SpIBinder {
    fn link_to_death(&mut self, recipient: &mut DeathRecipient) -> Result<()> {
        unimplemented!()
    }

    fn unlink_to_death(&mut self, recipient: &mut DeathRecipient) -> Result<()> {
        unimplemented!()
    }

    fn ping_binder(&mut self) -> Result<()> {
        unimplemented!()
    }
}

impl IBinderInternal for SpIBinder {
    fn set_requesting_sid(&mut self, enable: bool) {
        unimplemented!()
    }

    fn prepare_transact(&self) -> Result<Parcel> {
        unimplemented!()
    }

    fn submit_transact(
        &self,
        code: TransactionCode,
        data: Parcel,
        flags: TransactionFlags,
    ) -> Result<Parcel> {
        unimplemented!()
    }
}

/// Not `Clone`; dropping it unlinks.
pub struct DeathRecipient(());

impl DeathRecipient {
    pub fn new<F: Fn() + Send + Sync + 'static>(callback: F) -> Self {
        unimplemented!()
    }
}

impl Drop for DeathRecipient {
    fn drop(&mut self) {}
}

pub struct Strong<I: FromIBinder + ?Sized>(Box<I>);

impl<I: FromIBinder + ?Sized> Strong<I> {
    pub fn new(binder: Box<I>) -> Self {
        unimplemented!()
    }

    pub fn downgrade(this: &Self) -> Weak<I> {
        unimplemented!()
    }

    pub fn into_async<P>(self) -> Strong<<I as ToAsyncInterface<P>>::Target>
    where
        I: ToAsyncInterface<P>,
    {
        unimplemented!()
    }
}

impl<I: FromIBinder + ?Sized> Clone for Strong<I> {
    fn clone(&self) -> Self {
        unimplemented!()
    }
}

impl<I: FromIBinder + ?Sized> Deref for Strong<I> {
    type Target = I;

    fn deref(&self) -> &I {
        &self.0
    }
}

impl<I: FromIBinder + ?Sized> AsRef<I> for Strong<I> {
    fn as_ref(&self) -> &I {
        &self.0
    }
}

impl<I: FromIBinder + ?Sized> std::borrow::Borrow<I> for Strong<I> {
    fn borrow(&self) -> &I {
        &self.0
    }
}

impl<I: FromIBinder + fmt::Debug + ?Sized> fmt::Debug for Strong<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        unimplemented!()
    }
}

pub struct Weak<I: FromIBinder + ?Sized>(PhantomData<I>);

impl<I: FromIBinder + ?Sized> Weak<I> {
    pub fn upgrade(&self) -> Result<Strong<I>> {
        unimplemented!()
    }
}

impl<I: FromIBinder + ?Sized> Clone for Weak<I> {
    fn clone(&self) -> Self {
        unimplemented!()
    }
}

macro_rules! ordered {
    ($($type:ident),*) => {$(
        impl<I: FromIBinder + ?Sized> PartialEq for $type<I> {
            fn eq(&self, other: &Self) -> bool {
                unimplemented!()
            }
        }

        impl<I: FromIBinder + ?Sized> Eq for $type<I> {}

        impl<I: FromIBinder + ?Sized> PartialOrd for $type<I> {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                unimplemented!()
            }
        }

        impl<I: FromIBinder + ?Sized> Ord for $type<I> {
            fn cmp(&self, other: &Self) -> Ordering {
                unimplemented!()
            }
        }
    )*};
}

ordered!(Strong, Weak);

#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct BinderFeatures {
    pub set_requesting_sid: bool,
    #[doc(hidden)]
    pub _non_exhaustive: (),
}
