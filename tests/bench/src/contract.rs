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

//! Calls as any build of guestnetd understands them: its contract is not frozen before its first release,
//! so that a field of today's may be another one there. Of an answer only the status is read, which makes
//! the client's part the same for all builds.

use android_system_guestnet::aidl::android::system::guestnet::GuestConfig::GuestConfig;
use android_system_guestnet::aidl::android::system::guestnet::GuestTarget::GuestTarget;
use android_system_guestnet::aidl::android::system::guestnet::IGuestNet::IGuestNet;
use guestnet_platform::Connection;
use rsbinder::{
    Interface, Parcel, SIBinder, Serialize, Status, StatusCode, TransactionCode,
    FIRST_CALL_TRANSACTION, FLAG_CLEAR_BUF, FLAG_PRIVATE_LOCAL, NON_NULL_PARCELABLE_FLAG,
};

use crate::error::{Doing, Result};

/// How a build reads GuestConfig.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// As aidl/ says.
    Now,
    /// With one address that may be null, where there is a list now; the fields after `uplink` came later.
    OneAddress,
}

/// The methods that are called so, by their place in the contract.
#[derive(Clone, Copy, Debug)]
enum Method {
    Attach = 0,
    Detach = 2,
    Status = 8,
}

/// A client of any build.
pub struct Client {
    net: Connection<dyn IGuestNet>,
    layout: Layout,
}

impl Client {
    /// Calls by a connection.
    pub fn new(net: Connection<dyn IGuestNet>, layout: Layout) -> Self {
        Self { net, layout }
    }

    /// attach(), without an owner.
    pub fn attach(&self, config: &GuestConfig, target: &GuestTarget) -> Result<()> {
        self.call(Method::Attach, |parcel| {
            match self.layout {
                Layout::Now => parcel.write(config)?,
                Layout::OneAddress => parcel.write(&OneAddress(config))?,
            }
            parcel.write(target)?;
            parcel.write(&None::<SIBinder>)
        })
    }

    /// detach().
    pub fn detach(&self, name: &str) -> Result<()> {
        self.call(Method::Detach, |parcel| parcel.write(name))
    }

    /// status() of one guest, or of all.
    pub fn status(&self, name: Option<&str>) -> Result<()> {
        self.call(Method::Status, |parcel| parcel.write(&name))
    }

    /// The same connection, for calls that all builds share.
    pub fn net(&self) -> &Connection<dyn IGuestNet> {
        &self.net
    }

    fn call(
        &self,
        method: Method,
        write: impl FnOnce(&mut Parcel) -> rsbinder::Result<()>,
    ) -> Result<()> {
        let code = FIRST_CALL_TRANSACTION + method as TransactionCode;
        let answer = || -> rsbinder::Result<Status> {
            let binder = self.net.as_binder();
            let remote = binder.as_remote().ok_or(StatusCode::BadType)?;
            let mut parcel = remote.prepare_transact(true)?;
            write(&mut parcel)?;
            let flags = FLAG_CLEAR_BUF | FLAG_PRIVATE_LOCAL;
            let answer = remote.submit_transact(code, &parcel, flags)?;
            answer.ok_or(StatusCode::UnexpectedNull)?.read()
        };
        let status = answer().doing(format!("{method:?}"))?;
        if status.is_ok() {
            return Ok(());
        }
        Err(status).doing(format!("{method:?}"))
    }
}

/// A config as [`Layout::OneAddress`] has it.
struct OneAddress<'a>(&'a GuestConfig);

impl Serialize for OneAddress<'_> {
    fn serialize(&self, parcel: &mut Parcel) -> rsbinder::Result<()> {
        let GuestConfig { name, kind, interfaceName, gateway, prefixLength, mtu, .. } = self.0;
        parcel.write(&NON_NULL_PARCELABLE_FLAG)?;
        parcel.sized_write(|parcel| {
            parcel.write(name)?;
            parcel.write(kind)?;
            parcel.write(interfaceName)?;
            parcel.write(&self.0.addresses.first().cloned())?;
            parcel.write(gateway)?;
            parcel.write(prefixLength)?;
            parcel.write(mtu)?;
            parcel.write(&self.0.vpnPolicy)?;
            parcel.write(&self.0.uplink)
        })
    }
}
