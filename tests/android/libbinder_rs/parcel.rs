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

//! What is sent. Everything can be written to a parcel and read from one.

use std::marker::PhantomData;
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd, RawFd};

use crate::StatusCode;

type Result<T> = std::result::Result<T, StatusCode>;

pub struct Parcel(());

/// Not `Send`, and with a lifetime, as the real one.
pub struct BorrowedParcel<'a>(PhantomData<(&'a mut (), *mut ())>);

pub struct SubParcel<'a>(PhantomData<&'a ()>);

macro_rules! parcel {
    ($($type:ty),*) => {$(
        impl $type {
            pub fn write<S: ?Sized>(&mut self, value: &S) -> Result<()> {
                unimplemented!()
            }

            pub fn read<D>(&self) -> Result<D> {
                unimplemented!()
            }

            pub fn has_more_data(&self) -> bool {
                unimplemented!()
            }

            pub fn sized_write<F>(&mut self, write: F) -> Result<()>
            where
                for<'b> F: FnOnce(&'b mut SubParcel<'b>) -> Result<()>,
            {
                unimplemented!()
            }

            pub fn sized_read<F>(&self, read: F) -> Result<()>
            where
                for<'b> F: FnOnce(SubParcel<'b>) -> Result<()>,
            {
                unimplemented!()
            }
        }
    )*};
}

parcel!(Parcel, BorrowedParcel<'_>, SubParcel<'_>);

pub trait Parcelable {
    fn write_to_parcel(&self, parcel: &mut BorrowedParcel<'_>) -> Result<()>;
    fn read_from_parcel(&mut self, parcel: &BorrowedParcel<'_>) -> Result<()>;
}

pub trait ParcelableMetadata {
    fn get_descriptor() -> &'static str;
}

#[derive(Debug)]
pub struct ParcelFileDescriptor(OwnedFd);

impl ParcelFileDescriptor {
    pub fn new<F: Into<OwnedFd>>(fd: F) -> Self {
        unimplemented!()
    }
}

impl AsRef<OwnedFd> for ParcelFileDescriptor {
    fn as_ref(&self) -> &OwnedFd {
        &self.0
    }
}

impl From<ParcelFileDescriptor> for OwnedFd {
    fn from(fd: ParcelFileDescriptor) -> Self {
        fd.0
    }
}

impl AsRawFd for ParcelFileDescriptor {
    fn as_raw_fd(&self) -> RawFd {
        unimplemented!()
    }
}

impl IntoRawFd for ParcelFileDescriptor {
    fn into_raw_fd(self) -> RawFd {
        unimplemented!()
    }
}

impl PartialEq for ParcelFileDescriptor {
    fn eq(&self, other: &Self) -> bool {
        unimplemented!()
    }
}

impl Eq for ParcelFileDescriptor {}
