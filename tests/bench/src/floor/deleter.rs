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

//! Deletes links on a thread that is kept: the kernel answers a delete 15 ms after the link has
//! gone, and nobody waits for that.

use std::io;
use std::sync::mpsc::{channel, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use super::message::Batch;
use super::request;
use super::socket::Socket;

/// The thread. It ends when this is dropped.
#[derive(Debug)]
pub struct Deleter {
    orders: Sender<u32>,
    answers: Receiver<io::Result<Duration>>,
}

impl Deleter {
    /// Starts it, in the network namespace of the calling thread.
    pub fn start() -> io::Result<Self> {
        let socket = Socket::open()?;
        let (orders, ordered) = channel();
        let (answer, answers) = channel();
        thread::Builder::new().name("floor delete".into()).spawn(move || {
            let mut batch = Batch::default();
            for index in ordered {
                batch.clear();
                request::delete(&mut batch, index);
                let began = Instant::now();
                let answered = socket.call(batch.answered()).map(|_| began.elapsed());
                if answer.send(answered).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { orders, answers })
    }

    /// Orders a delete.
    pub fn delete(&self, index: u32) -> io::Result<()> {
        self.orders.send(index).map_err(|_| ended())
    }

    /// How many more orders the kernel has answered.
    pub fn finished(&self) -> io::Result<usize> {
        self.answers.try_iter().map(|answer| answer.map(|_| 1)).sum()
    }

    /// Waits for the kernel's answer to the oldest order.
    pub fn answer(&self) -> io::Result<Duration> {
        self.answers.recv().map_err(|_| ended())?
    }
}

fn ended() -> io::Error {
    io::Error::other("the floor's delete thread has ended")
}
