//! How rows are named: by their identifier or by the values of an alternate key. Section 7 of the protocol
//! page.

use uuid::Uuid;

use super::errors::Refusal;
use super::store::Store;
use super::value::{Val, from_text};

/// The name of a row in an address: its identifier or the values of a key.
#[derive(Debug, Clone)]
pub enum Name {
    Id(Uuid),
    Key(Vec<(usize, Val)>),
}

/// Reads what stands in the brackets of an address.
///
/// # Errors
/// 400 for what is no key of the table.
pub fn name(store: &Store, table: usize, text: &str) -> Result<Name, Refusal> {
    let entity = store.tables[table].entity;
    let bare = text
        .strip_prefix(&format!("{}=", entity.key))
        .unwrap_or(text);
    if let Ok(id) = Uuid::parse_str(bare.trim_matches('\'')) {
        return Ok(Name::Id(id));
    }
    let bad = || Refusal::syntax(format!("Invalid key '{text}'."));
    let mut parts = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (property, value) = rest.split_once('=').ok_or_else(bad)?;
        let (value, behind) = match value.strip_prefix('\'') {
            Some(quoted) => until_quote(quoted).ok_or_else(bad)?,
            None => {
                let (value, behind) = value.split_once(',').unwrap_or((value, ""));
                (value.to_owned(), behind)
            }
        };
        rest = behind.trim_start_matches(',');
        let column = entity.property(property.trim()).ok_or_else(bad)?;
        let described = &entity.attributes[column];
        let value = match described.kind.is_reference() {
            true => Uuid::parse_str(&value).ok().map(Val::Guid),
            false => from_text(&value, described),
        };
        parts.push((column, value.ok_or_else(bad)?));
    }
    let mut names: Vec<&str> = parts
        .iter()
        .map(|(at, _)| entity.attributes[*at].name.as_str())
        .collect();
    names.sort_unstable();
    let known = entity.keys.iter().any(|key| {
        let mut columns: Vec<&str> = key.columns.iter().map(String::as_str).collect();
        columns.sort_unstable();
        columns == names
    });
    match known {
        true => Ok(Name::Key(parts)),
        false => Err(Refusal::syntax(
            "The specified key properties are not an alternate key of the entity.",
        )),
    }
}

fn until_quote(text: &str) -> Option<(String, &str)> {
    let mut out = String::new();
    let mut rest = text;
    loop {
        let (head, behind) = rest.split_once('\'')?;
        out.push_str(head);
        match behind.strip_prefix('\'') {
            Some(more) => {
                out.push('\'');
                rest = more;
            }
            None => return Some((out, behind)),
        }
    }
}

/// Whether two values are the same to a key.
pub fn same(a: &Val, b: &Val) -> bool {
    match (a, b) {
        (Val::Text(a), Val::Text(b)) => a.to_lowercase() == b.to_lowercase(),
        (Val::Row(a, _), Val::Guid(b)) => a == b,
        (a, b) => a == b,
    }
}

/// The row a name stands for.
pub fn find(store: &Store, table: usize, name: &Name) -> Option<Uuid> {
    let table = &store.tables[table];
    match name {
        Name::Id(id) => table.find(*id).map(|row| table.id(row)),
        Name::Key(parts) => table
            .candidates(parts)
            .into_iter()
            .find(|row| parts.iter().all(|(at, v)| same(&table.get(*row, *at), v)))
            .map(|row| table.id(row)),
    }
}

/// The refusal of a key that no row has.
pub fn unknown_key() -> Refusal {
    Refusal::new(
        404,
        "0x80060891",
        "A record with the specified key values does not exist in the entity.",
    )
}

/// The row an address such as `/accounts(<guid>)` stands for; it must be there.
pub fn reference(store: &Store, address: &str) -> Result<(usize, Uuid), Refusal> {
    let bad = || Refusal::syntax(format!("Invalid reference '{address}'."));
    let last = address.rsplit_once('/').map_or(address, |(_, last)| last);
    let (set, key) = last
        .split_once('(')
        .and_then(|(set, rest)| Some((set, rest.strip_suffix(')')?)))
        .ok_or_else(bad)?;
    let (table, entity) = store.schema.set(set).ok_or_else(|| Refusal::segment(set))?;
    let name = name(store, table, key)?;
    match (find(store, table, &name), name) {
        (Some(id), _) => Ok((table, id)),
        (None, Name::Id(id)) => Err(Refusal::missing(&entity.name, &id.to_string())),
        (None, Name::Key(_)) => Err(unknown_key()),
    }
}
