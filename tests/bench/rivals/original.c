/* Copyright (C) 2026 The Android Open Source Project
 *
 * Licensed under the Apache License, Version 2.0 (the "License");
 * you may not use this file except in compliance with the License.
 * You may obtain a copy of the License at
 *
 *     http://www.apache.org/licenses/LICENSE-2.0
 *
 * Unless required by applicable law or agreed to in writing, software
 * distributed under the License is distributed on an "AS IS" BASIS,
 * WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
 * See the License for the specific language governing permissions and
 * limitations under the License.
 */

/* The original: its commands as it runs them, one system() for each.
 * original attach|detach PID, with IPTABLES as the command to use; afterwards it prints for each
 * command how many microseconds it took. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Shared with the child that enters the guest. */
static struct report {
    int count, failed;
    struct {
        char command[256];
        long micros;
    } steps[16];
} *report;

static long now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* In the report `shown` stands for the word, so that it is the same each time. */
static void run(const char *format, const char *word, const char *shown) {
    char command[256];
    snprintf(command, sizeof command, format, word);
    long began = now();
    int status = system(command);
    int at = report->count++;
    report->steps[at].micros = now() - began;
    snprintf(report->steps[at].command, sizeof report->steps[at].command, format, shown);
    if (status != 0) {
        fprintf(stderr, "original: failed with %d: %s\n", status, command);
        report->failed = 1;
    }
}

static int in_guest(const char *pid) {
    pid_t child = fork();
    if (child == 0) {
        char path[64];
        snprintf(path, sizeof path, "/proc/%s/ns/net", pid);
        int netns = open(path, O_RDONLY | O_CLOEXEC);
        if (netns < 0 || setns(netns, CLONE_NEWNET) != 0) _exit(1);
        run("ip link set vm_wlan0 name wlan0", 0, 0);
        run("ifconfig wlan0 172.17.3.3 netmask 255.255.0.0 up", 0, 0);
        run("route add default gw 172.17.3.2", 0, 0);
        _exit(0);
    }
    int status = 1;
    return waitpid(child, &status, 0) == child && status == 0;
}

static void attach(const char *iptables, const char *pid) {
    run("ip link add name vm_wlan type veth peer name vm_wlan0", 0, 0);
    run("ifconfig vm_wlan 172.17.3.2 netmask 255.255.0.0 up", 0, 0);
    run("echo 1 > /proc/sys/net/ipv4/ip_forward", 0, 0);
    run("%s -t nat -A POSTROUTING -s 172.17.0.0/16 -o wlan0 -j MASQUERADE", iptables, "iptables");
    run("%s -t filter -A FORWARD -i wlan0 -o vm_wlan -j ACCEPT", iptables, "iptables");
    run("%s -t filter -A FORWARD -o wlan0 -i vm_wlan -j ACCEPT", iptables, "iptables");
    run("ip link set vm_wlan0 netns %s", pid, "PID");
    if (!in_guest(pid)) report->failed = 1;
}

/* The other end, its address and its route go with the device's end. */
static void detach(const char *iptables) {
    run("%s -t nat -D POSTROUTING -s 172.17.0.0/16 -o wlan0 -j MASQUERADE", iptables, "iptables");
    run("%s -t filter -D FORWARD -i wlan0 -o vm_wlan -j ACCEPT", iptables, "iptables");
    run("%s -t filter -D FORWARD -o wlan0 -i vm_wlan -j ACCEPT", iptables, "iptables");
    run("ifconfig vm_wlan down", 0, 0);
    run("ip link del vm_wlan", 0, 0);
}

int main(int count, char **words) {
    const char *iptables = getenv("IPTABLES");
    if (count != 3 || !iptables) return 2;
    report = mmap(0, sizeof *report, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (report == MAP_FAILED) return 1;
    if (strcmp(words[1], "attach") == 0)
        attach(iptables, words[2]);
    else
        detach(iptables);
    for (int i = 0; i < report->count; i++)
        printf("%ld %s\n", report->steps[i].micros, report->steps[i].command);
    return report->failed;
}
