//! The border: what a CRM must be able to do for PostgreSQL's side.
//!
//! A [`Connector`] is pure and knows one CRM's language and rules; planning uses nothing else, so it makes no call.
//! A [`Session`] is one signed-in account on the network thread.

use crate::account::Account;
use crate::error::Result;
use crate::options::OptionDef;
use crate::page::Page;
use crate::query::{AggregateFunction, Operator, RemoteQuery};
use crate::schema::{
    Conversion, Enumeration, FieldFacts, ObjectSummary, RemoteField, RemoteObject,
};
use crate::stats::CallStats;
use crate::temporal::Zone;
use crate::value::{ColumnType, Value};
use crate::write::{
    Operation, RecordOutcome, Reject, Route, TicketKeeper, WriteBatch, WriteLimits, WriteReply,
};
use crate::{Filter, rules::Pushdown};
use std::borrow::Cow;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

/// A future that the network thread runs.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// How a condition on a field looks, without its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A comparison.
    Compare(Operator),
    /// One of a list.
    In,
    /// A text pattern.
    Like,
    /// A null test.
    IsNull,
    /// Its opposite.
    IsNotNull,
}

/// How the CRM's answer to a condition compares with SQL's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capability {
    /// The same rows.
    Exact,
    /// The same rows and perhaps more: checked again here.
    Lossy,
    /// Rows could be missing, or the CRM refuses; why.
    No(&'static str),
}

/// What becomes of a condition once its value is known (S-2.5).
#[derive(Clone, Debug, PartialEq)]
pub enum Fit {
    /// Send this; `exact` when it means the same as the condition it stands for.
    Send {
        /// The remote condition.
        filter: Filter<Value>,
        /// Means the same.
        exact: bool,
    },
    /// Holds for every record whose field is not empty.
    NotNull,
    /// Holds for no record.
    Never,
    /// The CRM cannot hold or read such a value.
    Unpushable(&'static str),
}

/// What a text is as a record identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyForm {
    /// As the CRM writes it.
    Canonical,
    /// A form the CRM takes but never writes: equal to no stored value (S-4).
    Variant,
    /// Names no record.
    Invalid,
}

/// Who an account is (spec A-7).
#[derive(Clone, Debug, Default)]
pub struct AccountInfo {
    /// The user signed in.
    pub user: String,
    /// The organisation's name or identifier.
    pub organization: String,
    /// Host that data requests go to.
    pub host: String,
    /// Interface version in use.
    pub api_version: String,
    /// How the sign-in was done, an `auth` value.
    pub auth: String,
}

/// Calls used of the account's allotment, as last heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Calls made in the allotment's period.
    pub used: u64,
    /// Calls allowed in it.
    pub allowed: u64,
}

/// One deleted record (L-1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deletion {
    /// Its identifier, in canonical form.
    pub id: String,
    /// When, in microseconds since the Unix epoch, where the CRM knows.
    pub deleted_at: Option<i64>,
    /// Its name, where the CRM knows.
    pub name: Option<String>,
    /// Who deleted it, where the CRM knows.
    pub deleted_by: Option<String>,
}

/// What a CRM's deletion log says of a period.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deletions {
    /// The records, each once.
    pub records: Vec<Deletion>,
    /// The log is complete up to here, microseconds since the Unix epoch; it may end before the period does.
    pub covered_until: Option<i64>,
    /// The log may lack deletions of this period; why, in words for the user (L-2).
    pub incomplete: Option<String>,
}

/// One page of changes: a record may come more than once, the last word counts.
#[derive(Clone, Debug, Default)]
pub struct ChangePage {
    /// New and changed records with all fields of the query.
    pub page: Page,
    /// Identifiers of records that are gone, in canonical form; a deletion stands after the page's records.
    pub deleted: Vec<String>,
    /// Where the next reading goes on: with the last page only, and always with it.
    pub token: Option<String>,
}

/// How an account's queries travel, where that depends on more than its CRM.
#[derive(Clone, Copy)]
pub struct Dialect {
    /// Name of the query language.
    pub language: &'static str,
    /// The kind of interface, as [`Connector::transport`] says it.
    pub transport: &'static str,
    /// The query as it is sent; errors as those of [`Connector::deparse`].
    pub deparse: fn(&RemoteQuery) -> Result<String>,
}

/// One CRM: its options, its language, what it can do. Without state and without a network.
pub trait Connector: Send + Sync {
    /// Name of the foreign-data wrapper.
    fn name(&self) -> &'static str;

    /// Name of the query language, for EXPLAIN.
    fn query_language(&self) -> &'static str;

    /// Its own options, beside [`crate::COMMON_OPTIONS`].
    fn options(&self) -> &'static [OptionDef];

    /// A server at this address keeps a secret safe whoever made the server: it is the vendor's own host.
    fn is_vendor_host(&self, url: &str) -> bool;

    /// Name of the record identifier of `object` where the table's options do not say.
    fn default_identifier(&self, object: &str) -> &'static str;

    /// Fields that say when a record of `object` was last changed; the first present one counts (I-1).
    fn modification_fields(&self, object: &str) -> &'static [&'static str];

    /// How the CRM answers a condition of this shape on this field.
    fn capability(&self, field: &FieldFacts, shape: Shape, mode: Pushdown) -> Capability;

    /// The field's name in a condition, where records carry its value under another.
    fn condition_name<'f>(&self, field: &'f FieldFacts) -> Cow<'f, str> {
        Cow::Borrowed(&field.name)
    }

    /// Fits a condition with its value to what the CRM can read; `filter` is one comparison, list or pattern on `field`,
    /// under its name in conditions.
    fn fit(&self, field: &FieldFacts, filter: Filter<Value>) -> Fit;

    /// The CRM sorts by this field as PostgreSQL does, where the nulls lie as [`Connector::places_nulls`] says (S-6).
    fn sorts_alike(&self, field: &FieldFacts) -> bool;

    /// The CRM can be asked for nulls at that end of that order; usually wherever they are wanted.
    fn places_nulls(&self, _descending: bool, _nulls_first: bool) -> bool {
        true
    }

    /// The aggregate's answer is provably PostgreSQL's (S-7).
    fn aggregates_alike(&self, function: AggregateFunction, field: Option<&FieldFacts>) -> bool;

    /// What `text` is as an identifier.
    fn key_form(&self, text: &str) -> KeyForm;

    /// The canonical form of an identifier in any form the CRM takes.
    fn canonical_key(&self, text: &str) -> Option<String>;

    /// What a user is told of an identifier that is a [`KeyForm::Variant`]: the form that records carry.
    fn canonical_form(&self) -> &'static str {
        "records carry them in one form only, and crm.fetch() finds them by the others"
    }

    /// Names that the CRM adds to each record of a native query beside its fields.
    fn annotations(&self) -> &'static [&'static str] {
        &[]
    }

    /// The kind of interface that a scan goes over, for EXPLAIN; `server` looks up options of the foreign server.
    fn transport(&self, _server: &dyn Fn(&str) -> Option<String>) -> &'static str {
        "rest"
    }

    /// The type of a field's column where an option of the foreign table decides it; `table` looks those up. Nothing
    /// where the description does (N-3).
    fn told_type(
        &self,
        _field: &RemoteField,
        _table: &dyn Fn(&str) -> Option<String>,
    ) -> Option<ColumnType> {
        None
    }

    /// The query as it will be sent, for EXPLAIN.
    ///
    /// # Errors
    /// When the query cannot be said in the CRM's language: too long, or a name it cannot hold.
    fn deparse(&self, query: &RemoteQuery) -> Result<String>;

    /// Identifiers that one call takes when records are fetched by them (S-4), for a query with these fields.
    fn lookup_batch(&self, query: &RemoteQuery) -> usize;

    /// Data calls that reading `rows` records by this query takes; of a query for aggregates, those that computing them
    /// from so many records takes.
    fn estimate_calls(&self, query: &RemoteQuery, rows: f64) -> f64;

    /// The most records and bytes that one batch of this kind takes.
    fn write_limits(&self, operation: Operation, route: Route) -> WriteLimits;

    /// How `records` records travel: `transport` is the option of that name, `settles` is false when a create whose
    /// answer is lost could not be settled by a key of the record, so that a job, which can be asked later, is safer.
    fn write_route(
        &self,
        operation: Operation,
        records: usize,
        transport: Option<&str>,
        settles: bool,
    ) -> Route;

    /// A new record of `object` may be given an identifier that was chosen here. Then an export makes one up for
    /// every create that no other key settles: it stands among the batch's fields, and is its journal key. Such a
    /// create never overwrites a record, and a refusal because the identifier exists says that an earlier
    /// attempt arrived.
    fn takes_identifiers(&self, _object: &str) -> bool {
        false
    }

    /// Calls that writing `records` records takes.
    fn estimate_write_calls(&self, operation: Operation, route: Route, records: f64) -> f64;

    /// What the metadata says against a value, before a call is spent: too long, out of range, not of the
    /// enumeration, or nothing that can be said on the wire: the reject that the CRM would give. `value` is absent
    /// when the field is emptied.
    fn check_value(
        &self,
        field: &RemoteField,
        conversion: Conversion,
        value: Option<&Value>,
        zone: Zone,
    ) -> Option<Reject>;

    /// Makes a session; signs in at first use, not here.
    ///
    /// # Errors
    /// Missing or contradictory options.
    fn open(&self, account: Account) -> Result<Arc<dyn Session>>;
}

/// One account, signed in when first needed. Lives on the network thread.
pub trait Session: Send + Sync {
    /// Signs in and says who and where.
    fn check<'a>(&'a self, stats: &'a CallStats) -> BoxFuture<'a, Result<AccountInfo>>;

    /// All objects of the account.
    fn objects<'a>(&'a self, stats: &'a CallStats) -> BoxFuture<'a, Result<Vec<ObjectSummary>>>;

    /// Fields of these objects, in the same order, in as few calls as the interface allows (C-2).
    fn describe<'a>(
        &'a self,
        objects: &'a [String],
        stats: &'a CallStats,
    ) -> BoxFuture<'a, Result<Vec<RemoteObject>>>;

    /// The same description with the values of its enumerations (N-1), where describing leaves them out because they cost
    /// calls of their own.
    ///
    /// # Errors
    /// When the CRM cannot be asked.
    fn with_values<'a>(
        &'a self,
        object: RemoteObject,
        _stats: &'a CallStats,
    ) -> BoxFuture<'a, Result<RemoteObject>> {
        Box::pin(std::future::ready(Ok(object)))
    }

    /// The same description, in which the values of enumerations say in which variants of the object they may be
    /// chosen (N-1). A call for each variant, none where the object has none; unchanged where the CRM does not tell.
    ///
    /// # Errors
    /// When the CRM cannot be asked.
    fn with_variants<'a>(
        &'a self,
        object: RemoteObject,
        _stats: &'a CallStats,
    ) -> BoxFuture<'a, Result<RemoteObject>> {
        Box::pin(std::future::ready(Ok(object)))
    }

    /// The enumerations of the account that belong to no object (N-1), used by some field or by none.
    ///
    /// # Errors
    /// When the CRM cannot be asked.
    fn global_enumerations<'a>(
        &'a self,
        _stats: &'a CallStats,
    ) -> BoxFuture<'a, Result<Vec<Enumeration>>> {
        Box::pin(std::future::ready(Ok(Vec::new())))
    }

    /// Starts reading; nothing is sent before the first page is asked for.
    fn scan(self: Arc<Self>, query: RemoteQuery, stats: Arc<CallStats>) -> Box<dyn PageStream>;

    /// Starts reading what has changed since a change token was given, or everything where `token` is absent: a
    /// projection of `query.object` without filter, lookup, order, limit or aggregates. Nothing where the CRM has no
    /// such tokens; nothing is sent before the first page is asked for.
    fn changes(
        self: Arc<Self>,
        _query: RemoteQuery,
        _token: Option<String>,
        _stats: Arc<CallStats>,
    ) -> Option<Box<dyn ChangeStream>> {
        None
    }

    /// Passes a query in the CRM's own language through (S-14): pages of one JSON column, a document a record.
    ///
    /// # Errors
    /// When the statement would do more than read.
    fn native(
        self: Arc<Self>,
        statement: &str,
        stats: Arc<CallStats>,
    ) -> Result<Box<dyn PageStream>>;

    /// Sends one batch and says what became of each record; within the limits of [`Connector::write_limits`].
    /// The name of a job is given to `tickets` before records travel in it.
    fn write<'a>(
        &'a self,
        batch: &'a WriteBatch,
        tickets: &'a dyn TicketKeeper,
        stats: &'a CallStats,
    ) -> BoxFuture<'a, WriteReply>;

    /// Finds out what became of records that were sent without an answer: by the job's `ticket`, the journal
    /// key, the key of an upsert, or the identifier. Records that can simply be sent again are `NotApplied`;
    /// `Unknown` where the CRM cannot tell.
    ///
    /// # Errors
    /// When the CRM cannot be asked.
    fn settle<'a>(
        &'a self,
        batch: &'a WriteBatch,
        ticket: Option<&'a str>,
        stats: &'a CallStats,
    ) -> BoxFuture<'a, Result<Vec<RecordOutcome>>>;

    /// The CRM's own clock: microseconds since the Unix epoch (I-2).
    ///
    /// # Errors
    /// When the CRM cannot be asked or does not say.
    fn clock<'a>(&'a self, stats: &'a CallStats) -> BoxFuture<'a, Result<i64>>;

    /// Records of `object` deleted from `start` to `end`, both included, microseconds since the Unix epoch (L-1).
    /// The answer is cut to the period to the second, whatever the CRM's own clock can say.
    ///
    /// # Errors
    /// [`crate::ErrorKind::NotSupported`] when the CRM keeps no deletions of the object,
    /// [`crate::ErrorKind::OptionValue`] when it does not reach back so far.
    fn deleted<'a>(
        &'a self,
        object: &'a str,
        start: i64,
        end: i64,
        stats: &'a CallStats,
    ) -> BoxFuture<'a, Result<Deletions>>;

    /// Number of records that match the query's filter, in one call.
    fn count<'a>(
        &'a self,
        query: &'a RemoteQuery,
        stats: &'a CallStats,
    ) -> BoxFuture<'a, Result<u64>>;

    /// The account's allotment as last heard; no call is made.
    fn usage(&self) -> Option<Usage>;

    /// Host and user of the current sign-in, if there is one; no call is made.
    fn signed_in(&self) -> Option<AccountInfo>;

    /// How this account's queries travel, as far as that has been found out, for EXPLAIN; no call is made. Nothing where
    /// the connector's own word holds for every account.
    fn dialect(&self) -> Option<Dialect> {
        None
    }

    /// Signs off, where the CRM keeps a place for everybody who is signed in; nothing where nobody is. The caller gives
    /// it little time and goes on whatever happens; a session that is used again signs in anew.
    fn close<'a>(&'a self, _stats: &'a CallStats) -> BoxFuture<'a, ()> {
        Box::pin(std::future::ready(()))
    }
}

/// Pages of one scan, one after the other.
pub trait PageStream: Send {
    /// The next page, or nothing when all have been read.
    ///
    /// # Errors
    /// Whatever stops the scan; [`crate::ErrorKind::ShortRead`] when fewer records came than announced.
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Page>>>;
}

/// Pages of one reading of changes, one after the other.
pub trait ChangeStream: Send {
    /// The next page, or nothing when all have been read.
    ///
    /// # Errors
    /// Whatever stops the reading. [`crate::ErrorKind::NotSupported`] when the CRM tracks no changes of the object;
    /// [`crate::ErrorKind::ChangeTokenExpired`] when it no longer knows what has changed since the token was given:
    /// then everything must be read anew.
    fn next(&mut self) -> BoxFuture<'_, Result<Option<ChangePage>>>;
}
