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

// Declared for tests/android/check-examples, as far as the examples and aidl's headers use it: Debian has it not.

#pragma once

#include <cstdint>

struct AIBinder;
struct AIBinder_DeathRecipient;
struct AParcel;
struct AStatus;

typedef int32_t binder_status_t;
typedef int32_t binder_exception_t;

enum { STATUS_OK = 0 };
enum { EX_NONE = 0, EX_SERVICE_SPECIFIC = -8, EX_TRANSACTION_FAILED = -129 };
enum { FIRST_CALL_TRANSACTION = 0x00000001 };

extern "C" {
typedef void (*AIBinder_DeathRecipient_onBinderDied)(void* cookie);
[[nodiscard]] AIBinder_DeathRecipient* AIBinder_DeathRecipient_new(AIBinder_DeathRecipient_onBinderDied onBinderDied);
binder_status_t AIBinder_linkToDeath(AIBinder* binder, AIBinder_DeathRecipient* recipient, void* cookie);
binder_status_t AIBinder_unlinkToDeath(AIBinder* binder, AIBinder_DeathRecipient* recipient, void* cookie);
}
