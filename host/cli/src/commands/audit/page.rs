//! One record as a page to read: who asked for what and why, what decided, and where the record is.
//!
//! Who asks chooses some of the text, so every line goes through [`printable`].

use assent_audit::record::{
    DecisionEvent, Event, Outcome, Record, ReleaseArchived, StateCarried, StateItem, StateVerb,
};
use assent_audit::shelf::Place;
use assent_audit::text::printable;
use assent_model::{BindingOutcome, Effect, EntityId, Obligation, Value};
use serde_json::Value as Json;

use super::table::name;

/// The page of a record: its log, its place there, and the hash of its entry, by which it is proved.
pub(super) fn page(log: &str, place: Place, leaf: &[u8; 32], record: &Record) -> String {
    let mut page = Page(vec![]);
    match &record.event {
        Event::Decision(decision) => {
            let effect = match decision.outcome.effect {
                Effect::Permit => "PERMIT",
                Effect::Deny => "DENY",
            };
            page.0.push(format!("{effect} ({}), record {place}", decision.outcome.cause.code()));
            page.line("at", &record.at.to_string());
            asked(&mut page, decision);
            answered(&mut page, &decision.outcome);
            page.line("release", &decision.release.to_string());
            page.line("facts", &decision.facts.snapshot.to_string());
        }
        Event::ReleaseArchived(part) => {
            page.0.push(format!("{}, record {place}", record.event.kind()));
            page.line("at", &record.at.to_string());
            archived(&mut page, part);
        }
        Event::StateCarried(part) => {
            page.0.push(format!("{}, record {place}", record.event.kind()));
            page.line("at", &record.at.to_string());
            carried(&mut page, part);
        }
        other => {
            page.0.push(format!("{}, record {place}", other.kind()));
            page.line("at", &record.at.to_string());
            members(&mut page, other);
        }
    }
    page.line("log", log);
    page.line("leaf", &hex::encode(leaf));
    page.0.push(String::new());
    page.0.join("\n")
}

struct Page(Vec<String>);

impl Page {
    fn line(&mut self, what: &str, text: &str) {
        self.0.push(printable(&format!("  {what:<14}{text}")));
    }

    fn lines(&mut self, what: &str, texts: impl IntoIterator<Item = String>) {
        for (index, text) in texts.into_iter().enumerate() {
            self.line(if index == 0 { what } else { "" }, &text);
        }
    }
}

fn asked(page: &mut Page, decision: &DecisionEvent) {
    let DecisionEvent { subject, resource, caller, .. } = decision;
    page.line("decision", &decision.id.to_string());
    let mut who = name(&subject.entity);
    if !subject.roles.is_empty() {
        who = format!("{who}, as {}", subject.roles.join(", "));
    }
    if let Some(organization) = &subject.organization {
        who = format!("{who}, of {}", name(organization));
    }
    page.line("who", &who);
    page.line("action", &decision.action);
    let mut on = name(&resource.entity);
    if !resource.labels.is_empty() {
        on = format!("{on}, labels {}", resource.labels.join(", "));
    }
    if resource.part2 {
        on.push_str(", 42 CFR Part 2");
    }
    page.line("on", &on);
    page.lines("patient", decision.patient.iter().map(name));
    page.lines("recipient", decision.recipient.iter().map(name));
    page.lines("purpose", decision.purpose.iter().cloned());
    page.lines("reason", decision.justification.iter().cloned());
    page.lines("relation", decision.relations.iter().map(name));
    page.lines("consent", decision.consents.iter().map(name));
    let address = caller.address.as_ref().map(|address| format!(", from {address}")).unwrap_or_default();
    page.line("caller", &format!("{} ({}){address}", caller.id, caller.environment));
    page.lines("request id", decision.request_id.iter().cloned());
}

fn answered(page: &mut Page, outcome: &Outcome) {
    page.lines(
        "not said",
        outcome.problems.iter().map(|problem| format!("{}: {}", problem.code, problem.detail)),
    );
    if let Some(verdict) = &outcome.verdict {
        page.lines(
            "policy",
            verdict.determining.iter().map(|note| {
                let verb = if note.permits { "permits" } else { "forbids" };
                let intent = note.intent.as_ref().map(|intent| format!(": {intent}")).unwrap_or_default();
                let source = note.source.as_ref().map(|source| format!(" ({source})")).unwrap_or_default();
                format!("{} {verb}{intent}{source}", note.id)
            }),
        );
        page.lines("failed", verdict.errors.iter().map(|error| format!("{}: {}", error.id, error.message)));
        if verdict.determining.is_empty() && verdict.errors.is_empty() {
            page.line("policy", "none applies");
        }
    }
    page.lines("plugin", outcome.plugins.iter().flat_map(plugin));
    page.lines("obligation", outcome.obligations.iter().map(obligation));
    page.lines("advice", outcome.advice.iter().map(obligation));
}

fn plugin(outcome: &BindingOutcome) -> Vec<String> {
    let name = format!("{} ({})", outcome.binding, outcome.plugin);
    let findings = match &outcome.result {
        Ok(findings) => findings,
        Err(failure) => return vec![format!("{name} failed: {}: {}", failure.kind.code(), failure.message)],
    };
    if findings.allows() {
        return vec![format!("{name} has nothing against it")];
    }
    let cited = |citation: &Option<String>| {
        citation.as_ref().map(|citation| format!(" ({citation})")).unwrap_or_default()
    };
    let denials = findings.denials.iter().map(|denial| {
        let (code, ground, cited) = (&denial.code, &denial.ground, cited(&denial.citation));
        format!("{name} denies [{code}, {ground}]: {}{cited}", denial.message)
    });
    let reviews = findings.reviews.iter().map(|review| {
        let (code, ground, cited) = (&review.code, &review.ground, cited(&review.citation));
        format!("{name} asks {} [{code}, {ground}]: {}{cited}", review.queue, review.question)
    });
    denials.chain(reviews).collect()
}

fn obligation(obligation: &Obligation) -> String {
    if obligation.parameters.is_empty() {
        return obligation.code.to_string();
    }
    let parameters = obligation.parameters.iter().map(|(name, value)| format!("{name} {}", said(value)));
    format!("{}: {}", obligation.code, parameters.collect::<Vec<_>>().join(", "))
}

/// A value as a person reads it; `--json` says it with its kind.
fn said(value: &Value) -> String {
    match value {
        Value::Text(text) | Value::Ip(text) => text.to_string(),
        Value::Integer(integer) => integer.to_string(),
        Value::Decimal(decimal) => decimal.to_string(),
        Value::Boolean(boolean) => boolean.to_string(),
        Value::Instant(instant) => instant.to_string(),
        Value::Date(date) => date.to_string(),
        Value::Duration(millis) => format!("{millis} ms"),
        Value::Entity(entity) => name(entity),
        Value::Set(values) => format!("[{}]", values.iter().map(said).collect::<Vec<_>>().join(", ")),
        Value::Record(members) => {
            let members = members.iter().map(|(name, value)| format!("{name} {}", said(value)));
            format!("{{{}}}", members.collect::<Vec<_>>().join(", "))
        }
    }
}

/// Which files a part holds how much of; not what is in them.
fn archived(page: &mut Page, part: &ReleaseArchived) {
    page.line("release", &part.release.to_string());
    page.line("facts", &part.facts.to_string());
    page.line("archive", &part.archive.to_string());
    page.line("part", &format!("{} of {}", part.part, part.parts));
    page.line("software", &part.software);
    let mut files: Vec<(&str, u64, u64)> = vec![];
    for piece in &part.pieces {
        match files.last_mut() {
            Some((name, ..)) if *name == piece.file => {}
            _ => files.push((&piece.file, piece.offset, piece.bytes)),
        }
    }
    page.lines(
        "files",
        files.iter().map(|(name, from, bytes)| match from {
            0 => format!("{name}, {bytes} bytes"),
            from => format!("{name}, {bytes} bytes, from byte {from} on"),
        }),
    );
}

/// Which things a part says what they are; not what.
fn carried(page: &mut Page, part: &StateCarried) {
    page.line("year", &part.year.to_string());
    page.line("set", &part.set.to_string());
    page.line("part", &format!("{} of {}", part.part, part.parts));
    if let Some((first, last)) = part.versions() {
        page.line("versions", &format!("{first} to {last}"));
    }
    page.lines(
        "still counts",
        part.changes.iter().flat_map(|change| {
            let words = |item: &StateItem| {
                let is_gone = if item.change == StateVerb::Deleted { ", removed" } else { "" };
                format!("{} {}, of version {}{is_gone}", item.section, name(&item.target), change.version)
            };
            change.items.iter().map(words)
        }),
    );
}

/// The members of an event that is no decision, as they are recorded; what is a list has a line for each.
fn members(page: &mut Page, event: &Event) {
    let json = serde_json::to_value(event).unwrap_or_default();
    for (member, value) in json.as_object().into_iter().flatten().filter(|(member, _)| *member != "kind") {
        match value {
            Json::Array(items) => page.lines(member, items.iter().map(words)),
            other => page.line(member, &words(other)),
        }
    }
}

/// JSON as a person reads it, as far as that is the easier: what is nested stays JSON.
fn words(json: &Json) -> String {
    let plain = |value: &Json| match value {
        Json::String(text) => Some(text.clone()),
        Json::Object(members) if members.len() == 2 => {
            serde_json::from_value(value.clone()).ok().map(|entity: EntityId| name(&entity))
        }
        Json::Object(_) => None,
        Json::Array(_) => None,
        other => Some(other.to_string()),
    };
    let members = || {
        let members = json.as_object()?.iter().map(|(name, value)| Some(format!("{name} {}", plain(value)?)));
        Some(members.collect::<Option<Vec<_>>>()?.join(", "))
    };
    plain(json).or_else(members).unwrap_or_else(|| json.to_string())
}

#[cfg(test)]
mod tests {
    use assent_model::ObligationCode;
    use serde_json::json;

    use super::*;

    #[test]
    fn an_obligation_reads_as_a_person_would_say_it() {
        let parameters = [
            ("labels", Value::set([Value::Text("MH".into()), Value::Text("SUD".into())])),
            ("unlabelled", Value::Boolean(true)),
            ("user", Value::Entity(EntityId::new("Practitioner", "ellis"))),
            ("within", Value::Record([("limit".to_owned(), Value::Duration(5))].into())),
        ];
        let redact = Obligation {
            code: ObligationCode::from_code("redact"),
            parameters: parameters.map(|(name, value)| (name.to_owned(), value)).into(),
        };
        assert_eq!(
            obligation(&redact),
            "redact: labels [MH, SUD], unlabelled true, user Practitioner::ellis, within {limit 5 ms}"
        );
    }

    #[test]
    fn members_read_as_words_and_what_is_nested_stays_json() {
        for (json, expected) in [
            (json!("text"), "text"),
            (json!(7), "7"),
            (json!({"type": "Service", "id": "assent"}), "Service::assent"),
            (
                json!({"caller": "cli", "entity": {"type": "Service", "id": "assent"}}),
                "caller cli, entity Service::assent",
            ),
            (json!({"a": {"b": 1}}), "{\"a\":{\"b\":1}}"),
            (json!({"a": [1]}), "{\"a\":[1]}"),
        ] {
            assert_eq!(words(&json), expected);
        }
    }
}
