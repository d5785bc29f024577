//! The shapes of metadata in the Web API's replies (Dynamics page, sections 3 and 4), tolerant of what versions leave out.

use crate::metadata::{Attribute, ChoiceOption};
use crate::navigation::Address;
use crm_core::{Enumeration, ObjectSummary};
use serde::Deserialize;

#[derive(Deserialize)]
pub(super) struct Listed<T> {
    pub(super) value: Vec<T>,
}

/// One thing, as real servers answer, or a list of one, as the vendor prints it (3.1).
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Single<T> {
    Wrapped { value: Vec<T> },
    Bare(Box<T>),
}

impl<T> Single<T> {
    pub(super) fn one(self) -> Option<T> {
        match self {
            Self::Wrapped { mut value } => value.pop(),
            Self::Bare(one) => Some(*one),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Definition {
    pub(super) logical_name: String,
    #[serde(default)]
    pub(super) entity_set_name: Option<String>,
    #[serde(default)]
    pub(super) primary_id_attribute: Option<String>,
    #[serde(default)]
    pub(super) primary_name_attribute: Option<String>,
    #[serde(default)]
    pub(super) object_type_code: Option<i64>,
    #[serde(default)]
    pub(super) is_custom_entity: Switch,
    #[serde(default)]
    pub(super) is_intersect: Switch,
    #[serde(default)]
    pub(super) change_tracking_enabled: Switch,
    #[serde(default)]
    pub(super) is_audit_enabled: Switch,
    #[serde(default)]
    pub(super) display_name: Option<Label>,
    #[serde(default)]
    pub(super) attributes: Vec<Base>,
    #[serde(default)]
    pub(super) keys: Vec<Key>,
    #[serde(default)]
    pub(super) many_to_one_relationships: Vec<Relationship>,
}

impl Definition {
    pub(super) fn address(&self) -> Option<Address> {
        let set = self.entity_set_name.clone().filter(|set| !set.is_empty())?;
        let primary_id = self.primary_id_attribute.clone()?;
        Some(Address { set, primary_id })
    }

    pub(super) fn summary(&self, language: Option<u32>) -> ObjectSummary {
        let label = self.display_name.as_ref();
        let label = label.and_then(|label| label.in_language(language));
        // Records of a link between two entities come and go by associating alone (3.1).
        let writable = !self.is_intersect.is_true();
        ObjectSummary {
            label: label.unwrap_or_else(|| self.logical_name.clone()),
            name: self.logical_name.clone(),
            collection: self.entity_set_name.clone().filter(|set| !set.is_empty()),
            custom: self.is_custom_entity.is_true(),
            selectable: true,
            insertable: writable,
            updatable: writable,
            deletable: writable,
            changes_tracked: self.change_tracking_enabled.is_true(),
            deletions_tracked: self.is_audit_enabled.is_true(),
        }
    }
}

/// A truth value, bare or managed (3.1).
#[derive(Default, Deserialize)]
#[serde(untagged)]
pub(super) enum Switch {
    Bare(bool),
    Managed {
        #[serde(rename = "Value", default)]
        value: Option<bool>,
    },
    #[default]
    Unsaid,
}

impl Switch {
    pub(super) fn said(&self) -> Option<bool> {
        match self {
            Self::Bare(value) => Some(*value),
            Self::Managed { value } => *value,
            Self::Unsaid => None,
        }
    }

    pub(super) fn is_true(&self) -> bool {
        self.said() == Some(true)
    }
}

/// A word in an object of its own.
#[derive(Deserialize)]
pub(super) struct Word {
    #[serde(rename = "Value", default)]
    pub(super) value: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Label {
    #[serde(default)]
    pub(super) localized_labels: Vec<LocalizedLabel>,
    #[serde(default)]
    pub(super) user_localized_label: Option<LocalizedLabel>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct LocalizedLabel {
    #[serde(default)]
    pub(super) label: Option<String>,
    #[serde(default)]
    pub(super) language_code: Option<u32>,
}

impl Label {
    /// The label in the language wanted, else in the user's, else the first (section 4).
    pub(super) fn in_language(&self, language: Option<u32>) -> Option<String> {
        let wanted = self
            .localized_labels
            .iter()
            .find(|label| language.is_some() && label.language_code == language);
        let label = wanted
            .or(self.user_localized_label.as_ref())
            .or(self.localized_labels.first())?;
        label.label.clone()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Base {
    pub(super) logical_name: String,
    #[serde(default)]
    pub(super) attribute_type: Option<String>,
    #[serde(default)]
    pub(super) attribute_type_name: Option<Word>,
    #[serde(default)]
    pub(super) attribute_of: Option<String>,
    #[serde(default)]
    pub(super) is_primary_id: Switch,
    #[serde(default)]
    pub(super) is_valid_for_read: Switch,
    #[serde(default)]
    pub(super) is_valid_for_create: Switch,
    #[serde(default)]
    pub(super) is_valid_for_update: Switch,
    #[serde(default, rename = "IsValidODataAttribute")]
    pub(super) is_property: Switch,
    #[serde(default)]
    pub(super) required_level: Option<Word>,
    #[serde(default)]
    pub(super) display_name: Option<Label>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Source {
    pub(super) logical_name: String,
    #[serde(default)]
    pub(super) source_type: Option<i64>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Detail {
    pub(super) logical_name: String,
    #[serde(default)]
    pub(super) max_length: Option<u32>,
    #[serde(default)]
    pub(super) precision: Option<u32>,
    #[serde(default)]
    pub(super) max_value: Option<f64>,
    #[serde(default)]
    pub(super) date_time_behavior: Option<Word>,
    #[serde(default)]
    pub(super) targets: Option<Vec<String>>,
    #[serde(default)]
    pub(super) option_set: Option<OptionSet>,
    #[serde(default)]
    pub(super) global_option_set: Option<OptionSet>,
    #[serde(default)]
    pub(super) default_form_value: Option<i64>,
    #[serde(default)]
    pub(super) default_value: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct OptionSet {
    #[serde(default)]
    pub(super) name: Option<String>,
    #[serde(default)]
    pub(super) display_name: Option<Label>,
    #[serde(default)]
    pub(super) is_global: Switch,
    #[serde(default)]
    pub(super) options: Option<Vec<OptionItem>>,
    #[serde(default)]
    pub(super) true_option: Option<OptionItem>,
    #[serde(default)]
    pub(super) false_option: Option<OptionItem>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct OptionItem {
    #[serde(default)]
    pub(super) value: Option<i64>,
    #[serde(default)]
    pub(super) label: Option<Label>,
    #[serde(default)]
    pub(super) state: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Key {
    #[serde(default)]
    pub(super) key_attributes: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Relationship {
    #[serde(default)]
    pub(super) referencing_attribute: Option<String>,
    #[serde(default)]
    pub(super) referenced_entity: Option<String>,
    #[serde(default)]
    pub(super) referencing_entity_navigation_property_name: Option<String>,
}

impl OptionSet {
    /// A shared set; nothing where it has no name.
    pub(super) fn shared(self, language: Option<u32>) -> Option<Enumeration> {
        let name = self.name.clone()?;
        let label = self.display_name.as_ref();
        let label = label.and_then(|label| label.in_language(language));
        let values = self.choices(language).into_iter().map(Into::into);
        Some(Enumeration {
            label: label.unwrap_or_else(|| name.clone()),
            values: values.collect(),
            name,
        })
    }

    pub(super) fn choices(self, language: Option<u32>) -> Vec<ChoiceOption> {
        let label_of = |item: &OptionItem| {
            let label = item.label.as_ref();
            label.and_then(|label| label.in_language(language))
        };
        // Records hold truth values, not the numbers of their options.
        let truths = [("false", self.false_option), ("true", self.true_option)];
        let truths = truths.into_iter().filter_map(|(value, item)| {
            let item = item?;
            Some(ChoiceOption {
                value: value.into(),
                label: label_of(&item).unwrap_or_else(|| value.into()),
                state: None,
            })
        });
        let options = self.options.unwrap_or_default().into_iter();
        let options = options.filter_map(|item| {
            let value = item.value?.to_string();
            Some(ChoiceOption {
                label: label_of(&item).unwrap_or_else(|| value.clone()),
                state: item.state.map(|state| state.to_string()),
                value,
            })
        });
        options.chain(truths).collect()
    }
}

impl Base {
    pub(super) fn into_attribute(
        self,
        detail: Detail,
        computed: bool,
        language: Option<u32>,
    ) -> Attribute {
        let type_name = self.attribute_type_name.and_then(|word| word.value);
        let type_name = type_name.unwrap_or_else(|| {
            // Versions without the better word have its first part (3.3).
            format!("{}Type", self.attribute_type.unwrap_or_default())
        });
        let label = self.display_name;
        let label = label.and_then(|label| label.in_language(language));
        // A shared set has its name from itself; local ones may carry the options alone (section 4).
        let global_set = detail
            .global_option_set
            .as_ref()
            .and_then(|set| set.name.clone());
        let shared = detail
            .option_set
            .as_ref()
            .filter(|set| set.is_global.is_true());
        let global_set = global_set.or_else(|| shared.and_then(|set| set.name.clone()));
        let own = detail.option_set.map(|set| set.choices(language));
        let own = own.filter(|choices| !choices.is_empty());
        let options = own.or_else(|| Some(detail.global_option_set?.choices(language)));
        let chosen = detail.default_form_value.map(|value| value.to_string());
        let chosen = chosen.or_else(|| Some(detail.default_value?.to_string()));
        Attribute {
            label: label.unwrap_or_else(|| self.logical_name.clone()),
            name: self.logical_name,
            type_name,
            behavior: detail.date_time_behavior.and_then(|word| word.value),
            attribute_of: self.attribute_of.filter(|of| !of.is_empty()),
            is_primary_id: self.is_primary_id.is_true(),
            readable: self.is_valid_for_read.said() != Some(false),
            creatable: self.is_valid_for_create.is_true(),
            updatable: self.is_valid_for_update.is_true(),
            is_property: self.is_property.said(),
            required_level: self
                .required_level
                .and_then(|word| word.value)
                .unwrap_or_default(),
            computed,
            length: detail.max_length,
            decimals: detail.precision,
            largest: detail.max_value,
            targets: detail.targets.unwrap_or_default(),
            global_set,
            options: options.unwrap_or_default(),
            chosen,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shared_set_is_an_enumeration_of_its_own() {
        let list = r##"{"value": [
            {"@odata.type": "#Microsoft.Dynamics.CRM.OptionSetMetadata", "Name": "new_colour", "IsGlobal": true,
             "DisplayName": {"LocalizedLabels": [{"Label": "Farbe", "LanguageCode": 1031}, {"Label": "Colour", "LanguageCode": 1033}],
                             "UserLocalizedLabel": {"Label": "Colour", "LanguageCode": 1033}},
             "Options": [{"Value": 1, "Label": {"LocalizedLabels": [{"Label": "Rot", "LanguageCode": 1031}], "UserLocalizedLabel": null}},
                         {"Value": null}]},
            {"@odata.type": "#Microsoft.Dynamics.CRM.BooleanOptionSetMetadata", "Name": "new_choice", "DisplayName": null,
             "TrueOption": {"Value": 1, "Label": null}, "FalseOption": {"Value": 0, "Label": null}},
            {"Name": null, "Options": []}
        ]}"##;
        let listed: Listed<OptionSet> = serde_json::from_str(list).unwrap();
        let sets = listed.value.into_iter();
        let sets: Vec<_> = sets.filter_map(|set| set.shared(Some(1031))).collect();
        let shown: Vec<_> = sets
            .iter()
            .map(|set| {
                let values = set.values.iter();
                let values: Vec<_> = values
                    .map(|value| (value.value.as_str(), value.label.as_str()))
                    .collect();
                (set.name.as_str(), set.label.as_str(), values)
            })
            .collect();
        assert_eq!(
            shown,
            [
                ("new_colour", "Farbe", vec![("1", "Rot")]),
                (
                    "new_choice",
                    "new_choice",
                    vec![("false", "false"), ("true", "true")]
                ),
            ]
        );
    }
}
