//! How `striae` ends.

use std::process::ExitCode;

/// Exit codes; they are part of the command line's interface and never change their meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Done.
    Success = 0,
    /// Something failed that is not the user's doing: a full disk, a diverged training, a bug.
    Failure = 1,
    /// Bad input: an unknown command or name, a malformed file, insecure parameters. Nothing was written.
    BadInput = 2,
    /// An encrypted run disagrees with the network in the clear.
    VerificationFailed = 3,
    /// Stopped by Ctrl-C; finished work is kept, and the same command goes on from it.
    Interrupted = 130,
}

impl Exit {
    /// All codes with their meaning, as `striae --help` lists them.
    pub(crate) const HELP: &'static str = "\
Exit codes:
  0    done
  1    failed, not by bad input (a full disk, a diverged training, a bug)
  2    bad input: one line names the file and the field; nothing was written
  3    an encrypted result disagrees with the network in the clear
  130  interrupted; the same command goes on from what is finished

Results go to stdout, progress and messages to stderr.";
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
