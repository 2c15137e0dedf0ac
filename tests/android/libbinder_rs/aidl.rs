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

//! The macros that aidl's Rust backend calls, of aidl 14 to 16.

#[macro_export]
macro_rules! impl_serialize_for_parcelable {
    ($parcelable:ident) => {};
}

#[macro_export]
macro_rules! impl_deserialize_for_parcelable {
    ($parcelable:ident) => {};
}

#[macro_export]
macro_rules! declare_binder_enum {
    (
        $(#[$attribute:meta])*
        $name:ident : [$backing:ty; $size:expr] {
            $($(#[$value_attribute:meta])* $value:ident = $number:expr,)*
        }
    ) => {
        $(#[$attribute])*
        #[derive(Default, Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[allow(missing_docs)]
        pub struct $name(pub $backing);

        #[allow(missing_docs)]
        impl $name {
            $($(#[$value_attribute])* pub const $value: Self = Self($number);)*

            pub const fn enum_values() -> [Self; $size] {
                [$(Self::$value),*]
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                unimplemented!()
            }
        }
    };
}

#[macro_export]
macro_rules! declare_binder_interface {
    (
        $interface:path[$descriptor:expr] {
            native: $native:ident($on_transact:path),
            proxy: $proxy:ident { $($field:ident: $type:ty = $value:expr),* },
            $(async: $async:ident $(($to_async:ident))?,)?
            $(stability: $stability:expr,)?
        }
    ) => {
        pub struct $proxy {
            binder: $crate::SpIBinder,
            $($field: $type,)*
        }

        impl $crate::Interface for $proxy {}

        impl $crate::binder_impl::Proxy for $proxy
        where
            $proxy: $interface,
        {
            fn get_descriptor() -> &'static str {
                $descriptor
            }

            fn from_binder(binder: $crate::SpIBinder) -> std::result::Result<Self, $crate::StatusCode> {
                Ok(Self { binder, $($field: $value),* })
            }
        }

        pub struct $native(Box<dyn $interface + Sync + Send + 'static>);

        impl $native {
            pub fn new_binder<T: $interface + Sync + Send + 'static>(
                inner: T,
                features: $crate::BinderFeatures,
            ) -> $crate::Strong<dyn $interface> {
                $crate::Strong::new(Box::new($crate::binder_impl::Binder::new_with_stability(
                    Self(Box::new(inner)),
                    $crate::binder_impl::Stability::default(),
                )))
            }
        }

        impl $crate::binder_impl::Remotable for $native {
            fn get_descriptor() -> &'static str {
                $descriptor
            }

            fn on_transact(
                &self,
                code: $crate::binder_impl::TransactionCode,
                data: &$crate::binder_impl::BorrowedParcel<'_>,
                reply: &mut $crate::binder_impl::BorrowedParcel<'_>,
            ) -> std::result::Result<(), $crate::StatusCode> {
                $on_transact(&*self.0, code, data, reply)
            }

            fn on_dump(
                &self,
                writer: &mut dyn std::io::Write,
                args: &[&std::ffi::CStr],
            ) -> std::result::Result<(), $crate::StatusCode> {
                $crate::Interface::dump(&*self.0, writer, args)
            }
        }

        impl $crate::FromIBinder for dyn $interface {
            fn try_from(
                binder: $crate::SpIBinder,
            ) -> std::result::Result<$crate::Strong<dyn $interface>, $crate::StatusCode> {
                let proxy = <$proxy as $crate::binder_impl::Proxy>::from_binder(binder)?;
                Ok($crate::Strong::new(Box::new(proxy)))
            }
        }

        impl std::fmt::Debug for dyn $interface + '_ {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                unimplemented!()
            }
        }

        impl std::borrow::ToOwned for dyn $interface {
            type Owned = $crate::Strong<dyn $interface>;

            fn to_owned(&self) -> Self::Owned {
                unimplemented!()
            }
        }

        $(
            impl<P: $crate::BinderAsyncPool + 'static> $crate::FromIBinder for dyn $async<P> {
                fn try_from(
                    binder: $crate::SpIBinder,
                ) -> std::result::Result<$crate::Strong<dyn $async<P>>, $crate::StatusCode> {
                    let proxy = <$proxy as $crate::binder_impl::Proxy>::from_binder(binder)?;
                    Ok($crate::Strong::new(Box::new(proxy)))
                }
            }

            impl<P: $crate::BinderAsyncPool + 'static> $crate::binder_impl::ToAsyncInterface<P>
                for dyn $interface
            {
                type Target = dyn $async<P>;
            }

            impl<P: $crate::BinderAsyncPool + 'static> $crate::binder_impl::ToSyncInterface
                for dyn $async<P>
            {
                type Target = dyn $interface;
            }
        )?
    };
}
