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

// A client in C++: attaches the network namespace of a process and detaches it.
//
// shared_libs: ["libbase", "libbinder_ndk"], static_libs: ["android.system.guestnet-ndk"]

#include <aidl/android/system/guestnet/IGuestNet.h>
#include <android-base/logging.h>
#include <android-base/strings.h>
#include <android/binder_manager.h>
#include <fcntl.h>

#include <memory>
#include <string>

using aidl::android::system::guestnet::Guest;
using aidl::android::system::guestnet::GuestConfig;
using aidl::android::system::guestnet::GuestTarget;
using aidl::android::system::guestnet::IGuestNet;
using aidl::android::system::guestnet::TargetKind;

int main(int argc, char** argv) {
    if (argc != 3) {
        LOG(ERROR) << "usage: attach NAME PID";
        return 2;
    }
    std::shared_ptr<IGuestNet> net = IGuestNet::fromBinder(ndk::SpAIBinder(
            AServiceManager_waitForService("android.system.guestnet.IGuestNet/default")));

    GuestConfig config;
    config.name = argv[1];
    GuestTarget target;
    target.kind = TargetKind::NETNS;
    // Closed with target: an open descriptor keeps the namespace, and with it the link.
    std::string path = std::string("/proc/") + argv[2] + "/ns/net";
    target.fd.set(open(path.c_str(), O_RDONLY | O_CLOEXEC));

    Guest guest;
    ndk::ScopedAStatus status = net->attach(config, target, nullptr, &guest);
    if (!status.isOk()) {
        // IGuestNet::ERROR_..., and a message that says the cause and the next step.
        LOG(ERROR) << status.getServiceSpecificError() << ": " << status.getMessage();
        return 1;
    }
    LOG(INFO) << config.name << ": " << guest.interfaceName << " "
              << android::base::Join(guest.addresses, ", ");
    net->detach(config.name);
    return 0;
}
