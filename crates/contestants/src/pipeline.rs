//! Commands sent without waiting for each answer, but never too many unanswered.

use std::{io::Write, net::TcpStream};

use anyhow::{Context, Result};

use crate::resp::{self, Replies};

/// How many commands go out at once. Twice as many may be unanswered, so that Redis has the next ones
/// while the answers to these are on their way.
pub(crate) const DEPTH: u32 = 512;

/// A connection whose answers only matter when they are errors.
#[derive(Debug)]
pub(crate) struct Pipeline {
    stream: TcpStream,
    replies: Replies,
    unanswered: u32,
}

impl Pipeline {
    pub(crate) fn connect(port: u16) -> Result<Self> {
        let stream = resp::connect(port)?;
        Ok(Self {
            replies: Replies::new(stream.try_clone()?),
            stream,
            unanswered: 0,
        })
    }

    /// Sends commands and reads answers until no more than [`DEPTH`] are missing.
    pub(crate) fn send(&mut self, bytes: &[u8], commands: u32) -> Result<()> {
        self.stream
            .write_all(bytes)
            .context("cannot write to Redis")?;
        self.unanswered += commands;
        self.read_until(DEPTH)
    }

    /// Reads all answers that are missing.
    pub(crate) fn finish(&mut self) -> Result<()> {
        self.read_until(0)
    }

    fn read_until(&mut self, unanswered: u32) -> Result<()> {
        while self.unanswered > unanswered {
            self.replies.next()?;
            self.unanswered -= 1;
        }
        Ok(())
    }
}
