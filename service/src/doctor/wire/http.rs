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

//! The page that is answered with status 204, or by a sign-in page instead: what Android's own check of a
//! network asks (NetworkMonitor).

use crate::doctor::targets::Page;

/// Most bytes of an answer that are read.
pub const MOST: usize = 4096;
/// Most characters of a sign-in page's address that are kept.
const MOST_URL: usize = 300;

/// What an answer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// 204, or a page without content.
    AsExpected,
    /// Somebody else answered: a sign-in page, by its address where it says one.
    Portal(Option<String>),
    /// Another status, or no HTTP.
    Odd(String),
}

/// The request.
pub fn request(page: &Page) -> Vec<u8> {
    let host = match page.port {
        80 => page.host.clone(),
        port => format!("{}:{port}", page.host),
    };
    let path = &page.path;
    let text = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nUser-Agent: guestnetd\r\n\r\n"
    );
    text.into_bytes()
}

/// What the bytes so far are; nothing while the head is not whole and more may come.
pub fn judge(bytes: &[u8], ended: bool) -> Option<Answer> {
    let text = String::from_utf8_lossy(bytes);
    let (head, body) = match text.split_once("\r\n\r\n") {
        Some(both) => both,
        None if ended || bytes.len() >= MOST => (text.as_ref(), ""),
        None => return None,
    };
    let mut lines = head.lines();
    let status = lines.next().and_then(status_of);
    let Some(status) = status else {
        return Some(Answer::Odd("what answers is no HTTP".to_owned()));
    };
    let header = |name: &str| {
        head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.trim().eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    };
    Some(match status {
        204 => Answer::AsExpected,
        // Some proxies make it a 200 without content (as NetworkMonitor has it).
        200 if header("content-length").as_deref() == Some("0") && body.is_empty() => {
            Answer::AsExpected
        }
        200 => Answer::Portal(None),
        300..=399 | 511 => Answer::Portal(header("location").as_deref().and_then(printable)),
        other => Answer::Odd(format!("status {other}")),
    })
}

fn status_of(line: &str) -> Option<u16> {
    let mut words = line.split_ascii_whitespace();
    words.next().filter(|version| version.starts_with("HTTP/"))?;
    words.next()?.parse().ok()
}

/// It is shown to people: nothing in it steers their terminal.
fn printable(url: &str) -> Option<String> {
    let url: String = url.chars().filter(char::is_ascii_graphic).take(MOST_URL).collect();
    (!url.is_empty()).then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answer_is_what_it_is() {
        use Answer::*;
        let portal = |url: &str| Some(Portal(Some(url.to_owned())));
        for (text, ended, is) in [
            ("HTTP/1.1 204 No Content\r\n\r\n", false, Some(AsExpected)),
            ("HTTP/1.1 204 No", false, None),
            ("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", true, Some(AsExpected)),
            ("HTTP/1.0 200 OK\r\nContent-Length: 9\r\n\r\n<html>", false, Some(Portal(None))),
            ("HTTP/1.1 302 x\r\nlocation:  http://a/b\r\n\r\n", false, portal("http://a/b")),
            (
                "HTTP/1.1 302 x\r\nLocation: http://a/\x1b[2Jb\r\n\r\n",
                false,
                portal("http://a/[2Jb"),
            ),
            ("HTTP/1.1 511 x\r\n\r\n", false, Some(Portal(None))),
            ("HTTP/1.1 503 x\r\n\r\n", false, Some(Odd("status 503".to_owned()))),
            ("SSH-2.0-x\r\n", true, Some(Odd("what answers is no HTTP".to_owned()))),
            ("", true, Some(Odd("what answers is no HTTP".to_owned()))),
        ] {
            assert_eq!(judge(text.as_bytes(), ended), is, "{text}");
        }
        assert!(judge(&[0xff; MOST], false).is_some(), "no more is read");
    }
}
