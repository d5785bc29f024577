//! The vocabulary in which PostgreSQL's side and the CRMs' side meet.
//!
//! Nothing here knows PostgreSQL, a vendor or the network.
//! Read `connector.rs` first: it is the border; then `query.rs` and `page.rs`, which cross it.

mod account;
mod bind;
mod budget;
mod build;
mod cell;
mod changes;
mod condition;
mod connector;
mod deletions;
mod error;
mod fitting;
pub mod json;
mod options;
mod outcomes;
mod page;
mod plain;
mod query;
mod rules;
mod schema;
mod stats;
mod temporal;
#[cfg(test)]
mod testkit;
mod value;
mod write;

pub use account::Account;
pub use bind::{Bound, bind};
pub use budget::{Budget, CallLimit};
pub use build::PageBuilder;
pub use cell::{CellDecoder, Raw};
pub use changes::{FollowedChanges, Reached, SharedReached};
pub use condition::{Condition, Operand, ValueClass};
pub use connector::{
    AccountInfo, BoxFuture, Capability, ChangePage, ChangeStream, Connector, Deletion, Deletions,
    Dialect, Fit, KeyForm, PageStream, Session, Shape, Usage,
};
pub use deletions::DeletionsOfPeriod;
pub use error::{Error, ErrorKind, Result};
pub use fitting::{
    comparison, fit_as_is, fit_beyond, fit_day, fit_decimal, fit_list, fit_to_seconds,
    fit_whole_number, folds_alike,
};
pub use options::{
    COLUMN_OPTIONS, COMMON_OPTIONS, OptionDef, OptionKind, Place, check_option, find_option,
    parse_bool,
};
pub use outcomes::Outcomes;
pub use page::{CellReject, Column, ColumnData, ListColumn, Page, TextColumn};
pub use plain::{Plain, is_plain_number};
pub use query::{Aggregate, AggregateFunction, Filter, Operator, QueryField, RemoteQuery, Sort};
pub use rules::{Decision, Pushdown, Refusal, decide};
pub use schema::{
    Conversion, Enumeration, EnumerationValue, FieldFacts, ObjectSummary, RecordVariant,
    RemoteField, RemoteObject,
};
pub use secrecy::{ExposeSecret, SecretString};
pub use stats::{CallStats, Counts};
pub use temporal::{
    MICROS_PER_DAY, MICROS_PER_SECOND, Zone, day_in_zone, day_start_in_zone, format_date,
    format_instant_millis, format_instant_seconds, format_time_millis, instant_of_wall_clock,
    parse_date, parse_instant, parse_time, parse_wall_clock, wall_clock_in_zone,
};
pub use value::{ColumnType, Value, parse_uuid, uuid_text};
pub use write::{
    NoTickets, Operation, RecordOutcome, Reject, Route, TicketKeeper, WriteBatch, WriteField,
    WriteLimits, WriteRecord, WriteReply, check_batch, shortened,
};
