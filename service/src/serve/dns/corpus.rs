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

//! What may come as a question: messages as clients send them, and as they should not. Tests begin with these.

/// What it is; how large an answer may be, or how it is refused; the message, hexadecimal.
pub const MESSAGES: &[(&str, &str, &str)] = &[
    ("glibc 2.36, A", "512", "1a2b0100000100000000000003626f78076578616d706c650000010001"),
    ("glibc 2.36, AAAA", "512", "1a2c0100000100000000000003626f78076578616d706c6500001c0001"),
    ("glibc with trust-ad and edns0", "1200", "1a2d0120000100000000000103626f78076578616d706c65000001000100002904b0000000000000"),
    ("musl, PTR", "512", "000101000001000000000000013301330231370331373207696e2d61646472046172706100000c0001"),
    ("dig 9.18, a cookie", "1232", "beef0120000100000000000103626f78076578616d706c65000001000100002904d000000000000c000a00080001020304050607"),
    ("systemd-resolved, DNSSEC", "1472", "77770110000100000000000103626f78076578616d706c65000030000100002905c0000080000000"),
    ("netd, padding to 128 bytes", "8192", "02020100000100000000000103626f78076578616d706c6500004100010000292000000000000044000c004000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"),
    ("a client subnet", "4096", "03030100000100000000000103626f78076578616d706c650000010001000029100000000000000b0008000700011800ac1103"),
    ("names of 0x20 letters", "512", "04040100000100000000000003426f58076558614d506c450000010001"),
    ("the root, NS", "512", "0505010000010000000000000000020001"),
    ("version.bind, CHAOS", "512", "0606000000010000000000000776657273696f6e0462696e640000100003"),
    ("ANY", "512", "07070100000100000000000003626f78076578616d706c650000ff0001"),
    ("AXFR, which is for TCP", "512", "08080000000100000000000003626f78076578616d706c650000fc0001"),
    ("signed by TSIG", "512", "09090100000100000000000103626f78076578616d706c650000010001036b65790000fa00ff00000000001808686d61632d6d6435000000000000000000000000000000"),
    ("mDNS that strayed, with QU", "512", "00000000000100000000000003626f78056c6f63616c0000018001"),
    ("an answer", "nothing", "0a0a8180000100000000000003626f78076578616d706c650000010001"),
    ("a dynamic update", "notimp", "0b0b28000001000000000000076578616d706c650000060001"),
    ("a NOTIFY", "notimp", "0c0c24000001000000000000076578616d706c650000060001"),
    ("an inverse question", "notimp", "0d0d09000001000000000000076578616d706c650000010001"),
    ("two questions", "formerr", "0e0e0100000200000000000003626f78076578616d706c65000001000103626f780000010001"),
    ("no question", "formerr", "0f0f01000000000000000000"),
    ("a pointer to itself", "formerr", "000101000001000000000000c00c00010001"),
    ("a pointer ahead", "formerr", "00010100000100000000000003626f78c04000010001"),
    ("a label of the kind 01", "formerr", "00010100000100000000000041080000010001"),
    ("a label that goes beyond", "formerr", "0001010000010000000000003f626f780000010001"),
    ("no type", "formerr", "00010100000100000000000003626f7800"),
    ("65535 records that are not there", "formerr", "000101000001ffffffffffff03626f78076578616d706c650000010001"),
    ("an OPT longer than the message", "formerr", "00010100000100000000000103626f78076578616d706c650000010001000029100000000000ffff"),
    ("a record whose name points to itself", "512", "00010100000100000000000101610000010001c0130001000100000000000400000000"),
    ("a header alone, cut", "nothing", "123401000001"),
];

/// The same as bytes.
pub fn messages() -> impl Iterator<Item = (&'static str, &'static str, Vec<u8>)> {
    MESSAGES.iter().map(|(what, verdict, hex)| {
        let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        (*what, *verdict, (0..hex.len()).step_by(2).map(byte).collect())
    })
}
