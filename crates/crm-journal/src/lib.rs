//! The export journal (spec X-6): which records of an export job were sent and what became of each.
//!
//! It is kept in files outside the database transaction, so that the same export run again after any failure sends no
//! record twice and loses none. Nothing here knows the network or who asks; every call blocks until the disk has it.
//!
//! # The order of calls
//!
//! 1. [`Job::open`] takes the job for this process, and reads what an earlier run left.
//! 2. [`Job::claim`] for each record of the source says whether it is new, done, or open.
//!    A record is known by its [`Fingerprint`]; the n-th equal one is the n-th claim.
//! 3. [`Job::intend`] before a batch is sent. When it fails, nothing may be sent.
//!    [`Job::attach_ticket`] keeps the name of a remote job once it is known, before records go into it.
//! 4. [`Job::outcomes`] after the reply. Records without an outcome are unknown to the next run.
//! 5. [`Job::finish`] after the transaction committed.
//!
//! A rejected record is known not to be applied, so a later run sends it again: the cause may have been mended, and if
//! not the reject is told again. A record whose outcome is unknown is never sent by guess: the exporter settles it with
//! the CRM (by its ticket or by the key in its [`Intent`]), or leaves it for [`Directory::settle`].
//!
//! # The file
//!
//! One file for each job; one JSON object for each line. The first member of a line is the CRC-32 of the bytes after
//! it up to the end of the line, as eight hexadecimal digits; then the number of the line, from 0, and the time in
//! microseconds since the Unix epoch.
//!
//! ```text
//! {"crc":"…","line":0,"at":…,"begin":{"version":1,"job":"nightly","server":"sf","object":"Account","operations":["create"],"columns":["Name"]}}
//! {"crc":"…","line":1,"at":…,"sent":[{"n":1,"op":"create","digest":"…","key":"…","record":{"Name":"A"}}]}
//! {"crc":"…","line":2,"at":…,"ticket":{"id":"750x","of":[[1,1]]}}
//! {"crc":"…","line":3,"at":…,"outcomes":[{"n":1,"from":171,"outcome":{"accepted":{"id":"001x"}}}]}
//! {"crc":"…","line":4,"at":…,"end":{"pending":0}}
//! ```
//!
//! `from` is the place in the file of the record's latest intent. `"more":true` says that the intents of one call go on
//! in the next line; nothing was sent before its last line was kept.
//! Each line is flushed before the next is written, so a crash can harm the last line alone, and a harmed last line is
//! one that nobody relied on yet: it is cut off. Harm anywhere else is an error, never guessed around.
//! A job that starts anew gets a new file, which takes the place of the old one once its first line is flushed.
//!
//! Measured with a million accepted records of 106 bytes of JSON in batches of 200 (`examples/measure.rs`): 268 bytes
//! of file and 53 bytes of memory for each, 1.7 s to read it all again, two flushes for each batch.

mod directory;
mod fingerprint;
mod index;
mod job;
mod line;
mod listing;
mod log;
mod name;
mod record;
mod recovered;
#[cfg(test)]
mod tests;

pub use directory::{Directory, Settlement};
pub use fingerprint::Fingerprint;
pub use index::Counts;
pub use job::Job;
pub use line::{Outcome, Signature};
pub use listing::{JobState, JobSummary, RecordEntry, RecordStatus, Records};
pub use record::{Claim, IntendedRecord, Intent, Unsettled};
