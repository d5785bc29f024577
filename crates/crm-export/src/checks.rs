//! What the CRM's metadata says against a record, before a call is spent.

use crate::target::{Record, Statement, Target};
use crm_core::{Connector, Error, ErrorKind, Operation, Reject, RemoteField, RemoteObject, Result};

/// The metadata of the fields that a statement writes, looked up once.
pub(crate) struct Checks {
    /// One for each field of the target.
    fields: Vec<RemoteField>,
    /// Fields that a new record must have and the statement does not write.
    missing: Vec<String>,
    identifier: Option<RemoteField>,
    /// The journal key is a field by which records can be found and upserted.
    pub(crate) journal_key_is_external: bool,
    journal_key: Option<RemoteField>,
}

impl Checks {
    /// Finds the target's fields in the object's description.
    ///
    /// # Errors
    /// A field that the object does not have, or that can never be written.
    pub(crate) fn new(target: &Target, object: &RemoteObject) -> Result<Self> {
        let find = |name: &str| {
            let found = object
                .fields
                .iter()
                .find(|field| field.name.eq_ignore_ascii_case(name));
            found.ok_or_else(|| unknown_field(target, name))
        };
        let allowed = |statement: Statement| match statement {
            Statement::Insert => object.summary.insertable || object.summary.updatable,
            Statement::Update => object.summary.updatable,
            Statement::Delete => object.summary.deletable,
        };
        if !allowed(target.statement) {
            return Err(Error::new(
                ErrorKind::NotPermitted,
                format!(
                    "the CRM does not let this account {} records of object \"{}\"",
                    match target.statement {
                        Statement::Insert => "create",
                        Statement::Update => "change",
                        Statement::Delete => "delete",
                    },
                    target.object
                ),
            ));
        }
        let mut fields = Vec::with_capacity(target.fields.len());
        for field in &target.fields {
            let found = find(&field.name)?;
            let writable = match target.statement {
                Statement::Insert => found.creatable || found.updatable,
                Statement::Update => found.updatable,
                Statement::Delete => true,
            };
            if !writable {
                return Err(Error::new(
                    ErrorKind::NotSupported,
                    format!(
                        "field \"{}\" of object \"{}\" cannot be written",
                        found.name, target.object
                    ),
                )
                .with_hint("The CRM computes it or lets this account only read it: leave its column out of the statement."));
            }
            fields.push(found.clone());
        }
        let journal_key = target.journal_key.as_deref().map(find).transpose()?;
        if let Some(key) = target.key.as_deref() {
            let found = find(key)?;
            if !found.external_key && target.statement == Statement::Insert {
                return Err(Error::new(
                    ErrorKind::OptionValue,
                    format!(
                        "records of object \"{}\" cannot be found by field \"{}\"",
                        target.object, found.name
                    ),
                )
                .with_hint("The table option key must name an external id, an alternate key or a user key."));
            }
        }
        let is_written = |field: &RemoteField| {
            fields
                .iter()
                .any(|written: &RemoteField| written.name == field.name)
        };
        let missing = object
            .fields
            .iter()
            .filter(|field| field.required && !is_written(field))
            .map(|field| field.name.clone())
            .collect();
        let identifier = object
            .fields
            .iter()
            .find(|field| field.name.eq_ignore_ascii_case(&target.identifier));
        Ok(Self {
            missing,
            identifier: identifier.cloned(),
            journal_key_is_external: journal_key.is_some_and(|field| field.external_key),
            journal_key: journal_key.cloned(),
            fields,
        })
    }

    /// The journal key's field or the identifier's, whichever has that name.
    pub(crate) fn key(&self, name: &str) -> Option<&RemoteField> {
        let mut fields = self.journal_key.iter().chain(&self.identifier);
        fields.find(|field| field.name.eq_ignore_ascii_case(name))
    }

    /// The vendor's word for its type.
    pub(crate) fn type_of_key(&self, name: &str) -> String {
        self.key(name)
            .map_or_else(String::new, |field| field.remote_type.clone())
    }

    /// Why the record would be refused, if the metadata tells.
    pub(crate) fn reject_of(
        &self,
        record: &Record,
        operation: Operation,
        target: &Target,
        connector: &dyn Connector,
    ) -> Option<Reject> {
        if let (Some(id), Some(field)) = (&record.id, &self.identifier) {
            let conversion = crm_core::Conversion::Default;
            let reject = connector.check_value(field, conversion, Some(id), target.zone);
            if reject.is_some() {
                return reject;
            }
        }
        if operation == Operation::Delete {
            return None;
        }
        if operation == Operation::Create
            && let Some(name) = self.missing.first()
        {
            return Some(required(name));
        }
        let values = self.fields.iter().zip(&target.fields).zip(&record.values);
        for ((field, written), value) in values {
            let writable = match operation {
                Operation::Create => field.creatable,
                Operation::Update => field.updatable,
                Operation::Upsert => field.creatable || field.updatable,
                Operation::Delete => true,
            };
            if !writable {
                return Some(
                    Reject::new(
                        ErrorKind::NotSupported,
                        "INVALID_FIELD_FOR_INSERT_UPDATE",
                        format!(
                            "field \"{}\" cannot be given to {} a record",
                            field.name,
                            operation.name()
                        ),
                    )
                    .of_field(&field.name),
                );
            }
            // A field that says it must be there may still have a default of the CRM's own: only what is required
            // and given empty is certain to be refused.
            if operation == Operation::Create && value.is_none() && field.required {
                return Some(required(&field.name));
            }
            let reject =
                connector.check_value(field, written.conversion, value.as_ref(), target.zone);
            if reject.is_some() {
                return reject;
            }
        }
        None
    }
}

fn required(name: &str) -> Reject {
    Reject::new(
        ErrorKind::RequiredField,
        "REQUIRED_FIELD_MISSING",
        format!("field \"{name}\" must be given"),
    )
    .of_field(name)
}

fn unknown_field(target: &Target, name: &str) -> Error {
    Error::new(
        ErrorKind::FieldUnknown,
        format!("object \"{}\" has no field \"{name}\"", target.object),
    )
    .with_hint("The CRM may have changed since the table was imported: import it again.")
}
