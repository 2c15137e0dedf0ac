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

#include <android/binder_ibinder.h>

#include <cstddef>
#include <string>

namespace ndk {

class SpAIBinder {
  public:
    SpAIBinder();
    SpAIBinder(std::nullptr_t);  // implicit there, too
    explicit SpAIBinder(AIBinder* binder);
    SpAIBinder(const SpAIBinder& other);
    SpAIBinder& operator=(const SpAIBinder& other);
    ~SpAIBinder();
    AIBinder* get() const;
};

class ScopedAIBinder_DeathRecipient {
  public:
    explicit ScopedAIBinder_DeathRecipient(AIBinder_DeathRecipient* recipient);
    ScopedAIBinder_DeathRecipient(const ScopedAIBinder_DeathRecipient&) = delete;
    ScopedAIBinder_DeathRecipient(ScopedAIBinder_DeathRecipient&& other);
    ~ScopedAIBinder_DeathRecipient();
    AIBinder_DeathRecipient* get() const;
};

class ScopedAStatus {
  public:
    explicit ScopedAStatus(AStatus* status);
    ScopedAStatus(const ScopedAStatus&) = delete;
    ScopedAStatus(ScopedAStatus&& other);
    ~ScopedAStatus();
    static ScopedAStatus ok();
    bool isOk() const;
    binder_exception_t getExceptionCode() const;
    int32_t getServiceSpecificError() const;
    binder_status_t getStatus() const;
    const char* getMessage() const;
    std::string getDescription() const;
};

class ScopedFileDescriptor {
  public:
    ScopedFileDescriptor();
    explicit ScopedFileDescriptor(int fd);
    ScopedFileDescriptor(const ScopedFileDescriptor&) = delete;
    ScopedFileDescriptor(ScopedFileDescriptor&& other);
    ScopedFileDescriptor& operator=(ScopedFileDescriptor&& other);
    ~ScopedFileDescriptor();
    void set(int fd);
    int get() const;
    bool operator==(const ScopedFileDescriptor& other) const;
    bool operator<(const ScopedFileDescriptor& other) const;
};

}  // namespace ndk
