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

//! What guests are told by DHCP beyond their own network, and how often they were. Pure data.

/// What there is to say of a guest's way out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WayOut {
    /// The domain that names are completed with.
    pub domain: Option<String>,
    /// Whether it is metered.
    pub metered: bool,
    /// URL of the API of the captive portal that it is behind (RFC 8908).
    pub portal: Option<String>,
}

/// How often a guest was answered, and not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Offers.
    pub offers: u64,
    /// Acknowledged requests.
    pub acks: u64,
    /// Requests for another address.
    pub naks: u64,
    /// What was not answered: it could not be read, was not the guest's, or was too much.
    pub refused: u64,
}
