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

//! What the packet filters of others make of guests' packets. Reads only, and makes no table appear that
//! was not there.
//!
//! ```text
//! nf_tables, x_tables → Filters (chains) → journey of each probe's packets (walk) → Findings (words)
//! ```

mod advice;
pub mod chains;
pub mod content;
pub mod device;
mod field;
mod forward_iptables;
#[cfg(not(target_os = "android"))]
mod forward_nftables;
pub(crate) mod ipset;
pub mod journey;
mod kernel;
mod lookup;
#[cfg(not(target_os = "android"))]
pub(crate) mod nftables;
pub mod packet;
mod rule;
pub mod share;
#[cfg(test)]
mod tests;
mod value;
mod verdict;
pub mod walk;
pub mod xtables;

use chains::Filters;

#[cfg(not(target_os = "android"))]
pub use forward_iptables::netd_is_there;
pub use kernel::Kernel;
pub use share::Shared;
pub use verdict::{findings, own, About, Finding, Findings};

/// Rules and policies of others about forwarded packets: who has such may need forwarding.
#[derive(Default)]
pub struct ForwardRules {
    #[cfg(not(target_os = "android"))]
    nftables: forward_nftables::Reader,
}

impl ForwardRules {
    /// One of them, in words. Nothing where there is none, or none can be read.
    pub fn any(&self) -> Option<String> {
        if let Some(found) = forward_iptables::foreign_forward_rule() {
            return Some(found);
        }
        #[cfg(not(target_os = "android"))]
        if let Some(found) = self.nftables.foreign_forward_rule() {
            return Some(found);
        }
        None
    }
}

/// All packet filters of this network namespace, and what of them cannot be read.
pub fn read() -> Filters {
    let (tables, unread) = xtables::read();
    let filters = Filters { tables, unread };
    // Android's kernels have no nf_tables.
    #[cfg(not(target_os = "android"))]
    let filters = with_nftables(filters);
    filters
}

#[cfg(not(target_os = "android"))]
fn with_nftables(mut filters: Filters) -> Filters {
    match nftables::read() {
        // nf_tables' chains come first where priorities are the same: it does not matter to what
        // drops, and those who translate are asked by their priorities alone.
        Ok(others) => filters.tables.splice(..0, others).for_each(drop),
        Err(e) => filters.unread.push(format!("nftables: {e}")),
    }
    filters
}
