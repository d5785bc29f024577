//! XML as SOAP services speak it: replies that may be hostile are read in place, requests are written escaped.
//!
//! Elements are known by namespace and local name, never by prefix. Nothing is fetched and nothing expands: document
//! types and entities beyond the five that XML brings are refused. Knows no CRM.

mod reader;
mod writer;

pub use reader::Reader;
pub use writer::Writer;
