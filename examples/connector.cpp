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

// What a native daemon tells guestnetd of networks that it brings up itself, as a product without Android's framework
// does, or before that has started. A native daemon has no ConnectivityManager: netd's and the resolver's listeners
// (INetdUnsolicitedEventListener, IDnsResolverUnsolicitedEventListener) tell neither what a network costs nor whether
// it is validated, so it says what its own configuration has. Where the framework runs, its connector
// (java/GuestNetConnector.java) knows better, and this one is not started.
//
//     connector FILE        lines as: wlan0 metered dns=192.0.2.1,192.0.2.2
//                                     eth0 not-validated portal=https://portal.example/api
//                           It is read again at SIGHUP, and told again when guestnetd comes back.
//
// shared_libs: ["libbase", "libbinder_ndk"], static_libs: ["android.system.guestnet-ndk"]

#include <aidl/android/system/guestnet/BnGuestNetListener.h>
#include <aidl/android/system/guestnet/IGuestNet.h>
#include <android-base/file.h>
#include <android-base/logging.h>
#include <android-base/strings.h>
#include <android/binder_manager.h>
#include <android/binder_process.h>
#include <signal.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <vector>

using aidl::android::system::guestnet::BnGuestNetListener;
using aidl::android::system::guestnet::Guest;
using aidl::android::system::guestnet::GuestEvent;
using aidl::android::system::guestnet::IGuestNet;
using aidl::android::system::guestnet::Uplink;
using aidl::android::system::guestnet::UplinkInfo;

namespace {

class Listener : public BnGuestNetListener {
    ndk::ScopedAStatus onGuest(GuestEvent event, const Guest& guest) override {
        LOG(INFO) << guest.name << ": " << toString(event) << ", " << toString(guest.state);
        return ndk::ScopedAStatus::ok();
    }

    ndk::ScopedAStatus onUplink(const Uplink&, const Uplink& current, int64_t gap) override {
        LOG(INFO) << "uplink: " << current.text << ", in " << gap << " us";
        return ndk::ScopedAStatus::ok();
    }
};

struct Line {
    std::string uplink;
    UplinkInfo info;
    std::vector<std::string> servers;
};

std::vector<Line> read(const std::string& path) {
    std::vector<Line> lines;
    std::string text;
    if (!android::base::ReadFileToString(path, &text)) PLOG(ERROR) << path;
    for (const std::string& row : android::base::Split(text, "\n")) {
        std::vector<std::string> words = android::base::Tokenize(row, " ");
        if (words.empty()) continue;
        Line line{words[0], {}, {}};
        for (size_t at = 1; at < words.size(); at++) {
            std::string_view word = words[at];
            if (word == "metered") {
                line.info.metered = true;
            } else if (word == "not-validated") {
                line.info.validated = false;
            } else if (android::base::ConsumePrefix(&word, "portal=")) {
                line.info.captivePortalUrl = std::string(word);
            } else if (android::base::ConsumePrefix(&word, "dns=")) {
                line.servers = android::base::Split(std::string(word), ",");
            } else {
                LOG(ERROR) << path << ": " << word << " is no word of it";
            }
        }
        lines.push_back(line);
    }
    return lines;
}

// Whether it is worth saying again: what is wrong in itself would be next time, too.
bool passes(const ndk::ScopedAStatus& status) {
    if (status.isOk()) return false;
    // IGuestNet::ERROR_..., and a message that says the cause and the next step.
    LOG(ERROR) << status.getDescription();
    return status.getExceptionCode() == EX_TRANSACTION_FAILED ||
           status.getServiceSpecificError() >= IGuestNet::ERROR_KERNEL;
}

bool tell(IGuestNet& net, const std::vector<Line>& lines) {
    for (const Line& line : lines) {
        if (passes(net.setUplinkInfo(line.uplink, line.info))) return false;
        if (!line.servers.empty() && passes(net.setDns(line.uplink, line.servers))) return false;
    }
    return true;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2) {
        LOG(ERROR) << "usage: connector FILE";
        return 2;
    }
    // Blocked in every thread: both are waited for below. The word of a death comes as SIGUSR1.
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGHUP);
    sigaddset(&signals, SIGUSR1);
    sigprocmask(SIG_BLOCK, &signals, nullptr);
    ABinderProcess_startThreadPool();

    ndk::ScopedAIBinder_DeathRecipient death(
            AIBinder_DeathRecipient_new([](void*) { kill(getpid(), SIGUSR1); }));
    auto listener = ndk::SharedRefBase::make<Listener>();
    while (true) {
        // Starts it where it is not there: it is init's, and its name is declared.
        ndk::SpAIBinder binder(
                AServiceManager_waitForService("android.system.guestnet.IGuestNet/default"));
        std::shared_ptr<IGuestNet> net = IGuestNet::fromBinder(binder);
        bool told = net != nullptr &&
                    AIBinder_linkToDeath(binder.get(), death.get(), nullptr) == STATUS_OK;
        if (told) {
            // It is for the log alone.
            if (auto status = net->registerListener(listener); !status.isOk()) {
                LOG(WARNING) << status.getDescription();
            }
            // A guestnetd that has died has forgotten all that it was told.
            int signal = SIGHUP;
            while (told && signal == SIGHUP) {
                told = tell(*net, read(argv[1]));
                if (told) sigwait(&signals, &signal);
            }
            AIBinder_unlinkToDeath(binder.get(), death.get(), nullptr);
        }
        if (!told) sleep(1);
    }
}
