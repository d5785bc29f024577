//! `$metadata`: the entity types in CSDL, the authority on names of navigation properties. Section 3.4 of
//! the protocol page.

use std::fmt::Write as _;

use super::model::{Behavior, Entity, Kind, Schema};
use crate::request::Request;
use crate::salesforce::errors::Reply;

/// The document; with `?annotations=true` it tells what cannot be written.
pub fn answer(schema: &Schema, request: &Request) -> Reply {
    let annotated = request.parameter("annotations") == Some("true");
    let mut out = String::from(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><edmx:Edmx Version=\"4.0\" xmlns:edmx=\"http://docs.oasis-open.org/odata/ns/edmx\"><edmx:DataServices><Schema Namespace=\"Microsoft.Dynamics.CRM\" Alias=\"mscrm\" xmlns=\"http://docs.oasis-open.org/odata/ns/edm\"><EntityType Name=\"crmbaseentity\" Abstract=\"true\"/>",
    );
    for entity in &schema.entities {
        entity_type(&mut out, schema, entity, annotated);
    }
    out.push_str("<EntityContainer Name=\"System\">");
    for entity in &schema.entities {
        // Writing to a text does not fail.
        let _ = write!(
            out,
            "<EntitySet Name=\"{}\" EntityType=\"Microsoft.Dynamics.CRM.{}\">",
            entity.set, entity.name
        );
        for column in entity.attributes.iter().filter(|c| c.kind.is_reference()) {
            for (target, navigation) in column.targets.iter().zip(&column.navigation) {
                let set = schema.entities.iter().find(|other| other.name == *target);
                if let Some(set) = set {
                    let _ = write!(
                        out,
                        "<NavigationPropertyBinding Path=\"{navigation}\" Target=\"{}\"/>",
                        set.set
                    );
                }
            }
        }
        out.push_str("</EntitySet>");
    }
    out.push_str("</EntityContainer></Schema></edmx:DataServices></edmx:Edmx>");
    Reply::typed(200, "application/xml", out).header("OData-Version", "4.0")
}

fn entity_type(out: &mut String, schema: &Schema, entity: &Entity, annotated: bool) {
    let _ = write!(
        out,
        "<EntityType Name=\"{}\" BaseType=\"mscrm.crmbaseentity\"><Key><PropertyRef Name=\"{}\"/></Key>",
        entity.name, entity.key
    );
    for column in entity.attributes.iter().filter(|c| c.is_property()) {
        let _ = write!(
            out,
            "<Property Name=\"{}\" Type=\"{}\"",
            column.property(),
            edm(column.kind, column.behavior)
        );
        if matches!(column.kind, Kind::Decimal | Kind::Money) {
            out.push_str(" Scale=\"Variable\"");
        }
        match annotated && (column.read_only || column.kind.is_reference()) {
            true => out.push_str(
                "><Annotation Term=\"Org.OData.Core.V1.Permissions\"><EnumMember>Org.OData.Core.V1.PermissionType/Read</EnumMember></Annotation></Property>",
            ),
            false => out.push_str("/>"),
        }
    }
    for column in entity.attributes.iter().filter(|c| c.kind.is_reference()) {
        for (target, navigation) in column.targets.iter().zip(&column.navigation) {
            let key = schema
                .entities
                .iter()
                .find(|other| other.name == *target)
                .map_or("ownerid", |other| other.key.as_str());
            let _ = write!(
                out,
                "<NavigationProperty Name=\"{navigation}\" Type=\"mscrm.{target}\" Nullable=\"false\"><ReferentialConstraint Property=\"{}\" ReferencedProperty=\"{key}\"/></NavigationProperty>",
                column.property()
            );
        }
    }
    out.push_str("</EntityType>");
}

fn edm(kind: Kind, behavior: Behavior) -> &'static str {
    match kind {
        Kind::Integer | Kind::Picklist | Kind::State | Kind::Status => "Edm.Int32",
        Kind::BigInt => "Edm.Int64",
        Kind::Decimal | Kind::Money => "Edm.Decimal",
        Kind::Double => "Edm.Double",
        Kind::Boolean => "Edm.Boolean",
        Kind::DateTime if behavior == Behavior::DateOnly => "Edm.Date",
        Kind::DateTime => "Edm.DateTimeOffset",
        Kind::Image => "Edm.Binary",
        Kind::Uniqueidentifier | Kind::File => "Edm.Guid",
        kind if kind.is_reference() => "Edm.Guid",
        _ => "Edm.String",
    }
}
