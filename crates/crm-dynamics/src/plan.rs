//! How the records of a batch are found, whichever transport they travel by (spec ).

use crate::describe::Entity;
use crm_core::{Operation, WriteBatch, WriteField};

/// How the record of a row is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// It is new.
    Create,
    /// By its identifier; it must be there.
    Update,
    /// By its identifier or an alternate key, else it is new.
    Upsert,
    /// By its identifier, to be deleted.
    Delete,
}

/// What is done with a batch.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// How its records are found.
    pub form: Form,
    /// A create with identifiers that were made up here: one that is there already was made by an earlier try.
    pub ids_are_ours: bool,
    /// The field by whose value records are found, where they are found by an alternate key.
    pub key_field: Option<WriteField>,
    /// The place of the column with that value, where it is not the batch's own key.
    pub key_column: Option<usize>,
    /// Place of the identifier among the columns.
    pub id_column: Option<usize>,
    /// Place of the journal key among the columns of what is created.
    pub journal: Option<usize>,
}

impl Plan {
    /// The plan for `batch`.
    pub(crate) fn of(batch: &WriteBatch, entity: &Entity) -> Self {
        let is_id = |name: &str| {
            name.eq_ignore_ascii_case(&entity.primary_id)
                || name.eq_ignore_ascii_case(&batch.identifier)
        };
        let mut key_column = None;
        let (mut form, mut key_field) = match (batch.operation, &batch.key_field) {
            (Operation::Delete, _) => (Form::Delete, None),
            (Operation::Update, _) => (Form::Update, None),
            (_, Some(field)) if is_id(&field.name) => (Form::Upsert, None),
            (_, Some(field)) => (Form::Upsert, Some(field.clone())),
            (_, None) => (Form::Create, None),
        };
        let place = |name: &str| {
            let mut fields = batch.fields.iter();
            fields.position(|field| field.name.eq_ignore_ascii_case(name))
        };
        let id_column = place(&entity.primary_id).or_else(|| place(&batch.identifier));
        let journal = batch.journal_key.as_deref().and_then(place);
        let ids_are_ours =
            form == Form::Create && batch.key_is_ours && journal.is_some() && journal == id_column;
        // A create by a key that was made up here can be sent as an upsert, and so be sent twice.
        if form == Form::Create
            && batch.key_is_ours
            && !ids_are_ours
            && let Some(at) = journal
            && is_alternate_key(entity, &batch.fields[at].name)
        {
            form = Form::Upsert;
            key_field = Some(batch.fields[at].clone());
            key_column = Some(at);
        }
        Self {
            form,
            ids_are_ours,
            key_field,
            key_column,
            id_column,
            journal: journal.filter(|_| batch.operation == Operation::Create),
        }
    }

    /// Sending a record twice leaves the same as sending it once.
    pub(crate) fn is_repeatable(&self) -> bool {
        self.form != Form::Create || self.ids_are_ours
    }
}

fn is_alternate_key(entity: &Entity, name: &str) -> bool {
    let is_it = |key: &Vec<String>| matches!(&key[..], [only] if only.eq_ignore_ascii_case(name));
    entity.keys.iter().any(is_it)
}
