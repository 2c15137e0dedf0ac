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

//! What makes rsbinder-aidl's output look like that of aidl's own Rust backend.

#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct BinderFeatures {
    pub set_requesting_sid: bool,
    #[doc(hidden)]
    pub _non_exhaustive: (),
}

impl From<BinderFeatures> for rsbinder::BinderFeatures {
    fn from(features: BinderFeatures) -> Self {
        let mut own = Self::default();
        own.set_requesting_sid = features.set_requesting_sid;
        own
    }
}

/// Re-exports the module that rsbinder-aidl made for an interface, with the one change that
/// libbinder_rs's callers see: `new_binder(_, features)`. The explicit `$bn` hides the one of the
/// glob. The async interfaces are left out: they would bring a second runtime for nobody.
#[macro_export]
macro_rules! aidl_interface_module {
    ($($gen:ident)::+, $iface:ident, $bn:ident) => {
        #[allow(non_snake_case)]
        pub mod $iface {
            pub use $($gen)::+::$iface::*;

            pub struct $bn;

            impl $bn {
                pub fn new_binder<T>(
                    inner: T,
                    features: $crate::BinderFeatures,
                ) -> $crate::Strong<dyn $iface>
                where
                    T: $iface + Send + Sync + 'static,
                {
                    $($gen)::+::$iface::$bn::new_binder_with_features(inner, features.into())
                }
            }
        }
    };
}
