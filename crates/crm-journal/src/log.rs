//! A file that lines are added to, and read back: what is durable, what is cut off, what is harm.
//! What the lines mean is `index.rs`.

use crate::line::{self, Harm, Line};
use crm_core::{Error, ErrorKind, Result};
use serde::de::DeserializeOwned;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::FileExt;

/// A file, or what a test puts in its place.
pub(crate) trait Medium: Send + Sync {
    /// Reads some bytes; none at the end.
    fn read_at(&self, buffer: &mut [u8], place: u64) -> io::Result<usize>;
    /// Writes all bytes, or fails after any part of them.
    fn write_at(&self, bytes: &[u8], place: u64) -> io::Result<()>;
    /// Cuts off what lies after `length`.
    fn truncate(&self, length: u64) -> io::Result<()>;
    /// Returns when everything is on the disk, its length too.
    fn sync(&self) -> io::Result<()>;
}

impl Medium for File {
    fn read_at(&self, buffer: &mut [u8], place: u64) -> io::Result<usize> {
        FileExt::read_at(self, buffer, place)
    }

    fn write_at(&self, bytes: &[u8], place: u64) -> io::Result<()> {
        self.write_all_at(bytes, place)
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}

/// Where a line is, its newline included.
pub(crate) struct Span {
    pub place: u64,
    pub length: usize,
}

/// The lines of one file.
pub(crate) struct Log {
    medium: Box<dyn Medium>,
    /// The job's name, for messages.
    job: String,
    /// Bytes that hold good lines.
    length: u64,
    /// How many lines those are.
    lines: u64,
    /// Something is in the file that could not be taken back.
    poisoned: bool,
}

impl Log {
    /// Reads a file from its beginning and gives every good line, with its bytes and its place, to `take`, first
    /// saying whether all is to be forgotten that was given before.
    /// Nothing in the file is changed: see [`Log::cut`].
    ///
    /// In the end no line of a call is given whose last line is missing: nothing relied on them. They are rare, so
    /// the file is then read a second time rather than kept in memory the first time.
    ///
    /// # Errors
    /// When the file cannot be read, when `take` refuses a line, and when a line other than the last is harmed.
    pub fn read(
        medium: Box<dyn Medium>,
        job: &str,
        mut take: impl FnMut(bool, &[u8], &Line<'_>, u64) -> std::result::Result<(), String>,
    ) -> Result<Self> {
        let mut log = Self {
            medium,
            job: job.to_owned(),
            length: 0,
            lines: 0,
            poisoned: false,
        };
        if let Some(start) = log.read_up_to(u64::MAX, &mut take)? {
            log.read_up_to(start, &mut take)?;
        }
        Ok(log)
    }

    /// Reads lines up to `limit`; returns where the last call begins if its last line is missing.
    fn read_up_to(
        &mut self,
        limit: u64,
        take: &mut impl FnMut(bool, &[u8], &Line<'_>, u64) -> std::result::Result<(), String>,
    ) -> Result<Option<u64>> {
        let mut reader = BufReader::with_capacity(
            1 << 16,
            From {
                medium: &*self.medium,
                place: 0,
            },
        );
        let mut bytes = Vec::new();
        let mut open_call = None;
        let (mut length, mut lines) = (0, 0);
        while length < limit {
            bytes.clear();
            let n_bytes = reader
                .read_until(b'\n', &mut bytes)
                .map_err(|error| could_not("read", &self.job, &error))?;
            if n_bytes == 0 {
                break;
            }
            let harmed = |what: &str| corrupt(&self.job, lines, what);
            let line = match bytes.strip_suffix(b"\n").map(line::decode) {
                Some(Ok(line)) => line,
                // Cut off, or written in part: nobody relied on it, if it is the last one.
                None | Some(Err(Harm::Checksum)) => {
                    let is_last = reader
                        .fill_buf()
                        .map_err(|error| could_not("read", &self.job, &error))?
                        .is_empty();
                    if is_last && !line::begins_with_line(&bytes) {
                        break;
                    }
                    return Err(harmed("its checksum does not fit"));
                }
                Some(Err(Harm::Form)) => return Err(harmed("it has no known form")),
            };
            if line.line != lines {
                return Err(harmed(&format!("it says that it is line {}", line.line)));
            }
            take(lines == 0, &bytes, &line, length).map_err(|what| harmed(&what))?;
            if line.more {
                open_call.get_or_insert(length);
            } else {
                open_call = None;
            }
            length += n_bytes as u64;
            lines += 1;
        }
        self.length = length;
        self.lines = lines;
        Ok(open_call)
    }

    /// Cuts off what lies after the last good line.
    ///
    /// # Errors
    /// When the file cannot be changed.
    pub fn cut(&self) -> Result<()> {
        self.medium
            .truncate(self.length)
            .and_then(|()| self.medium.sync())
            .map_err(|error| could_not("write", &self.job, &error))
    }

    /// Adds the lines of one call and returns where they are when all are on the disk; after an error none is there.
    ///
    /// `next` is asked for a line, given its number, until it has none, so that a large call is never in memory as
    /// a whole.
    ///
    /// # Errors
    /// When the disk is full or fails, and those of `next`. If what was written so far cannot be taken back, every
    /// later call fails too; opening the job again sorts it out.
    pub fn add(
        &mut self,
        mut next: impl FnMut(u64) -> Result<Option<Vec<u8>>>,
    ) -> Result<Vec<Span>> {
        if self.poisoned {
            return Err(Error::new(
                ErrorKind::StorageFailed,
                format!(
                    "cannot write the list of export job \"{}\" after an earlier failure",
                    shown(&self.job)
                ),
            ));
        }
        let mut spans = Vec::new();
        let mut place = self.length;
        let written = loop {
            let bytes = match next(self.lines + spans.len() as u64) {
                Ok(Some(bytes)) => bytes,
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            };
            // Flushed one by one, so that a crash harms the last one alone.
            let written = self.medium.write_at(&bytes, place);
            if let Err(error) = written.and_then(|()| self.medium.sync()) {
                break Err(could_not("write", &self.job, &error));
            }
            spans.push(Span {
                place,
                length: bytes.len(),
            });
            place += bytes.len() as u64;
        };
        if let Err(error) = written {
            self.poisoned = self.cut().is_err();
            return Err(error);
        }
        self.length = place;
        self.lines += spans.len() as u64;
        Ok(spans)
    }

    /// The bytes of a line that is in the file.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn bytes_of(&self, span: &Span) -> Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(span.length);
        let reader = From {
            medium: &*self.medium,
            place: span.place,
        };
        reader
            .take(span.length as u64)
            .read_to_end(&mut bytes)
            .map_err(|error| could_not("read", &self.job, &error))?;
        Ok(bytes)
    }

    /// Refuses everything from now on.
    pub fn poison(&mut self) {
        self.poisoned = true;
    }

    /// Reads the JSON value that begins at `place`.
    ///
    /// # Errors
    /// When the file cannot be read or something else is there.
    pub fn value_at<T: DeserializeOwned>(&self, place: u64) -> Result<T> {
        let mut bytes = vec![0; 512];
        let mut filled = 0;
        loop {
            let n_bytes = loop {
                match self
                    .medium
                    .read_at(&mut bytes[filled..], place + filled as u64)
                {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    result => {
                        break result.map_err(|error| could_not("read", &self.job, &error))?;
                    }
                }
            };
            filled += n_bytes;
            let mut values = serde_json::Deserializer::from_slice(&bytes[..filled]).into_iter();
            match values.next() {
                Some(Ok(value)) => return Ok(value),
                Some(Err(error)) if !error.is_eof() => break,
                _ if n_bytes == 0 => break,
                _ => {}
            }
            if filled == bytes.len() {
                bytes.resize(filled * 4, 0);
            }
        }
        Err(Error::new(
            ErrorKind::StorageCorrupt,
            format!(
                "cannot read the list of export job \"{}\" at byte {place}",
                shown(&self.job)
            ),
        ))
    }
}

/// Reads a medium from its beginning.
struct From<'a> {
    medium: &'a dyn Medium,
    place: u64,
}

impl Read for From<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n_bytes = self.medium.read_at(buffer, self.place)?;
        self.place += n_bytes as u64;
        Ok(n_bytes)
    }
}

/// A name as one line of a message.
pub(crate) fn shown(name: &str) -> String {
    name.replace(char::is_control, " ")
}

/// The disk did not do what was asked.
pub(crate) fn could_not(verb: &str, job: &str, error: &io::Error) -> Error {
    let full = matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    );
    let said = Error::new(
        ErrorKind::StorageFailed,
        format!(
            "could not {verb} the list of export job \"{}\": {error}",
            shown(job)
        ),
    );
    if full {
        said.with_hint("Make room on the disk, then run the same statement again.")
    } else {
        said
    }
}

fn corrupt(job: &str, line: u64, what: &str) -> Error {
    Error::new(
        ErrorKind::StorageCorrupt,
        format!(
            "cannot read the list of export job \"{}\": line {} is damaged",
            shown(job),
            line + 1
        ),
    )
    .with_detail(what)
    .with_hint(forget_hint(
        "The CRM may hold records of this job: compare before you drop its list",
        job,
    ))
}

/// `what`, and the call that drops a job's list.
pub(crate) fn forget_hint(what: &str, job: &str) -> String {
    format!(
        "{what} with crm.forget_export('{}').",
        shown(job).replace('\'', "''")
    )
}
