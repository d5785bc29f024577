//! What a job's file holds, read without changing it.

use crate::index::Index;
use crate::line::{Begin, VERSION};
use crate::log::{Log, Medium, shown};
use crm_core::Result;

/// What a file holds.
pub(crate) struct Recovered {
    pub log: Log,
    pub index: Index,
    /// The first line; nothing when the file was not written so far.
    pub begin: Option<Begin>,
    /// When the job was begun, in microseconds since the Unix epoch.
    pub begun_at: i64,
}

impl Recovered {
    /// Reads a job's file and changes nothing in it. `name` is the job's, if the caller knows it.
    /// `see` gets the place and the time of each line.
    pub fn read(
        medium: Box<dyn Medium>,
        name: Option<&str>,
        mut see: impl FnMut(u64, i64),
    ) -> Result<Self> {
        let mut index = Index::default();
        let mut begin: Option<(Begin, i64)> = None;
        let log = Log::read(medium, name.unwrap_or("?"), |again, bytes, line, place| {
            if again {
                index = Index::default();
            }
            if line.line == 0 {
                let first = line
                    .begin
                    .clone()
                    .ok_or("it does not say what the job is")?;
                if first.version != VERSION {
                    return Err(format!("it has version {} of the format", first.version));
                }
                if name.is_some_and(|name| name != first.job) {
                    return Err(format!("it is of another job, \"{}\"", shown(&first.job)));
                }
                begin = Some((first, line.at));
            }
            see(place, line.at);
            index.take(bytes, line, place)
        })?;
        let (begin, begun_at) = begin.unzip();
        Ok(Self {
            log,
            index,
            begin,
            begun_at: begun_at.unwrap_or_default(),
        })
    }
}
