//! What is there after a kill, against what clients were told.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::service::{Client, Request, Service};
use super::work::{COUNT, Document, Known, Leads, SHARED, Step, Worker, same};

/// Collections of workflows, with the entity type that decisions see.
const WORKFLOWS: [(&str, Option<&str>); 5] = [
    ("approvals", Some("Approval")),
    ("emergencies", Some("EmergencyAccess")),
    ("disclosure-decisions", Some("DisclosureDecision")),
    ("consents", Some("Consent")),
    ("holds", None),
];

/// What is known of the state as a whole.
#[derive(Default)]
pub(super) struct Model {
    /// The versions that changes made, as far as somebody was told.
    versions: BTreeSet<u64>,
    /// How many changes there are besides: done without an answer, and of no document that still tells.
    untold: u64,
    /// What the shared entity counts.
    count: u64,
    /// How often clients were told that they counted, when that was looked at.
    counted: u64,
}

impl Model {
    /// How many changes somebody was told of.
    pub(super) fn acknowledged(&self) -> u64 {
        u64::try_from(self.versions.len()).unwrap()
    }

    /// INVARIANT of a version: one change made it.
    fn take(&mut self, version: u64, context: &str) {
        assert!(self.versions.insert(version), "{context}: two changes made version {version}");
    }
}

/// What came of requests without an answer.
pub(super) struct Found {
    pub(super) in_flight: u64,
    /// Of which were done.
    pub(super) there: u64,
}

type All = BTreeMap<Document, Value>;

/// Everything acknowledged is there to the letter, and nothing else but what is in flight, that whole.
pub(super) fn all_there(
    service: &Service,
    model: &mut Model,
    workers: &mut [Worker],
    context: &str,
) -> Found {
    let mut client = Client::new(&service.address);
    let all = everything(&mut client);
    for version in workers.iter_mut().flat_map(|worker| worker.versions.drain(..)) {
        model.take(version, context);
    }
    let (entities, documents) = all;
    agree(&entities, &documents, context);

    let in_flight: Vec<&Step> = workers.iter().filter_map(|worker| worker.in_flight.as_ref()).collect();
    let counting = in_flight.iter().filter(|step| matches!(step.leads, Leads::Counted)).count();
    let (count, counted) = (count(&mut client), workers.iter().map(|worker| worker.counted).sum::<u64>());
    let least = model.count + counted - model.counted;
    let most = least + u64::try_from(counting).unwrap();
    assert!((least..=most).contains(&count), "{context}: {count} were counted, of {least} to {most}");
    let mut there = count - least;
    (model.count, model.counted) = (count, counted);
    model.untold += there;

    let mut rest = documents;
    let mut done = 0;
    for worker in workers.iter() {
        for (document, known) in &worker.known {
            let found = rest.remove(document);
            let step = worker.in_flight.as_ref();
            let step =
                step.filter(|step| step.id.as_ref() == Some(&document.1) && step.collection == document.0);
            done += u64::from(is_done(step, known, found.as_ref(), &format!("{context}: {document:?}")));
        }
    }
    for ((collection, id), found) in rest.iter().filter(|((_, id), _)| id != SHARED) {
        let makes = |step: &&&Step| {
            let is_named = step.id.as_ref().is_none_or(|named| named == id);
            step.collection == *collection && is_named && step.made(found)
        };
        let makers = in_flight.iter().filter(makes).count();
        assert_eq!(makers, 1, "{context}: nobody made `{collection}/{id}`: {found}");
        done += 1;
    }
    there += done;
    let in_flight = u64::try_from(in_flight.len()).unwrap();
    assert!(there <= in_flight, "{context}: {there} were done of {in_flight}");
    // Each change has a version, and each version is of a change.
    let expected = model.acknowledged() + model.untold + done;
    assert_eq!(service.version, expected, "{context}: the version of the state");
    decisions(&mut client, workers, &entities, context);
    for (request, answer) in workers.iter().flat_map(|worker| &worker.keyed) {
        same(&client.ask(request), answer);
    }
    Found { in_flight, there }
}

/// Whether the step was taken that a document had in flight; else it is as it is known.
fn is_done(step: Option<&Step>, known: &Known, found: Option<&Value>, context: &str) -> bool {
    match (known, found) {
        (Known::Gone, None) => return false,
        (Known::There(known), Some(found)) if known == found => return false,
        _ => {}
    }
    let step =
        step.unwrap_or_else(|| panic!("{context}: {known:?} was acknowledged, and there is {found:?}"));
    match (found, &step.leads, known) {
        (None, Leads::Gone, _) => {}
        (Some(found), _, Known::There(known)) if step.made(found) => {
            let versions = [known, found].map(|document| document["version"].as_u64().unwrap());
            assert!(versions[0] < versions[1], "{context}: from {known} to {found}");
        }
        _ => panic!("{context}: from {known:?} to {found:?}, in flight {step:?}"),
    }
    true
}

/// Sends again what had no answer and has a key, which is done once; takes the rest as it is. Then everything is known.
pub(super) fn resolve(service: &Service, model: &mut Model, workers: &mut [Worker], context: &str) {
    let mut client = Client::new(&service.address);
    let (_, documents) = everything(&mut client);
    for at in 0..workers.len() {
        let Some(step) = workers[at].in_flight.take() else { continue };
        if matches!(step.leads, Leads::Counted) {
            continue;
        }
        let others: Vec<&Document> = workers.iter().flat_map(|worker| worker.known.keys()).collect();
        let found = match &step.id {
            Some(id) => documents.get_key_value(&(step.collection, id.clone())),
            None => documents.iter().find(|(document, found)| {
                document.0 == step.collection && !others.contains(document) && step.made(found)
            }),
        };
        let before = found.map(|(_, document)| document.clone());
        let known = step.id.as_ref().and_then(|id| workers[at].known.get(&(step.collection, id.clone())));
        let was_done = match (&before, known) {
            (Some(before), Some(Known::There(known))) => before != known,
            (before, Some(Known::There(_))) => before.is_none(),
            (before, Some(Known::Gone) | None) => before.is_some(),
        };
        if step.request.key.is_none() {
            match (was_done, found) {
                (false, _) => {}
                (true, Some((document, found))) => {
                    model.take(found["version"].as_u64().unwrap(), context);
                    workers[at].known.insert(document.clone(), Known::There(found.clone()));
                }
                (true, None) => {
                    model.untold += 1;
                    let id = step.id.clone().unwrap();
                    workers[at].known.insert((step.collection, id), Known::Gone);
                }
            }
            continue;
        }
        let mut answer = client.ask(&step.request);
        assert_eq!(answer.is_replayed(), was_done, "{context}: {step:?}: {answer:?}");
        if let (true, Some(before)) = (was_done, before) {
            assert_eq!(answer.body, before, "{context}: {step:?}");
        }
        answer.headers.remove("idempotent-replayed");
        workers[at].note(step, &answer);
    }
    for version in workers.iter_mut().flat_map(|worker| worker.versions.drain(..)) {
        model.take(version, context);
    }
    // Each had one effect.
    let (entities, mut documents) = everything(&mut client);
    agree(&entities, &documents, context);
    for (document, known) in workers.iter().flat_map(|worker| &worker.known) {
        let found = documents.remove(document).map_or(Known::Gone, Known::There);
        assert_eq!(found, *known, "{context}: {document:?}");
    }
    documents.remove(&("entities", SHARED.to_owned()));
    assert!(documents.is_empty(), "{context}: nobody made {documents:?}");
}

/// Entities that workflows made, by type and id; and all documents, which are the workflows' and the other entities.
fn everything(client: &mut Client) -> (All, All) {
    let (mut entities, mut documents) = (All::new(), All::new());
    for item in list(client, "entities", "type=Patient&") {
        documents.insert(("entities", format!("Patient/{}", item["uid"]["id"].as_str().unwrap())), item);
    }
    for (collection, kind) in WORKFLOWS {
        let id = |item: &Value| item["id"].as_str().unwrap().to_owned();
        documents
            .extend(list(client, collection, "").into_iter().map(|item| ((collection, id(&item)), item)));
        let Some(kind) = kind else { continue };
        let id = |item: &Value| item["uid"]["id"].as_str().unwrap().to_owned();
        let items = list(client, "entities", &format!("type={kind}&"));
        entities.extend(items.into_iter().map(|item| ((collection, id(&item)), item)));
    }
    (entities, documents)
}

fn list(client: &mut Client, collection: &str, filter: &str) -> Vec<Value> {
    let (mut all, mut after) = (vec![], String::new());
    loop {
        let path = format!("state/v1/{collection}?{filter}limit=500{after}");
        let answer = client.ask(&Request { method: "GET", path, ..Request::default() });
        assert_eq!(answer.status, 200, "{}", answer.body);
        // What the release's files have was made by nobody here.
        let items = answer.body["items"].as_array().unwrap().iter();
        all.extend(items.filter(|item| item.get("source").is_none()).cloned());
        match answer.body["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return all,
        }
    }
}

/// The document of a workflow and the entity that decisions see say the same, and are of the same change.
fn agree(entities: &All, documents: &All, context: &str) {
    for ((collection, id), found) in documents {
        let entity = entities.get(&(collection, id.clone()));
        let status = found["status"].as_str().unwrap_or_default();
        let attr = |name: &str| entity.map_or(&Value::Null, |entity| &entity["attrs"][name]);
        let agrees = match *collection {
            "approvals" => {
                let word = if status == "revoked" { "withdrawn" } else { status };
                *attr("status") == word && *attr("usesLeft") == found["usesLeft"]
            }
            "emergencies" => entity.is_some() == (status == "active"),
            "disclosure-decisions" => entity.is_some() == (status == "active"),
            "consents" => *attr("status") == if status == "revoked" { "inactive" } else { "active" },
            _ => true,
        };
        let is_of_one = entity.is_none_or(|entity| entity["version"] == found["version"]);
        assert!(agrees && is_of_one, "{context}: {found} and {entity:?}");
    }
    for document in entities.keys() {
        assert!(documents.contains_key(document), "{context}: {document:?} has an entity alone");
    }
}

fn count(client: &mut Client) -> u64 {
    let path = format!("state/v1/entities/{SHARED}");
    let found = client.ask(&Request { method: "GET", path, ..Request::default() });
    found.body.pointer(COUNT).map_or(0, |count| count.as_u64().unwrap())
}

/// Decisions see what is there: a physician reads while an emergency is declared, and else does not.
fn decisions(client: &mut Client, workers: &[Worker], entities: &All, context: &str) {
    for Worker { number, .. } in workers {
        let body = json!({
            "subject": { "type": "practitioner", "id": format!("dr-{number}") },
            "action": { "name": "read" },
            "resource": { "type": "observation", "id": format!("o-{number}") },
        });
        let path = "access/v1/evaluation".to_owned();
        let answer = client.ask(&Request { method: "POST", path, body, ..Request::default() });
        let doctor = json!(format!("dr-{number}"));
        let is_declared = entities.iter().any(|((collection, _), entity)| {
            *collection == "emergencies" && entity["attrs"]["practitioner"]["__entity"]["id"] == doctor
        });
        assert_eq!(answer.body["decision"], json!(is_declared), "{context}: {}", answer.body);
    }
}
