//! Plain words for codes: purposes of use, actions, types of record.
//!
//! The families of purposes decide in [`super::rule`]; the tables here are the one place that knows which
//! HL7 v3 PurposeOfUse code belongs where. An unknown code is `Other`, and so is listed.

/// What the law says of a purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    /// 164.506, treatment.
    Treatment,
    /// 164.506, payment.
    Payment,
    /// 164.506, health care operations.
    Operations,
    /// 164.510: directory, persons involved in care.
    Involved,
    /// 164.512: permitted without authorization, and accounted for.
    Permitted,
    /// None of these, or unknown.
    Other,
}

/// Code, family, words. Codes under operations that serve somebody else's end (donation, military command,
/// legal proceedings, training of machines) are not among the operations.
const PURPOSES: &[(&str, Family, &str)] = &[
    ("TREAT", Family::Treatment, "Treatment"),
    ("CLINTRL", Family::Treatment, "Treatment in a clinical trial"),
    ("COC", Family::Treatment, "Coordination of care"),
    ("ETREAT", Family::Treatment, "Emergency treatment"),
    ("ERTREAT", Family::Treatment, "Emergency room treatment"),
    ("BTG", Family::Treatment, "Emergency access for treatment"),
    ("TREATDS", Family::Treatment, "Treatment and disease management"),
    ("POPHLTH", Family::Treatment, "Care for a population of patients"),
    ("HPAYMT", Family::Payment, "Payment"),
    ("CLMATTCH", Family::Payment, "Documents for an insurance claim"),
    ("COVAUTH", Family::Payment, "Authorization of insurance coverage"),
    ("COVERAGE", Family::Payment, "Insurance coverage"),
    ("ELIGDTRM", Family::Payment, "Decision whether insurance covers you"),
    ("ELIGVER", Family::Payment, "Check whether insurance covers you"),
    ("ENROLLM", Family::Payment, "Enrollment in insurance"),
    ("PMTDS", Family::Payment, "Payment and disease management"),
    ("REMITADV", Family::Payment, "Notice of payment"),
    ("HOPERAT", Family::Operations, "Running the health care organization"),
    ("CAREMGT", Family::Operations, "Management of care"),
    ("FRAUD", Family::Operations, "Detection of fraud"),
    ("HACCRED", Family::Operations, "Accreditation"),
    ("HCOMPL", Family::Operations, "Compliance with rules"),
    ("HOUTCOMS", Family::Operations, "Review of outcomes"),
    ("HQUALIMP", Family::Operations, "Improvement of quality"),
    ("HSYSADMIN", Family::Operations, "Administration of the record system"),
    ("MEMADMIN", Family::Operations, "Administration of members"),
    ("PATADMIN", Family::Operations, "Administration of patients"),
    ("PATSFTY", Family::Operations, "Safety of patients"),
    ("PERFMSR", Family::Operations, "Measurement of performance"),
    ("RECORDMGT", Family::Operations, "Management of records"),
    ("TRAIN", Family::Operations, "Training of staff"),
    ("HDIRECT", Family::Involved, "Directory of patients"),
    ("FAMRQT", Family::Involved, "At the request of family involved in your care"),
    ("SUPNWK", Family::Involved, "At the request of people who support you"),
    ("PUBHLTH", Family::Permitted, "Public health"),
    ("DISASTER", Family::Permitted, "Response to a disaster"),
    ("THREAT", Family::Permitted, "Response to a threat to health or safety"),
    ("HRESCH", Family::Permitted, "Research"),
    ("BIORCH", Family::Permitted, "Biomedical research"),
    ("CLINTRCH", Family::Permitted, "Clinical research"),
    ("DSRCH", Family::Permitted, "Research into a disease"),
    ("POARCH", Family::Permitted, "Research into populations"),
    ("TRANSRCH", Family::Permitted, "Translational research"),
    ("HLEGAL", Family::Permitted, "A legal proceeding"),
    ("DONAT", Family::Permitted, "Organ or tissue donation"),
    ("GOV", Family::Permitted, "A government program"),
    ("HDECD", Family::Permitted, "After a death"),
    ("MILCDM", Family::Permitted, "Military command"),
    ("PATRQT", Family::Other, "At your request"),
    ("PWATRNY", Family::Other, "At the request of a person with power of attorney"),
    ("HMARKT", Family::Other, "Marketing"),
    ("MLTRAINING", Family::Other, "Training of machine learning"),
];

const KINDS: &[(&str, &str)] = &[
    ("Patient", "patient data"),
    ("Encounter", "the record of a visit"),
    ("DocumentReference", "a document"),
    ("Observation", "a measurement or observation"),
    ("Condition", "a diagnosis or problem"),
    ("DiagnosticReport", "a test report"),
    ("MedicationRequest", "a prescription"),
    ("Immunization", "a vaccination"),
    ("Procedure", "a procedure"),
    ("AllergyIntolerance", "an allergy"),
    ("CarePlan", "a care plan"),
    ("ServiceRequest", "an order or referral"),
    ("Appointment", "an appointment"),
    ("ExplanationOfBenefit", "a bill or statement of benefits"),
    ("QuestionnaireResponse", "a filled-in form"),
    ("Bundle", "the results of a search in the record"),
    ("Communication", "a message"),
    ("DataSet", "a set of records"),
    ("Practitioner", "practitioner"),
    ("RelatedPerson", "person"),
    ("Application", "app"),
    ("Organization", "organization"),
];

const ACTIONS: &[(&str, &str)] = &[
    ("read", "Viewed"),
    ("vread", "Viewed an earlier version"),
    ("history", "Viewed the history"),
    ("search", "Viewed"),
    ("readMessage", "Read"),
    ("export", "Exported"),
    ("download", "Downloaded"),
    ("print", "Printed"),
    ("share", "Shared"),
];

pub(super) fn family(purpose: Option<&str>) -> Family {
    let row = PURPOSES.iter().find(|(code, ..)| Some(*code) == purpose);
    row.map_or(Family::Other, |(_, family, _)| *family)
}

/// Several disclosures to one recipient may be summarised for a single purpose under 164.512 only.
pub(super) fn may_be_summarised(purpose: Option<&str>) -> bool {
    family(purpose) == Family::Permitted
}

pub(super) fn purpose(code: Option<&str>) -> String {
    let Some(code) = code else { return "Not stated".to_owned() };
    let row = PURPOSES.iter().find(|(known, ..)| *known == code);
    row.map_or_else(|| format!("Other purpose ({code})"), |(.., words)| (*words).to_owned())
}

pub(super) fn what(action: &str, kind: &str) -> String {
    let verb = ACTIONS.iter().find(|(known, _)| *known == action);
    let verb = verb.map_or_else(|| format!("Accessed ({action})"), |(_, words)| (*words).to_owned());
    format!("{verb}: {}", self::kind(kind))
}

/// What sort of recipient it is, in plain words.
pub(super) fn who(kind: &str) -> &str {
    if kind == "Patient" { "patient" } else { self::kind(kind) }
}

/// The type of an entity in plain words; its own name where there are none.
fn kind(kind: &str) -> &str {
    KINDS.iter().find(|(known, _)| *known == kind).map_or(kind, |(_, words)| words)
}
