//! Drift between collected tables and the CRM today (C-6); `sql/drift.sql` applies the cures.

use crate::error::OrRaise;
use crate::exec::drift::{Collected, Cure, of_table};
use crate::exec::import::{Request, Selection, statements};
use crate::functions::catalog::collected;
use crate::pg::catalog::{self, current_user, server_by_name};
use crate::runtime;
use crate::session;
use crm_core::{Error, ErrorKind};
use pgrx::prelude::*;

/// The statements that would bring foreign tables of one server in line with the CRM, and why.
#[pg_extern]
#[allow(clippy::type_complexity)]
fn drift(
    relations: Vec<pg_sys::Oid>,
    new_fields: Option<bool>,
) -> TableIterator<
    'static,
    (
        name!(foreign_table, Option<pg_sys::Oid>),
        name!(statement, String),
        name!(reason, String),
    ),
> {
    let mut rows = Vec::new();
    for relation in relations {
        let table = collected(relation);
        let session = session::open(&table.server, current_user()).or_raise();
        let stats = session::stats(&table.server);
        let object = table.options.object.clone();
        let described = runtime::run(async move { session.describe(&[object], &stats).await });
        let described = match described {
            Ok(mut objects) => objects.pop(),
            Err(error) if error.kind() == ErrorKind::ObjectUnknown => None,
            Err(error) => {
                let error = error.in_context(format!(
                    "could not describe object \"{}\" of server \"{}\"",
                    table.options.object, table.server.name
                ));
                Err(session::noted(&table.server, error)).or_raise()
            }
        };
        let known = Collected {
            relation,
            connector: table.connector,
            server: table.server.name.clone(),
            object: table.options.object.clone(),
            options: catalog::foreign_table(relation).1,
            columns: catalog::columns(relation),
        };
        let cures = of_table(&known, described.as_ref(), new_fields);
        rows.extend(cures.into_iter().map(
            |Cure {
                 relation,
                 statement,
                 reason,
             }| (relation, statement, reason),
        ));
    }
    TableIterator::new(rows)
}

/// The statements that would collect into a schema what is not among `known`.
#[pg_extern]
fn uncollected(
    server: &str,
    schema: &str,
    known: Vec<String>,
) -> TableIterator<'static, (name!(statement, String), name!(reason, String))> {
    let found = server_by_name(server);
    let session = session::open(&found, current_user()).or_raise();
    let stats = session::stats(&found);
    let request = Request {
        selection: Selection::Except,
        listed: known,
        schema: Some(schema.to_owned()),
        ..Request::everything(server)
    };
    let commands = statements(session, stats, &request)
        .map_err(|error: Error| session::noted(&found, error))
        .or_raise();
    TableIterator::new(
        commands
            .into_iter()
            .map(|statement| (statement, "the object is new".to_owned())),
    )
}
