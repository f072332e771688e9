//! A record of any bytes does not panic, and what was understood of one that is accepted is written and read again as
//! the same. (Members that a later release may have added are let go.) Every form of export takes it.

#![no_main]

use assent_audit::export::{Source, fhir, jsonl, line, ocsf, syslog};
use assent_audit::record::Record;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Ok(record) = Record::decode(input) else { return };
    assert!(Record::decode(&record.encode().unwrap()).unwrap() == record);
    let source = Source {
        log: "fuzz.test/audit/org/2026".into(),
        node: "pdp-1".into(),
        organization: "org".into(),
        software: "0.1.0".into(),
        enterprise: 32_473,
    };
    let forms = [
        jsonl(&source, 0, &record),
        line(&ocsf(&source, 0, &record)),
        line(&fhir(&source, 0, &record)),
        syslog(&source, 0, &record),
    ];
    assert!(forms.iter().all(|text| !text.contains('\n')), "one line each");
});
