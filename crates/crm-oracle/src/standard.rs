//! The objects of the standard templates and their fields, under their tags in version 2.0 (Oracle page 3.3, 3.6).
//!
//! Tags, types and lengths are those of the vendor's service descriptions. A group has the mapping service's word for
//! its type; behind a tag may stand `/` and its longest text, `!` where a record cannot be created without it, `-` where
//! the CRM writes it, `~` where it takes it from another record or works it out when it is read, and `*` where it is there
//! although no layout shows it.

/// One object.
pub(crate) struct Line {
    /// Name in messages.
    pub name: &'static str,
    /// Name in the Service API.
    pub service_name: &'static str,
    /// Name for people.
    pub label: &'static str,
    /// Its own fields: the word for their type, and their tags.
    pub groups: &'static [(&'static str, &'static str)],
}

/// Fields of every object.
pub(crate) const SYSTEM: &[(&str, &str)] = &[
    ("ID", "Id/30*- CreatedById*- ModifiedById*-"),
    ("Date/Time", "CreatedDate*- ModifiedDate*-"),
    ("Integer", "ModId*-"),
    ("Text (Short)", "ExternalSystemId/30* IntegrationId/30*"),
    (
        "Text (Short)",
        "CreatedBy~ ModifiedBy~ CreatedByEMailAddr~ UpdatedByEMailAddr~ CreatedByFullName~ UpdatedByFullName~",
    ),
    ("Date/Time", "CreatedDateExt- ModifiedDateExt-"),
];

/// Custom fields by their generic tags: what stands in front of the number, the word for their type, the longest text.
/// Numbers within a family may differ in type.
pub(crate) const CUSTOM: &[(&str, std::ops::RangeInclusive<u32>, &str, Option<u32>)] = &[
    ("CustomText", 0..=29, "Text (Short)", Some(255)),
    ("CustomText", 30..=99, "Text (Short)", Some(40)),
    ("CustomPickList", 0..=99, "Picklist", Some(30)),
    (
        "CustomMultiSelectPickList",
        0..=9,
        "Multi-Select Picklist",
        Some(330),
    ),
    ("CustomPhone", 0..=19, "Phone", Some(40)),
    ("CustomBoolean", 0..=34, "Checkbox", None),
    ("CustomInteger", 0..=34, "Integer", None),
    ("CustomNumber", 0..=64, "Number", None),
    ("CustomCurrency", 0..=79, "Currency", None),
    ("CustomDate", 0..=24, "Date/Time", None),
    ("CustomDate", 25..=49, "Date", None),
    ("CustomDate", 50..=59, "Date/Time", None),
    ("IndexedBoolean", 0..=0, "Checkbox", None),
    ("IndexedCurrency", 0..=0, "Currency", None),
    ("IndexedNumber", 0..=0, "Number", None),
    ("IndexedDate", 0..=0, "Date/Time", None),
    ("IndexedPick", 0..=5, "Picklist", Some(30)),
    ("IndexedShortText", 0..=1, "Text (Short)", Some(40)),
    ("IndexedLongText", 0..=0, "Text (Short)", Some(255)),
];

const OWNER: (&str, &str) = ("ID", "OwnerId*");
const OWNER_NAME: (&str, &str) = ("Text (Short)", "Owner/50~ OwnerFullName~");

pub(crate) const OBJECTS: &[Line] = &[
    Line {
        name: "Account",
        service_name: "Account",
        label: "Account",
        groups: &[
            (
                "Text (Short)",
                "AccountName/100! Location/50 WebSite/100 CurrencyCode/15",
            ),
            ("Phone", "MainPhone MainFax"),
            (
                "Picklist",
                "AccountType/30 Industry/50 Priority/30 Status/30 Region/25 Stage/30 InfluenceType/30 MarketPotential/30 MarketSegment/30 CallFrequency/30 Route/30",
            ),
            ("Integer", "NumberEmployees NumberOfPhysicians"),
            ("Currency", "AnnualRevenues ClosedRevenue-"),
            ("Number", "MarketShare Ranking"),
            (
                "Checkbox",
                "PublicCompany Reference PartnerFlag ReassignOwnerFlag",
            ),
            ("Date", "ReferenceSince"),
            (
                "Date/Time",
                "LastCallDate- LastAssignmentSubmissionDate- LastAssignmentCompletionDate-",
            ),
            (
                "ID",
                "ParentAccountId* PrimaryContactId TerritoryId SourceCampaignId",
            ),
            (
                "Text (Short)",
                "ParentAccount/100~ ParentAccountLocation/50~ PrimaryContactFullName~ Territory/50~ SourceCampaignName/100~ PrimaryGroup/50~ AssignmentStatus- OwnerEmailAddress/100~ HIN FuriganaName/50 ParentAccountExternalSystemId/30",
            ),
            (
                "Text (Short)",
                "PrimaryBillToStreetAddress/200 PrimaryBillToStreetAddress2/100 PrimaryBillToStreetAddress3/100 PrimaryBillToCity/50 PrimaryBillToCounty/50 PrimaryBillToState/10 PrimaryBillToProvince/50 PrimaryBillToPostalCode/30 PrimaryBillToCountry/30",
            ),
            (
                "Text (Short)",
                "PrimaryShipToStreetAddress/200 PrimaryShipToStreetAddress2/100 PrimaryShipToStreetAddress3/100 PrimaryShipToCity/50 PrimaryShipToCounty/50 PrimaryShipToState/10 PrimaryShipToProvince/50 PrimaryShipToPostalCode/30 PrimaryShipToCountry/30",
            ),
            (
                "Text (Short)",
                "PartnerStatus/30 OwnerPartnerPartnerName/100~ PrincipalPartnerPartnerName/100~ OriginatingPartnerPartnerName/100~ PriceListPriceListName/50~",
            ),
            ("Text (Long)", "Description/1999"),
            OWNER,
            OWNER_NAME,
        ],
    },
    Line {
        name: "Contact",
        service_name: "Contact",
        label: "Contact",
        groups: &[
            (
                "Text (Short)",
                "ContactFirstName/50! ContactLastName/50! MiddleName/50 ContactFullName~ ContactEmail/100 JobTitle/75 Department/75 AssistantName/50 CurrencyCode/20 PIMCompanyName/100 CustomerId FuriganaFirstName/50 FuriganaLastName/50",
            ),
            (
                "Phone",
                "WorkPhone CellularPhone HomePhone WorkFax AssistantPhone",
            ),
            (
                "Picklist",
                "MrMrs/15 ContactType/30 LeadSource/30 BuyingRole/30 BestTimeToCall/30 CallFrequency/30 CurrentInvestmentMix/30 Degree/30 ExperienceLevel/30 Gender/30 InvestmentHorizon/30 LifeEvent MaritalStatus/30 MarketPotential/30 Objective/30 OwnorRent/30 RiskProfile/30 Route/30 Segment/30 Tier/30 ClientStatus Profession",
            ),
            ("Text (Short)", "PrimaryGoal/250 TimeZoneName Age~"),
            ("Checkbox", "NeverEmail OptIn OptOut Private SelfEmployed"),
            ("Date", "DateofBirth ClientSinceDate LastAssessmentDate"),
            ("Date/Time", "LastActivityDate- LastCallDate- QualifiedDate"),
            (
                "Currency",
                "TotalAssets TotalExpenses TotalIncome TotalLiabilities TotalNetWorth YTDSales HomeValue",
            ),
            ("Number", "CreditScore TaxBracket"),
            (
                "ID",
                "AccountId* ManagerId SourceCampaignId TerritoryId ReferredById",
            ),
            (
                "Text (Short)",
                "AccountName/100~ AccountLocation/50~ AccountExternalSystemId/30 Manager/82~ SourceCampaignName/100~ Territory/50~ ReferredByFullName~ PrimaryGroup/50~ OwnerEmailAddress/100~",
            ),
            (
                "Text (Short)",
                "PrimaryAddress/200 PrimaryStreetAddress2/100 PrimaryStreetAddress3/100 PrimaryCity/50 PrimaryCounty/50 PrimaryStateProvince/10 PrimaryProvince/50 PrimaryZipCode/30 PrimaryCountry/30",
            ),
            (
                "Text (Short)",
                "AlternateAddress1/200 AlternateAddress2/100 AlternateAddress3/100 AlternateCity/50 AlternateCounty/50 AlternateStateProvince/10 AlternateProvince/50 AlternateZipCode/30 AlternateCountry/30",
            ),
            ("Text (Long)", "Description/1999"),
            OWNER,
            OWNER_NAME,
        ],
    },
    Line {
        name: "Lead",
        service_name: "Lead",
        label: "Lead",
        groups: &[
            (
                "Text (Short)",
                "LeadFirstName/50! LeadLastName/50! LeadFullName- Company/100 LeadEmail/100 JobTitle/75 Website/100 NextStep/250 CurrencyCode/20 FullNameAndCompany-",
            ),
            ("Phone", "PrimaryPhone CellularPhone FaxPhone"),
            (
                "Picklist",
                "MrMrs/15 Industry/50 Rating/30 Source/30 Status/30 LeadType RejectCode ProductInterest/100 OwnershipStatus/30 Profession",
            ),
            ("Integer", "NumberEmployees"),
            (
                "Currency",
                "AnnualRevenues PotentialRevenue ApproximateIncome",
            ),
            ("Checkbox", "NeverEmail ReassignLeadOwner"),
            ("Date", "DateofBirth LastAssessmentDate"),
            (
                "Date/Time",
                "EstimatedCloseDate Qualifieddate LastAssignmentSubmissionDate- LastAssignmentCompletionDate-",
            ),
            (
                "ID",
                "AccountId* ContactId* OpportunityId* CampaignId* SalesRepId ReferredById",
            ),
            (
                "Text (Short)",
                "AccountName/100~ AccountLocation/50~ ContactFullName~ ContactFirstName/50~ ContactLastName/50~ OpportunityName/100~ Campaign/100~ SalesPerson/50~ SalesPersonFullName~ ReferredByFullName~ LeadOwner~ RejectReason AssignmentStatus- Age~",
            ),
            (
                "Text (Short)",
                "StreetAddress/200 StreetAddress2/100 StreetAddress3/100 City/50 County/50 StateProvince Province/50 ZipCode Country",
            ),
            ("Text (Long)", "Description/2000"),
            OWNER,
            ("Text (Short)", "Owner/50~"),
        ],
    },
    Line {
        name: "Opportunity",
        service_name: "Opportunity",
        label: "Opportunity",
        groups: &[
            (
                "Text (Short)",
                "OpportunityName/100! NextStep/250 CurrencyCode/20",
            ),
            (
                "Picklist",
                "OpportunityType/30 LeadSource/30 Priority/30 Status/30 StageStatus/30 SalesStage/50 SalesProcess/30 ReasonWonLost/30 Type/30 Make/30 Model/30 ProductInterest/100 ApprovalStatus/30 RegistrationStatus/30 OwnershipStatus/30",
            ),
            ("Text (Short)", "Year"),
            (
                "Currency",
                "Revenue ExpectedRevenue- TotalAssetValue TotalPremium",
            ),
            ("Percent", "Probability"),
            ("Checkbox", "Forecast ReassignOwnerFlag"),
            ("Date", "CloseDate LastAssessmentDate"),
            (
                "Date/Time",
                "LastAssignmentSubmissionDate- LastAssignmentCompletionDate-",
            ),
            (
                "ID",
                "AccountId* KeyContactId* SalesStageId SalesProcessId TerritoryId SourceCampaignId DealerId",
            ),
            (
                "Text (Short)",
                "AccountName/100~ AccountLocation/50~ AccountExternalSystemId/30 KeyContactLastName/50~ Territory~ SourceCampaign/100~ Dealer/100~ PrimaryGroup/50~ AssignmentStatus-",
            ),
            ("Text (Long)", "Description/1999"),
            OWNER,
            OWNER_NAME,
        ],
    },
    Line {
        name: "Activity",
        service_name: "Activity",
        label: "Activity",
        groups: &[
            (
                "Text (Short)",
                "Subject/100! Location/100 CurrencyCode Alias/50-",
            ),
            (
                "Picklist",
                "Activity/30 Type/30 Priority/30 Status/30 ActivitySubType/30 CallType/30 Objective/30 ResolutionCode/30 ApprovalStatus/30",
            ),
            ("Date", "DueDate"),
            ("Date/Time", "StartTime EndTime CompletedDatetime- Date"),
            ("Integer", "Duration"),
            ("Currency", "Cost"),
            ("Checkbox", "Completed Private PaperSign"),
            (
                "ID",
                "AccountId* OpportunityId* LeadId* PrimaryContactId* ServiceRequestId* CampaignId* DelegatedById",
            ),
            (
                "Text (Short)",
                "AccountName/100~ AccountLocation/50~ OpportunityName/100~ Lead~ PrimaryContact~ ServiceRequestNumber/64~ CampaignName/100~ DelegatedBy/255~ AssignedTo- AssignedQueue/250",
            ),
            ("Text (Long)", "Description/1999 NextCall/1500"),
            OWNER,
        ],
    },
    Line {
        name: "Asset",
        service_name: "Asset",
        label: "Asset",
        groups: &[
            (
                "Text (Short)",
                "AssetName/100 SerialNumber PartNumber~ CurrencyCode Contract Product~",
            ),
            (
                "Picklist",
                "Status Type Warranty OperatingStatus Manufacturer",
            ),
            ("Number", "Quantity"),
            ("Integer", "ModelYear"),
            ("Currency", "PurchasePrice Price"),
            (
                "Date",
                "PurchaseDate ShipDate NotifyDate ExpirationDate InstallDate",
            ),
            ("ID", "ProductId* AccountId* ContactId*"),
            (
                "Text (Short)",
                "AccountName~ AccountLocation~ ProductCategory~ Owner~",
            ),
            ("Text (Long)", "Description"),
        ],
    },
    Line {
        name: "Campaign",
        service_name: "Campaign",
        label: "Campaign",
        groups: &[
            (
                "Text (Short)",
                "CampaignName/100! SourceCode/30! CurrencyCode/15 Audience/2000 Offer/255",
            ),
            ("Picklist", "CampaignType/30 Status/30"),
            ("Date/Time", "StartDate EndDate"),
            ("Currency", "BudgetedCost ActualCost RevenueTarget"),
            ("Number", "ProspectsTargeted"),
            ("Text (Long)", "Objective/2000 Description/2000"),
            OWNER,
            OWNER_NAME,
        ],
    },
    Line {
        name: "Product",
        service_name: "Product",
        label: "Product",
        groups: &[
            (
                "Text (Short)",
                "Name/100! PartNumber/50 ProductCurrency/20 Revision/30 LotTrackingNumber",
            ),
            (
                "Picklist",
                "ProductType/30 Status/30 Type/30 SubType/30 PriceType/30 Category/30 Class/75 Body/30 Engine/30 Make/30 Model/30 DoorStyle/30 Transmission/30 Trim/30 TherapeuticClass/30",
            ),
            ("Checkbox", "Orderable Controlled Serialized"),
            ("Currency", "MSRP DealerInvoicePrice"),
            ("ID", "ProductCategoryId ParentProductId"),
            (
                "Text (Short)",
                "ProductCategory/100~ ParentProductName/100~ ModelYear",
            ),
            ("Text (Long)", "Description/255"),
        ],
    },
    Line {
        name: "ServiceRequest",
        service_name: "Service Request",
        label: "Service Request",
        groups: &[
            ("Text (Short)", "SRNumber/64- Subject/250 CurrencyCode/20"),
            (
                "Picklist",
                "Area/30 Cause/30 Priority/30 Source/30 Status/30 Type/30 Make/30 Model/30",
            ),
            ("Date/Time", "OpenedTime ClosedTime"),
            ("Date", "LastAssessmentDate"),
            ("Checkbox", "ReassignOwnerFlag"),
            ("Integer", "Year"),
            ("ID", "AccountId* ContactId* AssetId ProductId DealerId"),
            (
                "Text (Short)",
                "AccountName/100~ AccountLocation/50~ ContactFullName~ ContactFirstName/50~ ContactLastName/50~ ContactEmail/100~ AssetName/100~ Product/100~ Dealer/100~ ServicingDealer/100~ AssignmentStatus-",
            ),
            ("Phone", "WorkPhone~"),
            ("Text (Long)", "Description/2000"),
            OWNER,
            OWNER_NAME,
        ],
    },
    Line {
        name: "Household",
        service_name: "Household",
        label: "Household",
        groups: &[
            ("Text (Short)", "HouseholdName! CurrencyCode"),
            ("Picklist", "Segment Type RiskProfile"),
            ("Date", "HeadDOB"),
            (
                "Currency",
                "NetWorth TotalAssets TotalLiabilities TotalIncome",
            ),
            ("ID", "PrimaryContactId*"),
            ("Text (Long)", "Description"),
            OWNER,
        ],
    },
    Line {
        name: "Territory",
        service_name: "Territory",
        label: "Territory",
        groups: &[
            (
                "Text (Short)",
                "TerritoryName! CurrencyCode ParentTerritory~",
            ),
            ("Currency", "CurrentQuota CurrentRevenue"),
            ("ID", "ParentTerritoryId*"),
            ("Text (Long)", "Description"),
        ],
    },
    Line {
        name: "Vehicle",
        service_name: "Vehicle",
        label: "Vehicle",
        groups: &[
            ("Text (Short)", "VIN CurrencyCode LicenseNumber"),
            (
                "Picklist",
                "Make Model Status Body Engine Transmission Trim DoorStyle VehicleOwnedBy",
            ),
            ("Text (Short)", "Year"),
            ("Number", "CurrentMileage"),
            ("Date", "WarrantyEndDate"),
            ("ID", "AccountId* ContactId*"),
            ("Text (Long)", "Description"),
            OWNER,
        ],
    },
    Line {
        name: "User",
        service_name: "User",
        label: "User",
        groups: &[
            (
                "Text (Short)",
                "FirstName* LastName* MiddleName FullName- Alias* UserLoginId* UserSignInId* EMailAddr* SecondaryEmail JobTitle Department Division EmployeeNumber Company- CurrencyCode",
            ),
            ("Phone", "PhoneNumber CellPhone WorkFax"),
            (
                "Picklist",
                "Status* MrMrs Region SubRegion Market SubMarket BusinessUnit",
            ),
            ("Date/Time", "LastLoggedIn*-"),
            ("Checkbox", "NeverCall NevereMail NeverMail"),
            ("ID", "RoleId ManagerId"),
            (
                "Text (Short)",
                "Role ManagerAlias~ ManagerFullName~ Language Locale TimeZoneName PrimaryGroup~",
            ),
        ],
    },
    Line {
        name: "Solution",
        service_name: "Solution",
        label: "Solution",
        groups: &[
            ("Text (Short)", "Title!"),
            ("Picklist", "Status Area Product"),
            ("Checkbox", "Published"),
            ("Date", "ExpirationDate"),
            ("Text (Long)", "FAQ SolutionDetails"),
        ],
    },
    Line {
        name: "Note",
        service_name: "Note",
        label: "Note",
        groups: &[
            ("Text (Short)", "Subject!"),
            ("Checkbox", "Private"),
            (
                "ID",
                "SourceId ParentNoteId AccountId ContactId OpportunityId",
            ),
            ("Text (Long)", "Note Description"),
        ],
    },
    Line {
        name: "Book",
        service_name: "Book",
        label: "Book",
        groups: &[
            ("Text (Short)", "BookName!"),
            ("Picklist", "BookType Status"),
            ("Checkbox", "CanContainDataFlag"),
            ("ID", "ParentBookId"),
            ("Text (Long)", "Description"),
        ],
    },
];
