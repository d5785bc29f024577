//! Reading: one row, pages of rows, counts. Sections 5, 6 and 12 of the protocol page.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

use uuid::Uuid;

use super::errors::{Refusal, reply};
use super::fetch::{Fetch, Link};
use super::filter::{self, Expr, Path};
use super::model::{Entity, Kind};
use super::store::{Place, RowRef, Store, place};
use super::value::{Val, formatted, quoted, write_json};
use crate::request::Request;
use crate::salesforce::errors::Reply;

/// Most rows on a page of a standard table.
pub const PAGE: usize = 5_000;
/// Most rows `$count` tells of.
pub const COUNT_CAP: usize = 5_000;
/// Version of the metadata, as annotations tell it.
pub const METADATA_VERSION: &str = "1144249";

const FORMATTED: &str = "OData.Community.Display.V1.FormattedValue";
const NAVIGATION: &str = "Microsoft.Dynamics.CRM.associatednavigationproperty";
const TARGET: &str = "Microsoft.Dynamics.CRM.lookuplogicalname";

/// What `Prefer` asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prefer {
    pub page_size: Option<usize>,
    pub annotations: Vec<String>,
    pub representation: bool,
    pub track_changes: bool,
    pub continue_on_error: bool,
}

impl Prefer {
    /// Reads all `Prefer` headers; unknown preferences are passed over.
    pub fn of(request: &Request) -> Self {
        let mut out = Self::default();
        for header in request.headers.get_all("prefer") {
            for part in split(header.to_str().unwrap_or_default()) {
                let (name, value) = part.split_once('=').unwrap_or((part.as_str(), ""));
                let value = value.trim().trim_matches('"');
                match name.trim().to_ascii_lowercase().as_str() {
                    "odata.maxpagesize" => out.page_size = value.parse().ok().filter(|n| *n > 0),
                    "odata.include-annotations" => {
                        out.annotations
                            .extend(value.split(',').map(|one| one.trim().to_owned()));
                    }
                    "return" => out.representation = value == "representation",
                    "odata.track-changes" => out.track_changes = true,
                    "odata.continue-on-error" => out.continue_on_error = true,
                    _ => {}
                }
            }
        }
        out
    }

    fn wants(&self, annotation: &str) -> bool {
        self.annotations.iter().any(|pattern| {
            pattern == annotation
                || pattern
                    .strip_suffix('*')
                    .is_some_and(|start| annotation.starts_with(start))
        })
    }

    /// `Preference-Applied`, where anything was.
    pub fn applied(&self) -> Option<String> {
        let mut parts = Vec::new();
        if !self.annotations.is_empty() {
            let list = self.annotations.join(",");
            parts.push(format!("odata.include-annotations=\"{list}\""));
        }
        if let Some(size) = self.page_size {
            parts.push(format!("odata.maxpagesize={size}"));
        }
        if self.track_changes {
            parts.push("odata.track-changes".to_owned());
        }
        if self.representation {
            parts.push("return=representation".to_owned());
        }
        (!parts.is_empty()).then(|| parts.join("; "))
    }
}

/// Cuts at commas and semicolons outside quotes.
fn split(text: &str) -> Vec<String> {
    let mut parts = Vec::new();
    let mut part = String::new();
    let mut inside = false;
    for c in text.chars() {
        inside ^= c == '"';
        match c {
            ',' | ';' if !inside => parts.push(std::mem::take(&mut part)),
            _ => part.push(c),
        }
    }
    parts.push(part);
    parts
}

/// The options of a query, bound to a table.
pub struct Query {
    pub table: usize,
    pub entity: &'static Entity,
    pub columns: Vec<usize>,
    expand: Vec<Expand>,
    pub filter: Option<Expr>,
    /// Columns, true for falling.
    pub order: Vec<(Path, bool)>,
    top: Option<usize>,
    count: bool,
    pub token: Option<Token>,
    /// Choices are ordered by their labels, as FetchXML has it.
    pub labels: bool,
    /// `$select` as it was asked for, for the context.
    selected: String,
}

struct Expand {
    navigation: String,
    column: usize,
    targets: Vec<usize>,
    columns: Vec<String>,
}

/// Where a page begins: its number and the last row of the one before.
pub struct Token {
    pub page: usize,
    pub last: Uuid,
}

impl Query {
    /// All rows of a table, no columns.
    pub fn of(table: usize, entity: &'static Entity) -> Self {
        Self {
            table,
            entity,
            columns: Vec::new(),
            expand: Vec::new(),
            filter: None,
            order: Vec::new(),
            top: None,
            count: false,
            token: None,
            labels: false,
            selected: String::new(),
        }
    }

    /// Whether a row fits the condition.
    pub fn fits(&self, store: &Store, row: RowRef<'_>) -> bool {
        self.filter
            .as_ref()
            .is_none_or(|filter| filter::holds(store, self.table, row, filter))
    }

    /// The rows that may fit, in their order behind a place: a list of identifiers spares the look at all others.
    fn candidates<'s>(
        &self,
        store: &'s Store,
        after: Option<Place>,
    ) -> Box<dyn Iterator<Item = RowRef<'s>> + 's> {
        let table = &store.tables[self.table];
        let Some(ids) = self.filter.as_ref().and_then(filter::named_rows) else {
            return Box::new(table.scan(after));
        };
        let named: BTreeMap<Place, Uuid> = ids.into_iter().map(|id| (place(id), id)).collect();
        let behind = named
            .into_iter()
            .filter(move |(at, _)| after.is_none_or(|after| *at > after));
        Box::new(behind.filter_map(|(_, id)| table.find(id)))
    }

    /// So many rows from where the token says, and whether there are more.
    pub fn rows<'s>(&self, store: &'s Store, most: usize) -> (Vec<RowRef<'s>>, bool) {
        let table = &store.tables[self.table];
        let last = self.token.as_ref().map(|token| token.last);
        if self.order.is_empty() {
            let after: Option<Place> = last.map(place);
            let mut rows: Vec<RowRef<'_>> = self
                .candidates(store, after)
                .filter(|row| self.fits(store, *row))
                .take(most + 1)
                .collect();
            let more = rows.len() > most;
            rows.truncate(most);
            return (rows, more);
        }
        let mut rows: Vec<RowRef<'_>> = self
            .candidates(store, None)
            .filter(|row| self.fits(store, *row))
            .collect();
        rows.sort_by(|a, b| {
            filter::compare_for_order(store, self.table, (*a, *b), &self.order, self.labels)
        });
        let start = last.map_or(0, |last| {
            let found = rows.iter().position(|row| table.id(*row) == last);
            let page = self.token.as_ref().map_or(1, |token| token.page);
            found.map_or((page - 1) * most, |at| at + 1)
        });
        let end = (start + most).min(rows.len());
        let more = end < rows.len();
        (rows.get(start..end).unwrap_or_default().to_vec(), more)
    }

    /// How many rows fit, at most one more than the cap where there is a condition.
    pub fn count(&self, store: &Store, cap: usize) -> usize {
        let table = &store.tables[self.table];
        match &self.filter {
            None => table.count(),
            Some(_) => self
                .candidates(store, None)
                .filter(|row| self.fits(store, *row))
                .take(cap + 1)
                .count(),
        }
    }
}

/// Reads the options of a request for rows of a table.
///
/// # Errors
/// 400 or 501 for options that are not understood.
pub fn parse(
    store: &Store,
    table: usize,
    request: &Request,
    single: bool,
) -> Result<Query, Refusal> {
    let entity = store.tables[table].entity;
    let aliases: HashMap<String, String> = request
        .query
        .iter()
        .filter(|(name, _)| name.starts_with('@'))
        .cloned()
        .collect();
    let mut query = Query::of(table, entity);
    let mut select = None;
    for (name, value) in &request.query {
        match name.as_str() {
            "$select" => select = Some(value.as_str()),
            "$expand" => query.expand = expands(store, entity, value)?,
            "$filter" if !single => {
                query.filter = Some(filter::parse(store.schema, entity, value, &aliases)?);
            }
            "$orderby" if !single => {
                query.order = filter::parse_order(store.schema, entity, value, &aliases)?;
            }
            "$top" if !single => {
                let top = value
                    .parse()
                    .map_err(|_| Refusal::syntax(format!("Invalid value '{value}' for $top.")))?;
                query.top = Some(top);
            }
            "$count" if !single => query.count = value == "true",
            "$skiptoken" if !single => query.token = Some(token(value)?),
            "$deltatoken" => {}
            "$skip" | "$search" | "$format" | "$compute" | "$levels" => {
                return Err(Refusal::unsupported(format!(
                    "The query parameter {name} is not supported"
                )));
            }
            other if other.starts_with('$') => {
                return Err(Refusal::syntax(format!(
                    "The query parameter '{other}' is not supported."
                )));
            }
            _ => {}
        }
    }
    query.columns = columns(entity, select)?;
    query.selected = select.map_or(String::new(), |list| format!("({list})"));
    Ok(query)
}

/// The columns of `$select`, with the key and the currency of amounts; all without one.
fn columns(entity: &'static Entity, select: Option<&str>) -> Result<Vec<usize>, Refusal> {
    let mut out = Vec::new();
    let names: Vec<&str> = match select {
        Some(list) => list
            .split(',')
            .map(str::trim)
            .filter(|n| !n.is_empty())
            .collect(),
        None => Vec::new(),
    };
    if names.is_empty() || names == ["*"] {
        return Ok((0..entity.attributes.len())
            .filter(|at| entity.attributes[*at].is_property())
            .collect());
    }
    for name in names {
        let at = entity.property(name).or_else(|| {
            // A reference may be named by its navigation property.
            entity.navigation(name).map(|(at, _)| at)
        });
        let at = at.ok_or_else(|| Refusal::property(&entity.name, name))?;
        if !out.contains(&at) {
            out.push(at);
        }
    }
    let has_money = out
        .iter()
        .any(|at| entity.attributes[*at].kind == Kind::Money);
    let extra = [
        has_money
            .then(|| entity.column("transactioncurrencyid"))
            .flatten(),
        entity.column(&entity.key),
    ];
    for at in extra.into_iter().flatten() {
        if !out.contains(&at) {
            out.push(at);
        }
    }
    Ok(out)
}

/// `nav($select=a,b),other`.
fn expands(store: &Store, entity: &'static Entity, text: &str) -> Result<Vec<Expand>, Refusal> {
    let mut out = Vec::new();
    let mut depth = 0;
    let mut parts = Vec::new();
    let mut part = String::new();
    for c in text.chars() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(std::mem::take(&mut part));
                continue;
            }
            _ => {}
        }
        part.push(c);
    }
    parts.push(part);
    for part in parts {
        let (name, options) = part.trim().split_once('(').unwrap_or((part.trim(), ""));
        let (column, targets) = entity
            .navigation(name)
            .ok_or_else(|| Refusal::property(&entity.name, name))?;
        let options = options.trim_end_matches(')');
        let columns = match options.strip_prefix("$select=") {
            Some(list) => list.split(',').map(|n| n.trim().to_owned()).collect(),
            None if options.is_empty() => Vec::new(),
            None => {
                return Err(Refusal::unsupported(format!(
                    "The expand option '{options}' is not supported."
                )));
            }
        };
        let mut places = Vec::new();
        for target in targets {
            let (at, target) = store
                .schema
                .entity(target)
                .ok_or_else(|| Refusal::property(&entity.name, name))?;
            if places.is_empty() {
                for column in &columns {
                    if target.property(column).is_none() {
                        return Err(Refusal::property(&target.name, column));
                    }
                }
            }
            places.push(at);
        }
        out.push(Expand {
            navigation: name.to_owned(),
            column,
            targets: places,
            columns,
        });
    }
    Ok(out)
}

/// Reads a `$skiptoken`, decoded once by the address already.
fn token(text: &str) -> Result<Token, Refusal> {
    let bad = || Refusal::new(400, "0x80040203", "Invalid XML in the skip token.");
    let part = |text: &str, name: &str| -> Option<String> {
        let (_, rest) = text.split_once(&format!("{name}=\""))?;
        Some(rest.split_once('"')?.0.to_owned())
    };
    let page = part(text, "pagenumber").and_then(|page| page.parse().ok());
    let cookie = part(text, "pagingcookie").ok_or_else(bad)?;
    let (_, cookie) = crate::request::pairs(&format!("c={}", cookie.replace('+', "%2B")))
        .pop()
        .ok_or_else(bad)?;
    let last = part(&cookie, "last").ok_or_else(bad)?;
    let last = Uuid::parse_str(last.trim_matches(['{', '}'])).map_err(|_| bad())?;
    Ok(Token {
        page: page.ok_or_else(bad)?,
        last,
    })
}

/// The `$skiptoken` of the next page, encoded for an address.
fn next_token(entity: &Entity, page: usize, first: Uuid, last: Uuid) -> String {
    let upper = |id: Uuid| id.to_string().to_uppercase();
    let cookie = format!(
        "%253ccookie%2520page%253d%2522{page}%2522%253e%253c{key}%2520last%253d%2522%257b{last}%257d%2522%2520first%253d%2522%257b{first}%257d%2522%2520%252f%253e%253c%252fcookie%253e",
        key = entity.key,
        last = upper(last),
        first = upper(first),
    );
    format!(
        "%3Ccookie%20pagenumber=%22{}%22%20pagingcookie=%22{cookie}%22%20istracking=%22False%22%20/%3E",
        page + 1
    )
}

/// A query option as it stands in a next link.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => out.push(char::from(byte)),
            b'_' | b'.' | b'-' | b'~' | b'$' | b',' | b'(' | b')' | b'\'' | b'@' | b':' | b'/' => {
                out.push(char::from(byte));
            }
            byte => {
                // Writing to a text does not fail.
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

/// The address of this request with one option put in place of `dropped`.
pub fn link(base: &str, set: &str, request: &Request, option: &str, value: &str) -> String {
    let mut out = format!("{base}/{set}?");
    for (name, text) in &request.query {
        if !matches!(name.as_str(), "$skiptoken" | "$deltatoken") {
            // Writing to a text does not fail.
            let _ = write!(out, "{}={}&", escaped(name), escaped(text));
        }
    }
    out.push_str(&format!("{option}={value}"));
    out
}

/// The next link of a rendered page. It stands behind the rows, whose texts are escaped.
pub fn next_link(body: &[u8]) -> Option<String> {
    const MARK: &str = ",\"@odata.nextLink\":";
    let text = std::str::from_utf8(body).ok()?;
    let from = text.rfind(MARK)? + MARK.len();
    serde_json::from_str(text[from..].strip_suffix('}')?).ok()
}

/// What all answers to a reader have in common.
pub struct Reader<'a> {
    pub store: &'a Store,
    /// Address of the service with its version, without a trailing slash.
    pub base: &'a str,
    pub prefer: &'a Prefer,
    pub page_cap: Option<usize>,
}

impl Reader<'_> {
    /// A page of rows.
    pub fn page(&self, query: &Query, request: &Request) -> Reply {
        let table = &self.store.tables[query.table];
        let cap = self.page_cap.unwrap_or(PAGE).min(PAGE);
        let size = self.prefer.page_size.unwrap_or(cap).min(cap);
        // $top is passed over where a page size is given.
        let top = match self.prefer.page_size {
            Some(_) => None,
            None => query.top.map(|top| top.min(PAGE)),
        };
        let (rows, more) = query.rows(self.store, top.unwrap_or(size));
        let more = more && top.is_none();
        let mut out = String::with_capacity(rows.len() * 256 + 512);
        // Writing to a text does not fail.
        let _ = write!(
            out,
            "{{\"@odata.context\":{}",
            quoted(&format!(
                "{}/$metadata#{}{}",
                self.base, query.entity.set, query.selected
            ))
        );
        let total = query.count.then(|| query.count(self.store, COUNT_CAP));
        if let Some(total) = total {
            let _ = write!(out, ",\"@odata.count\":{}", total.min(COUNT_CAP));
        }
        if self.prefer.wants("Microsoft.Dynamics.CRM.totalrecordcount") {
            let shown = total.map_or(-1, |total| total.min(COUNT_CAP) as i64);
            let over = total.is_some_and(|total| total > COUNT_CAP);
            let _ = write!(
                out,
                ",\"@Microsoft.Dynamics.CRM.totalrecordcount\":{shown},\"@Microsoft.Dynamics.CRM.totalrecordcountlimitexceeded\":{over}"
            );
        }
        if self
            .prefer
            .wants("Microsoft.Dynamics.CRM.globalmetadataversion")
        {
            let _ = write!(
                out,
                ",\"@Microsoft.Dynamics.CRM.globalmetadataversion\":\"{METADATA_VERSION}\""
            );
        }
        out.push_str(",\"value\":[");
        for (at, row) in rows.iter().enumerate() {
            if at > 0 {
                out.push(',');
            }
            self.row(&mut out, query, *row, None);
        }
        out.push(']');
        if let (true, Some(first), Some(last)) = (more, rows.first(), rows.last()) {
            let page = query.token.as_ref().map_or(1, |token| token.page);
            let token = next_token(query.entity, page, table.id(*first), table.id(*last));
            let link = link(self.base, &query.entity.set, request, "$skiptoken", &token);
            let _ = write!(out, ",\"@odata.nextLink\":{}", quoted(&link));
        }
        if self.prefer.track_changes && !more {
            let link = super::changes::delta_link(self, query.entity, request);
            let _ = write!(out, ",\"@odata.deltaLink\":{}", quoted(&link));
        }
        out.push('}');
        self.finish(reply(200, out))
    }

    /// `/accounts/$count`: a number alone, behind a byte order mark.
    pub fn count_only(&self, query: &Query) -> Reply {
        let count = query.count(self.store, COUNT_CAP).min(COUNT_CAP);
        Reply::typed(200, "text/plain", format!("\u{feff}{count}")).header("OData-Version", "4.0")
    }

    /// A page by FetchXML: nulls are left out, the cookie is an annotation (section 6).
    ///
    /// # Errors
    /// What the query is refused for.
    pub fn fetched(&self, fetch: &Fetch) -> Result<Reply, Refusal> {
        let entity = fetch.query.entity;
        let mut out = format!(
            "{{\"@odata.context\":{}",
            quoted(&format!("{}/$metadata#{}", self.base, entity.set))
        );
        if let Some((alias, of)) = &fetch.aggregate {
            let count = fetch.counted(self.store, *of)?;
            let _ = write!(out, ",\"value\":[{{{}:{count}}}]}}", quoted(alias));
            return Ok(self.finish(reply(200, out)));
        }
        let found = fetch.run(self.store, self.page_cap)?;
        const COOKIE: &str = "Microsoft.Dynamics.CRM.fetchxmlpagingcookie";
        if let (true, Some(cookie)) = (self.prefer.wants(COOKIE) && found.more, &found.cookie) {
            let element = format!(
                "<cookie pagenumber=\"{}\" pagingcookie=\"{}\" istracking=\"False\" />",
                fetch.page + 1,
                escaped(&escaped(cookie))
            );
            let _ = write!(out, ",\"@{COOKIE}\":{}", quoted(&element));
        }
        const MORE: &str = "Microsoft.Dynamics.CRM.morerecords";
        if self.prefer.wants(MORE) {
            let _ = write!(out, ",\"@{MORE}\":{}", found.more);
        }
        out.push_str(",\"value\":[");
        let table = &self.store.tables[fetch.query.table];
        for (at, row) in found.rows.iter().enumerate() {
            if at > 0 {
                out.push(',');
            }
            let _ = write!(
                out,
                "{{\"@odata.etag\":\"W/\\\"{}\\\"\"",
                table.version(*row)
            );
            for column in &fetch.query.columns {
                if table.get(*row, *column) != Val::Null {
                    self.property(&mut out, fetch.query.table, *row, *column);
                }
            }
            for link in &fetch.links {
                self.linked(&mut out, fetch.query.table, *row, link);
            }
            out.push('}');
        }
        out.push_str("]}");
        Ok(self.finish(reply(200, out)))
    }

    fn linked(&self, out: &mut String, table: usize, row: RowRef<'_>, link: &Link) {
        let entity = link
            .steps
            .last()
            .map_or(self.store.tables[table].entity, |(_, at)| {
                self.store.tables[*at].entity
            });
        for at in &link.columns {
            let attribute = &entity.attributes[*at];
            let path = Path {
                steps: link.steps.clone(),
                column: *at,
                attribute,
            };
            let value = filter::follow(self.store, table, row, &path);
            if value != Val::Null {
                let name = format!("{}.{}", link.alias, attribute.name);
                let _ = write!(out, ",{}:", quoted(&name));
                write_json(out, &value, attribute);
            }
        }
    }

    /// One row.
    pub fn one(&self, query: &Query, row: RowRef<'_>, status: u16) -> Reply {
        let table = &self.store.tables[query.table];
        let context = format!(
            "{}/$metadata#{}{}/$entity",
            self.base, query.entity.set, query.selected
        );
        let mut out = String::new();
        self.row(&mut out, query, row, Some(&context));
        let tag = format!("W/\"{}\"", table.version(row));
        self.finish(reply(status, out)).header("ETag", tag)
    }

    fn finish(&self, reply: Reply) -> Reply {
        match self.prefer.applied() {
            Some(applied) => reply.header("Preference-Applied", applied),
            None => reply,
        }
    }

    /// A row as JSON.
    pub fn row(&self, out: &mut String, query: &Query, row: RowRef<'_>, context: Option<&str>) {
        let table = &self.store.tables[query.table];
        out.push('{');
        if let Some(context) = context {
            let _ = write!(out, "\"@odata.context\":{},", quoted(context));
        }
        let _ = write!(out, "\"@odata.etag\":\"W/\\\"{}\\\"\"", table.version(row));
        for column in &query.columns {
            self.property(out, query.table, row, *column);
        }
        for expand in &query.expand {
            self.expanded(out, query, row, expand);
        }
        out.push('}');
    }

    fn property(&self, out: &mut String, table: usize, row: RowRef<'_>, at: usize) {
        let table = &self.store.tables[table];
        let column = &table.entity.attributes[at];
        let value = table.get(row, at);
        let name = column.property();
        if !self.prefer.annotations.is_empty() && value != Val::Null {
            self.annotations(out, table.entity, at, &name, &value);
        }
        let _ = write!(out, ",\"{name}\":");
        write_json(out, &value, column);
    }

    fn annotations(
        &self,
        out: &mut String,
        entity: &'static Entity,
        at: usize,
        name: &str,
        value: &Val,
    ) {
        let column = &entity.attributes[at];
        let mut write = |annotation: &str, text: &str| {
            let _ = write!(out, ",\"{name}@{annotation}\":{}", quoted(text));
        };
        let Val::Row(id, target) = value else {
            if self.prefer.wants(FORMATTED)
                && let Some(text) = formatted(value, column)
            {
                write(FORMATTED, &text);
            }
            return;
        };
        if self.prefer.wants(FORMATTED)
            && let Some(title) = self.store.title(*target, *id)
        {
            write(FORMATTED, &title);
        }
        let target = &self.store.schema.entities[*target].name;
        let place = column.targets.iter().position(|name| name == target);
        let navigation = place.and_then(|place| column.navigation.get(place));
        if self.prefer.wants(NAVIGATION)
            && entity.name != "audit"
            && let Some(navigation) = navigation
        {
            write(NAVIGATION, navigation);
        }
        if self.prefer.wants(TARGET) {
            write(TARGET, target);
        }
    }

    fn expanded(&self, out: &mut String, query: &Query, row: RowRef<'_>, expand: &Expand) {
        let found = match self.store.tables[query.table].get(row, expand.column) {
            Val::Row(id, at) if expand.targets.contains(&at) => {
                self.store.tables[at].find(id).map(|row| (row, at))
            }
            _ => None,
        };
        let _ = write!(out, ",\"{}\":", expand.navigation);
        let Some((row, at)) = found else {
            out.push_str("null");
            return;
        };
        let entity = self.store.tables[at].entity;
        let list = expand.columns.join(",");
        let columns = columns(entity, (!list.is_empty()).then_some(&list)).unwrap_or_default();
        let _ = write!(
            out,
            "{{\"@odata.etag\":\"W/\\\"{}\\\"\"",
            self.store.tables[at].version(row)
        );
        for column in columns {
            self.property(out, at, row, column);
        }
        out.push('}');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_comes_back_as_it_was_made() {
        let (_, entity) = super::super::model::schema()
            .unwrap()
            .entity("contact")
            .unwrap();
        let id = Uuid::from_u128(0x8d71_6234_9628_ed11_9db1_000d_3a32_0482);
        let text = next_token(entity, 1, Uuid::nil(), id);
        let (_, decoded) = crate::request::pairs(&format!("t={text}")).pop().unwrap();
        let token = token(&decoded).unwrap();
        assert_eq!((token.page, token.last), (2, id));
        assert!(super::token("<cookie/>").is_err());
    }
}
