//! What the catalogs say of servers, mappings, foreign tables and their columns.
#![allow(unsafe_code)]

use crate::pg::list;
use pgrx::{PgRelation, pg_sys};
use std::ffi::{CStr, CString, c_char};
use std::path::PathBuf;

/// Options as they stand in a catalog: names and values.
pub type RawOptions = Vec<(String, String)>;

/// A foreign server and its wrapper.
#[derive(Clone, Debug)]
pub struct Server {
    /// Its row in `pg_foreign_server`.
    pub oid: pg_sys::Oid,
    /// Its name.
    pub name: String,
    /// Its owner.
    pub owner: pg_sys::Oid,
    /// Its options.
    pub options: RawOptions,
    /// The wrapper's name.
    pub wrapper: String,
    /// The wrapper's options.
    pub wrapper_options: RawOptions,
}

impl Server {
    /// One of its options.
    pub fn option(&self, name: &str) -> Option<&str> {
        let mut options = self.options.iter();
        options
            .find(|(option, _)| option == name)
            .map(|(_, value)| value.as_str())
    }
}

/// A user mapping.
#[derive(Clone, Debug)]
pub struct Mapping {
    /// The role it is for; invalid for everybody.
    pub role: pg_sys::Oid,
    /// Its options.
    pub options: RawOptions,
}

/// A column of a relation.
#[derive(Clone, Debug)]
pub struct ColumnDefinition {
    /// Its number, from 1.
    pub number: i16,
    /// Its name.
    pub name: String,
    /// Its type.
    pub type_oid: pg_sys::Oid,
    /// Its type modifier, -1 for none.
    pub type_modifier: i32,
    /// Its options.
    pub options: RawOptions,
}

/// The server of that identifier.
pub fn server(oid: pg_sys::Oid) -> Server {
    // SAFETY: raises an error for an unknown identifier; the structures live in the current context.
    unsafe { describe_server(pg_sys::GetForeignServer(oid)) }
}

/// The server of that name; raises an error if there is none or the caller may not use it.
pub fn server_by_name(name: &str) -> Server {
    let c_name = CString::new(name).unwrap_or_default();
    // SAFETY: raises an error for an unknown name; the structures live in the current context.
    unsafe {
        let found = pg_sys::GetForeignServerByName(c_name.as_ptr(), false);
        check_usage((*found).serverid, name);
        describe_server(found)
    }
}

/// The mapping of `user` for `server`; raises an error if there is none.
pub fn user_mapping(user: pg_sys::Oid, server: pg_sys::Oid) -> Mapping {
    // SAFETY: raises an error where there is no mapping; the structure lives in the current context.
    unsafe {
        let mapping = pg_sys::GetUserMapping(user, server);
        Mapping {
            // GetUserMapping reports who asked, not whose mapping it found.
            role: mapping_role((*mapping).umid),
            options: options_of((*mapping).options),
        }
    }
}

/// Server and options of a foreign table; raises an error for any other relation.
pub fn foreign_table(relation: pg_sys::Oid) -> (pg_sys::Oid, RawOptions) {
    // SAFETY: raises an error where the relation is not a foreign table.
    unsafe {
        let table = pg_sys::GetForeignTable(relation);
        ((*table).serverid, options_of((*table).options))
    }
}

/// The columns of a relation, dropped ones left out.
pub fn columns(relation: pg_sys::Oid) -> Vec<ColumnDefinition> {
    // SAFETY: the statement that names the relation holds a lock on it.
    let opened = unsafe { PgRelation::open(relation) };
    let descriptor = opened.tuple_desc();
    descriptor
        .iter()
        .filter(|attribute| !attribute.attisdropped)
        .map(|attribute| ColumnDefinition {
            number: attribute.attnum,
            name: attribute.name().to_owned(),
            type_oid: attribute.atttypid,
            type_modifier: attribute.atttypmod,
            // SAFETY: a cache look-up; the list lives in the current context.
            options: unsafe {
                options_of(pg_sys::GetForeignColumnOptions(relation, attribute.attnum))
            },
        })
        .collect()
}

/// Locks a relation as a read does, for this transaction; raises an error unless it is a foreign table that the caller
/// may read.
pub fn lock_readable_foreign_table(relation: pg_sys::Oid) {
    // SAFETY: look-ups by identifier; a relation that is not there has no kind.
    unsafe {
        pg_sys::LockRelationOid(relation, pg_sys::AccessShareLock as i32);
        let is_foreign = pg_sys::get_rel_relkind(relation) as u8 == pg_sys::RELKIND_FOREIGN_TABLE;
        if !is_foreign {
            pgrx::ereport!(
                ERROR,
                pgrx::PgSqlErrorCode::ERRCODE_WRONG_OBJECT_TYPE,
                format!(
                    "relation \"{}\" is not a foreign table",
                    relation_name(relation)
                )
            );
        }
        let right = pg_sys::ACL_SELECT as pg_sys::AclMode;
        let result = pg_sys::pg_class_aclcheck(relation, pg_sys::GetUserId(), right);
        if result != pg_sys::AclResult::ACLCHECK_OK {
            let name = pg_sys::get_rel_name(relation);
            pg_sys::aclcheck_error(result, pg_sys::ObjectType::OBJECT_FOREIGN_TABLE, name);
        }
    }
}

/// UPDATE or DELETE of the relation runs row triggers, which look at whole rows.
pub fn has_row_triggers(relation: pg_sys::Oid, is_update: bool) -> bool {
    // SAFETY: the statement that names the relation holds a lock on it; it stays open while it is looked at.
    unsafe {
        let opened = PgRelation::open(relation);
        let triggers = (*opened.as_ptr()).trigdesc.as_ref();
        triggers.is_some_and(|triggers| {
            if is_update {
                triggers.trig_update_before_row || triggers.trig_update_after_row
            } else {
                triggers.trig_delete_before_row || triggers.trig_delete_after_row
            }
        })
    }
}

/// The bare name of a relation.
pub fn relation_name(relation: pg_sys::Oid) -> String {
    // SAFETY: returns null for an unknown relation.
    unsafe { text_of(pg_sys::get_rel_name(relation)).to_owned() }
}

/// The name of a relation with its schema, each quoted where SQL wants it.
pub fn qualified_name(relation: pg_sys::Oid) -> String {
    // SAFETY: look-ups by identifier; the texts live in the current context.
    unsafe {
        let schema = pg_sys::get_namespace_name(pg_sys::get_rel_namespace(relation));
        let name = pg_sys::get_rel_name(relation);
        text_of(pg_sys::quote_qualified_identifier(schema, name)).to_owned()
    }
}

/// The name of a role, or its number once it is gone.
pub fn role_name(role: pg_sys::Oid) -> String {
    // SAFETY: gives null for an unknown role; the name lives in the current context.
    let name = unsafe { text_of(pg_sys::GetUserNameFromId(role, true)) };
    if name.is_empty() {
        role.to_u32().to_string()
    } else {
        name.to_owned()
    }
}

/// The role is a superuser.
pub fn is_superuser(role: pg_sys::Oid) -> bool {
    // SAFETY: a cache look-up.
    unsafe { pg_sys::superuser_arg(role) }
}

/// Rows of local tables may be written now: the transaction is not read-only, and no workers run beside it.
pub fn may_write() -> bool {
    // SAFETY: reads variables of the backend.
    unsafe { !pg_sys::XactReadOnly && !pg_sys::IsInParallelMode() }
}

/// Where the server keeps its data.
pub fn data_directory() -> PathBuf {
    // SAFETY: set when the server started.
    PathBuf::from(unsafe { text_of(pg_sys::DataDir) })
}

/// The current database.
pub fn database() -> pg_sys::Oid {
    // SAFETY: reads a variable of the backend.
    unsafe { pg_sys::MyDatabaseId }
}

/// The number of the current subtransaction; those started later have larger ones.
pub fn current_subtransaction() -> pg_sys::SubTransactionId {
    // SAFETY: reads a variable of the backend.
    unsafe { pg_sys::GetCurrentSubTransactionId() }
}

/// The current role is a superuser.
pub fn current_is_superuser() -> bool {
    // SAFETY: a cache look-up.
    unsafe { pg_sys::superuser() }
}

/// This backend's process id.
pub fn process_id() -> i32 {
    // SAFETY: reads a variable of the backend.
    unsafe { pg_sys::MyProcPid }
}

/// When this backend started, as PostgreSQL counts time.
pub fn backend_start() -> i64 {
    // SAFETY: reads a variable of the backend.
    unsafe { pg_sys::MyStartTimestamp }
}

/// The name of a type with its modifier, as a statement writes it.
pub fn type_name(type_oid: pg_sys::Oid, modifier: i32) -> String {
    // SAFETY: gives a copy in the current context, also for an unknown type.
    unsafe { text_of(pg_sys::format_type_with_typemod(type_oid, modifier)).to_owned() }
}

/// The client's statement, if it is a query, has a LIMIT somewhere.
pub fn statement_is_limited() -> bool {
    // SAFETY: the portal under way and its statements live as long as this call; the text is a copy.
    unsafe {
        let portal = pg_sys::ActivePortal;
        if portal.is_null() {
            return false;
        }
        list::pointers::<pg_sys::PlannedStmt>((*portal).stmts).any(|statement| {
            let plans = std::iter::once((*statement).planTree)
                .chain(list::pointers::<pg_sys::Plan>((*statement).subplans));
            // Names and constants are escaped in it, so this is a node of the plan and nothing else.
            plans
                .filter(|plan| !plan.is_null())
                .any(|plan| text_of(pg_sys::nodeToString(plan.cast())).contains("{LIMIT "))
        })
    }
}

/// An SQLSTATE as its five characters.
pub fn sqlstate_text(code: pgrx::PgSqlErrorCode) -> String {
    // SAFETY: writes into a buffer of its own and returns it.
    unsafe { text_of(pg_sys::unpack_sql_state(code as i32)).to_owned() }
}

/// The server is there, and the current role may use it.
pub fn sees_server(server: pg_sys::Oid) -> bool {
    let missing_ok = pg_sys::FSV_MISSING_OK as u16;
    // SAFETY: look-ups by identifier; gives null for an unknown server.
    unsafe {
        !pg_sys::GetForeignServerExtended(server, missing_ok).is_null()
            && super::compat::may_use_server(server)
    }
}

/// The relation is there, and the current role may read it.
pub fn sees_relation(relation: pg_sys::Oid) -> bool {
    let right = pg_sys::ACL_SELECT as pg_sys::AclMode;
    // SAFETY: look-ups by identifier; an unknown relation has no kind.
    unsafe {
        pg_sys::get_rel_relkind(relation) != 0
            && pg_sys::pg_class_aclcheck(relation, pg_sys::GetUserId(), right)
                == pg_sys::AclResult::ACLCHECK_OK
    }
}

/// The current role.
pub fn current_user() -> pg_sys::Oid {
    // SAFETY: reads a variable of the backend.
    unsafe { pg_sys::GetUserId() }
}

/// When the client's statement began, which tells one statement from the next.
pub fn statement_started() -> i64 {
    // SAFETY: reads a variable of the backend.
    unsafe { pg_sys::GetCurrentStatementStartTimestamp() }
}

/// The database holds UTF-8, the encoding in which replies arrive.
pub fn database_is_utf8() -> bool {
    // SAFETY: reads a variable of the backend.
    unsafe { pg_sys::GetDatabaseEncoding() == pg_sys::pg_enc::PG_UTF8 as i32 }
}

/// The options in a list of definitions.
///
/// # Safety
/// `options` is null or a list of `DefElem`.
pub unsafe fn options_of(options: *mut pg_sys::List) -> RawOptions {
    // SAFETY: the caller's list holds definitions.
    unsafe {
        list::pointers::<pg_sys::DefElem>(options)
            .map(|definition| {
                let name = text_of((*definition).defname).to_owned();
                let value = text_of(pg_sys::defGetString(definition)).to_owned();
                (name, value)
            })
            .collect()
    }
}

/// A C string as text; empty for null.
///
/// # Safety
/// `text` is null or a valid C string that outlives the result.
pub unsafe fn text_of<'a>(text: *const c_char) -> &'a str {
    if text.is_null() {
        return "";
    }
    // SAFETY: the caller's string is valid; a server's text in a UTF-8 database is UTF-8.
    unsafe { CStr::from_ptr(text) }.to_str().unwrap_or_default()
}

/// An identifier quoted if it must be.
pub fn quote_identifier(name: &str) -> String {
    let c_name = CString::new(name).unwrap_or_default();
    // SAFETY: returns its argument or a copy in the current context.
    unsafe { text_of(pg_sys::quote_identifier(c_name.as_ptr())).to_owned() }
}

/// A literal, quoted.
pub fn quote_literal(text: &str) -> String {
    let c_text = CString::new(text.replace('\0', "")).unwrap_or_default();
    // SAFETY: returns a copy in the current context.
    unsafe { text_of(pg_sys::quote_literal_cstr(c_text.as_ptr())).to_owned() }
}

unsafe fn describe_server(found: *mut pg_sys::ForeignServer) -> Server {
    // SAFETY: the caller's structure is one the server made.
    unsafe {
        let wrapper = pg_sys::GetForeignDataWrapper((*found).fdwid);
        Server {
            oid: (*found).serverid,
            name: text_of((*found).servername).to_owned(),
            owner: (*found).owner,
            options: options_of((*found).options),
            wrapper: text_of((*wrapper).fdwname).to_owned(),
            wrapper_options: options_of((*wrapper).options),
        }
    }
}

unsafe fn check_usage(server: pg_sys::Oid, name: &str) {
    // SAFETY: a permission look-up by a valid identifier.
    let allowed = unsafe { super::compat::may_use_server(server) };
    if !allowed {
        let name = CString::new(name).unwrap_or_default();
        // SAFETY: raises the server's own permission error.
        unsafe {
            pg_sys::aclcheck_error(
                pg_sys::AclResult::ACLCHECK_NO_PRIV,
                pg_sys::ObjectType::OBJECT_FOREIGN_SERVER,
                name.as_ptr(),
            );
        }
    }
}

unsafe fn mapping_role(mapping: pg_sys::Oid) -> pg_sys::Oid {
    // SAFETY: the mapping was found a moment ago, so its row is in the cache.
    unsafe {
        let tuple = pg_sys::SearchSysCache1(
            pg_sys::SysCacheIdentifier::USERMAPPINGOID as i32,
            pg_sys::Datum::from(mapping),
        );
        if tuple.is_null() {
            return pg_sys::InvalidOid;
        }
        let form = pg_sys::heap_tuple_get_struct::<pg_sys::FormData_pg_user_mapping>(tuple);
        let role = (*form).umuser;
        pg_sys::ReleaseSysCache(tuple);
        role
    }
}
