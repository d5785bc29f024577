//! Options of wrapper, server, user mapping, table and column, read into typed structures.

use crate::connectors;
use crate::error::warn;
use crate::pg::catalog::{self, ColumnDefinition, RawOptions, Server};
use crate::pg::datum::LocalType;
use crm_core::{
    Account, ColumnType, Connector, Conversion, Error, ErrorKind, FieldFacts, Place, Pushdown,
    Result, Zone, check_option, find_option, parse_bool,
};
use pgrx::pg_sys;

/// Checks the options of one catalog object, `name=value` each, as the validator gets them.
///
/// # Errors
/// The first option that is unknown, malformed, or not for this role.
pub fn validate(
    connector: &dyn Connector,
    options: Vec<Option<String>>,
    catalog: pg_sys::Oid,
) -> Result<()> {
    let Some(place) = place_of(catalog) else {
        return Ok(());
    };
    let mut seen: Vec<String> = Vec::new();
    for option in options.into_iter().flatten() {
        let (name, value) = option.split_once('=').unwrap_or((&option, ""));
        let definition = check_option(connector.options(), place, name, value)?;
        if definition.superuser && !catalog::current_is_superuser() {
            return Err(Error::new(
                ErrorKind::NotPermitted,
                format!("only a superuser may set option \"{name}\""),
            ));
        }
        if seen.iter().any(|earlier| earlier == name) {
            return Err(Error::new(
                ErrorKind::OptionValue,
                format!("option \"{name}\" is given twice"),
            ));
        }
        seen.push(name.to_owned());
    }
    Ok(())
}

fn place_of(catalog: pg_sys::Oid) -> Option<Place> {
    match catalog {
        pg_sys::ForeignDataWrapperRelationId => Some(Place::Wrapper),
        pg_sys::ForeignServerRelationId => Some(Place::Server),
        pg_sys::UserMappingRelationId => Some(Place::UserMapping),
        pg_sys::ForeignTableRelationId => Some(Place::Table),
        pg_sys::AttributeRelationId => Some(Place::Column),
        _ => None,
    }
}

/// The connector behind a server: the wrapper's option `connector`, else the wrapper's name.
///
/// # Errors
/// When the wrapper belongs to no connector.
pub fn connector_of(server: &Server) -> Result<&'static dyn Connector> {
    let named = find(&server.wrapper_options, "connector").unwrap_or(&server.wrapper);
    connectors::by_name(named)
        .map_err(|error| error.in_context(format!("server \"{}\" cannot be used", server.name)))
}

/// Server and mapping of `user` together, checked for who may use whose secret.
///
/// # Errors
/// When the role brings no secret of its own, or the secret would go to a host its owner did not choose.
pub fn account_of(
    connector: &dyn Connector,
    server: &Server,
    user: pg_sys::Oid,
) -> Result<Account> {
    let mapping = catalog::user_mapping(user, server.oid);
    let mut account = Account::new(&server.name);
    for (options, place) in [
        (&server.options, Place::Server),
        (&mapping.options, Place::UserMapping),
    ] {
        for (name, value) in options {
            // Options of an older version that no longer exist are not worth a failed query.
            if let Ok(definition) = find_option(connector.options(), place, name) {
                account.set(definition, value.clone());
            }
        }
    }
    let trusted = catalog::is_superuser(user);
    if !trusted && account.boolean("password_required", true) && !account.has_secret() {
        return Err(Error::new(
            ErrorKind::NotPermitted,
            format!("a password is required to use server \"{}\"", server.name),
        )
        .with_hint("A role that is not superuser must have a secret in its own user mapping."));
    }
    let url_is_safe = account
        .get("url")
        .is_none_or(|url| connector.is_vendor_host(url))
        || catalog::is_superuser(server.owner)
        || (mapping.role == server.owner && mapping.role != pg_sys::InvalidOid);
    if account.has_secret() && !url_is_safe {
        return Err(Error::new(
            ErrorKind::NotPermitted,
            format!(
                "the secret of this user mapping is not sent to the host of server \"{}\"",
                server.name
            ),
        )
        .with_detail(
            "The host is not one of the vendor's, and the server belongs to another role that is not superuser.",
        )
        .with_hint("A superuser can take over the server with ALTER SERVER … OWNER TO."));
    }
    Ok(account)
}

/// Seconds that a sync reads further back where no option says.
const SYNC_OVERLAP: u32 = 300;

/// What a foreign table's options say, with its server's as defaults.
#[derive(Clone, Debug)]
pub struct TableOptions {
    /// The remote object.
    pub object: String,
    /// What the CRM's addresses call its records, where that is another name and known (S-8).
    pub collection: Option<String>,
    /// How much of a filter is sent.
    pub pushdown: Pushdown,
    /// Records a page, if limited.
    pub fetch_size: Option<u32>,
    /// A value that does not convert stops the statement (D-2).
    pub stop_at_reject: bool,
    /// Fewer records than announced is an error rather than a warning (S-10).
    pub stop_at_short_read: bool,
    /// Seconds that a sync reads further back than its mark (I-3).
    pub sync_overlap: u32,
    /// A sync reads computed fields anew of all records each time.
    pub sync_computed: bool,
    /// The account's time zone (D-1).
    pub zone: Zone,
    /// What may be written.
    pub writable: Writable,
    /// Remote field by which INSERT finds the record to change.
    pub key: Option<String>,
    /// Remote field that export jobs fill.
    pub journal_key: Option<String>,
    /// The option `transport`, whose values are the connector's.
    pub transport: Option<String>,
    /// Records written in one call, if limited.
    pub batch_size: Option<usize>,
    /// Rejects are kept in a table as well (E-2).
    pub process_rejects: bool,
    /// Records of failed calls are kept in a table and the statement goes on (E-4).
    pub process_errors: bool,
}

/// Which statements a table takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Writable {
    /// INSERT.
    pub insert: bool,
    /// UPDATE.
    pub update: bool,
    /// DELETE.
    pub delete: bool,
}

/// One collected column.
#[derive(Clone, Debug)]
pub struct LocalColumn {
    /// Its number.
    pub number: i16,
    /// Its name.
    pub name: String,
    /// What planning knows of its field.
    pub facts: FieldFacts,
    /// Its type.
    pub type_oid: pg_sys::Oid,
    /// Its type modifier, -1 for none.
    pub type_modifier: i32,
    /// May be given when a record is created, as far as its options tell.
    pub insertable: bool,
    /// May be given when a record is changed, as far as its options tell.
    pub updatable: bool,
    /// The CRM computes it when it is read (I-3).
    pub computed: bool,
    /// Its option says that it is the record identifier.
    is_said_identifier: bool,
}

/// A foreign table with everything its options say.
#[derive(Clone)]
pub struct CollectedTable {
    /// Its relation.
    pub relation: pg_sys::Oid,
    /// Its server.
    pub server: Server,
    /// The CRM.
    pub connector: &'static dyn Connector,
    /// Its own options.
    pub options: TableOptions,
    /// Its columns.
    pub columns: Vec<LocalColumn>,
}

impl CollectedTable {
    /// Reads the catalogs; no call is made (S-8).
    ///
    /// # Errors
    /// A missing `object` or `field` option.
    pub fn read(relation: pg_sys::Oid) -> Result<Self> {
        let (server, table_options) = catalog::foreign_table(relation);
        let server = catalog::server(server);
        let connector = connector_of(&server)?;
        let name = catalog::relation_name(relation);
        let options = table_options_of(&name, &server, &table_options)?;
        let identifier = connector.default_identifier(&options.object);
        let mut columns = catalog::columns(relation)
            .into_iter()
            .map(|column| column_of(&name, column, identifier))
            .collect::<Result<Vec<_>>>()?;
        settle_identifier(&name, &mut columns)?;
        Ok(Self {
            relation,
            server,
            connector,
            options,
            columns,
        })
    }

    /// Warns of columns whose conversion and type do not go together; called once for a statement.
    pub fn warn_of_conversions(&self) {
        let name = catalog::relation_name(self.relation);
        for column in &self.columns {
            warn_of_conversion(&name, column);
        }
    }

    /// The column of that number.
    pub fn column(&self, number: i16) -> Option<&LocalColumn> {
        self.columns.iter().find(|column| column.number == number)
    }

    /// Remote name of the record identifier.
    pub fn identifier(&self) -> String {
        self.columns
            .iter()
            .find(|column| column.facts.identifier)
            .map_or_else(
                || {
                    self.connector
                        .default_identifier(&self.options.object)
                        .to_owned()
                },
                |column| column.facts.name.clone(),
            )
    }
}

fn table_options_of(name: &str, server: &Server, table: &RawOptions) -> Result<TableOptions> {
    let object = find(table, "object").ok_or_else(|| {
        Error::new(
            ErrorKind::OptionMissing,
            format!("option \"object\" is missing for foreign table \"{name}\""),
        )
        .with_hint("It names the remote object: ALTER FOREIGN TABLE … OPTIONS (ADD object '…').")
    })?;
    let boolean = |value: Option<&str>, default| value.and_then(parse_bool).unwrap_or(default);
    let server_writes = boolean(find(&server.options, "updatable"), true);
    let effective = |option| find(table, option).or_else(|| find(&server.options, option));
    Ok(TableOptions {
        object: object.to_owned(),
        collection: find(table, "collection").map(str::to_owned),
        pushdown: effective("pushdown")
            .and_then(Pushdown::from_name)
            .unwrap_or_default(),
        fetch_size: effective("fetch_size").and_then(|size| size.parse().ok()),
        stop_at_reject: effective("on_reject") == Some("error"),
        stop_at_short_read: effective("short_read") != Some("warning"),
        zone: find(&server.options, "time_zone")
            .and_then(|name| name.parse().ok())
            .unwrap_or_default(),
        writable: Writable {
            insert: server_writes && boolean(find(table, "insertable"), true),
            update: server_writes && boolean(find(table, "updatable"), true),
            delete: server_writes && boolean(find(table, "deletable"), true),
        },
        key: find(table, "key").map(str::to_owned),
        journal_key: find(table, "journal_key").map(str::to_owned),
        transport: effective("transport").map(str::to_owned),
        batch_size: effective("batch_size").and_then(|size| size.parse().ok()),
        process_rejects: boolean(effective("process_rejects"), false),
        process_errors: boolean(effective("process_errors"), false),
        sync_overlap: effective("sync_overlap")
            .and_then(|seconds| seconds.parse().ok())
            .unwrap_or(SYNC_OVERLAP),
        sync_computed: effective("sync_computed") == Some("reread"),
    })
}

fn column_of(table: &str, column: ColumnDefinition, identifier: &str) -> Result<LocalColumn> {
    let option = |name| find(&column.options, name);
    let field = option("field").ok_or_else(|| {
        Error::new(
            ErrorKind::OptionMissing,
            format!(
                "option \"field\" is missing for column \"{}\" of foreign table \"{table}\"",
                column.name
            ),
        )
        .with_hint(format!(
            "It names the remote field: ALTER FOREIGN TABLE … ALTER COLUMN {} OPTIONS (ADD field '…').",
            catalog::quote_identifier(&column.name)
        ))
    })?;
    let boolean = |name, default| option(name).and_then(parse_bool).unwrap_or(default);
    let local = LocalType::new(column.type_oid, column.type_modifier);
    let conversion = option("conversion")
        .and_then(Conversion::from_name)
        .unwrap_or_default();
    let facts = FieldFacts {
        name: field.to_owned(),
        remote_type: option("remote_type").unwrap_or("").to_owned(),
        column_type: local.decoded(),
        conversion,
        // What is rounded on its way in compares differently here and there.
        filterable: local.is_faithful() && boolean("filterable", true),
        sortable: local.is_faithful() && boolean("sortable", true),
        case_sensitive: boolean("case_sensitive", false),
        identifier: boolean("identifier", field.eq_ignore_ascii_case(identifier)),
    };
    Ok(LocalColumn {
        number: column.number,
        name: column.name,
        facts,
        type_oid: column.type_oid,
        type_modifier: column.type_modifier,
        insertable: boolean("insertable", true),
        updatable: boolean("updatable", true),
        computed: boolean("computed", false),
        is_said_identifier: boolean("identifier", false),
    })
}

/// A column that says so is the identifier; one that only has its name is it where none says so.
fn settle_identifier(table: &str, columns: &mut [LocalColumn]) -> Result<()> {
    let said = columns
        .iter()
        .filter(|column| column.is_said_identifier)
        .count();
    if said > 1 {
        return Err(Error::new(
            ErrorKind::OptionValue,
            format!("foreign table \"{table}\" has more than one identifier column"),
        )
        .with_hint("Give the option identifier 'true' to one column only."));
    }
    if said == 1 {
        for column in columns {
            column.facts.identifier = column.is_said_identifier;
        }
    }
    Ok(())
}

/// A conversion and a column type that do not go together would refuse every value: say so once, up front.
fn warn_of_conversion(table: &str, column: &LocalColumn) {
    let facts = &column.facts;
    let fits = match facts.conversion {
        Conversion::Default => true,
        Conversion::DateOnly => facts.column_type == ColumnType::Date,
        Conversion::WithoutTimeOffset => facts.column_type == ColumnType::Timestamp,
        Conversion::CopyPaste => facts.column_type == ColumnType::Text,
    };
    if !fits {
        let wanted = match facts.conversion {
            Conversion::DateOnly => "date",
            Conversion::WithoutTimeOffset => "timestamp",
            _ => "text",
        };
        warn(&Error::new(
            ErrorKind::OptionValue,
            format!(
                "column \"{}\" of foreign table \"{table}\" has a conversion that makes values of type {wanted}",
                column.name
            ),
        ));
    }
}

fn find<'a>(options: &'a RawOptions, name: &str) -> Option<&'a str> {
    options
        .iter()
        .find(|(option, _)| option == name)
        .map(|(_, value)| value.as_str())
}
