//! Sessions against a server that answers as each test says.

mod changes;
mod jobs;
mod reading;
mod settling;
mod support;
mod vendor;
mod writing;
