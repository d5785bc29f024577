//! The standard objects and their fields (sections 3.3, 3.6 and 3.7 of the protocol page).
//! Fields are written down as `Name:type`, read once at the start.

use std::collections::HashMap;

/// Type of a field in v2.0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text of at most so many characters.
    Text(usize),
    /// Text that cannot be sorted by.
    Long(usize),
    Pick,
    MultiPick,
    Phone,
    /// A row id of this or another object.
    Id,
    Bool,
    Int,
    Decimal,
    Date,
    DateTime,
}

impl Kind {
    /// Strings come as empty elements when blank, the others not at all.
    pub fn is_text(self) -> bool {
        !matches!(
            self,
            Self::Bool | Self::Int | Self::Decimal | Self::Date | Self::DateTime
        )
    }
}

/// A field of an object.
#[derive(Debug, Clone)]
pub struct Field {
    /// Tag in v2.0.
    pub name: String,
    pub kind: Kind,
    /// Checked on insert only.
    pub required: bool,
    pub read_only: bool,
    /// Listed by the mapping service, refused in data.
    pub hidden: bool,
}

impl Field {
    /// Whether companies give it its meaning.
    pub fn is_custom(&self) -> bool {
        ["Custom", "Indexed"]
            .iter()
            .any(|start| self.name.starts_with(start))
    }
}

/// An object.
#[derive(Debug, Clone)]
pub struct Object {
    /// Element name in SOAP.
    pub name: &'static str,
    /// Name in the Service API.
    pub service_name: &'static str,
    /// Word in the list of deleted records; two for Activity.
    pub deleted_as: &'static str,
    pub fields: Vec<Field>,
    /// What stands behind the object in the namespace of its services.
    suffix: &'static str,
    places: HashMap<String, usize>,
    /// Columns that find a record together, the first complete set counts.
    pub keys: Vec<Vec<usize>>,
}

impl Object {
    /// An object that is nothing but one field, to bind conditions of the Service API to.
    pub fn of_one(tag: &str, kind: Kind) -> Self {
        let field = Field {
            name: tag.to_owned(),
            kind,
            required: false,
            read_only: true,
            hidden: false,
        };
        Self {
            name: "DeletedItem",
            service_name: "DeletedItem",
            deleted_as: "",
            fields: vec![field],
            suffix: "",
            places: HashMap::from([(tag.to_owned(), 0)]),
            keys: Vec::new(),
        }
    }

    /// The same object as `/10/2004` shows it: custom fields go by the company's tags, and those that the
    /// company does not use are not there.
    pub fn with_custom_tags(&self, tag: impl Fn(&Field) -> Option<String>) -> Self {
        let mut out = self.clone();
        out.suffix = "10/2004";
        for (place, field) in self.fields.iter().enumerate() {
            if !field.is_custom() {
                continue;
            }
            out.places.remove(&field.name);
            if let Some(own) = tag(field) {
                out.fields[place].name.clone_from(&own);
                out.places.insert(own, place);
            }
        }
        out
    }

    /// The namespace of the object's services in v2.0.
    pub fn service(&self) -> String {
        format!("urn:crmondemand/ws/ecbs/{}/{}", self.word(), self.suffix)
    }

    /// The place of a field by its tag.
    pub fn place(&self, tag: &str) -> Option<usize> {
        self.places.get(tag).copied()
    }

    /// The tag in v1.0 and in the Service API.
    pub fn v1_tag(&self, field: &str) -> String {
        match field {
            "Id" => format!("{}Id", self.name),
            "CreatedByEMailAddr" => "CreatedbyEmailAddress".to_owned(),
            "UpdatedByEMailAddr" => "ModifiedbyEmailAddress".to_owned(),
            "Alias" if self.name == "Activity" => "Owner".to_owned(),
            "Territory" if self.name == "Contact" => "OccamTerritory".to_owned(),
            other => other.to_owned(),
        }
    }

    /// The place of a field by its v1.0 tag.
    pub fn place_of_v1(&self, tag: &str) -> Option<usize> {
        self.fields
            .iter()
            .position(|field| self.v1_tag(&field.name) == tag)
    }

    /// The namespace word: the object in lower case.
    pub fn word(&self) -> String {
        self.name.to_ascii_lowercase()
    }
}

/// Places of the system fields, the same in every object.
pub mod system {
    pub const MODIFIED: usize = 0;
    pub const CREATED: usize = 1;
    pub const MODIFIED_BY: usize = 2;
    pub const CREATED_BY: usize = 3;
    pub const MOD_ID: usize = 4;
    pub const ID: usize = 5;
    pub const EXTERNAL: usize = 6;
    pub const INTEGRATION: usize = 7;
}

const SYSTEM: &str = "ModifiedDate:D- CreatedDate:D- ModifiedById:k- CreatedById:k- ModId:i Id:k- \
    ExternalSystemId:t30 IntegrationId:t30 ModifiedBy:t100- CreatedBy:t100- ModifiedDateExt:D- \
    CreatedDateExt:D-";
const PERSON: &str = "OwnerId:k Owner:t50-";

/// Name, name in the Service API, word of the deleted list, fields, keys.
type Line = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static [&'static str],
);

const OBJECTS: &[Line] = &[
    (
        "Account",
        "Account",
        "Account",
        "AccountName:t100! Location:t50 AccountType:p Industry:p Priority:p Status:p Region:p WebSite:t100 MainPhone:h MainFax:h NumberEmployees:i AnnualRevenues:n Description:l1999 PrimaryBillToStreetAddress:t200 PrimaryBillToCity:t50 PrimaryBillToState:t10 PrimaryBillToPostalCode:t30 PrimaryBillToCountry:t30 ParentAccountId:k CurrencyCode:t20",
        &["AccountName+Location"],
    ),
    (
        "Contact",
        "Contact",
        "Contact",
        "ContactFirstName:t50! ContactLastName:t50! MiddleName:t50 MrMrs:p ContactEmail:t100 JobTitle:t75 Department:t75 ContactType:p LeadSource:p CellularPhone:h WorkPhone:h AccountId:k AccountName:t100- AccountExternalSystemId:t30 DateofBirth:d NeverCall:b NeverMail:b Description:l1999 PrimaryAddress:t200 PrimaryCity:t50 PrimaryProvince:t50 PrimaryZipCode:t30 PrimaryCountry:t30 Territory:t50- CurrencyCode:t20 ContactImage:t50x",
        &[
            "ContactFirstName+ContactLastName+ContactEmail",
            "ContactFirstName+ContactLastName",
        ],
    ),
    (
        "Lead",
        "Lead",
        "Lead",
        "LeadFirstName:t50! LeadLastName:t50! Company:t100 LeadEmail:t100 JobTitle:t75 Industry:p Status:p Source:p Rating:p PrimaryPhone:h CellularPhone:h NumberEmployees:i StreetAddress:t200 City:t50 StateProvince:t50 ZipCode:t30 Country:t30 Description:l1999 ReferenceSince:d",
        &["LeadFirstName+LeadLastName"],
    ),
    (
        "Opportunity",
        "Opportunity",
        "Opportunity",
        "OpportunityName:t100! AccountId:k AccountName:t100- SalesStage:t50! OpportunityType:p LeadSource:p NextStep:t250 Revenue:n Probability:n CloseDate:d! Forecast:b Priority:p Status:p Description:l1999 CurrencyCode:t20",
        &["OpportunityName+AccountId", "OpportunityName"],
    ),
    (
        "Activity",
        "Activity",
        "Action***Task",
        "Subject:t150! Type:p Display:p Activity:p Status:p Priority:p! DueDate:d StartTime:D EndTime:D AccountId:k ContactId:k OpportunityId:k LeadId:k Alias:t50- Description:l16000 Duration:n",
        &["Subject+DueDate"],
    ),
    (
        "Asset",
        "Asset",
        "Asset Mgmt - Asset",
        "AssetName:t100 SerialNumber:t100 ProductId:k! AccountId:k ContactId:k Status:p Type:p Price:n Quantity:n PurchaseDate:d InstallDate:D Description:l1999",
        &["SerialNumber"],
    ),
    (
        "Campaign",
        "Campaign",
        "Campaign",
        "CampaignName:t100! SourceCode:t30! CampaignType:p Status:p StartDate:D EndDate:D BudgetedCost:n ActualCost:n RevenueTarget:n NumberofLeadsTarget:i Audience:t250 Offer:t250 Objective:l1999",
        &["SourceCode"],
    ),
    (
        "Product",
        "Product",
        "Product",
        "Name:t100! ProductType:p PartNumber:t50 Status:p ProductCategory:t50- Orderable:b Price:n Class:t50 Description:l1999",
        &["Name"],
    ),
    (
        "ServiceRequest",
        "Service Request",
        "Service Request",
        "SRNumber:t30- Subject:t250 Area:p Cause:p Type:p Source:p Priority:p Status:p AccountId:k ContactId:k OpenedTime:D ClosedTime:D- Resolution:l1999 Description:l1999",
        &["SRNumber"],
    ),
    (
        "Household",
        "Household",
        "Household",
        "HouseholdName:t100! Segment:p Type:p HeadDOB:d NetWorth:n PrimaryContactId:k Description:l1999",
        &["HouseholdName"],
    ),
    (
        "Territory",
        "Territory",
        "Territory",
        "TerritoryName:t50! ParentTerritoryId:k CurrentQuota:n CurrentRevenue:n Description:l1999",
        &["TerritoryName"],
    ),
    (
        "Vehicle",
        "Vehicle",
        "Auto Vehicle",
        "VIN:t100! Make:p Model:p Year:i Status:p AccountId:k ContactId:k CurrentMileage:n WarrantyEndDate:d Description:l1999",
        &["VIN"],
    ),
    (
        "User",
        "User",
        "Employee",
        "FirstName:t50! LastName:t50! Alias:t50! UserLoginId:t50! UserSignInId:t50 EMailAddr:t100! Status:p Role:t50 TimeZone:t100 CurrencyCode:t20",
        &["UserLoginId", "UserSignInId"],
    ),
    (
        "Solution",
        "Solution",
        "Solution",
        "Title:t100! Status:p Published:b FAQ:l1999 SolutionDetails:l16000 ExpirationDate:d",
        &["Title"],
    ),
    (
        "Note",
        "Note",
        "Account Note",
        "Subject:t150! Note:l16350 Private:b SourceId:k ParentNoteId:k",
        &["Subject+SourceId"],
    ),
    (
        "Book",
        "Book",
        "Book",
        "BookName:t50! BookType:p Status:p ParentBookId:k CanContainDataFlag:b Description:l1999",
        &["BookName"],
    ),
];

/// All objects, in an order that does not change: ids depend on it.
///
/// # Errors
/// A sentence on a line that cannot be read.
pub fn all() -> Result<Vec<Object>, String> {
    OBJECTS.iter().map(object).collect()
}

fn object(line: &Line) -> Result<Object, String> {
    let (name, service_name, deleted_as, own, natural) = *line;
    let person = if matches!(name, "User" | "Book" | "Territory" | "Note") {
        ""
    } else {
        PERSON
    };
    let mut fields = Vec::new();
    for word in [SYSTEM, own, person]
        .iter()
        .flat_map(|part| part.split_whitespace())
    {
        fields.push(field(word).ok_or_else(|| format!("field {word} of {name}"))?);
    }
    if name != "User" && name != "Book" {
        fields.extend(custom(name));
    }
    let places: HashMap<String, usize> = fields
        .iter()
        .enumerate()
        .map(|(place, field)| (field.name.clone(), place))
        .collect();
    let mut keys = vec![
        vec![system::ID],
        vec![system::EXTERNAL],
        vec![system::INTEGRATION],
    ];
    for key in natural {
        let key: Option<Vec<usize>> = key.split('+').map(|tag| places.get(tag).copied()).collect();
        keys.push(key.ok_or_else(|| format!("key of {name}"))?);
    }
    Ok(Object {
        name,
        service_name,
        deleted_as,
        fields,
        suffix: "",
        places,
        keys,
    })
}

fn field(word: &str) -> Option<Field> {
    let (name, kind) = word.split_once(':')?;
    let letter = kind.chars().next()?;
    let rest = &kind[1..];
    let length = rest.trim_end_matches(['!', '-', 'x']);
    let kind = match letter {
        't' => Kind::Text(length.parse().ok()?),
        'l' => Kind::Long(length.parse().ok()?),
        'p' => Kind::Pick,
        'm' => Kind::MultiPick,
        'h' => Kind::Phone,
        'k' => Kind::Id,
        'b' => Kind::Bool,
        'i' => Kind::Int,
        'n' => Kind::Decimal,
        'd' => Kind::Date,
        'D' => Kind::DateTime,
        _ => return None,
    };
    Some(Field {
        name: name.to_owned(),
        kind,
        required: rest.contains('!'),
        read_only: rest.contains('-'),
        hidden: rest.contains('x'),
    })
}

/// The custom fields every object has under their generic tags.
fn custom(object: &str) -> Vec<Field> {
    let currencies = if object == "Account" { 80 } else { 25 };
    let families: &[(&str, std::ops::Range<usize>, Kind)] = &[
        ("CustomText", 0..30, Kind::Text(255)),
        ("CustomText", 30..75, Kind::Text(40)),
        ("CustomPickList", 0..100, Kind::Pick),
        ("CustomMultiSelectPickList", 0..10, Kind::MultiPick),
        ("CustomPhone", 0..20, Kind::Phone),
        ("CustomBoolean", 0..35, Kind::Bool),
        ("CustomInteger", 0..35, Kind::Int),
        ("CustomNumber", 0..63, Kind::Decimal),
        ("CustomCurrency", 0..currencies, Kind::Decimal),
        ("CustomDate", 0..25, Kind::DateTime),
        ("CustomDate", 25..50, Kind::Date),
        ("CustomDate", 50..60, Kind::DateTime),
        ("IndexedBoolean", 0..1, Kind::Bool),
        ("IndexedCurrency", 0..1, Kind::Decimal),
        ("IndexedNumber", 0..1, Kind::Decimal),
        ("IndexedDate", 0..1, Kind::DateTime),
        ("IndexedPick", 0..6, Kind::Pick),
        ("IndexedShortText", 0..2, Kind::Text(40)),
        ("IndexedLongText", 0..1, Kind::Text(255)),
    ];
    families
        .iter()
        .flat_map(|(name, range, kind)| {
            range.clone().map(move |n| Field {
                name: format!("{name}{n}"),
                kind: *kind,
                required: false,
                read_only: false,
                hidden: false,
            })
        })
        .collect()
}
