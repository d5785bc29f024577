//! Descriptions for tests.

use crm_core::{ColumnType, RemoteField};

/// A field that may be written and has nothing else to say.
pub(crate) fn field(name: &str, remote_type: &str, column_type: Option<ColumnType>) -> RemoteField {
    RemoteField {
        name: name.into(),
        label: name.into(),
        remote_type: remote_type.into(),
        column_type,
        length: None,
        precision: None,
        nullable: true,
        creatable: true,
        updatable: true,
        required: false,
        filterable: true,
        sortable: false,
        case_sensitive: false,
        external_key: false,
        identifier: false,
        modification_stamp: false,
        computed: false,
        enumeration: None,
        restricted: false,
        values: Vec::new(),
        references: Vec::new(),
    }
}
